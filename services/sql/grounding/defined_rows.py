"""Restricting a query to the rows a definition speaks of, whatever else the query does."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from services.sql.grounding.join_paths import JoinGraph
from services.sql.guard_dialect import GuardDialect

_FURTHER_PARTS = ("group", "having", "limit", "offset", "with_", "qualify")


def restrict_rows(sql: str, defining_sql: str, table: str, graph: JoinGraph) -> str | None:
    """The query over those rows of `table` alone that the defining query selects.

    Args: table: full name; the defining query shows rows of it.
    Returns: None when the two queries cannot be put together with certainty.
    """
    query, definition = _select(sql), _select(defining_sql)
    if query is None or definition is None or any(definition.args.get(part) for part in _FURTHER_PARTS):
        return None
    where = definition.args.get("where")
    inner = _alias_of(definition, table)
    if where is None or inner is None:
        return None
    outer = _alias_of(query, table)
    if outer is not None and not definition.args.get("joins"):
        condition = where.this.copy()
        for column in condition.find_all(exp.Column):
            if column.table == inner:
                column.set("table", exp.to_identifier(outer))
        return _with_condition(query, condition)
    key = graph.keys.get(table, ())
    if len(key) != 1:
        return None
    reference = (
        exp.column(key[0], table=outer, quoted=True) if outer is not None else _reference_to(query, table, graph)
    )
    if reference is None:
        return None
    definition.set("expressions", [exp.column(key[0], table=inner, quoted=True)])
    for part in ("order", "distinct"):
        definition.set(part, None)
    return _with_condition(query, exp.In(this=reference, query=exp.Subquery(this=definition)))


def _select(sql: str) -> exp.Select | None:
    try:
        tree = sqlglot.parse_one(sql, dialect=GuardDialect)
    except SqlglotError:
        return None
    return tree if isinstance(tree, exp.Select) else None


def _sources(query: exp.Select) -> list[exp.Table]:
    """The tables of the outermost FROM."""
    from_ = query.args.get("from_")
    joined = [from_.this] if from_ is not None else []
    joined += [join.this for join in query.args.get("joins") or ()]
    return [node for node in joined if isinstance(node, exp.Table)]


def _alias_of(query: exp.Select, table: str) -> str | None:
    """What the outermost FROM calls the table; None unless it is there exactly once."""
    named = [node.alias or node.name for node in _sources(query) if f"{node.db}.{node.name}" == table]
    return named[0] if len(named) == 1 else None


def _reference_to(query: exp.Select, table: str, graph: JoinGraph) -> exp.Column | None:
    """The one column of the outermost FROM that points to the table's key."""
    found = [
        exp.column(edge.source_columns[0], table=node.alias or node.name, quoted=True)
        for node in _sources(query)
        for edge in graph.edges.get(f"{node.db}.{node.name}", ())
        if edge.target == table and edge.to_one and edge.target_columns == graph.keys.get(table)
    ]
    return found[0] if len(found) == 1 else None


def _with_condition(query: exp.Select, condition: exp.Expr) -> str:
    where = query.args.get("where")
    both = condition if where is None else exp.And(this=_grouped(where.this), expression=_grouped(condition))
    query.set("where", exp.Where(this=both))
    return query.sql(dialect=GuardDialect, comments=False)


def _grouped(condition: exp.Expr) -> exp.Expr:
    return exp.Paren(this=condition) if isinstance(condition, exp.Or) else condition
