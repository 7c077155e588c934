"""What a statement means to PostgreSQL's own grammar, with everything left out that the guard may change.

Two texts of one reading give the same rows. Left out are places in the text, the row limit of the whole, schemas of
tables, and forms for which PostgreSQL has two spellings (ASC, NOT x IN for x NOT IN, SUBSTRING(x FROM 1) and the like).
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from pglast.parser import parse_sql_json

Node = Any  # JSON: nodes are objects with one key, their kind

_NOWHERE = frozenset({"location", "stmt_location", "stmt_len", "funcformat", "list_start", "list_end",
                      "rexpr_list_start", "rexpr_list_end", "name_location", "op_location"})  # fmt: skip
_BETWEEN = 0x10
_NEGATED = {
    "AEXPR_NOT_BETWEEN": "AEXPR_BETWEEN",
    "AEXPR_NOT_BETWEEN_SYM": "AEXPR_BETWEEN_SYM",
    "AEXPR_NOT_DISTINCT": "AEXPR_DISTINCT",
}
_NEGATED_NAMES = {"!~~": "~~", "!~~*": "~~*", "!~": "~", "<>": "=", "!~*": "~*"}
_NEGATED_TESTS = {"IS_NOT_TRUE": "IS_TRUE", "IS_NOT_FALSE": "IS_FALSE", "IS_NOT_UNKNOWN": "IS_UNKNOWN"}


def statements_of(sql: str) -> list[Node]:
    """PostgreSQL's trees of the statements, as JSON. Raises pglast.parser.ParseError."""
    return [statement["stmt"] for statement in json.loads(parse_sql_json(sql)).get("stmts", [])]


def reading_of(statement: Node) -> Node:
    """What the statement means; equal for statements that mean the same."""
    (kind,) = statement
    whole = {**statement[kind]}
    for part in ("limitCount", "limitOption"):
        whole.pop(part, None)
    return {kind: _read(whole)}


def _read(node: Node) -> Node:
    if isinstance(node, list):
        return [_read(part) for part in node]
    if not isinstance(node, dict):
        return node
    read = {name: _read(part) for name, part in node.items() if name not in _NOWHERE}
    if len(read) == 1:
        (kind,) = read
        return _one(kind, read[kind])
    if "typmods" in read or "typemod" in read:
        read["names"] = _without_catalog(read.get("names", []))
    if "frameOptions" in read:
        read["frameOptions"] &= ~_BETWEEN  # ROWS … PRECEDING is ROWS BETWEEN … PRECEDING AND CURRENT ROW
    for side in ("larg", "rarg"):
        if side in read:
            read[side] = _grouped(_values(read[side]))
    return read


def _one(kind: str, node: Node) -> Node:
    match kind:
        case "A_Expr":
            return _operation(node)
        case "BoolExpr":
            return _connected(node)
        case "NullTest" if node.get("nulltesttype") == "IS_NOT_NULL":
            return _negation({"NullTest": {**node, "nulltesttype": "IS_NULL"}})
        case "BooleanTest" if node.get("booltesttype") in _NEGATED_TESTS:
            test = {"BooleanTest": {**node, "booltesttype": _NEGATED_TESTS[node["booltesttype"]]}}
            return _negation(_one("BooleanTest", test["BooleanTest"]))
        case "RangeSubselect" if (inner := _read_up_to_a_bound(node)) is not None:
            return {"RangeVar": inner}
        case "RangeVar":
            own = {"aliasname": node["relname"]}
            return {kind: {"alias": own, **{name: part for name, part in node.items() if name != "schemaname"}}}
        case "SortBy":
            return {kind: _sorting(node)}
        case "FuncCall":
            return {kind: {**node, "funcname": _without_catalog(node["funcname"])}}
        case "BooleanTest" if node.get("booltesttype") == "IS_UNKNOWN":
            return {"NullTest": {"arg": node["arg"], "nulltesttype": "IS_NULL"}}
        case "SelectStmt":
            return {kind: _grouped(_values(node))}
        case "fval" if isinstance(node, str):
            return {kind: str(Decimal(node).normalize())}
        case _:
            return {kind: node}


