"""Where sqlglot reads more generously than PostgreSQL: shapes that the one forgives and the other refuses.

Nothing here is dangerous, for PostgreSQL would answer with a syntax error. But a text that its judge and its runner
read differently is a doubt, and doubt means no.
"""

from __future__ import annotations

from sqlglot import exp

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
# What needs parentheses between BETWEEN and AND.
_NOT_BETWEEN = (exp.AtTimeZone, exp.Collate, exp.Connector, exp.Not, exp.Like, exp.ILike, exp.SimilarTo, exp.In, exp.Is,
                exp.Between)  # fmt: skip
_AROUND_A_QUERY = (exp.Subquery, exp.CTE, exp.SetOperation, exp.Exists, exp.Any, exp.All, exp.In)
_ON_ITS_OWN = ("order", "limit", "offset", "with_")


def has_postgres_shape(node: exp.Expr) -> bool:
    """Whether PostgreSQL's grammar has this node with the parts it has, in the place where it stands."""
    match node:
        case exp.Select() | exp.SetOperation():
            return _stands_right(node) and (not isinstance(node, exp.Select) or _is_whole(node))
        case exp.Star():
            return isinstance(node.parent, exp.Select | exp.Column | exp.Anonymous)
        case exp.Group():
            return any(node.args.values())
        case exp.In():
            return bool(node.expressions or node.args.get("query"))
        case exp.Is():
            right = node.args.get("expression")
            return isinstance(right.this if isinstance(right, exp.Not) else right, exp.Null | exp.Boolean)
        case exp.Between():
            return not isinstance(node.args.get("low"), _NOT_BETWEEN)
        case exp.Join():
            return _is_joined(node)
        case exp.Distinct():
            return isinstance(node.parent, exp.Select) or _is_first_argument(node)
        case exp.Order() if isinstance(node.parent, exp.Anonymous):
            return node.this is not None
        case exp.Alias():
            return isinstance(node.parent, exp.Select)
        case exp.EQ() | exp.NEQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            # There is no a = b = c; sqlglot reads it as (a = b) = c.
            return not isinstance(node.this, _COMPARISONS) and not isinstance(node.expression, _COMPARISONS)
        case _:
            return True


def _stands_right(node: exp.Expr) -> bool:
    """A query stands alone, in parentheses, or beside another in a set operation, there without parts of its own."""
    parent = node.parent
    if isinstance(parent, exp.SetOperation) and node.arg_key in {"this", "expression"}:
        return not any(node.args.get(part) for part in _ON_ITS_OWN)
    if isinstance(parent, exp.Anonymous):
        return parent.name.lower() == "array" and len(parent.expressions) == 1
    return parent is None or isinstance(parent, _AROUND_A_QUERY)


def _is_first_argument(node: exp.Expr) -> bool:
    """f(DISTINCT a, b ORDER BY c) is parsed as f(Order(Distinct(a, b), c))."""
    inner = node.parent if isinstance(node.parent, exp.Order) else node
    return inner is not None and isinstance(inner.parent, exp.Anonymous) and inner.index == 0


def _is_whole(node: exp.Select) -> bool:
    if node.args.get("joins") and not node.args.get("from_"):
        return False
    return bool(node.expressions) or not node.args.get("distinct")


def _is_joined(node: exp.Join) -> bool:
    kind, side = str(node.args.get("kind") or ""), str(node.args.get("side") or "")
    is_bare = kind == "CROSS" or str(node.args.get("method") or "") == "NATURAL"
    has_condition = bool(node.args.get("on") or node.args.get("using"))
    if is_bare:
        return not has_condition and not (kind == "CROSS" and side)
    return has_condition or not (kind or side)
