"""How long single operations can take that PostgreSQL does not interrupt, however little memory they need.

translate, a search in a text, LIKE, and arrays compared element by element take as many steps as their two operands
have together, the one times the other. None of these loops asks whether the statement was cancelled or its time is
over: not even pg_terminate_backend ends it, and EXPLAIN, which computes what is constant, is held up no less. So one
operand may be large, and not both. What a column holds is ordinary text to whatever is looked for in it.

Two things besides: numbers of many digits, of which PostgreSQL computes one row's expressions to the end however long
they take; and large values as such, each of which stays in memory while its row, or its plan, is made.

What was measured to be interrupted (regular expressions, jsonb_path within its bounds) is left to the time limits.
"""

from __future__ import annotations

import math
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
_LARGE_BYTES = 10_000
_STEPS_PER_BYTE = 25  # so that all large values of a query together have 4 MB
_NUMBER_BYTES = 66_000  # the longest number has 131,072 digits before the point and 16,383 behind it
_POWER_STEPS = 10_000_000  # of one with so many digits
_DIGITS_PER_STEP = 200
_SMALL_EXPONENT = 100
# What is searched and what is looked for in it: their first two arguments.
_SEARCHES = frozenset({"btrim", "ltrim", "replace", "rtrim", "split_part", "string_to_array", "string_to_table",
                       "strpos", "translate"})  # fmt: skip
_PATHS = frozenset({"jsonb_path_exists", "jsonb_path_query", "jsonb_path_query_array", "jsonb_path_query_first"})
_PATH_AGAIN = re.compile(r"\$|\*\*")  # a whole value, or all that is in it, once more
_PLAIN_NUMBER = re.compile(r"\d{1,9}(\.\d{0,9})?|\.\d{1,9}")
_PATH_CONDITIONS = re.compile(r"&&|\|\||\?")
_EITHER_WAY = (exp.ArrayContainsAll, exp.ArrayContainedBy, exp.ArrayOverlaps, exp.JSONBContainsAnyTopKeys,
               exp.JSONBContainsAllTopKeys, exp.Sub)  # fmt: skip
_IN_TEXT = (exp.Trim, exp.StrPosition)

# What makes values; other nodes compare them, or stand around them.
_MAKING = (exp.Anonymous, exp.Array, exp.Cast, exp.DPipe, exp.Overlay, exp.Substring, exp.Trim)
_COMPUTING = (exp.Mul, exp.Div, exp.Mod)
_POWERS = frozenset({"exp", "pow", "power"})
_OF_NUMBERS = frozenset({"div", "gcd", "lcm", "ln", "log", "log10", "mod", "round", "sqrt", "trunc", "width_bucket"})

Pair = tuple[exp.Expr, exp.Expr]


class _Measuring(Sizing):
    """Keeps the sizes of all parts, and refuses none."""

    def __init__(self, column_bytes: int, gathered_bytes: int = _GATHERED_BYTES) -> None:
        super().__init__(column_bytes)
        self.sizes: dict[int, int] = {}
        self._gathered_bytes = gathered_bytes

    def bytes(self, node: exp.Expr, scope: Scope) -> int:
        size = self._bytes(node, scope)
        self.sizes[id(node)] = max(size, self.sizes.get(id(node), 0))
        return size

    def check_kept(self, size: Size, node: exp.Expr) -> None:
        pass

    def gathered(self, made_up: int) -> int:
        return max(made_up, self._gathered_bytes)

    def _bytes(self, node: exp.Expr, scope: Scope) -> int:
        match node:
            case exp.Literal() if _is_long_number(node):
                return abs(int(node.name.lower().partition("e")[2])) + len(node.name)
            case exp.Mul() | exp.Div():
                return min(_NUMBER_BYTES, sum(self._parts(node, scope)))
            case exp.Pow() | exp.Anonymous() if _is_power(node):
                size, exponent = super()._bytes(node, scope), _small_exponent(node)
                return _NUMBER_BYTES if exponent is None else min(_NUMBER_BYTES, size * exponent)
            case _:
                return super()._bytes(node, scope)


def steps_of(query: exp.Query, largest_value_bytes: int) -> Mapping[int, int]:
    """Steps that each operation takes that cannot be interrupted, by the id of its node.

    Values of columns count as short ones. Raises TooLarge for an operation that takes too many by itself.
    """
    steps: dict[int, int] = {}
    if largest_value_bytes > _LARGE_BYTES or any(_is_power(node) or _is_long_number(node) for node in query.walk()):
        steps = _steps_of_values(query)
    pairs = [(node, pair) for node in query.walk() if (pair := _operands(node)) is not None]
    if not pairs:
        return steps
    short, long = _Measuring(_SHORT_COLUMN_BYTES), _Measuring(_LONG_COLUMN_BYTES)
    for measuring in (short, long):
        measuring.measure(query)
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
        steps[id(node)] = steps.get(id(node), 0) + short.sizes[id(searched)] * short.sizes[id(sought)]
    return steps


def _steps_of_values(query: exp.Query) -> dict[int, int]:
    """Steps for large values, and for numbers of many digits."""
    measuring = _Measuring(_SHORT_COLUMN_BYTES, gathered_bytes=0)
    measuring.measure(query)
    sizes, steps = measuring.sizes, {}
    for node in query.walk():
        size = sizes.get(id(node), 0)
        if size > _LARGE_BYTES and isinstance(node, _MAKING) and not _is_of_numbers(node):
            steps[id(node)] = size * _STEPS_PER_BYTE
        elif isinstance(node, _COMPUTING):
            steps[id(node)] = sizes.get(id(node.this), 0) * sizes.get(id(node.expression), 0) // _DIGITS_PER_STEP
        elif _is_power(node):
            steps[id(node)] = _POWER_STEPS if _small_exponent(node) is None else size * size // _DIGITS_PER_STEP
        elif isinstance(node, exp.Anonymous) and _is_of_numbers(node):
            steps[id(node)] = size * size // _DIGITS_PER_STEP if size > _LARGE_BYTES else 0
    return {place: count for place, count in steps.items() if count > 0}


def _is_long_number(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and "e" in node.name.lower()


def _is_power(node: exp.Expr) -> bool:
    return isinstance(node, exp.Pow) or (isinstance(node, exp.Anonymous) and node.name.lower() in _POWERS)


def _is_of_numbers(node: exp.Expr) -> bool:
    return _is_power(node) or (isinstance(node, exp.Anonymous) and node.name.lower() in _OF_NUMBERS)


def _small_exponent(node: exp.Expr) -> int | None:
    """The plain and small number that something is raised to; None where it is another one."""
    parts = node.expressions if isinstance(node, exp.Anonymous) else [node.this, node.expression]
    inner = parts[1].unnest() if len(parts) == 2 else None
    inner = inner.this.unnest() if isinstance(inner, exp.Neg) else inner
    if not isinstance(inner, exp.Literal) or not _PLAIN_NUMBER.fullmatch(inner.name):
        return None
    exponent = math.ceil(float(inner.name))
    return max(1, exponent) if exponent <= _SMALL_EXPONENT else None


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
    """More than any bound where a path that comes back to the whole value, or compares its parts, meets a large one."""
    inner = path.unnest()
    if not isinstance(inner, exp.Literal):
        again = 2
    else:
        compared = max(condition.count("@") for condition in _PATH_CONDITIONS.split(inner.name))
        again = len(_PATH_AGAIN.findall(inner.name)) + max(0, compared - 1)
    return 0 if again < 2 or value_bytes**again <= MAX_PATH_STEPS else MAX_STEPS + 1
