"""Where sqlglot reads more generously than PostgreSQL: shapes that the one forgives and the other refuses.

Nothing here is dangerous, for PostgreSQL would answer with a syntax error. But a text that its judge and its runner
read differently is a doubt, and doubt means no.
"""

from __future__ import annotations

from sqlglot import exp

from services.sql.guard_syntax import KEYWORDS

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_AROUND_A_QUERY = (exp.Subquery, exp.CTE, exp.SetOperation, exp.Exists, exp.Any, exp.All, exp.In)
_BEFORE_ANY = (*_COMPARISONS, exp.Like, exp.ILike, exp.RegexpLike, exp.RegexpILike)
# Calls that are syntax of their own in PostgreSQL: how many arguments, and no DISTINCT, OVER or FILTER.
_SYNTAX_CALLS = {
    "coalesce": (1, None),
    "greatest": (1, None),
    "least": (1, None),
    "grouping": (1, None),
    "nullif": (2, 2),
}
_CLOCKS = frozenset({"current_time", "current_timestamp", "localtime", "localtimestamp"})
_NO_FUNCTIONS = frozenset({*_SYNTAX_CALLS, *_CLOCKS, "all", "array", "row"})  # no FILTER and no OVER can follow
_FIELDS = frozenset(
    {
        "century", "day", "decade", "dow", "doy", "epoch", "hour", "isodow", "isoyear", "julian", "microseconds",
        "millennium", "milliseconds", "minute", "month", "quarter", "second", "timezone", "timezone_hour",
        "timezone_minute", "week", "year",
        "centuries", "days", "decades", "hours", "millennia", "minutes", "months", "seconds", "weeks", "years",
    }
)  # fmt: skip
# The types that a number in parentheses may follow.
_MEASURED_TYPES = frozenset(
    {
        exp.DType.BIT, exp.DType.CHAR, exp.DType.DECIMAL, exp.DType.DOUBLE, exp.DType.FLOAT, exp.DType.INTERVAL,
        exp.DType.TIME, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ, exp.DType.TIMETZ, exp.DType.VARCHAR,
    }
)  # fmt: skip
_JOIN_KINDS = frozenset({"", "INNER", "OUTER", "CROSS"})
_JOIN_SIDES = frozenset({"", "LEFT", "RIGHT", "FULL"})
_ON_ITS_OWN = ("order", "limit", "offset", "with_")


def has_postgres_shape(node: exp.Expr) -> bool:
    """Whether PostgreSQL's grammar has this node with the parts it has, in the place where it stands."""
    match node:
        case exp.Select() | exp.SetOperation():
            return _stands_right(node) and (not isinstance(node, exp.Select) or _is_whole(node))
        case exp.Star():
            return isinstance(node.parent, exp.Select | exp.Column) or _is_counted(node)
        case exp.Anonymous():
            return _is_right_call(node)
        case exp.Window() | exp.Filter() | exp.WithinGroup() if node.arg_key != "windows":
            inner = node.this
            return isinstance(inner, exp.Filter | exp.WithinGroup) or (
                isinstance(inner, exp.Anonymous) and inner.name.lower() not in _NO_FUNCTIONS
            )
        case exp.Any() | exp.All():
            is_right = isinstance(node.parent, _BEFORE_ANY) and node.arg_key == "expression"
            return is_right and isinstance(node.this, exp.Paren | exp.Select | exp.Subquery | exp.Array)
        case exp.Tuple():
            return bool(node.expressions) or isinstance(node.parent, exp.GroupingSets)
        case exp.Values():
            # Without a name sqlglot would write them bare.
            return isinstance(node.parent, exp.Subquery) or (
                isinstance(node.parent, exp.From | exp.Join) and bool(node.args.get("alias"))
            )
        case exp.Rollup() | exp.Cube() | exp.GroupingSets():
            return bool(node.expressions)
        case exp.DataTypeParam():
            return isinstance(node.this, exp.Literal) and node.this.name.isdecimal()
        case exp.WindowSpec():
            # Without an end it runs to the current row.
            return bool(node.args.get("start")) and _has_sides(node)
        case exp.CurrentTime() | exp.CurrentTimestamp() | exp.Localtime() | exp.Localtimestamp():
            return node.this is None or (isinstance(node.this, exp.Literal) and node.this.name.isdecimal())
        case exp.Kwarg():
            return node.this.name.lower() not in KEYWORDS
        case exp.Extract():
            return node.this.name.lower() in _FIELDS
        case exp.DataType():
            if node.this == exp.DType.ARRAY:
                return len(node.expressions) == 1
            return node.this in _MEASURED_TYPES or not node.expressions
        case exp.Collate():
            name = node.expression
            return isinstance(name, exp.Identifier) or (isinstance(name, exp.Var) and name.name.lower() not in KEYWORDS)
        case exp.Group():
            return any(node.args.values())
        case exp.In():
            return bool(node.expressions or node.args.get("query"))
        case exp.Is():
            right = node.args.get("expression")
            return isinstance(right.this if isinstance(right, exp.Not) else right, exp.Null | exp.Boolean)
        case exp.Join():
            return _is_joined(node)
        case exp.Distinct():
            if isinstance(node.parent, exp.Select):
                return True
            return bool(node.expressions) and _is_first_argument(node)
        case exp.Order() if isinstance(node.parent, exp.Anonymous):
            return node.this is not None
        case exp.Subquery():
            if node.args.get("alias") and (node.parent is None or isinstance(node.parent, exp.SetOperation)):
                return False
            # Not: FROM (a_table). The joins of FROM (a JOIN b) are parts of a, or of the whole.
            return isinstance(node.this, exp.Query) or bool(node.args.get("joins") or node.this.args.get("joins"))
        case exp.Bracket():
            return isinstance(node.this, exp.Column | exp.Paren | exp.Subquery | exp.Bracket)  # not: f(x)[1]
        case exp.Slice():
            return isinstance(node.parent, exp.Bracket)
        case exp.Alias():
            return isinstance(node.parent, exp.Select)
        case _:
            return True


