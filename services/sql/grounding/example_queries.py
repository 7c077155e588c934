"""An approved query as a tree: which literal is compared with which column, and what else may be replaced in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from services.sql.grounding.logical_form import Ref
from services.sql.guard_dialect import GuardDialect
from services.sql.models import Schema
from services.sql.query_guard import QueryGuard

_NO_LIMIT = 1_000_000_000
MANY_ROWS = 1_000  # a limit of so many was set by no question
_GUARD = QueryGuard(max_rows=_NO_LIMIT)
_COMPARISONS = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
_EQUALITIES = (exp.EQ, exp.NEQ, exp.In, exp.Like, exp.ILike)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class LiteralUse:
    """One literal and what it is for.

    `role` is equals, compares, limit, offset, interval or other; `column` is what it is compared with, where that is
    one column of one known table. `folded` says that the column is lowered first. `of_year`: the year of a date.
    """

    node: exp.Literal
    role: str
    column: Ref | None = None
    folded: bool = False
    of_year: bool = False

    @property
    def text(self) -> str:
        """As it is written, without quotes."""
        return str(self.node.this)

    @property
    def is_text(self) -> bool:
        """Whether it stands in quotes."""
        return bool(self.node.is_string)

    @property
    def is_day(self) -> bool:
        """Whether it begins with a date."""
        return self.is_text and _DAY.match(self.text) is not None

    @property
    def number(self) -> float | None:
        """Its number; None when it is a text."""
        return None if self.is_text else float(self.text)


class ExampleQuery:
    """The tree of one approved query that the schema, as it is today, still allows."""

    def __init__(self, tree: exp.Query, tables: tuple[str, ...], schema: Schema) -> None:
        self.tree = tree
        self.tables = tables
        self._schema = schema
        self._aliases: dict[str, str] = {}
        for node in tree.find_all(exp.Table):
            if node.db:
                self._aliases[node.alias or node.name] = f"{node.db}.{node.name}"
        self.uses = [self._use_of(node) for node in tree.find_all(exp.Literal)]

    @property
    def sql(self) -> str:
        """The query as it stands now."""
        return self.tree.sql(dialect=GuardDialect, comments=False)

    def columns(self) -> Iterator[tuple[exp.Column, Ref | None]]:
        """Every column that is named, and what it is."""
        for node in self.tree.find_all(exp.Column):
            yield node, self._ref_of(node)

    def first_order(self) -> exp.Ordered | None:
        """The first sort key of the whole; None when anything inside is sorted too."""
        orders = list(self.tree.find_all(exp.Order))
        if len(orders) != 1 or orders[0] is not self.tree.args.get("order"):
            return None
        key = orders[0].expressions[0]
        return key if isinstance(key, exp.Ordered) else None

    @property
    def is_cut(self) -> bool:
        """Whether only the first rows are kept."""
        return any(use.role == "limit" and (use.number or 0) < MANY_ROWS for use in self.uses)

    def _ref_of(self, node: exp.Column) -> Ref | None:
        if node.table and node.table in self._aliases:
            return self._aliases[node.table], node.name
        holders = [
            table.full_name
            for table in self._schema.tables
            if table.full_name in self.tables and table.column(node.name) is not None
        ]
        return (holders[0], node.name) if len(holders) == 1 else None

    def _use_of(self, node: exp.Literal) -> LiteralUse:
        inner: exp.Expr = node
        parent = node.parent
        while parent is not None:
            if isinstance(parent, exp.Limit | exp.Fetch):
                return LiteralUse(node, "limit")
            if isinstance(parent, exp.Offset):
                return LiteralUse(node, "offset")
            if isinstance(parent, exp.Interval):
                return LiteralUse(node, "interval")
            if isinstance(parent, (*_COMPARISONS, *_EQUALITIES)):
                return self._compared(node, inner, parent)
            if not isinstance(parent, exp.Paren | exp.Cast | exp.Neg | exp.Array | exp.Any) and not (
                isinstance(parent, exp.Anonymous) and parent.name.lower() in {"lower", "upper"}
            ):
                return LiteralUse(node, "other")
            inner, parent = parent, parent.parent
        return LiteralUse(node, "other")

    def _compared(self, node: exp.Literal, inner: exp.Expr, predicate: exp.Expr) -> LiteralUse:
        role = "compares" if isinstance(predicate, _COMPARISONS) else "equals"
        other = predicate.this if predicate.this is not inner else predicate.args.get("expression")
        if not isinstance(other, exp.Expr):
            return LiteralUse(node, role)
        named = [other] if isinstance(other, exp.Column) else list(other.find_all(exp.Column))
        calls = {call.name.lower() for call in other.find_all(exp.Anonymous)}
        of_year = isinstance(other, exp.Extract) and other.name.lower() == "year"
        of_year = of_year or any(str(one.this).lower() == "year" for one in other.find_all(exp.Literal))
        ref = self._ref_of(named[0]) if len(named) == 1 and not calls - {"lower", "upper", "trim"} else None
        return LiteralUse(node, role, ref, folded="lower" in calls, of_year=of_year)


def read_example(sql: str, schema: Schema) -> ExampleQuery | None:
    """The query of an example; None when the schema or the rules no longer allow it."""
    verdict = _GUARD.check(sql, schema)
    if not verdict.allowed:
        return None
    try:
        tree = sqlglot.parse_one(verdict.sql, dialect=GuardDialect)
    except SqlglotError:
        return None
    if not isinstance(tree, exp.Query):
        return None
    limit = tree.args.get("limit")
    if isinstance(limit, exp.Limit) and limit.expression.name == str(_NO_LIMIT + 1):
        tree.set("limit", None)  # the guard's own
    return ExampleQuery(tree, verdict.tables, schema)
