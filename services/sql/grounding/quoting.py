"""Names and literals as PostgreSQL wants them written."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")

# PostgreSQL's reserved words, and those it reserves as column or table names: they are always quoted.
_RESERVED = frozenset(
    """
all analyse analyze and any array as asc asymmetric authorization between binary both case cast check collate
collation column concurrently constraint create cross current_catalog current_date current_role current_schema
current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral leading
left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing
primary references returning right select session_user similar some symmetric system_user table tablesample then to
trailing true union unique user using variadic verbose when where window with bigint bit boolean char character
coalesce dec decimal exists extract float greatest grouping inout int integer interval least national nchar none
normalize nullif numeric out overlay position precision real row setof smallint substring time timestamp treat trim
values varchar xmlattributes year month day hour minute second name type date text value
""".split()
) - frozenset("year month day hour minute second name type date text value".split())


def identifier(name: str) -> str:
    """A name, quoted where PostgreSQL would otherwise fold or refuse it."""
    if _PLAIN.match(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A text literal; a backslash has no meaning under standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"


def number_literal(number: float) -> str:
    """A number without exponent and without a needless fraction."""
    return str(int(number)) if number == int(number) else f"{number:.10f}".rstrip("0")


def pattern_literal(text: str, how: str) -> str:
    """The ILIKE pattern of a plain text: contains, starts or ends; its own wildcards mean themselves."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    before = "" if how == "starts" else "%"
    after = "" if how == "ends" else "%"
    return text_literal(f"{before}{escaped}{after}")
