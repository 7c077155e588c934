"""DDL as documentation: read, never executed. What it says of keys can join tables that exist."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ParseError, SqlglotError

from services.sql.bounded_parser import BoundedParser
from services.sql.models import ForeignKey, Schema, Table

MAX_STATEMENTS = 200
MAX_TOKENS = 8_000  # of 20,000 characters that people write, some 4,000
_TOLD = "CREATE TABLE, CREATE VIEW, COMMENT ON or ALTER TABLE … ADD CONSTRAINT"


class DdlUnreadable(Exception):
    """The text is not what a description of structure consists of. The message says what, for people."""


class _StrictParser(BoundedParser):
    """Refuses what sqlglot would keep as an unread command, after a log line with its text."""

    def _warn_unsupported(self) -> None:
        raise ParseError("not read")


class _Dialect(Postgres):
    INDEX_OFFSET = 0  # or for each [1] of a[1][1]… all that stands before it is looked through
    Parser = _StrictParser


@dataclass(frozen=True)
class DeclaredKey:
    """A foreign key that stands in DDL only, of a table that exists; `table` is its full name."""

    table: str
    key: ForeignKey


def check_ddl(text: str) -> None:
    """Look whether every statement describes structure. Raises DdlUnreadable."""
    statements = _statements(text)
    if not statements:
        raise DdlUnreadable(f"ddl must hold {_TOLD}")
    if len(statements) > MAX_STATEMENTS:
        raise DdlUnreadable(f"ddl must not hold more than {MAX_STATEMENTS} statements")
    for number, statement in enumerate(statements, start=1):
        if not _describes(statement):
            raise DdlUnreadable(f"statement {number} of ddl is none of {_TOLD}")


def declared_keys(texts: Iterable[str], schema: Schema) -> tuple[DeclaredKey, ...]:
    """Foreign keys in DDL between columns that exist, without those the schema has, in the order given, none twice."""
    found: dict[DeclaredKey, None] = {}
    for text in texts:
        try:
            statements = _statements(text)
        except DdlUnreadable:
            continue
        for statement in statements:
            for declared in _keys_of(statement, schema):
                found[declared] = None
    return tuple(found)


def with_declared_keys(schema: Schema, keys: tuple[DeclaredKey, ...]) -> Schema:
    """The schema as a generator is to see it; its fingerprint tells it from the real one."""
    if not keys:
        return schema
    tables = tuple(
        replace(table, foreign_keys=(*table.foreign_keys, *(own.key for own in keys if own.table == table.full_name)))
        for table in schema.tables
    )
    fingerprint = hashlib.sha256(f"{schema.fingerprint}{keys!r}".encode()).hexdigest() if schema.fingerprint else ""
    return replace(schema, tables=tables, fingerprint=fingerprint)


def _statements(text: str) -> list[exp.Expr]:
    dialect = _Dialect()
    try:
        tokens = dialect.tokenize(text)
        if len(tokens) > MAX_TOKENS:
            raise DdlUnreadable(f"ddl must not hold more than {MAX_TOKENS} words and signs")
        return [statement for statement in dialect.parser().parse(tokens, text) if statement is not None]
    except (SqlglotError, RecursionError):
        raise DdlUnreadable(f"ddl cannot be read; it must hold {_TOLD}") from None


def _describes(statement: exp.Expr) -> bool:
    match statement:
        case exp.Create():
            return str(statement.args.get("kind")).upper() in ("TABLE", "VIEW")
        case exp.Comment():
            return True
        case exp.Alter():
            actions = statement.args.get("actions") or []
            return bool(actions) and all(isinstance(action, exp.AddConstraint) for action in actions)
        case _:
            return False


def _keys_of(statement: exp.Expr, schema: Schema) -> Iterator[DeclaredKey]:
    named = statement.find(exp.Table)
    table = _table(named, schema) if named is not None else None
    if table is None:
        return
    for constraint in statement.find_all(exp.ForeignKey):
        columns = tuple(column.name for column in constraint.expressions)
        yield from _key(table, columns, constraint.args.get("reference"), schema)
    for definition in statement.find_all(exp.ColumnDef):
        for inline in definition.constraints:
            yield from _key(table, (definition.name,), inline.kind, schema)


def _key(table: Table, columns: tuple[str, ...], reference: object, schema: Schema) -> Iterator[DeclaredKey]:
    if not isinstance(reference, exp.Reference):
        return
    target = reference.find(exp.Table)
    other = _table(target, schema) if target is not None else None
    if other is None:
        return
    listed = reference.this.expressions if isinstance(reference.this, exp.Schema) else []
    there = tuple(column.name for column in listed) or other.primary_key
    if len(there) != len(columns) or not columns:
        return
    if not all(map(table.column, columns)) or not all(map(other.column, there)):
        return
    key = ForeignKey(columns, other.schema, other.name, there)
    if key not in table.foreign_keys:
        yield DeclaredKey(table.full_name, key)


def _table(node: exp.Table, schema: Schema) -> Table | None:
    for place in [node.db] if node.db else schema.search_path:
        found = schema.table(place, node.name)
        if found is not None:
            return found
    return None
