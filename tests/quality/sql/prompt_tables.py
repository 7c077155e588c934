"""Whether a prompt tells the model of the tables that a right query reads."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_NAME = r'"(?:[^"]|"")+"|[^\s".(]+'
_DEFINITION = re.compile(rf"^CREATE\s+(?:[A-Z]+\s+){{1,3}}(?P<schema>{_NAME})\.(?P<name>{_NAME})\s*\(", re.MULTILINE)

Name = tuple[str, str]
"""Schema and table; the schema is empty where a query does not say it."""


def told_tables(prompt: Iterable[dict[str, Any]]) -> set[Name]:
    """The tables that the messages of a prompt define."""
    texts = [message["content"] for message in prompt if isinstance(message.get("content"), str)]
    return {(_plain(found["schema"]), _plain(found["name"])) for text in texts for found in _DEFINITION.finditer(text)}


def read_tables(statement: str) -> set[Name] | None:
    """The tables that a query reads; None when it cannot be parsed."""
    try:
        tree = sqlglot.parse_one(statement, dialect="postgres")
    except SqlglotError:
        return None
    named_inside = {_identifier(cte.args["alias"].this) for cte in tree.find_all(exp.CTE)}
    found = set()
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier):
            schema = _identifier(table.args["db"]) if table.args.get("db") else ""
            name = _identifier(table.this)
            if schema or name not in named_inside:
                found.add((schema, name))
    return found


def is_covered(prompts: Sequence[list[dict[str, Any]]], golds: Sequence[str]) -> bool | None:
    """Whether every prompt of a question holds all tables of one acceptable query. None: no such query can be parsed.

    A question without a prompt is not covered.
    """
    needed = [tables for gold in golds if (tables := read_tables(gold)) is not None]
    if not needed:
        return None
    return bool(prompts) and all(any(_holds(told_tables(prompt), tables) for tables in needed) for prompt in prompts)


def _holds(told: set[Name], needed: set[Name]) -> bool:
    names = {name for _, name in told}
    return all((schema, name) in told if schema else name in names for schema, name in needed)


def _identifier(node: exp.Expression) -> str:
    return str(node.this) if node.args.get("quoted") else str(node.this).lower()


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
