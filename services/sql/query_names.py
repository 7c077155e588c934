"""What the names of a query stand for: tables of the schema, WITH queries, and columns of what FROM lists.

Names are resolved as PostgreSQL does it, with one difference: where PostgreSQL would reach for something that the
schema does not show (system columns, a function written as a column, a row as a whole, a table of another schema),
the name is unknown here.

Two things are written anew on the way, so that no form of a query reaches further than the schema shows. A table with
hidden columns becomes a query for its others, wherever it stands: neither * nor NATURAL nor a list of new names sees
more. And what repeats itself without end is read up to a bound, for which PostgreSQL stops computing it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sqlglot import exp

from services.sql.column_names import TooManyNames, UnreadableQuery, check_width, given_name, renamed
from services.sql.models import Schema, Table

MAX_RECURSIVE_ROWS = 100_000
MAX_READS = 150_000  # of parts and names; what people write takes some hundreds
_READS_PER_NEW_COLUMN = 10  # a column that is written anew is dearer than one that is looked at

# What calls in FROM name their columns, besides the alias itself.
_CALL_COLUMNS = {
    "json_array_elements": ("value",),
    "json_array_elements_text": ("value",),
    "json_each": ("key", "value"),
    "json_each_text": ("key", "value"),
    "jsonb_array_elements": ("value",),
    "jsonb_array_elements_text": ("value",),
    "jsonb_each": ("key", "value"),
    "jsonb_each_text": ("key", "value"),
}
# Every table has them, and no schema shows them.
_SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
# Below these, a name may be one that the query gives out; in any expression it cannot.
_NAMING_OUTPUTS = (exp.Order, exp.Ordered, exp.Group, exp.Rollup, exp.Cube, exp.GroupingSets, exp.Distinct, exp.Paren)


class UnknownTable(Exception):
    """No table or WITH query of this name can be reached. `str(error)` is the name, `node` where it stands."""

    def __init__(self, name: str, node: exp.Expr) -> None:
        super().__init__(name)
        self.node = node


class UnknownColumn(Exception):
    """Nothing in FROM has a column of this name. `str(error)` is the name, `node` where it stands."""

    def __init__(self, name: str, node: exp.Expr) -> None:
        super().__init__(name)
        self.node = node


@dataclass(eq=False)
class WithQuery:
    """A query that WITH names; `repeats` once it names itself."""

    columns: tuple[str, ...]
    repeats: bool = False


Environment = Mapping[str, WithQuery]


@dataclass(frozen=True)
class Source:
    """One thing listed in FROM: the name it goes by and its columns in order; `table` when it is a real one."""

    name: str
    columns: tuple[str, ...]
    table: Table | None = None

    @cached_property
    def names(self) -> frozenset[str]:
        """The columns without their order."""
        return frozenset(self.columns)

    @property
    def columns_of_table(self) -> tuple[str, ...]:
        """The columns by the table's own names."""
        return tuple(column.name for column in self.table.columns) if self.table is not None else ()


