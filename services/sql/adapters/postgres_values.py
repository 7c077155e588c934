"""PostgreSQL's values as the service's own, by loaders that know few types and leave every other one as its text.

    boolean                             bool
    smallint, integer, bigint           int
    numeric                             Decimal, with all its digits
    real, double precision              float, by the shortest digits that give the same number back
    bytea                               bytes
    json, jsonb                         JsonText, not parsed
    arrays                              lists of what their elements are, nested as they are
    NULL                                None
    date                                "2026-01-02"
    time, time with time zone           "03:04:05.6", "03:04:05.6+00:00"
    timestamp, with time zone           "2026-01-02T03:04:05.6", "2026-01-02T03:04:05.6+00:00"
    interval                            "P1Y2DT3H"
    everything else                     PostgreSQL's own text: money, uuid, inet, ranges, enums, composites ...

Dates and times are ISO 8601, in the database's or the role's time zone. What has no form there or no number stays
PostgreSQL's text: NaN and infinities of numbers, dates and times; years before 1 ("0044-03-15 BC") and after 9999;
dates inside of ranges and composites. A domain is what its base type is. The session sets the styles.

psycopg's usual loaders build Python dates and the like, which fail on infinity or on years before 1.
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

from services.sql.models import JsonText

_DIGITS = re.compile(rb"-?\d+(\.\d+)?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d )?(\d\d:\d\d:\d\d(?:\.\d+)?)(?:([+-]\d\d)((?::\d\d)+)?)?")


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


class IsoTimeLoader(Loader):
    """timestamp, time and both with time zone, from PostgreSQL's ISO style to ISO 8601's."""

    def load(self, data: Buffer) -> str:
        """With a T before the time, and minutes in every offset; what is no such time as it is."""
        text = bytes(data).decode()
        found = _TIME.fullmatch(text)
        if found is None:
            return text
        date, time, offset_hours, offset_rest = found.groups()
        offset = f"{offset_hours}{offset_rest or ':00'}" if offset_hours else ""
        return f"{date.rstrip()}T{time}{offset}" if date else f"{time}{offset}"


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
    "timestamp": IsoTimeLoader,
    "timestamptz": IsoTimeLoader,
    "time": IsoTimeLoader,
    "timetz": IsoTimeLoader,
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
