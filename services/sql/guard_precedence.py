"""How tightly PostgreSQL's operators bind, and whether a tree can be written without parentheses of its own.

sqlglot's ideas differ in places, so that the text written from its tree could be read as another tree. An operand
that binds less tightly than its operator must stand in parentheses, which are nodes of the tree; if not, the two do not
agree, and the text is refused.

Source: the %left, %right and %nonassoc lines of PostgreSQL's src/backend/parser/gram.y.
"""

from __future__ import annotations

from sqlglot import exp

from services.sql.guard_dialect import WRITTEN

_NOT, _IS, _COMPARED, _MATCHED, _OTHER, _AT_TIME_ZONE = 3, 4, 5, 6, 7, 11
_ATOM = 20

_LEVELS: dict[type[exp.Expr], int] = {
    exp.Or: 1,
    exp.And: 2,
    exp.Not: _NOT,
    **dict.fromkeys((exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ), _IS),
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), _COMPARED),
    **dict.fromkeys((exp.Between, exp.In, exp.Like, exp.ILike, exp.SimilarTo, exp.Escape), _MATCHED),
    **dict.fromkeys(
        (
            exp.ArrayContainedBy, exp.ArrayContainsAll, exp.ArrayOverlaps, exp.BitwiseAnd, exp.BitwiseLeftShift,
            exp.BitwiseNot, exp.BitwiseOr, exp.BitwiseRightShift, exp.BitwiseXor, exp.DPipe,
            exp.JSONBContainsAllTopKeys,
            exp.JSONBContainsAnyTopKeys, exp.JSONBContainsTopKey, exp.JSONBExtract, exp.JSONBExtractScalar,
            exp.JSONExtract, exp.JSONExtractScalar, exp.Overlaps, exp.RegexpILike, exp.RegexpLike,
        ),
        _OTHER,
    ),
    **dict.fromkeys((exp.Add, exp.Sub), 8),
    **dict.fromkeys((exp.Mul, exp.Div, exp.Mod), 9),
    exp.Pow: 10,
    exp.AtTimeZone: _AT_TIME_ZONE,
    exp.Collate: 12,
    exp.Neg: 13,
    exp.Bracket: 14,
}  # fmt: skip
_FROM_THE_LEFT = frozenset({1, 2, _OTHER, 8, 9, 10, _AT_TIME_ZONE, 12, 14})  # a - b - c is (a - b) - c
_RIGHT_SIDES = ("expression", "low", "high", "zone")
# What a low bound of BETWEEN cannot hold outside of parentheses.
_NO_LOW_BOUND = (exp.AtTimeZone, exp.Collate)


def binds_like_postgres(node: exp.Expr) -> bool:
    """Whether every operand of this operator belongs to it in PostgreSQL's reading, too."""
    if isinstance(node, exp.Paren):
        return WRITTEN in node.meta
    level = _LEVELS.get(type(node))
    if level is None:
        return True
    left, rights = node.this, [node.args[side] for side in _RIGHT_SIDES if isinstance(node.args.get(side), exp.Expr)]
    if isinstance(node, exp.Escape):
        return isinstance(left, exp.Like | exp.ILike) and all(_level(right) > _MATCHED for right in rights)
    if isinstance(node, exp.Not | exp.Neg | exp.BitwiseNot):
        return isinstance(left, exp.Expr) and _level(left) >= level
    if isinstance(node, exp.Overlaps):
        return all(isinstance(side, exp.Tuple) and len(side.expressions) == 2 for side in (left, *rights))
    if isinstance(node, exp.Between) and _holds(node.args["low"], _NO_LOW_BOUND):
        return False
    if isinstance(node, exp.Is):  # … IS NULL: what follows is no operand
        rights = []
    least = level if level in _FROM_THE_LEFT else level + 1
    return _level(left) >= least and all(_level(right) > level for right in rights)


def _level(node: exp.Expr) -> int:
    level = _LEVELS.get(type(node), _ATOM)
    if isinstance(node.args.get("expression"), exp.Any | exp.All) and level in (_COMPARED, _MATCHED):
        return min(level, _COMPARED)
    return level


def _holds(node: exp.Expr, kinds: tuple[type[exp.Expr], ...]) -> bool:
    """Whether a node of these kinds stands in it outside of parentheses."""
    if isinstance(node, kinds):
        return True
    if type(node) not in _LEVELS:
        return False
    return any(_holds(part, kinds) for part in node.iter_expressions())
