"""A schema as JSON, whatever keeps it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from services.sql.models import Column, ColumnKind, ForeignKey, Schema, Table, TableKind


def schema_content(schema: Schema) -> dict[str, Any]:
    """What of a schema is kept as JSON; fingerprint and time are kept beside it."""
    return {
        "search_path": list(schema.search_path),
        "own_functions": sorted(schema.own_functions),
        "tables": [asdict(table) for table in schema.tables],
    }


def schema_from(content: dict[str, Any], fingerprint: str, read_time: datetime) -> Schema:
    """The schema whose content this is."""
    return Schema(
        tuple(map(_table, content["tables"])),
        fingerprint,
        read_time,
        tuple(content["search_path"]),
        frozenset(content.get("own_functions", ())),  # absent in what was kept before they were read
    )


def _table(facts: dict[str, Any]) -> Table:
    return Table(
        **{
            **facts,
            "columns": tuple(map(_column, facts["columns"])),
            "kind": TableKind(facts["kind"]),
            "primary_key": tuple(facts["primary_key"]),
            "foreign_keys": tuple(
                ForeignKey(
                    tuple(key["columns"]),
                    key["referenced_schema"],
                    key["referenced_table"],
                    tuple(key["referenced_columns"]),
                )
                for key in facts["foreign_keys"]
            ),
        }
    )


def _column(facts: dict[str, Any]) -> Column:
    lists = {name: tuple(facts[name]) for name in ("sample_values", "values")}
    return Column(**{**facts, **lists, "kind": ColumnKind(facts["kind"])})