def holds_query(node: exp.Subquery) -> bool:
    """Whether parentheses in FROM are around a query alone, and not around what is joined."""
    inner = node.this
    if isinstance(inner, exp.Subquery):
        return not inner.args.get("joins") and not inner.alias and holds_query(inner)
    return isinstance(inner, exp.Query)


def _stands_right(node: exp.Expr) -> bool:
    """A query stands alone, in parentheses, or beside another in a set operation, there without parts of its own."""
    parent = node.parent
    if isinstance(parent, exp.SetOperation) and node.arg_key in {"this", "expression"}:
        return not any(node.args.get(part) for part in _ON_ITS_OWN)
    if isinstance(parent, exp.Anonymous):
        return parent.name.lower() == "array" and len(parent.expressions) == 1
    return parent is None or isinstance(parent, _AROUND_A_QUERY)


def _has_sides(node: exp.Expr) -> bool:
    """1 PRECEDING, UNBOUNDED FOLLOWING, and CURRENT ROW alone."""
    ends = [(node.args.get(end), node.args.get(f"{end}_side")) for end in ("start", "end")]
    return all(end is None or (end == "CURRENT ROW") != bool(side) for end, side in ends)


def _is_counted(node: exp.Star) -> bool:
    parent = node.parent
    return isinstance(parent, exp.Anonymous) and parent.name.lower() == "count" and len(parent.expressions) == 1


def _is_right_call(node: exp.Anonymous) -> bool:
    name, arguments = node.name.lower(), node.expressions
    if name == "array":
        is_query = len(arguments) == 1 and isinstance(arguments[0], exp.Select | exp.SetOperation)
        return is_query and not isinstance(node.parent, exp.Table | exp.Lateral)
    if name == "all":  # `= ALL (array)`, which sqlglot takes for a call
        return len(arguments) == 1 and isinstance(node.parent, _BEFORE_ANY) and node.arg_key == "expression"
    if name in _CLOCKS:  # with how many digits of a second
        return len(arguments) == 1 and isinstance(arguments[0], exp.Literal) and arguments[0].name.isdecimal()
    if name not in _SYNTAX_CALLS and name != "row":
        return True
    if isinstance(node.parent, exp.Table | exp.Lateral):
        return False
    if name == "row":
        return True
    least, most = _SYNTAX_CALLS[name]
    has_right_number = least <= len(arguments) <= (most or len(arguments))
    return has_right_number and not any(isinstance(part, exp.Distinct | exp.Order) for part in arguments)


def _is_first_argument(node: exp.Expr) -> bool:
    """f(DISTINCT a, b ORDER BY c) is parsed as f(Order(Distinct(a, b), c))."""
    inner = node.parent if isinstance(node.parent, exp.Order) else node
    return inner is not None and isinstance(inner.parent, exp.Anonymous) and inner.index == 0


def _is_whole(node: exp.Select) -> bool:
    if node.args.get("joins") and not node.args.get("from_"):
        return False
    return bool(node.expressions) or not node.args.get("distinct")


def _is_joined(node: exp.Join) -> bool:
    kind, side, method = (str(node.args.get(part) or "") for part in ("kind", "side", "method"))
    if kind not in _JOIN_KINDS or side not in _JOIN_SIDES or method not in {"", "NATURAL"}:
        return False  # SEMI, ANTI, ASOF: aliases to PostgreSQL
    is_bare = kind == "CROSS" or method == "NATURAL"
    if kind == "OUTER" and not side:
        return False
    has_condition = bool(node.args.get("on") or node.args.get("using"))
    if is_bare:
        return not has_condition and not (kind == "CROSS" and side)
    return has_condition or not (kind or side)