@dataclass
class Scope:
    """What one SELECT can name: its own sources, then those of the queries around it."""

    environment: Environment
    outer: Scope | None = None
    sources: list[Source] = field(default_factory=list)

    def chain(self) -> Iterator[Scope]:
        """This scope and the ones around it, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer


def resolve_names(query: exp.Query, schema: Schema) -> tuple[str, ...]:
    """Name every real table with its schema, in place, and check every column.

    Returns: full names of the tables read, sorted.
    Raises: UnknownTable, UnknownColumn, UnreadableQuery, TooManyNames.
    """
    resolver = _Resolver(schema)
    resolver.query(query, {}, None)
    for node in query.find_all(exp.Table, exp.Column):
        if id(node) not in resolver.seen:  # A place this module does not look into: doubt means no.
            raise UnreadableQuery
    return tuple(sorted(resolver.tables))


class _Resolver:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.tables: set[str] = set()
        self.seen: set[int] = set()
        self._inside: list[WithQuery] = []  # the recursive queries that are being read just now
        self._named_by_first_part: dict[int, WithQuery] = {}  # by the set operation that each of them is
        self._reads = 0

    def query(self, node: exp.Expr, environment: Environment, outer: Scope | None) -> tuple[str, ...]:
        """Check a SELECT, a set operation or a parenthesised one; the names of the columns it gives."""
        self._read(1 + len(environment))
        environment = self._with(node, environment, outer)
        if isinstance(node, exp.Select):
            return self._select(node, environment, outer)
        if isinstance(node, exp.SetOperation):
            names = self.query(node.this, environment, outer)
            if id(node) in self._named_by_first_part:
                own = self._named_by_first_part.pop(id(node))
                own.columns = renamed(names, own.columns)
            self.query(node.expression, environment, outer)
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query) and not node.args.get("joins"):
            names = self.query(node.this, environment, outer)
        else:
            raise UnreadableQuery
        # ORDER BY here knows the names that come out, and no others.
        scope = Scope(environment, outer, [Source("", names)])
        for part in ("order", "limit", "offset"):
            self._expression(node.args.get(part), scope, names)
        return names

    def _read(self, parts: int) -> None:
        """Count what is looked at: many names times many things listed in FROM are too many."""
        self._reads += parts
        if self._reads > MAX_READS:
            raise TooManyNames

    def _with(self, node: exp.Expr, environment: Environment, outer: Scope | None) -> Environment:
        clause = node.args.get("with_")
        if clause is None:
            return environment
        known = dict(environment)
        for cte in clause.expressions:
            alias = cte.args["alias"]
            columns = [column.name for column in alias.columns]
            inside: Environment = known
            if clause.args.get("recursive"):
                # It can name itself; its columns are those of its first, not recursive, part.
                own = WithQuery(tuple(columns))
                self._named_by_first_part[id(_without_parentheses(cte.this))] = own
                inside = {**known, cte.alias: own}
                self._inside.append(own)
            names = self.query(cte.this, inside, outer)
            repeats = bool(clause.args.get("recursive")) and self._inside.pop().repeats
            if repeats and not isinstance(_without_parentheses(cte.this), exp.SetOperation):
                raise UnreadableQuery
            known[cte.alias] = WithQuery(renamed(names, columns), repeats)
        return known

    def _select(self, node: exp.Select, environment: Environment, outer: Scope | None) -> tuple[str, ...]:
        scope = Scope(environment, outer)
        from_ = node.args.get("from_")
        if from_ is not None:
            self._source(from_.this, scope)
        self._joins(node, scope)
        names: list[str] = []
        for projection in node.expressions:
            self._expression(projection, scope)
            self._read(len(scope.sources))
            names.extend(_given_names(projection, scope))
            check_width(names)
        aliases = tuple(names)
        for part in ("where", "having", "limit", "offset"):
            self._expression(node.args.get(part), scope)
        for part in ("group", "order", "distinct"):
            self._expression(node.args.get(part), scope, aliases)
        for window in node.args.get("windows") or ():
            self._expression(window, scope)
        return aliases

    def _joins(self, node: exp.Expr, scope: Scope) -> None:
        joins: Sequence[exp.Join] = node.args.get("joins") or ()
        for join in joins:
            self._source(join.this, scope)
            for name in join.args.get("using") or ():
                self._read(len(scope.sources))
                if not any(name.name in source.names for source in scope.sources):
                    raise UnknownColumn(name.name, name)
            self._expression(join.args.get("on"), scope)

    def _source(self, node: exp.Expr, scope: Scope) -> None:
        """Add what one item of FROM brings to the scope."""
        alias, columns = node.alias, list(node.args["alias"].columns) if node.args.get("alias") else []
        given = [column.name for column in columns]
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            self.seen.add(id(node))
            source = self._table(node, scope.environment)
            scope.sources.append(Source(alias or source.name, renamed(source.columns, given), source.table))
            self._joins(node, scope)
            self._bound(node, source, scope.environment)
            return
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query) and not _is_join(node.this):
            # Not LATERAL: it sees what is around the SELECT, not what stands beside it.
            scope.sources.append(Source(alias, renamed(self.query(node.this, scope.environment, scope.outer), given)))
            self._joins(node, scope)
        elif isinstance(node, exp.Subquery):  # (a JOIN b …), perhaps with an alias that hides both
            inner = Scope(scope.environment, scope.outer)
            self._source(node.this, inner)
            self._joins(node, inner)
            if alias:
                inside = tuple(name for source in inner.sources for name in source.columns)
                inner.sources = [Source(alias, renamed(inside, given))]
            scope.sources.extend(inner.sources)
        elif isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
            names = self.query(node.this, scope.environment, scope)
            scope.sources.append(Source(alias, renamed(names, given)))
        elif isinstance(node, exp.Values):
            for row in node.expressions:
                self._expression(row, scope)
            width = max((len(row.expressions) for row in node.expressions), default=0)
            scope.sources.append(Source(alias, renamed(tuple(f"column{n + 1}" for n in range(width)), given)))
        elif isinstance(node, exp.Table | exp.Lateral) and isinstance(node.this, exp.Anonymous):
            self.seen.add(id(node))
            for argument in node.this.expressions:
                self._expression(argument, scope)
            called = node.this.name.lower()
            name = alias or called
            own = (*_CALL_COLUMNS.get(called, ()), *(("ordinality",) if node.args.get("ordinality") else ()))
            scope.sources.append(Source(name, (*given, name, *own)))
        else:
            raise UnreadableQuery
        if isinstance(node, exp.Table):
            self._joins(node, scope)

    def _table(self, node: exp.Table, environment: Environment) -> Source:
        name, schema_name = node.name, node.db
        if not schema_name and name in environment:
            if environment[name] in self._inside:
                environment[name].repeats = True
            return Source(name, environment[name].columns)
        candidates = [schema_name] if schema_name else list(self._schema.search_path)
        for candidate in candidates:
            table = self._schema.table(candidate, name)
            if table is not None:
                node.set("db", _as_it_is(candidate))
                self.tables.add(table.full_name)
                return Source(name, tuple(column.name for column in table.columns), table)
        raise UnknownTable(f"{schema_name}.{name}" if schema_name else name, node)

    def _bound(self, node: exp.Table, source: Source, environment: Environment) -> None:
        """Put a query in the place of a table that must not be read as a whole."""
        inner = exp.Table(this=node.this.copy(), db=node.args.get("db"))
        if source.table is not None:
            if not source.table.has_hidden_columns or _names_columns(node, source.table):
                return
            self._read(_READS_PER_NEW_COLUMN * len(source.columns_of_table))
            shown = [exp.column(_as_it_is(name)) for name in source.columns_of_table]
            self.seen.update(map(id, shown))
            query = exp.Select(expressions=shown, from_=exp.From(this=inner))
        else:
            if not environment[source.name].repeats or environment[source.name] in self._inside or _is_bounded(node):
                return
            limit = exp.Limit(expression=exp.Literal.number(MAX_RECURSIVE_ROWS))
            query = exp.Select(expressions=[exp.Star()], from_=exp.From(this=inner), limit=limit)
        self.seen.add(id(inner))
        alias = node.args.get("alias") or exp.TableAlias(this=_as_it_is(source.name))
        node.replace(exp.Subquery(this=query, alias=alias, joins=node.args.get("joins")))

    def _expression(self, node: exp.Expr | None, scope: Scope, outputs: Sequence[str] = ()) -> None:
        """Check what an expression names. `outputs` are names that ORDER BY and GROUP BY may use besides."""
        if node is None:
            return
        self._read(1)
        if isinstance(node, exp.Column):
            self.seen.add(id(node))
            self._read(sum(len(level.sources) for level in scope.chain()))
            _check_column(node, scope, outputs)
        elif isinstance(node, exp.Query):
            self.query(node, scope.environment, scope)
        else:
            for child in node.iter_expressions():
                self._expression(child, scope, outputs if _may_name_outputs(node) else ())


def _check_column(node: exp.Column, scope: Scope, outputs: Sequence[str]) -> None:
    name, owner, schema_name = node.name, node.table, node.db
    if name in _SYSTEM_COLUMNS:
        raise UnknownColumn(f"{owner}.{name}" if owner else name, node)
    if not owner:
        known = name in outputs or any(name in source.names for level in scope.chain() for source in level.sources)
        if not known:
            raise UnknownColumn(name, node)
        return
    for level in scope.chain():
        for source in level.sources:
            if source.name != owner or (schema_name and (source.table is None or source.table.schema != schema_name)):
                continue
            if isinstance(node.this, exp.Star) or name in source.names:
                if source.table is not None and source.table.has_hidden_columns:
                    node.set("db", None)  # It stands for a query now, which is of no schema.
                return
            raise UnknownColumn(f"{owner}.{name}", node)
    raise UnknownColumn(f"{owner}.{name}", node)


def _without_parentheses(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
        node = node.this
    return node


def _as_it_is(name: str) -> exp.Identifier:
    return exp.Identifier(this=name, quoted=True)


def _may_name_outputs(node: exp.Expr) -> bool:
    if isinstance(node, exp.Tuple):
        return isinstance(node.parent, exp.Group | exp.Rollup | exp.Cube | exp.GroupingSets | exp.Distinct)
    return isinstance(node, _NAMING_OUTPUTS)


def _names_columns(node: exp.Table, table: Table) -> bool:
    """Whether it stands in (SELECT a, b FROM it) already, so that only columns of it that are shown go further.

    So what is written for a table with hidden columns stays as it is when it is judged again, even after the table got
    another column. The names must be its own: one that is hidden may be a column of something around the query.
    """
    select = node.parent.parent if isinstance(node.parent, exp.From) else None
    if not isinstance(select, exp.Select) or {part for part, value in node.args.items() if value} - {"this", "db"}:
        return False
    # The parenthesis tells it from the whole statement, to which a limit is added.
    return (
        {part for part, value in select.args.items() if value} == {"expressions", "from_"}
        and isinstance(select.parent, exp.Subquery)
        and all(_is_shown_column(shown, table) for shown in select.expressions)
    )


def _is_shown_column(node: exp.Expr, table: Table) -> bool:
    return (
        isinstance(node, exp.Column)
        and isinstance(node.this, exp.Identifier)
        and not node.args.get("table")
        and table.column(node.name) is not None
    )


def _is_bounded(node: exp.Table) -> bool:
    """Whether it stands in SELECT * FROM it LIMIT n already, n small enough."""
    select = node.parent.parent if isinstance(node.parent, exp.From) else None
    if not isinstance(select, exp.Select) or {part for part, value in select.args.items() if value} != {
        "expressions", "from_", "limit"
    }:  # fmt: skip
        return False
    count = select.args["limit"].args.get("expression")
    is_number = isinstance(count, exp.Literal) and count.name.isdecimal()
    return is_number and int(count.name) <= MAX_RECURSIVE_ROWS


def _given_names(projection: exp.Expr, scope: Scope) -> list[str]:
    """Names of the columns that one item of SELECT gives, as PostgreSQL names them."""
    if isinstance(projection, exp.Star):
        return [name for source in scope.sources for name in source.columns]
    if isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star):
        owner = projection.table
        return [name for source in scope.sources if source.name == owner for name in source.columns]
    return [given_name(projection)]


def _is_join(node: exp.Query) -> bool:
    """Whether it is (SELECT …) JOIN b, and not a SELECT that joins."""
    return isinstance(node, exp.Subquery) and bool(node.args.get("joins"))
