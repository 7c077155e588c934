"""What PostgreSQL's own grammar finds in a statement that only a reading one must not hold, at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.sql.guard_syntax import FUNCTIONS
from services.sql.models import Schema

# What PostgreSQL's grammar itself makes of special syntax.
_FROM_SYNTAX = frozenset({"btrim", "ltrim", "rtrim", "overlay", "position", "substring", "timezone", "extract",
                          "overlaps", "like_escape", "similar_to_escape"})  # fmt: skip
# Every kind of node that a reading statement may hold. What is missing here, known or to come, is an objection.
_KINDS = frozenset(
    """
    A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star Alias BoolExpr Boolean BooleanTest CaseExpr CaseWhen
    CoalesceExpr CollateClause ColumnRef CommonTableExpr Float FuncCall GroupingFunc GroupingSet Integer JoinExpr List
    MinMaxExpr NamedArgExpr NullTest RangeFunction RangeSubselect RangeVar ResTarget RowExpr SelectStmt SortBy
    SQLValueFunction String SubLink TypeCast TypeName WindowDef WithClause
    """.split()
)
_CLOCKS = ("SVFOP_CURRENT_DATE", "SVFOP_CURRENT_TIME", "SVFOP_LOCALTIME")  # and their longer forms
_SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"})


def objections(statements: list[Any], schema: Schema) -> Iterator[str]:
    """Each one a sentence's worth; none for one SELECT that reads tables of the schema and writes nothing."""
    if len(statements) != 1 or "SelectStmt" not in statements[0]:
        yield "not one SELECT"
        return
    whole = statements[0]["SelectStmt"]
    if whole.get("limitOption") != "LIMIT_OPTION_COUNT" or "ival" not in whole["limitCount"].get("A_Const", {}):
        yield "no plain limit"
    elif whole["limitCount"]["A_Const"]["ival"].get("ival", 0) > 1_001:
        yield "the limit is too high"
    tables = {(table.schema, table.name) for table in schema.tables}
    yield from _in_node(statements[0], tables, frozenset())


def _in_node(node: Any, tables: set[tuple[str, str]], ctes: frozenset[str]) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _in_node(part, tables, ctes)
        return
    if not isinstance(node, dict):
        return
    if "withClause" in node:
        known = ctes
        clause = node["withClause"]
        names = {part["CommonTableExpr"]["ctename"] for part in clause["ctes"]}
        for part in clause["ctes"]:
            inside = known | names if clause.get("recursive") else known
            yield from _in_node(part, tables, inside)
            known |= {part["CommonTableExpr"]["ctename"]}
        ctes = known
        node = {name: part for name, part in node.items() if name != "withClause"}
    for name, part in node.items():
        if name[:1].isupper() and name not in _KINDS:
            yield f"a node of the kind {name}"
        if name in {"intoClause", "lockingClause"}:
            yield name
        yield from _in_kind(name, part, tables, ctes)
        yield from _in_node(part, tables, ctes)


def _in_kind(kind: str, node: Any, tables: set[tuple[str, str]], ctes: frozenset[str]) -> Iterator[str]:
    match kind:
        case "RangeVar":
            name = (node.get("schemaname"), node["relname"])
            if not (name in tables or (name[0] is None and name[1] in ctes)) or node.get("catalogname"):
                yield f"the table {name}"
        case "FuncCall":
            names = [part["String"]["sval"] for part in node["funcname"]]
            if names[-1] not in FUNCTIONS | _FROM_SYNTAX or names[:-1] not in ([], ["pg_catalog"]):
                yield f"the function {'.'.join(names)}"
        case "SQLValueFunction":
            if not node["op"].startswith(_CLOCKS):
                yield f"the value {node['op']}"
        case "ColumnRef":
            if node["fields"][-1].get("String", {}).get("sval") in _SYSTEM_COLUMNS:
                yield f"the system column {node['fields'][-1]}"
        case "typeName" | "TypeName":
            name = node["names"][-1]["String"]["sval"]
            if name.startswith(("reg", "pg_", "_", "oid", "xml")) or name == "char":
                yield f"the type {name}"
        case _:
            pass
