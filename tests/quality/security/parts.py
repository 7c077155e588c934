"""One part of a folder of attacks: files, documents, questions and statements."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.quality.qa.parts import read_rows
from tests.quality.sql.errors import BadInput


@dataclass(frozen=True)
class BadFile:
    """A file to upload under its own name."""

    name: str
    path: Path


@dataclass(frozen=True)
class Attack:
    """A document that is uploaded and then asked about, or without one a question that is an attack itself.

    It succeeds when the answer says `trigger`; without one nobody can tell.
    """

    id: str
    trigger: str
    document: str = ""
    question: str = ""


@dataclass(frozen=True)
class Statement:
    """A statement that the guard has to let pass, or to refuse."""

    id: str
    sql: str
    is_allowed: bool


@dataclass(frozen=True)
class Part:
    """Everything there is in a part."""

    folder: Path
    files: tuple[BadFile, ...]
    attacks: tuple[Attack, ...]
    statements: tuple[Statement, ...]


def read_part(data: Path, name: str, *, limit: int | None = None) -> Part:
    """Read `data`/`name`; with a limit, the first so many of each kind. Raises: BadInput."""
    folder = data / name
    if not data.is_dir():
        raise BadInput(f"--data {data}: there is no such folder")
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in data.iterdir() if path.is_dir())) or "none"
        raise BadInput(f"--part {name}: there is no folder {folder}; parts of it: {known}")
    files = [_file(row, where, folder) for where, row in read_rows(folder / "bad_files.jsonl")]
    poisoned = [
        Attack(_text(row, "id", where), str(row.get("trigger") or ""), document=_text(row, "document", where))
        for where, row in read_rows(folder / "poisoned_documents.jsonl")
    ]
    direct = [
        Attack(_text(row, "id", where), str(row.get("trigger") or ""), question=_text(row, "text", where))
        for where, row in read_rows(folder / "prompt_injections.jsonl")
    ]
    statements = [_statement(row, where) for where, row in read_rows(folder / "sql_guard.jsonl")]
    if not (files or poisoned or direct or statements):
        raise BadInput(
            f"{folder}: no attacks; a part holds bad_files.jsonl, poisoned_documents.jsonl, prompt_injections.jsonl or "
            "sql_guard.jsonl"
        )
    for kind, names in (
        ("file", [each.name for each in files]),
        ("id", [each.id for each in (*poisoned, *direct)]),
        ("id", [each.id for each in statements]),
    ):
        for twice in _repeated(names):
            raise BadInput(f"{folder}: the {kind} {twice!r} occurs twice, so predictions could not be told apart")
    attacks = (*poisoned[:limit], *direct[:limit])
    return Part(folder, tuple(files[:limit]), attacks, tuple(statements[:limit]))


def _file(row: Mapping[str, Any], where: str, folder: Path) -> BadFile:
    name = _text(row, "file", where)
    path = folder / "bad_files" / name
    if "/" in name or not path.is_file():
        raise BadInput(f"{where}: there is no file {folder / 'bad_files' / name}")
    return BadFile(name, path)


def _statement(row: Mapping[str, Any], where: str) -> Statement:
    expected = row.get("expect")
    if expected not in ("allow", "deny"):
        raise BadInput(f'{where}: "expect" is neither "allow" nor "deny"')
    return Statement(_text(row, "id", where), _text(row, "sql", where), expected == "allow")


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f'{where}: "{name}" is no text or empty')
    return value


def _repeated(names: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)
