"""A table told to a language model as the statement that would make it: the same bytes for the same table.

Names, types and comments come from a database that others fill: whatever is in them, one stays within its line and its
quotes.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from services.sql.models import Column, ForeignKey, Table

_MAX_TOLD_VALUES = 20
_MAX_TOLD_VALUE_CHARACTERS = 40
_MAX_COMMENT_CHARACTERS = 200
_MAX_NAME_CHARACTERS = 128  # PostgreSQL's own are at most 63 bytes
_BYTES_PER_TOKEN = 3  # of SQL in UTF-8; errs on the side of more tokens
_PLAIN_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_ .,()\[\]]{0,99}")


def estimate_tokens(text: str) -> int:
    """About how many tokens a model reads in a text, rather more than less."""
    return len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN + 1


def tell_table(table: Table, *, with_values: bool, columns: Collection[str] | None = None) -> str:
    """A table as the statement that would make it, with comments. `with_values` tells those of columns with few.

    Of a table whose columns are not all in `columns`, only those are told, and how many more there are.
    """
    shown = [column for column in table.columns if columns is None or column.name in columns]
    names = {column.name for column in shown}
    lines = [_tell_column(column, with_values=with_values) for column in shown]
    if table.primary_key and names.issuperset(table.primary_key):
        lines.append((f"  PRIMARY KEY ({_names(table.primary_key)})", ""))
    lines += [(_tell_key(key), "") for key in table.foreign_keys if names.issuperset(key.columns)]
    # A comma stands before the comment that ends a line, or the text would not be SQL.
    last = len(lines) - 1
    told = [
        f"{statement}{',' if index < last else ''}{f' -- {note}' if note else ''}"
        for index, (statement, note) in enumerate(lines)
    ]
    if len(shown) < len(table.columns):
        told.append(f"  -- and {len(table.columns) - len(shown)} more columns")
    comment = f"-- {_one_line(table.comment)}\n" if table.comment else ""
    head = f"CREATE {table.kind.value.upper()} {tell_name(table.schema)}.{tell_name(table.name)}"
    return "\n".join([f"{comment}{head} (", *told, ");"])


def tell_name(name: str) -> str:
    """A name as SQL has it, in quotes where it needs them; what cannot be printed is spelled out."""
    if name.isascii() and name.isidentifier() and name == name.lower():
        return name[:_MAX_NAME_CHARACTERS]
    escaped = visible(name[:_MAX_NAME_CHARACTERS]).replace('"', '""')
    return f'"{escaped}"'


def visible(text: str) -> str:
    r"""The text with every character that ends a line, hides or turns others around spelled out, as in \u202e."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _spelled_out(ord(one)) for one in text)


def _spelled_out(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


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
    kind = column.type if _PLAIN_TYPE.fullmatch(column.type) else tell_name(column.type)
    null = "" if column.nullable else " NOT NULL"
    return f"  {tell_name(column.name)} {kind}{null}", "; ".join(notes)


def _tell_key(key: ForeignKey) -> str:
    other = f"{tell_name(key.referenced_schema)}.{tell_name(key.referenced_table)}"
    return f"  FOREIGN KEY ({_names(key.columns)}) REFERENCES {other} ({_names(key.referenced_columns)})"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(map(tell_name, names))


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _one_line(text: str) -> str:
    return visible(" ".join(text[: 4 * _MAX_COMMENT_CHARACTERS].split())[:_MAX_COMMENT_CHARACTERS])
