"""The file .env, from which docker-compose.yml reads secrets and settings."""

import secrets
from collections.abc import Mapping
from pathlib import Path

_SECRETS = (
    "DIGLOT_INTERNAL_KEY",
    "POSTGRES_PASSWORD",
    "DIGLOT_RAG_PASSWORD",
    "DIGLOT_SQL_PASSWORD",
    "DIGLOT_INGEST_PASSWORD",
    "DIGLOT_READER_PASSWORD",
    "REDIS_PASSWORD",
    "DIGLOT_AWS_ACCESS_KEY_ID",
    "DIGLOT_AWS_SECRET_ACCESS_KEY",
)
_HEAD = """\
# Read by docker-compose.yml; made by `make up`, readable by you alone, never committed.
# Settings of services go here too, for example DATABASE_URL=postgresql://reader:password@db.example.com:5432/sales
# The databases keep the passwords of their first start: to change them all, `make down VOLUMES=1` deletes the data.
"""


def complete(path: Path) -> list[str]:
    """Add a fresh secret for each that the file lacks; what is there stays. Returns: the names of those added."""
    known = read(path)
    missing = [name for name in _SECRETS if not known.get(name)]
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(_HEAD, encoding="utf-8")
    if missing:
        content = path.read_text(encoding="utf-8")
        glue = "" if content.endswith("\n") or not content else "\n"
        # In hexadecimal: fit for every URL and every shell.
        lines = "".join(f"{name}={secrets.token_hex(24)}\n" for name in missing)
        path.write_text(content + glue + lines, encoding="utf-8")
    return missing


def read(path: Path) -> Mapping[str, str]:
    """Names and values of the file; empty when there is none. Quotes around a value are no part of it."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}
