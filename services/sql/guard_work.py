"""How long single operations can take that PostgreSQL does not interrupt, however little memory they need.

translate, a search in a text, LIKE, and arrays compared element by element take as many steps as their two operands
have together, the one times the other. None of these loops asks whether the statement was cancelled or its time is
over: not even pg_terminate_backend ends it, and EXPLAIN, which computes what is constant, is held up no less. So one
operand may be large, and not both. What a column holds is ordinary text to whatever is looked for in it.

What was measured to be interrupted (regular expressions, numeric, jsonb_path within its bounds) is left to the time
limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlglot import exp

from services.sql.guard_counts import TooLarge
from services.sql.guard_growth import Scope, Size, Sizing

MAX_STEPS = 100_000_000  # about a second
MAX_PATTERN_IN_COLUMN = 1_000  # characters that are looked for in a column, which may hold a document
MAX_PATH_STEPS = 4_000_000  # of jsonb_path_query, each of which takes memory until the end

_LONG_COLUMN_BYTES = 10_000
_SHORT_COLUMN_BYTES = 16
_GATHERED_BYTES = 1_000_000  # of an aggregate over the rows of tables
# What is searched and what is looked for in it: their first two arguments.
_SEARCHES = frozenset({"btrim", "ltrim", "replace", "rtrim", "split_part", "string_to_array", "string_to_table",
                       "strpos", "translate"})  # fmt: skip
_PATHS = frozenset({"jsonb_path_exists", "jsonb_path_query", "jsonb_path_query_array", "jsonb_path_query_first"})
_PATH_AGAIN = re.compile(r"\$|\*\*")  # a whole value, or all that is in it, once more
_EITHER_WAY = (exp.ArrayContainsAll, exp.ArrayContainedBy, exp.ArrayOverlaps, exp.JSONBContainsAnyTopKeys,
               exp.JSONBContainsAllTopKeys, exp.Sub)  # fmt: skip
_IN_TEXT = (exp.Trim, exp.StrPosition)

Pair = tuple[exp.Expr, exp.Expr]


class _Measuring(Sizing):
    """Keeps the sizes of all parts, and refuses none."""

    def __init__(self, column_bytes: int) -> None:
        super().__init__(column_bytes)
        self.sizes: dict[int, int] = {}

    def bytes(self, node: exp.Expr, scope: Scope) -> int:
        size = self._bytes(node, scope)
        self.sizes[id(node)] = max(size, self.sizes.get(id(node), 0))
        return size

    def check_kept(self, size: Size, node: exp.Expr) -> None:
        pass

    def gathered(self, made_up: int) -> int:
        return max(made_up, _GATHERED_BYTES)


def steps_of(query: exp.Query) -> Mapping[int, int]:
    """Steps that each operation takes that cannot be interrupted, by the id of its node.

    Values of columns count as short ones. Raises TooLarge for an operation that takes too many by itself.
    """
    pairs = [(node, pair) for node in query.walk() if (pair := _operands(node)) is not None]
    if not pairs:
        return {}
    short, long = _Measuring(_SHORT_COLUMN_BYTES), _Measuring(_LONG_COLUMN_BYTES)
    for measuring in (short, long):
        measuring.query(query, {}, None)
    steps = {}
    for node, (searched, sought) in pairs:
        if any(id(operand) not in short.sizes for operand in (searched, sought)):  # doubt means no
            raise TooLarge("an operation whose work cannot be told", node)
        most = long.sizes[id(searched)] * short.sizes[id(sought)]
        if isinstance(node, _EITHER_WAY):
            most = min(most, short.sizes[id(searched)] * long.sizes[id(sought)])
        if isinstance(node, exp.Anonymous) and node.name.lower() in _PATHS:
            most = _path_steps(max(short.sizes.get(id(part), 0) for part in node.expressions), sought)
        elif _is_search_of_text(node) and _is_long_for_column(searched, short.sizes[id(sought)]):
            raise TooLarge("a long text that is looked for in a column", sought)
        if most > MAX_STEPS:
            raise TooLarge("a large value compared with another part by part", node)
        steps[id(node)] = short.sizes[id(searched)] * short.sizes[id(sought)]
    return steps


def _operands(node: exp.Expr) -> Pair | None:
    """What is searched, and what is looked for."""
    match node:
        case exp.Anonymous() if node.name.lower() in _SEARCHES | _PATHS and len(node.expressions) > 1:
            return node.expressions[0], node.expressions[1]
        case exp.StrPosition():
            return node.this, node.args["substr"]
        case exp.Trim() if node.expression is None:
            return None
        case exp.Trim() | exp.Like() | exp.ILike() | exp.Sub():
            return node.this, node.expression
        case _ if isinstance(node, _EITHER_WAY):
            return node.this, node.expression
        case _:
            return None


def _is_search_of_text(node: exp.Expr) -> bool:
    return isinstance(node, (exp.Anonymous, *_IN_TEXT))


def _is_long_for_column(searched: exp.Expr, sought_bytes: int) -> bool:
    return sought_bytes > MAX_PATTERN_IN_COLUMN and searched.find(exp.Column) is not None


def _path_steps(value_bytes: int, path: exp.Expr) -> int:
    """More than any bound where a path that comes back to the whole value meets a large one."""
    inner = path.unnest()
    again = len(_PATH_AGAIN.findall(inner.name)) if isinstance(inner, exp.Literal) else 0
    return 0 if again < 2 or value_bytes**again <= MAX_PATH_STEPS else MAX_STEPS + 1
