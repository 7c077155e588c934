"""What the columns that a query gives are called, and how many there may be."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

MAX_COLUMNS = 1_664  # that a query gives; PostgreSQL's own limit


class UnreadableQuery(Exception):
    """The query has a shape that names cannot be resolved in."""


class TooManyNames(Exception):
    """The query gives more columns than PostgreSQL can, or repeats itself so often that reading it takes too long."""


def given_name(node: exp.Expr) -> str:
    """The name of one column that is not a whole table, as PostgreSQL gives it."""
    match node:
        case exp.Alias():
            return str(node.alias)
        case exp.Column() | exp.Anonymous():
            return str(node.name) if isinstance(node, exp.Column) else str(node.name).lower()
        case exp.Cast() | exp.Paren() | exp.Window() | exp.Filter() | exp.WithinGroup() | exp.Bracket() | exp.Collate():
            return given_name(node.this)
        case exp.Subquery() if isinstance(node.this, exp.Select) and node.this.expressions:
            return given_name(node.this.expressions[0])
        case exp.Case():
            default = node.args.get("default")
            name = given_name(default) if default is not None else ""
            return name if name and name != "?column?" else "case"
        case exp.Extract() | exp.Exists() | exp.Substring() | exp.Overlay() | exp.Array():
            return type(node).__name__.lower()
        case exp.StrPosition():
            return "position"
        case exp.Trim():
            return {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position")).upper(), "btrim")
        case exp.CurrentDate() | exp.CurrentTime() | exp.CurrentTimestamp() | exp.Localtime() | exp.Localtimestamp():
            return str(node.sql_name()).lower()
        case _:
            return "?column?"


def renamed(names: tuple[str, ...], given: Sequence[str]) -> tuple[str, ...]:
    """`names` with the first ones replaced, as an alias with a column list does it.

    Raises: UnreadableQuery: more are given than there are. TooManyNames.
    """
    if len(given) > len(names):
        raise UnreadableQuery
    check_width(names)
    return (*given, *names[len(given) :])


def check_width(names: Sequence[str]) -> None:
    """Raises TooManyNames."""
    if len(names) > MAX_COLUMNS:
        raise TooManyNames