def _operation(node: Node) -> Node:
    kind, name = node["kind"], [part["String"]["sval"] for part in node.get("name", [])]
    if kind in _NEGATED:
        return _negation({"A_Expr": {**node, "kind": _NEGATED[kind], "name": []}})
    if kind in {"AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR", "AEXPR_IN"} and name[0] in _NEGATED_NAMES:
        positive = [{"String": {"sval": _NEGATED_NAMES[name[0]]}}]
        return _negation({"A_Expr": {**node, "name": positive}})
    if kind == "AEXPR_OP" and "lexpr" in node and name in (["!~"], ["!~*"]):
        return _negation({"A_Expr": {**node, "name": [{"String": {"sval": name[0][1:]}}]}})
    if kind == "AEXPR_OP" and name == ["+"] and "lexpr" not in node:
        return node["rexpr"]
    if kind == "AEXPR_OP" and name == ["-"] and "lexpr" not in node:
        match node["rexpr"]:
            case {"A_Const": {"ival": {"ival": number}}}:
                return {"A_Const": {"ival": {"ival": -number}}}
            case {"A_Const": {"fval": {"fval": number}}}:
                return {"A_Const": {"fval": {"fval": str((-Decimal(number)).normalize())}}}
            case _:
                pass
    if kind in {"AEXPR_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_DISTINCT"}:
        return {"A_Expr": {**node, "name": []}}
    return {"A_Expr": node}


def _connected(node: Node) -> Node:
    if node["boolop"] == "NOT_EXPR":
        return _negation(node["args"][0])
    parts: list[Node] = []
    for part in node["args"]:
        inner = part.get("BoolExpr")
        parts += inner["args"] if inner and inner["boolop"] == node["boolop"] else [part]
    return {"BoolExpr": {**node, "args": parts}}


def _negation(node: Node) -> Node:
    inner = node.get("BoolExpr")
    if inner and inner["boolop"] == "NOT_EXPR":
        return inner["args"][0]
    return {"BoolExpr": {"boolop": "NOT_EXPR", "args": [node]}}


def _sorting(node: Node) -> Node:
    falls = node.get("sortby_dir") == "SORTBY_DESC"
    nulls = node.get("sortby_nulls")
    if nulls in (None, "SORTBY_NULLS_DEFAULT"):
        nulls = "SORTBY_NULLS_FIRST" if falls else "SORTBY_NULLS_LAST"
    direction = node["sortby_dir"] if node.get("sortby_dir") != "SORTBY_ASC" else "SORTBY_DEFAULT"
    return {**node, "sortby_dir": direction, "sortby_nulls": nulls}


def _grouped(node: Node) -> Node:
    """In whatever order the parts of GROUP BY stand, they make the same groups."""
    if "groupClause" not in node:
        return node
    return {**node, "groupClause": sorted(node["groupClause"], key=lambda part: json.dumps(part, sort_keys=True))}


def _values(node: Node) -> Node:
    """SELECT * FROM (VALUES …) is VALUES."""
    match node.get("fromClause"):
        case [{"RangeSubselect": {"subquery": {"SelectStmt": {"valuesLists": _} as inner}}}] if _is_star(node):
            return inner
        case _:
            return node


def _read_up_to_a_bound(node: Node) -> Node | None:
    """The recursive query in (SELECT * FROM it LIMIT n) AS it, which the guard writes for it."""
    match node["subquery"]["SelectStmt"]:
        case {"fromClause": [{"RangeVar": inner}], "limitCount": {"A_Const": {"ival": {"ival": 100_000}}}, **rest}:
            return {**inner, "alias": node["alias"]} if _is_star({"fromClause": [], **rest}) else None
        case _:
            return None


def _is_star(node: Node) -> bool:
    star: Node = {"ResTarget": {"val": {"ColumnRef": {"fields": [{"A_Star": {}}]}}}}
    rest = set(node) - {"targetList", "fromClause", "limitOption", "limitCount", "op"}
    return node.get("targetList") == [star] and not rest


def _without_catalog(names: list[Node]) -> list[Node]:
    return names[1:] if len(names) > 1 and names[0] == {"String": {"sval": "pg_catalog"}} else names
