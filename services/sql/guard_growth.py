"""How large values can become that a query makes of itself, beyond what the data holds.

PostgreSQL keeps one value, and whatever an aggregate gathers, in memory without any limit of a session: a text that
doubles itself thirty times is a gigabyte in a fraction of a second, before any time limit strikes. So each expression
gets a bound in bytes, a value of a column counting as a few; what multiplies is counted, and too much is refused. Rows
that a query makes up (generate_series, VALUES, recursion) count for what is gathered from them. Rows of tables do not:
they are the planner's to count, and what is sorted, joined or materialized of them goes to disk, which
`temp_file_limit` ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from services.sql.guard_shapes import holds_query
from services.sql.query_names import MAX_RECURSIVE_ROWS

MAX_VALUE_BYTES = 4_000_000
MAX_COUNT = 1_000  # of repeat, lpad and rpad, and characters of a padded type
MAX_SERIES_ROWS = 100_000
MAX_FACTORIAL = 100

_COLUMN_BYTES = 16
_RECURSION_DEPTH = 100  # what people's hierarchies have at most; text that grows by rounds is sized for it
_UNKNOWN_ROWS = 1_000
_MAX_LOOKS = 40_000

_GATHERING = frozenset({"array", "array_agg", "json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg",
                        "range_agg", "string_agg"})  # fmt: skip
# Their result is as long as all their arguments together; that of others as the longest of them.
_JOINING = frozenset({"array_append", "array_cat", "array_prepend", "array_replace", "concat", "concat_ws", "format",
                      "json_build_array", "json_build_object", "jsonb_build_array", "jsonb_build_object", "jsonb_set",
                      "overlay", "row"})  # fmt: skip
_REPLACING = frozenset({"array_to_string", "regexp_replace", "replace"})
# These write some characters as two or more.
_ESCAPING = frozenset({"decode", "encode", "format", "json_build_array", "json_build_object", "jsonb_build_array",
                       "jsonb_build_object", "quote_ident", "quote_literal", "quote_nullable", "to_json", "to_jsonb",
                       "to_char"})  # fmt: skip
_ROW_MAKING = frozenset({"generate_subscripts", "json_array_elements", "json_array_elements_text", "json_each",
                         "json_each_text", "json_object_keys", "jsonb_array_elements", "jsonb_array_elements_text",
                         "jsonb_each", "jsonb_each_text", "jsonb_object_keys", "jsonb_path_query", "regexp_matches",
                         "regexp_split_to_table", "string_to_table", "unnest"})  # fmt: skip
_PADDED_TYPES = (exp.DType.CHAR, exp.DType.BIT)
_STEP = re.compile(r"\s*\d{1,5}\s*(hour|day|week|mon|month|year)s?\s*", re.IGNORECASE)
_FORMAT_WIDTH = re.compile(r"%[^%]*?(\*|\d{4,})")
# What ends of a series may be made of when they are no plain numbers: the data and the clock, moved by a little.
_MODEST = (exp.Column, exp.Paren, exp.Cast, exp.DataType, exp.DataTypeParam, exp.Identifier, exp.Literal, exp.Interval,
           exp.Var, exp.Add, exp.Sub, exp.Neg, exp.Extract, exp.CurrentDate, exp.CurrentTimestamp, exp.Localtimestamp,
           exp.Subquery, exp.Select, exp.From, exp.Table, exp.TableAlias, exp.Where, exp.Alias, exp.Limit, exp.Binary,
           exp.Null, exp.Anonymous, exp.Order, exp.Ordered, exp.Join, exp.Filter)  # fmt: skip
_IMMODEST = (exp.Mul, exp.Pow, exp.DPipe, exp.BitwiseLeftShift)
_MODEST_CALLS = frozenset({"age", "ceil", "coalesce", "count", "date", "date_part", "date_trunc", "floor", "greatest",
                           "least", "make_date", "make_interval", "max", "min", "now", "round", "array_length",
                           "cardinality", "jsonb_array_length", "json_array_length", "length"})  # fmt: skip
_MAX_NUMBER_IN_ENDS = 100_000
_LONG_NUMBER = re.compile(r"\d{5}")


class TooLarge(Exception):
    """The query could make more of itself than memory holds. `str(error)` names the part, `node` is where it stands."""

    def __init__(self, part: str, node: exp.Expr) -> None:
        super().__init__(part)
        self.node = node


@dataclass(frozen=True)
class Size:
    """Of what a query gives: rows made up by the query itself, and bytes of a value of each column."""

    rows: int = 1
    columns: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Scope:
    """What one SELECT can name, and how many rows it makes up."""

    sources: dict[str, Size]
    outer: Scope | None
    environment: Mapping[str, Size]
    rows: int = 1

    def column(self, node: exp.Column) -> int | None:
        """Bytes of a column that a query around it makes; None for one of a table."""
        scope: Scope | None = self
        while scope is not None:
            for name, source in scope.sources.items():
                if node.table in ("", name) and node.name in source.columns:
                    return source.columns[node.name]
            scope = scope.outer
        return None


def check_growth(query: exp.Query) -> None:
    """Raises TooLarge. The names of the query are resolved."""
    for node in query.walk():
        if isinstance(node, exp.Anonymous | exp.DataType):
            _check_counts(node)
    Sizing().query(query, {}, None)


class Sizing:
    """Sizes by what a value of a table's column is taken for. Raises TooLarge."""

    def __init__(self, column_bytes: int = _COLUMN_BYTES) -> None:
        self.column_bytes = column_bytes
        self._looks = 0

    def query(self, node: exp.Expr, environment: Mapping[str, Size], outer: Scope | None) -> Size:
        """What a SELECT, a set operation or a parenthesised one gives."""
        known = self._with(node, environment, outer)
        if isinstance(node, exp.Select):
            size = self._select(node, known, outer)
        elif isinstance(node, exp.SetOperation):
            left, right = self.query(node.this, known, outer), self.query(node.expression, known, outer)
            widths = [max(pair) for pair in zip(left.columns.values(), right.columns.values(), strict=False)]
            size = Size(left.rows + right.rows, dict(zip(left.columns, widths, strict=False)))
        elif isinstance(node, exp.Subquery):
            size = self.query(node.this, known, outer)
        else:
            size = Size()
        if not isinstance(node, exp.Select):
            self._parts_of(node, ("order", "limit", "offset"), Scope({"": size}, outer, known))
        limit = node.args.get("limit")
        count = limit.args.get("expression", limit.args.get("count")) if limit is not None else None
        most = int(count.name) if isinstance(count, exp.Literal) and count.name.isdecimal() else size.rows
        return Size(min(size.rows, most), size.columns)

    def _with(self, node: exp.Expr, environment: Mapping[str, Size], outer: Scope | None) -> Mapping[str, Size]:
        clause = node.args.get("with_")
        if clause is None:
            return environment
        known = dict(environment)
        for cte in clause.expressions:
            names = [column.name for column in cte.args["alias"].columns]
            size = (
                self._repeated(cte, names, known, outer)
                if clause.args.get("recursive") and isinstance(cte.this, exp.SetOperation)
                else self.query(cte.this, known, outer)
            )
            known[cte.alias] = _renamed(size, names)
        return known

    def _repeated(self, cte: exp.CTE, names: list[str], known: Mapping[str, Size], outer: Scope | None) -> Size:
        """Sized after three rounds: what grows by as much in each may go on, what grows by more each time may not."""
        rounds = [_renamed(self.query(cte.this.this, known, outer), names)]
        for _ in range(3):
            size = self.query(cte.this.expression, {**known, cte.alias: rounds[-1]}, outer)
            widths = dict(zip(rounds[0].columns, size.columns.values(), strict=False))
            rounds.append(Size(rounds[0].rows, widths))
        _, first, second, third = (list(each.columns.values()) for each in rounds)
        for one, two, three in zip(first, second, third, strict=True):
            if three - two > two - one:
                raise TooLarge("a value that multiplies itself in each round of a recursive query", cte)
        grown = [three + _RECURSION_DEPTH * (three - two) for two, three in zip(second, third, strict=True)]
        return Size(MAX_RECURSIVE_ROWS, dict(zip(rounds[0].columns, grown, strict=False)))

    def _select(self, node: exp.Select, environment: Mapping[str, Size], outer: Scope | None) -> Size:
        scope = Scope({}, outer, environment)
        from_ = node.args.get("from_")
        if from_ is not None:
            self._source(from_.this, scope)
        for join in node.args.get("joins") or ():
            self._join(join, scope)
        columns: dict[str, int] = {}
        rows = scope.rows
        for projection in node.expressions:
            if isinstance(projection, exp.Star) or isinstance(projection.this, exp.Star):
                for name, source in scope.sources.items():
                    if isinstance(projection, exp.Star) or projection.args.get("table", projection.this).name == name:
                        columns.update(source.columns)
                continue
            columns[projection.alias_or_name or f"?{len(columns)}"] = self.bytes(projection, scope)
            rows *= self._rows_made(projection, scope)
        self._parts_of(node, ("where", "group", "having", "order", "distinct", "limit", "offset"), scope)
        for window in node.args.get("windows") or ():
            self.bytes(window, scope)
        return Size(rows, columns)

    def _parts_of(self, node: exp.Expr, names: Iterable[str], scope: Scope) -> None:
        for name in names:
            if node.args.get(name) is not None:
                self.bytes(node.args[name], scope)

    def _rows_made(self, projection: exp.Expr, scope: Scope) -> int:
        rows = 1
        for call in projection.find_all(exp.Anonymous):
            if call.parent_select is projection.parent_select:
                rows *= _rows_of(call)
        return rows

    def _join(self, join: exp.Join, scope: Scope) -> None:
        self._source(join.this, scope)
        if join.args.get("on") is not None:
            self.bytes(join.args["on"], scope)

    def _source(self, node: exp.Expr, scope: Scope) -> None:
        alias = node.args.get("alias")
        given = [column.name for column in alias.columns] if alias is not None else []
        name = node.alias or node.name
        size = Size()
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            size = scope.environment.get(node.name, Size()) if not node.db else Size()
        elif isinstance(node, exp.Values):
            widths = [
                max((self.bytes(row.expressions[place], scope) for row in node.expressions), default=0)
                for place in range(min((len(row.expressions) for row in node.expressions), default=0))
            ]
            size = Size(len(node.expressions), {f"column{place + 1}": width for place, width in enumerate(widths)})
        elif isinstance(node, exp.Table | exp.Lateral) and isinstance(node.this, exp.Anonymous):
            call = node.this
            name = node.alias or call.name.lower()
            width = max((self.bytes(part, scope) for part in call.expressions), default=self.column_bytes)
            size = Size(_rows_of(call), dict.fromkeys((*given, name, "value", "key"), width))
            given = []
        elif isinstance(node, exp.Lateral):
            size = self.query(node.this, scope.environment, scope)
        elif isinstance(node, exp.Subquery) and holds_query(node):
            size = self.query(node, scope.environment, scope.outer)
        elif isinstance(node, exp.Subquery):
            self._source(node.this, scope)
            size = Size(columns={name: width for one in scope.sources.values() for name, width in one.columns.items()})
        scope.sources[name] = _renamed(size, given)
        scope.rows *= max(1, size.rows)
        for join in node.args.get("joins") or ():
            self._join(join, scope)

    def bytes(self, node: exp.Expr, scope: Scope) -> int:
        """A bound on the bytes of the value of an expression. Raises TooLarge."""
        size = self._bytes(node, scope)
        if size > MAX_VALUE_BYTES:
            raise TooLarge("a value that becomes too large", node)
        return size

    def _bytes(self, node: exp.Expr, scope: Scope) -> int:
        self._looks += 1
        if self._looks > _MAX_LOOKS:  # Recursive queries within each other are looked at again and again.
            raise TooLarge("recursive queries that are nested too deeply", node)
        match node:
            case exp.Literal():
                return len(node.name) + 1
            case exp.Column():
                known = None if isinstance(node.this, exp.Star) else scope.column(node)
                return self.column_bytes if known is None else known
            case exp.Query():
                size = self.query(node, scope.environment, scope)
                return max(size.columns.values(), default=self.column_bytes)
            case exp.Anonymous():
                return self._call_bytes(node, scope)
            case exp.Cast():
                inner = self.bytes(node.this, scope)
                is_chain = isinstance(node.this.unnest(), exp.Cast) and len(str(node.to.this)) > 0
                return max(_padding(node.to), 2 * inner if is_chain else inner)
            case exp.DPipe() | exp.Tuple() | exp.Array() | exp.Overlay():
                return sum(self._parts(node, scope))
            case _:
                return max(self._parts(node, scope), default=8)

    def gathered(self, made_up: int) -> int:
        """A bound on what an aggregate gathers, of which `made_up` comes from rows that the query makes up."""
        return made_up

    def _call_bytes(self, node: exp.Anonymous, scope: Scope) -> int:
        name = node.name.lower()
        if name in _GATHERING and name != "array":
            return self.gathered(max(1, scope.rows) * sum(self._parts(node, scope)))
        if name == "array" and isinstance(node.expressions[0], exp.Query):
            gathered = self.query(node.expressions[0], scope.environment, scope)
            return self.gathered(gathered.rows * sum(gathered.columns.values()))
        parts = self._parts(node, scope)
        if name == "repeat":
            return parts[0] * _number(node.expressions[1])
        if name in {"lpad", "rpad"}:
            return parts[0] + _number(node.expressions[1])
        if name == "replace" and len(parts) == 3 and isinstance(node.expressions[1], exp.Literal):
            written = parts[2] - isinstance(node.expressions[2], exp.Literal)
            return parts[0] * max(1, -(-written // max(1, parts[1] - 1)))  # rounded up
        if name in _REPLACING:
            return parts[0] * (1 + parts[min(2, len(parts) - 1)])
        size = sum(parts) if name in _JOINING else max(parts, default=8)
        return 2 * size if name in _ESCAPING else size

    def _parts(self, node: exp.Expr, scope: Scope) -> list[int]:
        return [self.bytes(part, scope) for part in node.iter_expressions() if not isinstance(part, exp.DataType)]


def _renamed(size: Size, given: Sequence[str]) -> Size:
    names = [*given, *list(size.columns)[len(given) :]]
    return Size(size.rows, dict(zip(names, size.columns.values(), strict=False)))


def _padding(to: exp.DataType) -> int:
    if to.this not in _PADDED_TYPES:
        return 0
    return max((_number(part.this) for part in to.expressions if isinstance(part, exp.DataTypeParam)), default=0)


def _rows_of(call: exp.Anonymous) -> int:
    """How many rows a call in FROM or SELECT makes."""
    name, parts = call.name.lower(), call.expressions
    if name == "generate_series":
        return _series_rows(parts) if _are_numbers(parts) else MAX_SERIES_ROWS
    if name == "unnest" and all(isinstance(part, exp.Array) for part in parts):
        return max((len(part.expressions) for part in parts), default=1)
    return _UNKNOWN_ROWS if name in _ROW_MAKING else 1


def _check_counts(node: exp.Anonymous | exp.DataType) -> None:
    """What a call or type says itself of the size of its result."""
    if isinstance(node, exp.DataType):
        if _padding(node) > MAX_COUNT:
            raise TooLarge(f"a type of more than {MAX_COUNT} characters that is padded", node)
        return
    name, parts = node.name.lower(), node.expressions
    if name in _CHECKS and not _CHECKS[name](parts):
        raise TooLarge(f"{name} of a size that is not plain or too large", node)


def _has_plain_count(most: int, place: int) -> Callable[[list[exp.Expr]], bool]:
    return lambda parts: len(parts) > place and 0 <= _number(parts[place]) <= most


def _is_plain_template(parts: list[exp.Expr]) -> bool:
    return bool(parts) and isinstance(parts[0], exp.Literal) and not _FORMAT_WIDTH.search(parts[0].name)


def _is_plain_series(parts: list[exp.Expr]) -> bool:
    if _are_numbers(parts):
        return _series_rows(parts) <= MAX_SERIES_ROWS
    if len(parts) > 2 and not _is_plain_step(parts[2]):
        return False
    return all(_is_modest(part) for end in parts[:2] for part in end.walk())


def _is_modest(node: exp.Expr) -> bool:
    if isinstance(node, _IMMODEST) or not isinstance(node, _MODEST):
        return False
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _MODEST_CALLS
    if isinstance(node, exp.Literal):
        if node.is_string:
            return not _LONG_NUMBER.search(node.name)
        return node.name.isdecimal() and int(node.name) <= _MAX_NUMBER_IN_ENDS
    return True


def _is_plain_step(node: exp.Expr) -> bool:
    inner = node.unnest()
    inner = inner.this.unnest() if isinstance(inner, exp.Cast) else inner
    if isinstance(inner, exp.Interval):
        text = inner.this.name + (f" {inner.args['unit'].name}" if isinstance(inner.args.get("unit"), exp.Var) else "")
        return _STEP.fullmatch(text) is not None
    if isinstance(inner, exp.Literal) and inner.is_string:
        return _STEP.fullmatch(inner.name) is not None
    return _signed(inner) is not None


_CHECKS: dict[str, Callable[[list[exp.Expr]], bool]] = {
    "repeat": _has_plain_count(MAX_COUNT, 1),
    "lpad": _has_plain_count(MAX_COUNT, 1),
    "rpad": _has_plain_count(MAX_COUNT, 1),
    "factorial": _has_plain_count(MAX_FACTORIAL, 0),
    "format": _is_plain_template,
    "generate_series": _is_plain_series,
}


def _number(node: exp.Expr) -> int:
    """The plain number that a node is, or else more than any bound."""
    is_number = isinstance(node, exp.Literal) and not node.is_string and node.name.isdecimal()
    return int(node.name) if is_number else MAX_VALUE_BYTES


def _signed(node: exp.Expr) -> float | None:
    inner = node.unnest()
    inner = inner.this.unnest() if isinstance(inner, exp.Cast) else inner
    sign = -1 if isinstance(inner, exp.Neg) else 1
    inner = inner.this.unnest() if isinstance(inner, exp.Neg) else inner
    return sign * float(inner.name) if isinstance(inner, exp.Literal) and not inner.is_string else None


def _are_numbers(parts: Iterable[exp.Expr]) -> bool:
    return all(_signed(part) is not None for part in parts)


def _series_rows(parts: Sequence[exp.Expr]) -> int:
    numbers = [_signed(part) or 0 for part in parts]
    if len(numbers) < 2:
        return MAX_VALUE_BYTES
    step = numbers[2] if len(numbers) > 2 else 1
    return int(abs(numbers[1] - numbers[0]) / abs(step)) + 1 if step else 1
