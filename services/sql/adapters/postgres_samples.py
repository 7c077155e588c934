"""Values of one table's columns, read with one bounded query."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from psycopg import sql

from services.sql.adapters.postgres_session import Connection
from services.sql.models import Column, ColumnKind, Table, TableKind

MAX_SAMPLE_VALUES = 20
MAX_VALUES = 1_000
MAX_VALUE_CHARACTERS = 100
_WIDTH = MAX_VALUE_CHARACTERS + 1  # one character more than is kept tells a long value from one that just fits

_WITH_VALUES = frozenset({ColumnKind.TEXT})
_WITH_RANGE = frozenset(
    {ColumnKind.INTEGER, ColumnKind.NUMBER, ColumnKind.DATE, ColumnKind.TIMESTAMP, ColumnKind.TIME, ColumnKind.INTERVAL}
)
_SAMPLED = _WITH_VALUES | _WITH_RANGE | {ColumnKind.BOOLEAN}

# Names of what nobody wants to see: such a column can be asked for, but none of its values is looked at or kept.
_SECRET = re.compile(
    r"passw(?:or)?d|passphrase|secret|credential|(?:api|private|encryption)_?key|credit_?card|card_?number"
    r"|(?:access|auth|bearer|csrf|id|refresh|reset|session)_?token|(?:^|_)(?:pwd|pin|ssn|cvv|cvc)(?:_|$)"
)

# A sample is taken once and every column looks at the same rows. Of a large table it is a prefix, which is cheap and
# the same each time; of a smaller one it is all of it. Long texts are cut as they are read.
_SAMPLE = "WITH sample AS MATERIALIZED (SELECT {columns} FROM {table} LIMIT {rows})"
# Each line: column's place, what it tells, a text, how often it occurs, number of distinct texts in the sample.
_ROW_COUNT = (
    "SELECT -1 AS place, 'rows' AS about, NULL::text AS value, count(*) AS n, 0::int8 AS distinct_n FROM sample"
)
_FREQUENT = (
    "(SELECT {place}, 'value', left({column}::text, {width}), count(*), count(*) OVER () FROM sample"
    " WHERE {column} IS NOT NULL GROUP BY {column}::text ORDER BY count(*) DESC, {column}::text LIMIT {most})"
)
_LEAST = "(SELECT {place}, 'min', min({column})::text, 0, 0 FROM sample)"
_GREATEST = "(SELECT {place}, 'max', max({column})::text, 0, 0 FROM sample)"


async def sample_columns(connection: Connection, table: Table, *, max_rows: int) -> Table:
    """The table with values in its columns, and with a counted number of rows where the sample is all of it.

    Raises: psycopg.Error, which the caller maps.
    """
    places = [
        place
        for place, column in enumerate(table.columns)
        if column.kind in _SAMPLED and not _SECRET.search(column.name.lower())
    ]
    if not places:
        return table
    cursor = await connection.execute(_sample_query(table, places, max_rows))
    values: dict[int, list[str]] = defaultdict(list)
    ranges: dict[tuple[int, str], str] = {}
    distinct: dict[int, int] = {}
    row_count = 0
    async for place, about, value, count, distinct_count in cursor:
        if about == "rows":
            row_count = count
        elif about == "value":
            values[place].append(value)
            distinct[place] = distinct_count
        elif value is not None:
            ranges[place, about] = value
    is_whole = row_count < max_rows
    columns = list(table.columns)
    for place in places:
        columns[place] = _described(columns[place], values[place], distinct.get(place, 0), is_whole=is_whole)
        low, high = ranges.get((place, "min")), ranges.get((place, "max"))
        columns[place] = replace(columns[place], min_value=low, max_value=high)
    estimate = row_count if is_whole and table.kind is TableKind.TABLE else table.estimated_row_count
    return replace(table, columns=tuple(columns), estimated_row_count=estimate)


def _described(column: Column, values: Sequence[str], distinct: int, *, is_whole: bool) -> Column:
    short = [value for value in values if len(value) <= MAX_VALUE_CHARACTERS]
    known: tuple[str, ...] = ()
    complete = False
    if column.kind in _WITH_VALUES and distinct <= MAX_VALUES:
        known = tuple(sorted(short))
        complete = is_whole and len(short) == distinct
    return replace(
        column,
        sample_values=tuple(short[:MAX_SAMPLE_VALUES]),
        values=known,
        values_complete=complete,
        distinct_estimate=distinct if is_whole else max(distinct, column.distinct_estimate or 0),
    )


def _sample_query(table: Table, places: Sequence[int], max_rows: int) -> sql.Composed:
    parts: list[sql.Composable] = [sql.SQL(_ROW_COUNT)]
    for place in places:
        column = table.columns[place]
        facts = {
            "place": sql.Literal(place),
            "column": sql.Identifier(column.name),
            "width": sql.Literal(_WIDTH),
            "most": sql.Literal(MAX_VALUES if column.kind in _WITH_VALUES else MAX_SAMPLE_VALUES),
        }
        parts.append(sql.SQL(_FREQUENT).format(**facts))
        if column.kind in _WITH_RANGE:
            parts += [sql.SQL(_LEAST).format(**facts), sql.SQL(_GREATEST).format(**facts)]
    sample = sql.SQL(_SAMPLE).format(
        columns=sql.SQL(", ").join(_selected(table.columns[place]) for place in places),
        table=sql.Identifier(table.schema, table.name),
        rows=sql.Literal(max_rows),
    )
    return sample + sql.SQL(" ") + sql.SQL(" UNION ALL ").join(parts)


def _selected(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.kind not in _WITH_VALUES:
        return name
    return sql.SQL("left({name}::text, {width}) AS {name}").format(name=name, width=sql.Literal(_WIDTH))
