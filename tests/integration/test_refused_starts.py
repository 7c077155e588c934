"""A process without its settings: one line on stderr, and an exit status that tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREFIXES = ("DIGLOT_", "DATABASE_URL", "ENVIRONMENT", "RAG_", "SQL_", "INGEST_", "ROUTER_", "GATEWAY_")
NEEDED = {
    "services.router.server": ["DIGLOT_INTERNAL_KEY", "ROUTER_RAG_TARGET", "ROUTER_SQL_TARGET"],
    "services.rag.server": ["DIGLOT_INTERNAL_KEY", "DIGLOT_STORE_URL"],
    "services.sql.server": ["DIGLOT_INTERNAL_KEY", "DATABASE_URL", "DIGLOT_STORE_URL"],
    "services.ingest.server": ["DIGLOT_INTERNAL_KEY", "INGEST_RAG_TARGET", "DIGLOT_STORE_URL"],
    "gateway.server": [
        "DIGLOT_INTERNAL_KEY",
        *(f"GATEWAY_{name}_TARGET" for name in ("ROUTER", "RAG", "SQL", "INGEST")),
    ],
}


def start(module: str, **environment: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
    command = [sys.executable, "-m", module]
    return subprocess.run(
        command, cwd=ROOT, env=bare | environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(("module", "needed"), NEEDED.items())
def test_a_process_without_settings_names_each_it_needs_with_an_example(module: str, needed: list[str]) -> None:
    ended = start(module)

    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert [part.partition(":")[0] for part in line.removeprefix("settings refused: ").split("; ")] == needed
    assert all(f"for example {variable}=" in line for variable in needed)


def test_a_malformed_setting_is_named_and_no_secret_is_told() -> None:
    ended = start("services.rag.server", DIGLOT_INTERNAL_KEY="hunter2", DIGLOT_STORE_URL="mysql://hunter3@db/store")

    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert "DIGLOT_INTERNAL_KEY: has fewer than 32 characters" in line
    assert "DIGLOT_STORE_URL: is no PostgreSQL address" in line
    assert "hunter" not in line


@pytest.mark.parametrize(
    ("database_url", "told"),
    [
        ("postgresql://reader:hunter2@db:5432/one", "DATABASE_URL and DIGLOT_STORE_URL name the same database"),
        ("postgresql://reader:hunter2@db:5432/one?nonsense=1", "DATABASE_URL or DIGLOT_STORE_URL cannot be read"),
    ],
)
def test_what_is_wrong_with_two_addresses_together_is_told_in_one_line(database_url: str, told: str) -> None:
    store_url = "postgresql://diglot:hunter3@db:5432/one"
    ended = start(
        "services.sql.server", DIGLOT_INTERNAL_KEY="k" * 32, DATABASE_URL=database_url, DIGLOT_STORE_URL=store_url
    )

    (line,) = ended.stderr.splitlines()
    event = json.loads(line)
    assert ended.returncode == 1
    assert (event["event"], event["error"]) == ("server.failed", "ConfigurationRefused")
    assert event["told"].startswith(told)
    assert "hunter" not in line
