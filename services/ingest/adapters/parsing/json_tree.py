"""JSON and JSON Lines, by the standard library: values with the path that leads to them, records as rows."""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any

from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument, TablePlace

MAX_DEPTH = 100
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_MAX_COLUMNS = 200  # named beside a record; its own text names all


def parse_json(data: bytes) -> ParsedDocument:
    """ "a.b: value" for a value, and one line "a[0] name: value; …" for each object in a list, which is a table.

    Raises: FileBroken: no JSON, or nested deeper than MAX_DEPTH. FileWithoutText.
    """
    return compose(_Reader().document(decode(data)))


def parse_json_lines(data: bytes) -> ParsedDocument:
    """One line "name: value; …" for each object, a row of one table. Raises as parse_json, naming the line."""
    return compose(_records(decode(data)))


def _records(text: str) -> Iterator[Piece]:
    table = _Table(0)
    start, number = 0, 0
    while start < len(text):  # without a list of all lines
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        number += 1
        line = text[start:end]
        start = end + 1
        if line.strip():
            yield from table.row(list(_fields(_loaded(line, f"line {number}: "), "", 0)))


class _Table:
    """The rows of one list. Its columns are the fields of its first record."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._columns: tuple[str, ...] = ()
        self.count = 0

    def row(self, fields: list[tuple[str, str]], place: str = "") -> Iterator[Piece]:
        if not fields:
            return
        if self.count == 0:
            self._columns = tuple(name for name, _ in fields[:_MAX_COLUMNS] if name)
        line = "; ".join(f"{name}: {value}" if name else value for name, value in fields)
        yield Piece(
            BlockKind.ROW,
            f"{place} {line}" if place else line,
            table=TablePlace(self._number, self.count, self._columns),
        )
        self.count += 1


class _Reader:
    def __init__(self) -> None:
        self._tables = 0

    def document(self, text: str) -> Iterator[Piece]:
        """The whole file. Records of a list at its top, or under a name there, are read one at a time: all at once they
        would take ten times the memory that the file does."""
        start = _after_space(text, 0)
        if text[start : start + 1] == "[":
            yield from self._list(text, start, "")
        elif text[start : start + 1] == "{":
            yield from self._object(text, start)
        else:
            yield from self.pieces(_loaded(text), "", 0)

    def _object(self, text: str, place: int) -> Iterator[Piece]:
        """The object that begins at the place, and is all there is."""
        place = _after_space(text, place + 1)
        while text[place : place + 1] != "}":
            key, place = _value_at(text, place, expected=str)
            place = _after_space(text, _past(text, _after_space(text, place), ":"))
            if text[place : place + 1] == "[":
                place = yield from self._elements(text, place, str(key))
            else:
                value, place = _value_at(text, place)
                yield from self.pieces(value, str(key), 1)
            place = _next_or_end(text, place, "}")
        _check_end(text, place + 1)

    def _list(self, text: str, place: int, path: str) -> Iterator[Piece]:
        _check_end(text, (yield from self._elements(text, place, path)))

    def _elements(self, text: str, place: int, path: str) -> Generator[Piece, None, int]:
        """The list that begins at the place; returns the place after it."""
        table = _Table(self._tables)
        plain: list[str] = []
        at = 0
        place = _after_space(text, place + 1)
        while text[place : place + 1] != "]":
            value, place = _value_at(text, place)
            if isinstance(value, dict | list):
                yield from table.row(list(_fields(value, "", 2)), f"{path}[{at}]" if path else "")
            elif shown := _shown(value):
                plain.append(shown)
            at += 1
            place = _next_or_end(text, place, "]")
        self._tables += table.count > 0
        if plain:
            yield Piece(BlockKind.ROW, f"{path}: {', '.join(plain)}" if path else ", ".join(plain))
        return place + 1

    def pieces(self, value: Any, path: str, depth: int) -> Iterator[Piece]:
        _check(depth)
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from self.pieces(inner, _joined(path, key), depth + 1)
        elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
            table = _Table(self._tables)
            for place, inner in enumerate(value):
                yield from table.row(list(_fields(inner, "", depth + 1)), f"{path}[{place}]" if path else "")
            self._tables += table.count > 0
        else:
            for _, shown in _fields(value, path, depth):
                yield Piece(BlockKind.ROW, f"{path}: {shown}" if path else shown)


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _past(text: str, place: int, sign: str) -> int:
    if text[place : place + 1] != sign:
        raise _no_json(text, place, f"expecting {sign!r}")
    return place + 1


def _next_or_end(text: str, place: int, end: str) -> int:
    """The place of what follows a comma, or of the sign that ends an object or list."""
    place = _after_space(text, place)
    if text[place : place + 1] == end:
        return place
    place = _after_space(text, _past(text, place, ","))
    if text[place : place + 1] == end:
        raise _no_json(text, place, "a comma and nothing after it")
    return place


def _check_end(text: str, place: int) -> None:
    if _after_space(text, place) != len(text):
        raise _no_json(text, place, "more than one value")


def _value_at(text: str, place: int, *, expected: type = object) -> tuple[Any, int]:
    """The value that begins at the place, and the place after it."""
    try:
        value, end = _DECODER.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise _no_json(text, error.pos, error.msg) from error
    except RecursionError as error:
        raise FileBroken(f"the JSON is nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:  # a number of thousands of digits
        raise FileBroken("a number in the JSON is too long") from error
    if not isinstance(value, expected):
        raise _no_json(text, place, "expecting a name in quotes")
    return value, end


def _no_json(text: str, place: int, why: str) -> FileBroken:
    line = text.count("\n", 0, place) + 1
    return FileBroken(f"this is no JSON: {why} in line {line}")


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


def _fields(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Everything in one record, flat: the path of each value, and the value as it is shown."""
    _check(depth)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(inner, _joined(path, key), depth + 1)
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for place, inner in enumerate(value):
            yield from _fields(inner, f"{path}[{place}]", depth + 1)
    else:
        shown = ", ".join(filter(None, map(_shown, value))) if isinstance(value, list) else _shown(value)
        if shown:
            yield path, shown


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
