"""Server processes whose store is to be in DynamoDB and cannot be used: one line that says why, and an end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.aws_server import AwsAccount

ROOT = Path(__file__).parents[3]


def start(module: str, account: AwsAccount, **environment: str) -> subprocess.CompletedProcess[str]:
    needed = {
        "PATH": os.environ["PATH"],
        "DIGLOT_INTERNAL_KEY": "k" * 32,
        "INGEST_RAG_TARGET": "127.0.0.1:1",
        "DATABASE_URL": "postgresql://reader@127.0.0.1:1/shop",
    }
    return subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=needed | account.environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "table"), [("services.ingest.server", "diglot-jobs"), ("services.sql.server", "diglot-queries")]
)
def test_a_server_without_its_tables_names_the_table_and_the_command(
    aws_account: AwsAccount, module: str, table: str
) -> None:
    ended = start(module, aws_account, DIGLOT_STORE_URL="dynamodb://diglot")

    assert ended.returncode == 1
    assert f"the table {table} is not there" in ended.stderr
    assert "python -m deploy.aws.create_tables --prefix diglot" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("module", ["services.ingest.server", "services.sql.server"])
def test_a_malformed_prefix_is_refused_with_an_example(aws_account: AwsAccount, module: str) -> None:
    ended = start(module, aws_account, DIGLOT_STORE_URL="dynamodb://my tables")

    [line] = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert line.startswith("settings refused: DIGLOT_STORE_URL: a table prefix has 3 to 200 letters")
    assert "dynamodb://diglot" in line
