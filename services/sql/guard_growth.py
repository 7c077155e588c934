"""How large values can become that a query makes of itself, beyond what the data holds.

PostgreSQL keeps one value, and whatever an aggregate gathers, in memory without any limit of a session: a text that
doubles itself thirty times is a gigabyte in a fraction of a second, before any time limit strikes. So each expression
gets a bound in bytes, a value of a column counting as a few; what multiplies is counted, and too much is refused. Rows
that a query makes up (generate_series, VALUES, recursion) count for what is gathered from them. Rows of tables do not:
they are the planner's to count, and what is sorted, joined or materialized of them goes to disk, which
`temp_file_limit` ends. What is kept of each of them in memory all the same (gathered, hashed for NOT IN, or under
one key of a join) is no larger than data is, so that the planner's numbers mean something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from services.sql.guard_counts import TooLarge, check_counts, padding, plain_number, rows_of
from services.sql.guard_shapes import holds_query
from services.sql.query_names import MAX_RECURSIVE_ROWS

MAX_VALUE_BYTES = 4_000_000
MAX_KEPT_BYTES = 5_000  # of a value that may be kept for each row of a table
MAX_COMPARED_BYTES = 50_000_000  # of the values of rows made up, among which another is looked for

_COLUMN_BYTES = 16
_RECURSION_DEPTH = 100  # what people's hierarchies have at most; text that grows by rounds is sized for it
_FREE_LOOKS = 500
_LOOKS_PER_PART = 8  # The parts of a recursive query are looked at four times, those of one within it sixteen times.

_GATHERING = frozenset({"array", "array_agg", "json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg",
                        "range_agg", "string_agg"})  # fmt: skip
# Their result is as long as all their arguments together; that of others as the longest of them.
_JOINING = frozenset({"array_append", "array_cat", "array_prepend", "array_replace", "concat", "concat_ws", "format",
                      "json_build_array", "json_build_object", "jsonb_build_array", "jsonb_build_object", "jsonb_set",
                      "overlay", "row"})  # fmt: skip
_AMONG_ROWS = (exp.In, exp.Any, exp.All, exp.Anonymous)  # the last of them where it is written ALL (…)
_REPLACING = frozenset({"array_to_string", "regexp_replace", "replace"})
# These write some characters as two or more.
_ESCAPING = frozenset({"decode", "encode", "format", "json_build_array", "json_build_object", "jsonb_build_array",
                       "jsonb_build_object", "quote_ident", "quote_literal", "quote_nullable", "to_json", "to_jsonb",
                       "to_char"})  # fmt: skip


@dataclass(frozen=True)
class Size:
    """Of what a query gives: rows made up by the query itself, and bytes of a value of each column."""

    rows: int = 1
    columns: Mapping[str, int] = field(default_factory=dict)
    of_tables: bool = False  # besides, there are as many rows as tables have

    @property
    def widest(self) -> int:
        """Bytes of the largest column."""
        return max(self.columns.values(), default=0)


@dataclass
class Scope:
    """What one SELECT can name, and how many rows it makes up."""

    sources: dict[str, Size]
    outer: Scope | None
    environment: Mapping[str, Size]
    rows: int = 1
    of_tables: bool = False

    def column(self, node: exp.Column) -> int | None:
        """Bytes of a column that a query around it makes; None for one of a table."""
        scope: Scope | None = self
        while scope is not None:
            for name, source in scope.sources.items():
                if node.table in ("", name) and node.name in source.columns:
                    return source.columns[node.name]
            scope = scope.outer
        return None


def check_growth(query: exp.Query) -> int:
    """Bytes of the largest value. Raises TooLarge. The names of the query are resolved."""
    for node in query.walk():
        if isinstance(node, exp.Anonymous | exp.DataType):
            check_counts(node)
    sizing = Sizing()
    sizing.measure(query)
    return sizing.largest


class Sizing:
    """Sizes by what a value of a table's column is taken for. Raises TooLarge."""

    def __init__(self, column_bytes: int = _COLUMN_BYTES) -> None:
        self.column_bytes = column_bytes
        self.largest = 0
        self._looks_left = 0

    def measure(self, query: exp.Query) -> None:
        """Size all parts of a whole query."""
        self._looks_left = _FREE_LOOKS + _LOOKS_PER_PART * sum(1 for _ in query.walk())
        self.query(query, {}, None)

    def query(self, node: exp.Expr, environment: Mapping[str, Size], outer: Scope | None) -> Size:
        """What a SELECT, a set operation or a parenthesised one gives."""
        known = self._with(node, environment, outer)
        if isinstance(node, exp.Select):
            size = self._select(node, known, outer)
        elif isinstance(node, exp.SetOperation):
            left, right = self.query(node.this, known, outer), self.query(node.expression, known, outer)
            widths = [max(pair) for pair in zip(left.columns.values(), right.columns.values(), strict=False)]
            columns = dict(zip(left.columns, widths, strict=False))
            size = Size(left.rows + right.rows, columns, left.of_tables or right.of_tables)
        elif isinstance(node, exp.Subquery):
            size = self.query(node.this, known, outer)
        else:
            size = Size()
        if not isinstance(node, exp.Select):
            self._parts_of(node, ("order", "limit", "offset"), Scope({"": size}, outer, known))
        limit = node.args.get("limit")
        count = limit.args.get("expression", limit.args.get("count")) if limit is not None else None
        most = int(count.name) if isinstance(count, exp.Literal) and count.name.isdecimal() else size.rows
        if outer is not None or node.parent is not None:
            self.check_kept(size, node)
        return Size(min(size.rows, most), size.columns, size.of_tables)

    def check_kept(self, size: Size, node: exp.Expr) -> None:
        """Raises TooLarge where a query within another gives large values for rows of tables, or among many others."""
        if size.of_tables and size.widest > MAX_KEPT_BYTES:
            raise TooLarge("a large value for each row of a table", node)
        if isinstance(node.parent, _AMONG_ROWS) and size.rows * size.widest > MAX_COMPARED_BYTES:
            raise TooLarge("large values among which another is looked for", node)

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
            rounds.append(Size(rounds[0].rows, widths, rounds[0].of_tables or size.of_tables))
        _, first, second, third = (list(each.columns.values()) for each in rounds)
        for one, two, three in zip(first, second, third, strict=True):
            if three - two > two - one:
                raise TooLarge("a value that multiplies itself in each round of a recursive query", cte)
        grown = [three + _RECURSION_DEPTH * (three - two) for two, three in zip(second, third, strict=True)]
        columns = dict(zip(rounds[0].columns, grown, strict=False))
        if cte.this.args.get("distinct"):  # All rows are kept in memory, so that none is given twice.
            self.check_kept(Size(columns=columns, of_tables=True), cte.this)
        return Size(MAX_RECURSIVE_ROWS, columns)  # no more, whatever it reads

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
        return Size(rows, columns, scope.of_tables)

    def _parts_of(self, node: exp.Expr, names: Iterable[str], scope: Scope) -> None:
        for name in names:
            if node.args.get(name) is not None:
                self.bytes(node.args[name], scope)

    def _rows_made(self, projection: exp.Expr, scope: Scope) -> int:
        rows = 1
        for call in projection.find_all(exp.Anonymous):
            if call.parent_select is projection.parent_select:
                rows *= rows_of(call, max((self.bytes(part, scope) for part in call.expressions), default=0))
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
            size = scope.environment[node.name] if not node.db else Size(of_tables=True)
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
            size = Size(rows_of(call, width), dict.fromkeys((*given, name, "value", "key"), width))
            given = []
        elif isinstance(node, exp.Lateral):
            size = self.query(node.this, scope.environment, scope)
        elif isinstance(node, exp.Subquery) and holds_query(node):
            size = self.query(node, scope.environment, scope.outer)
        elif isinstance(node, exp.Subquery):
            self._source(node.this, scope)
            columns = {name: width for one in scope.sources.values() for name, width in one.columns.items()}
            size = Size(columns=columns, of_tables=scope.of_tables)
        scope.sources[name] = _renamed(size, given)
        scope.rows *= max(1, size.rows)
        scope.of_tables |= size.of_tables
        for join in node.args.get("joins") or ():
            self._join(join, scope)

    def bytes(self, node: exp.Expr, scope: Scope) -> int:
        """A bound on the bytes of the value of an expression. Raises TooLarge."""
        size = self._bytes(node, scope)
        if size > MAX_VALUE_BYTES:
            raise TooLarge("a value that becomes too large", node)
        self.largest = max(self.largest, size)
        return size

    def _bytes(self, node: exp.Expr, scope: Scope) -> int:
        self._looks_left -= 1
        if self._looks_left < 0:  # Recursive queries within each other are looked at again and again.
            raise TooLarge("recursive queries that are nested too deeply", node)
        match node:
            case exp.Literal():
                return len(node.name) + 1
            case exp.Column():
                known = None if isinstance(node.this, exp.Star) else scope.column(node)
                return self.column_bytes if known is None else known
            case exp.Query():
                size = self.query(node, scope.environment, scope)
                self.check_kept(size, node)
                return size.widest or self.column_bytes
            case exp.Anonymous():
                return self._call_bytes(node, scope)
            case exp.Cast():
                inner = self.bytes(node.this, scope)
                is_chain = isinstance(node.this.unnest(), exp.Cast) and len(str(node.to.this)) > 0
                return max(padding(node.to), 2 * inner if is_chain else inner)
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
            each = sum(self._parts(node, scope))
            self.check_kept(Size(columns={name: each}, of_tables=scope.of_tables), node)
            return self.gathered(max(1, scope.rows) * each)
        if name == "array" and isinstance(node.expressions[0], exp.Query):
            gathered = self.query(node.expressions[0], scope.environment, scope)
            return self.gathered(gathered.rows * sum(gathered.columns.values()))
        parts = self._parts(node, scope)
        if name == "format":  # The same argument may be written many times, and quoted.
            places = str(node.expressions[0].name).count("%")
            return parts[0] + 2 * places * max(parts[1:], default=0)
        if name == "repeat":
            return parts[0] * plain_number(node.expressions[1])
        if name in {"lpad", "rpad"}:
            return parts[0] + plain_number(node.expressions[1])
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
    return Size(size.rows, dict(zip(names, size.columns.values(), strict=False)), size.of_tables)
