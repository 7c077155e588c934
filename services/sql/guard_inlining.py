"""How large a query becomes when PostgreSQL puts its parts together to plan it.

A query of WITH that is read once is planned where it is read, and so is a subquery: each column that is read of them
becomes a copy of its expression. 26 levels of `x + x`, each over the one before, are 67 million additions to the
planner, which holds them in memory, without limit and without listening to a cancel. So the parts and the tables of a
query are counted as they will be, and too many are refused. A view counts as one table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sqlglot import exp

from services.sql.column_names import given_name
from services.sql.guard_counts import TooLarge
from services.sql.guard_shapes import holds_query
from services.sql.guard_work import MAX_STEPS
from services.sql.models import Schema

MAX_PARTS = 20_000
MAX_TABLES = 120  # in FROM, with subqueries and calls; joined by one column each, the planner takes 150 MB for 80

_JOINED_COLUMNS_PER_PART = 4  # A join lists all columns of both of its sides.
_PARTS_PER_EQUAL = 5  # What is equal in two tables is remembered of all that are joined before.
_AGGREGATES = frozenset({"any_value", "array_agg", "avg", "bool_and", "bool_or", "count", "every", "json_agg",
                         "json_object_agg", "jsonb_agg", "jsonb_object_agg", "max", "min", "string_agg",
                         "sum"})  # fmt: skip
# With one of these a subquery stays a query of its own; conditions on it go inside all the same.
_KEPT_APART = ("distinct", "group", "having", "limit", "offset", "order")


@dataclass(frozen=True)
class Weight:
    """Parts and tables of a piece of a query, and steps that cannot be interrupted."""

    parts: int = 0
    tables: int = 0
    steps: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.parts + other.parts, self.tables + other.tables, self.steps + other.steps)

    def times(self, count: int) -> Weight:
        """As many copies of it."""
        return Weight(self.parts * count, self.tables * count, self.steps * count)


_ONE = Weight(parts=1)


@dataclass(frozen=True)
class _Column:
    """What reading it costs, in general and in a condition, which goes down into the query that makes the column."""

    read: Weight = _ONE
    tested: Weight = _ONE

    def __add__(self, other: _Column) -> _Column:
        return _Column(self.read + other.read, self.tested + other.tested)


@dataclass(frozen=True)
class _Source:
    """`columns` of one thing in FROM; `branches` are the parts of a UNION, each of which gets its own conditions."""

    columns: tuple[tuple[str, _Column], ...] = ()
    branches: int = 1

    @cached_property
    def by_name(self) -> Mapping[str, _Column]:
        """Of two columns of one name both count."""
        found: dict[str, _Column] = {}
        for name, column in self.columns:
            found[name] = found[name] + column if name in found else column
        return found


@dataclass(frozen=True)
class _Query:
    weight: Weight
    source: _Source


@dataclass(eq=False)
class _Named:
    """A query of WITH. What is read more than once is planned once, unless it says NOT MATERIALIZED."""

    node: exp.CTE
    repeats: bool = False
    readers: int = 0
    query: _Query | None = None

    @property
    def is_inlined(self) -> bool:
        given = self.node.args.get("materialized")
        return not self.repeats and (given is False or (given is None and self.readers == 1))


_Environment = Mapping[str, _Named]


@dataclass
class _Scope:
    environment: _Environment
    outer: _Scope | None = None
    sources: list[tuple[str, _Source]] = field(default_factory=list)
    weight: Weight = Weight()

    @property
    def width(self) -> int:
        return sum(len(source.columns) for _, source in self.sources)

    @property
    def branches(self) -> int:
        return max((source.branches for _, source in self.sources), default=1)

    def column(self, owner: str, name: str) -> _Column:
        scope: _Scope | None = self
        while scope is not None:
            # More than one has it where USING joins them.
            found = [
                source.by_name[name]
                for alias, source in scope.sources
                if owner in ("", alias) and name in source.by_name
            ]
            if found:
                return _Column(_sum(one.read for one in found), _sum(one.tested for one in found))
            scope = scope.outer
        return _Column()

    def starred(self, owner: str) -> tuple[tuple[str, _Column], ...]:
        return tuple(pair for alias, source in self.sources if owner in ("", alias) for pair in source.columns)


def check_inlining(query: exp.Query, schema: Schema, steps: Mapping[int, int]) -> None:
    """Raises TooLarge. The names of the query are resolved; `steps` are those of `guard_work`, by ids of nodes."""
    _Weighing(query, schema, steps).query(query, {}, None)


class _Weighing:
    def __init__(self, tree: exp.Query, schema: Schema, steps: Mapping[int, int]) -> None:
        self._schema = schema
        self._steps = steps
        self._weighed: dict[int, _Query] = {}
        self._named: dict[int, _Named] = {}  # by the clause of WITH
        self._count_readers(tree, {})

    def _count_readers(self, node: exp.Expr, environment: _Environment) -> None:
        clause = node.args.get("with_")
        if clause is not None:
            known = dict(environment)
            for cte in clause.expressions:
                named = self._named[id(cte)] = _Named(cte)
                own = {**known, cte.alias: named} if clause.args.get("recursive") else known
                self._count_readers(cte.this, own)
                named.repeats, named.readers = named.readers > 0, 0
                known[cte.alias] = named
            environment = known
        if isinstance(node, exp.Table) and not node.db and node.name in environment:
            environment[node.name].readers += 1
        for child in node.iter_expressions():
            if child is not clause:
                self._count_readers(child, environment)

    def query(self, node: exp.Expr, environment: _Environment, outer: _Scope | None) -> _Query:
        if id(node) not in self._weighed:  # What stands in an expression is asked for twice.
            self._weighed[id(node)] = self._query(node, environment, outer)
        return self._weighed[id(node)]

    def _query(self, node: exp.Expr, environment: _Environment, outer: _Scope | None) -> _Query:
        weight, known = Weight(), environment
        clause = node.args.get("with_")
        if clause is not None:
            weight, known = self._with(clause, environment, outer)
        if isinstance(node, exp.Select):
            found = self._select(node, known, outer)
        elif isinstance(node, exp.SetOperation):
            found = self._both(self.query(node.this, known, outer), self.query(node.expression, known, outer))
        else:
            found = self.query(node.this, known, outer)
        if not isinstance(node, exp.Select):
            scope = _Scope(known, outer, [("", found.source)])
            weight += self._tested(node, ("order", "limit", "offset"), scope)
        return self._checked(node, _Query(weight + found.weight, found.source))

    def _checked(self, node: exp.Expr, query: _Query) -> _Query:
        if query.weight.parts > MAX_PARTS:
            raise TooLarge("expressions that become too many when they are put together", node)
        if query.weight.tables > MAX_TABLES:
            raise TooLarge(f"more than {MAX_TABLES} tables and subqueries", node)
        if query.weight.steps > MAX_STEPS:
            raise TooLarge("large values compared with others part by part", node)
        return query

    def _with(self, clause: exp.Expr, environment: _Environment, outer: _Scope | None) -> tuple[Weight, _Environment]:
        known, weight = dict(environment), Weight()
        for cte in clause.expressions:
            named = self._named[id(cte)]
            names = [column.name for column in cte.args["alias"].columns]
            if clause.args.get("recursive") and isinstance(cte.this, exp.SetOperation):
                width = max(len(names), len(cte.this.selects))
                named.query = _Query(Weight(), _plain([""] * width))
            inner = self.query(cte.this, {**known, cte.alias: named} if named.repeats else known, outer)
            named.query = replace(inner, source=_renamed(inner.source, names))
            if not named.is_inlined:
                weight += inner.weight
            known[cte.alias] = named
        return weight, known

    def _both(self, left: _Query, right: _Query) -> _Query:
        columns = tuple(
            (name, _Column(_ONE, one.tested + other.tested))
            for (name, one), (_, other) in zip(left.source.columns, right.source.columns, strict=False)
        )
        weight = left.weight + right.weight + Weight(parts=len(columns), tables=1)
        return _Query(weight, _Source(columns, left.source.branches + right.source.branches))

    def _select(self, node: exp.Select, environment: _Environment, outer: _Scope | None) -> _Query:
        scope = _Scope(environment, outer)
        if node.args.get("from_") is not None:
            self._item(node.args["from_"].this, scope)
        self._joins(node, scope)
        columns = tuple(pair for projection in node.expressions for pair in self._projected(projection, scope))
        chosen = _sum(column.read for _, column in columns)
        windows = sum(1 for _ in node.find_all(exp.Window))
        weight = scope.weight + chosen.times(_grouping_sets(node)) + Weight(parts=windows * chosen.parts // 2)
        weight += self._tested(node, ("where", "having"), scope)
        weight += self._read(node, ("group", "order", "distinct", "limit", "offset", "windows"), scope)
        if any(node.args.get(part) for part in _KEPT_APART) or _computes_over_rows(node):
            columns = tuple((name, replace(column, read=_ONE)) for name, column in columns)
        return _Query(weight, _Source(columns, scope.branches))

    def _projected(self, projection: exp.Expr, scope: _Scope) -> tuple[tuple[str, _Column], ...]:
        if isinstance(projection, exp.Star):
            return scope.starred("")
        if isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star):
            return scope.starred(projection.table)
        inner = projection.this if isinstance(projection, exp.Alias) else projection
        column = _Column(self._weight(inner, scope, tested=False), self._weight(inner, scope, tested=True))
        return ((given_name(projection), column),)

    def _joins(self, node: exp.Expr, scope: _Scope) -> None:
        for join in node.args.get("joins") or ():
            self._item(join.this, scope)
            names = [name.name for name in join.args.get("using") or ()]
            if join.method == "NATURAL":
                added = scope.sources[-1][1]
                names = [name for name in added.by_name if any(name in one.by_name for _, one in scope.sources[:-1])]
            scope.weight += _sum(scope.column("", name).tested for name in names)
            scope.weight += self._tested(join, ("on",), scope)
            equal = len(names) + (sum(1 for _ in join.args["on"].find_all(exp.EQ)) if join.args.get("on") else 0)
            scope.weight += Weight(parts=scope.width // _JOINED_COLUMNS_PER_PART)
            scope.weight += Weight(parts=equal * _PARTS_PER_EQUAL * len(scope.sources))

    def _item(self, node: exp.Expr, scope: _Scope) -> None:
        """Add one thing in FROM to the scope."""
        alias = node.args.get("alias")
        given = [column.name for column in alias.columns] if alias is not None else []
        match node:
            case exp.Table() if isinstance(node.this, exp.Identifier):
                found = self._table(node, scope.environment)
            case exp.Subquery() if holds_query(node):
                found = self.query(node, scope.environment, scope.outer)
            case exp.Subquery():
                inner = _Scope(scope.environment, scope.outer)
                self._item(node.this, inner)
                self._joins(node, inner)
                if not node.alias:
                    scope.weight += inner.weight
                    scope.sources.extend(inner.sources)
                    return
                found = _Query(inner.weight, _Source(inner.starred(""), inner.branches))
            case exp.Lateral() if isinstance(node.this, exp.Subquery):
                found = self.query(node.this, scope.environment, scope)
            case exp.Values():
                found = self._values(node, scope)
            case _:
                weight = self._weight(node.this, scope, tested=False)
                found = _Query(weight, _plain([*given, node.alias_or_name]))
                given = []
        scope.weight += found.weight + Weight(tables=1)
        scope.sources.append((node.alias_or_name, _renamed(found.source, given)))
        if not isinstance(node, exp.Subquery) or holds_query(node):
            self._joins(node, scope)

    def _table(self, node: exp.Table, environment: _Environment) -> _Query:
        if not node.db:
            named = environment[node.name]
            if named.query is None:
                return _Query(Weight(), _Source())
            if named.is_inlined:
                return named.query
            return _Query(Weight(), _plain(name for name, _ in named.query.source.columns))
        table = self._schema.table(node.db, node.name)
        return _Query(Weight(), _plain(column.name for column in table.columns) if table is not None else _Source())

    def _values(self, node: exp.Values, scope: _Scope) -> _Query:
        rows = [[self._weight(value, scope, tested=False) for value in row.expressions] for row in node.expressions]
        weight = _sum(value for row in rows for value in row)
        # A single row is put where its columns are read.
        first = [value if len(rows) == 1 else _ONE for value in (rows[0] if rows else [])]
        return _Query(
            weight, _Source(tuple((f"column{n + 1}", _Column(value, value)) for n, value in enumerate(first)))
        )

    def _read(self, node: exp.Expr, names: Iterable[str], scope: _Scope) -> Weight:
        return _sum(self._weight(part, scope, tested=False) for part in _parts(node, names))

    def _tested(self, node: exp.Expr, names: Iterable[str], scope: _Scope) -> Weight:
        weight = _sum(self._weight(part, scope, tested=True) for part in _parts(node, names))
        return weight.times(scope.branches)

    def _weight(self, node: exp.Expr, scope: _Scope, *, tested: bool) -> Weight:
        match node:
            case exp.Column() if isinstance(node.this, exp.Star):
                return _ONE
            case exp.Column():
                column = scope.column(node.table, node.name)
                return column.tested if tested else column.read
            case exp.Query():
                # A condition on what a query finds becomes a join, which is dearer to plan than one that is written.
                joined = Weight(parts=1, tables=isinstance(node.parent, exp.Exists | exp.In))
                return self.query(node, scope.environment, scope).weight + joined
            case exp.DataType() | exp.Identifier():
                return Weight()
            case exp.Paren() | exp.Alias():
                return self._weight(node.this, scope, tested=tested)
            case _:
                weight = Weight(parts=1, steps=self._steps.get(id(node), 0))
                for part in node.iter_expressions():
                    weight += self._weight(part, scope, tested=tested).times(_copies(node, part))
                return weight


def _copies(node: exp.Expr, part: exp.Expr) -> int:
    """How often PostgreSQL writes the left side of BETWEEN and IN before it even begins to plan."""
    if part.arg_key != "this":
        return 1
    if isinstance(node, exp.Between):
        return 4 if node.args.get("symmetric") else 2
    if isinstance(node, exp.In):
        is_row = isinstance(part.unnest(), exp.Tuple)
        return 1 + sum(1 for value in node.expressions if is_row or value.find(exp.Column) is not None)
    return 1


def _grouping_sets(node: exp.Select) -> int:
    """How many sets GROUP BY makes, as far as each is computed for itself."""
    group = node.args.get("group")
    count = 1
    for part in group.find_all(exp.Cube, exp.Rollup, exp.GroupingSets) if group is not None else ():
        size = len(part.expressions)
        count *= 2 ** min(size, 12) if isinstance(part, exp.Cube) else size + 1
    return 1 + count // 4 if count > 1 else 1


def _computes_over_rows(node: exp.Select) -> bool:
    return any(
        isinstance(part, exp.Window) or (isinstance(part, exp.Anonymous) and part.name.lower() in _AGGREGATES)
        for projection in node.expressions
        for part in projection.walk(prune=lambda inner: isinstance(inner, exp.Query))
    )


def _parts(node: exp.Expr, names: Iterable[str]) -> Iterable[exp.Expr]:
    for name in names:
        value = node.args.get(name)
        yield from value if isinstance(value, list) else [value] if isinstance(value, exp.Expr) else []


def _renamed(source: _Source, given: Sequence[str]) -> _Source:
    if not given:
        return source
    names = [*given, *(name for name, _ in source.columns[len(given) :])]
    return replace(source, columns=tuple(zip(names, (column for _, column in source.columns), strict=False)))


def _plain(names: Iterable[str]) -> _Source:
    """Columns that cost no more than their names."""
    return _Source(tuple((name, _Column()) for name in names))


def _sum(weights: Iterable[Weight]) -> Weight:
    return sum(weights, Weight())
