"""Digests of a schema: one of its structure, cheap to compare often, and one of structure and values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence, Set

from services.sql.models import Table


def structure_digest(tables: Sequence[Table], own_functions: Set[str] = frozenset()) -> str:
    """SHA-256 over names, types, comments and keys, whatever their order; 64 lower-case hexadecimal digits.

    Row estimates and values are left out: they change without any DDL.
    """
    return _digest([*([sorted(own_functions)] if own_functions else []), *map(_structure, _sorted(tables))])


def schema_fingerprint(tables: Sequence[Table], own_functions: Set[str] = frozenset()) -> str:
    """SHA-256 over the structure and over the values that words are linked to; 64 lower-case hexadecimal digits.

    What depends on how often a value occurs (samples, estimates) is left out, so that counting again changes nothing.
    """
    return _digest(
        [
            [_structure(table), [[list(column.values), column.values_complete] for column in table.columns]]
            for table in _sorted(tables)
        ]
        + ([sorted(own_functions)] if own_functions else [])
    )


def _sorted(tables: Sequence[Table]) -> list[Table]:
    return sorted(tables, key=lambda table: (table.schema, table.name))


def _structure(table: Table) -> list[object]:
    return [
        table.schema,
        table.name,
        table.kind,
        table.comment,
        [[column.name, column.type, column.kind, column.comment, column.nullable] for column in table.columns],
        table.has_hidden_columns,
        list(table.primary_key),
        [
            [list(key.columns), key.referenced_schema, key.referenced_table, list(key.referenced_columns)]
            for key in table.foreign_keys
        ],
    ]


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode(errors="surrogatepass")).hexdigest()
