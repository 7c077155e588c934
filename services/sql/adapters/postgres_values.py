"""PostgreSQL's values as the service's own, by loaders that know few types and leave every other one as its text.

psycopg's usual loaders build Python dates and the like, which fail on infinity or on years before 1; the text form of
PostgreSQL is exact and is what the contract promises.
"""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite

import psycopg
from psycopg import postgres
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.array import ArrayLoader
from psycopg.types.bool import BoolLoader
from psycopg.types.numeric import IntLoader
from psycopg.types.string import ByteaLoader, TextLoader

from services.sql.models import JsonText, SqlValue

_DIGITS = re.compile(rb"-?\d+(\.\d+)?")


class FloatOrTextLoader(Loader):
    """real and double precision; NaN and infinities stay text."""

    def load(self, data: Buffer) -> float | str:
        """The number, or its name."""
        number = float(bytes(data))
        return number if isfinite(number) else bytes(data).decode()


class DecimalOrTextLoader(Loader):
    """numeric; NaN and infinities stay text."""

    def load(self, data: Buffer) -> Decimal | str:
        """The number with all its digits, or its name."""
        text = bytes(data)
        return Decimal(text.decode()) if _DIGITS.fullmatch(text) else text.decode()


class JsonTextLoader(Loader):
    """json and jsonb, not parsed."""

    def load(self, data: Buffer) -> JsonText:
        """The text as the database gave it."""
        return JsonText(bytes(data).decode())


_LOADERS: dict[str, type[Loader]] = {
    "bool": BoolLoader,
    "bytea": ByteaLoader,
    "int2": IntLoader,
    "int4": IntLoader,
    "int8": IntLoader,
    "float4": FloatOrTextLoader,
    "float8": FloatOrTextLoader,
    "numeric": DecimalOrTextLoader,
    "json": JsonTextLoader,
    "jsonb": JsonTextLoader,
}


def value_adapters() -> AdaptersMap:
    """A fresh map for one pool of connections; it reads the text form of results, and psycopg's own the binary one."""
    adapters = AdaptersMap(psycopg.adapters)
    for info in postgres.types:
        adapters.register_loader(info.oid, _LOADERS.get(info.name, TextLoader))
        if info.array_oid:
            register_array_of(adapters, info.oid, info.array_oid, info.delimiter)
    return adapters


def register_array_of(adapters: AdaptersMap, element_oid: int, array_oid: int, delimiter: str) -> None:
    """Read arrays of one type as lists of what its elements are read as."""
    loader = type("ListLoader", (ArrayLoader,), {"base_oid": element_oid, "delimiter": delimiter.encode()})
    adapters.register_loader(array_oid, loader)


def size_bytes(value: SqlValue) -> int:
    """Roughly what a value weighs in a reply."""
    match value:
        case None | bool():
            return 1
        case int() | float():
            return 8
        case str():
            return len(value) if value.isascii() else len(value.encode())
        case bytes():
            return len(value)
        case JsonText():
            return len(value.text.encode())
        case Decimal():
            return len(value.as_tuple().digits) + 2
        case _:
            return sum(size_bytes(element) for element in value)
