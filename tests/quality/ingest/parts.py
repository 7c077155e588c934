"""One part of a folder of files to read, with what a right reading of each holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.quality.sql.errors import BadInput

_EXPECTATIONS = ("ok", "reject", "ok_or_reject")


@dataclass(frozen=True)
class Expected:
    """What a right reading of one file holds.

    Attributes:
        phrases: each occurs in the text; `unwanted` ones do not.
        rows: the cells of each stand in one row, in that order.
        order: of each pair the first comes before the second.
        needs_ocr: only text recognition finds it.
        outcome: "ok" when it is to be read, "reject" when refused, "ok_or_reject" when either is right.
    """

    file: str
    path: Path
    phrases: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    order: tuple[tuple[str, str], ...] = ()
    unwanted: tuple[str, ...] = ()
    needs_ocr: bool = False
    outcome: str = "ok"


@dataclass(frozen=True)
class Part:
    """The files of a part. `expectations` is where what they hold is written down."""

    expectations: Path
    files: tuple[Expected, ...]


def read_part(data: Path, name: str, *, limit: int | None = None) -> Part:
    """Read `data`/`name`; with a limit, the first so many files. Raises: BadInput."""
    folder = data / name
    if not data.is_dir():
        raise BadInput(f"--data {data}: there is no such folder")
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in data.iterdir() if path.is_dir())) or "none"
        raise BadInput(f"--part {name}: there is no folder {folder}; parts of it: {known}")
    path = folder / "expect.jsonl"
    if not path.is_file():
        raise BadInput(f"{path} is missing: it says for each file what its text holds")
    files: dict[str, Expected] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            expected = _expected(line, f"{path}:{number}", folder)
            if expected.file in files:
                raise BadInput(f"{path}:{number}: the file {expected.file!r} occurs twice")
            files[expected.file] = expected
    if not files:
        raise BadInput(f"{path}: there are no files in it")
    return Part(path, tuple(files.values())[:limit])


def _expected(line: str, where: str, folder: Path) -> Expected:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{where}: is no JSON object ({error})") from error
    if not isinstance(row, dict):
        raise BadInput(f'{where}: is no JSON object such as {{"file": "report.pdf", "must_contain": ["total"]}}')
    name = row.get("file")
    if not isinstance(name, str) or not name or "/" in name or not (folder / "files" / name).is_file():
        raise BadInput(f'{where}: "file" names no file in {folder / "files"}')
    outcome = row.get("expect") or "ok"
    if outcome not in _EXPECTATIONS:
        raise BadInput(f'{where}: "expect" is none of {", ".join(_EXPECTATIONS)}')
    pairs = _lists(row, "order", where)
    if any(len(pair) != 2 for pair in pairs):
        raise BadInput(f'{where}: "order" is no list of pairs')
    return Expected(
        file=name,
        path=folder / "files" / name,
        phrases=_texts(row, "must_contain", where),
        rows=_lists(row, "rows", where),
        order=tuple((pair[0], pair[1]) for pair in pairs),
        unwanted=_texts(row, "must_not_contain", where),
        needs_ocr=row.get("needs") == "ocr",
        outcome=outcome,
    )


def _texts(row: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadInput(f'{where}: "{name}" is no list of texts')
    return tuple(value)


def _lists(row: Mapping[str, Any], name: str, where: str) -> tuple[tuple[str, ...], ...]:
    value = row.get(name) or []
    if not isinstance(value, list):
        raise BadInput(f'{where}: "{name}" is no list of lists of texts')
    return tuple(_texts({name: each}, name, where) for each in value)
