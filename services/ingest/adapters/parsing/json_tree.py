"""JSON and JSON Lines, by the standard library: values with the path that leads to them."""

import json
from collections.abc import Iterator
from typing import Any

from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument

MAX_DEPTH = 100


def parse_json(data: bytes) -> ParsedDocument:
    """ "a.b: value" for a value, and one line "a[0] name: value; …" for each object in a list.

    Raises: FileBroken: no JSON, or nested deeper than MAX_DEPTH. FileWithoutText.
    """
    return compose(Piece(BlockKind.ROW, line) for line in _lines(_loaded(decode(data)), "", 0))


def parse_json_lines(data: bytes) -> ParsedDocument:
    """One line "name: value; …" for each object of the file. Raises as parse_json, naming the line."""
    return compose(Piece(BlockKind.ROW, line) for line in _records(decode(data)))


def _records(text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield "; ".join(_fields(_loaded(line, f"line {number}: "), "", 0))


def _loaded(text: str, where: str = "") -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = "" if where else f" in line {error.lineno}"
        raise FileBroken(f"{where}this is no JSON: {error.msg}{place}") from error
    except RecursionError as error:
        raise FileBroken(f"{where}the JSON is nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:  # a number of thousands of digits
        raise FileBroken(f"{where}a number in the JSON is too long") from error


def _lines(value: Any, path: str, depth: int) -> Iterator[str]:
    _check(depth)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _lines(inner, _joined(path, key), depth + 1)
    elif isinstance(value, list) and all(not isinstance(inner, dict | list) for inner in value):
        shown = ", ".join(filter(None, map(_shown, value)))
        if shown:
            yield f"{path}: {shown}" if path else shown
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            here = f"{path}[{place}]" if path else ""
            line = "; ".join(_fields(inner, "", depth + 1))
            if line:
                yield f"{here} {line}" if here else line
    elif shown := _shown(value):
        yield f"{path}: {shown}" if path else shown


def _fields(value: Any, path: str, depth: int) -> Iterator[str]:
    """Everything in one record, flat."""
    _check(depth)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(inner, _joined(path, key), depth + 1)
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for place, inner in enumerate(value):
            yield from _fields(inner, f"{path}[{place}]", depth + 1)
    elif isinstance(value, list):
        shown = ", ".join(filter(None, map(_shown, value)))
        if shown:
            yield f"{path}: {shown}" if path else shown
    elif shown := _shown(value):
        yield f"{path}: {shown}" if path else shown


def _check(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise FileBroken(f"the JSON is nested deeper than {MAX_DEPTH} levels")


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return " ".join(str(value).split())
