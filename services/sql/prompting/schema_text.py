"""A schema told to a language model: one CREATE TABLE for each table, the same bytes for the same schema.

Providers charge less for a prompt that begins like an earlier one, so nothing here depends on the question unless the
schema is too large to be told whole.
"""

from __future__ import annotations

from collections.abc import Collection

from services.sql.models import Column, Schema, Table

_MAX_TOLD_VALUES = 20
_MAX_TOLD_VALUE_CHARACTERS = 40
_MAX_COMMENT_CHARACTERS = 200
_CHARACTERS_PER_TOKEN = 4  # of English and SQL, on average; errs on the side of more tokens for SQL


def estimate_tokens(text: str) -> int:
    """About how many tokens a model reads in a text."""
    return len(text) // _CHARACTERS_PER_TOKEN + 1


def tell_tables(schema: Schema, *, wanted: Collection[str], max_tokens: int, with_values: bool) -> list[str]:
    """One statement for each table, sorted by name.

    A schema of more than `max_tokens` is cut: `wanted` tables (full names) and what they refer to come first, then
    others by name while there is room. `with_values` tells the values of columns that have few.
    """
    told = {table.full_name: tell_table(table, with_values=with_values) for table in schema.tables}
    if sum(map(estimate_tokens, told.values())) > max_tokens:
        told = _most_wanted(schema, told, wanted, max_tokens)
    return [told[name] for name in sorted(told)]


def tell_table(table: Table, *, with_values: bool) -> str:
    """A table as the statement that would make it, with comments."""
    lines = [_tell_column(column, with_values=with_values) for column in table.columns]
    if table.primary_key:
        lines.append((f"  PRIMARY KEY ({_names(table.primary_key)})", ""))
    lines += [
        (
            f"  FOREIGN KEY ({_names(key.columns)}) REFERENCES "
            f"{_name(key.referenced_schema)}.{_name(key.referenced_table)} ({_names(key.referenced_columns)})",
            "",
        )
        for key in table.foreign_keys
    ]
    # A comma stands before the comment that ends a line, or the text would not be SQL.
    last = len(lines) - 1
    body = "\n".join(
        f"{statement}{',' if index < last else ''}{f' -- {note}' if note else ''}"
        for index, (statement, note) in enumerate(lines)
    )
    comment = f"-- {_one_line(table.comment)}\n" if table.comment else ""
    return f"{comment}CREATE {table.kind.value.upper()} {_name(table.schema)}.{_name(table.name)} (\n{body}\n);"


def _tell_column(column: Column, *, with_values: bool) -> tuple[str, str]:
    notes = [_one_line(column.comment)] if column.comment else []
    values = column.values
    if (
        with_values
        and column.values_complete
        and 0 < len(values) <= _MAX_TOLD_VALUES
        # To the letter or not at all: the model is told to use them as they are written.
        and all(len(value) <= _MAX_TOLD_VALUE_CHARACTERS and value.isprintable() for value in values)
    ):
        notes.append("one of " + ", ".join(map(_literal, values)))
    null = "" if column.nullable else " NOT NULL"
    return f"  {_name(column.name)} {column.type}{null}", "; ".join(notes)


def _most_wanted(schema: Schema, told: dict[str, str], wanted: Collection[str], max_tokens: int) -> dict[str, str]:
    near = {
        f"{key.referenced_schema}.{key.referenced_table}"
        for table in schema.tables
        if table.full_name in wanted
        for key in table.foreign_keys
    }
    ranked = sorted(told, key=lambda name: (name not in wanted, name not in near, name))
    kept: dict[str, str] = {}
    left = max_tokens
    for name in ranked:
        cost = estimate_tokens(told[name])
        if cost <= left:
            kept[name] = told[name]
            left -= cost
    return kept


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(map(_name, names))


def _name(name: str) -> str:
    if name.isascii() and name.isidentifier() and name == name.lower():
        return name
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_COMMENT_CHARACTERS]
