"""Conditions as SQL. A condition on a table that would multiply rows becomes an EXISTS or a subquery of its own."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.dates import Period
from services.sql.grounding.from_clause import CannotCompile, Scope, Source
from services.sql.grounding.join_paths import Edge
from services.sql.grounding.logical_form import (
    AnyOf,
    Compare,
    CompareColumns,
    CompareSpan,
    CompareToMeasure,
    CompareToRow,
    Condition,
    Exists,
    InPeriod,
    IsNull,
    Matches,
    OfEach,
    OneOf,
    OnWeekdays,
    Ref,
    Related,
    tables_of,
)
from services.sql.grounding.quoting import number_literal, pattern_literal, text_literal
from services.sql.models import ColumnKind


class ConditionWriter:
    """Writes conditions within a scope, joining what they need where that multiplies nothing."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def write_all(self, conditions: Sequence[Condition], scope: Scope) -> list[str]:
        """One SQL condition for each, those on many-sided tables gathered into one EXISTS. Raises CannotCompile."""
        near: list[str] = []
        far: list[Condition] = []
        for condition in conditions:
            if all(scope.can_join(table) for table in tables_of(condition)):
                near.append(self._write(condition, scope))
            else:
                far.append(condition)
        for group in _compatible(far):
            near.append(self._exists(group, next(tables_of(group[0])), scope, negated=False))
        return near

    def _write(self, condition: Condition, scope: Scope) -> str:
        for table in tables_of(condition):
            scope.join(table)
        if isinstance(condition, AnyOf):
            return "(" + " OR ".join(self._write(one, scope) for one in condition.conditions) + ")"
        if isinstance(condition, Exists):
            return self._exists(
                condition.inner, condition.table, scope, negated=condition.negated, owner=condition.owner
            )
        if isinstance(condition, Related):
            return self._related(condition, scope)
        if isinstance(condition, CompareColumns):
            return f"{scope.column(condition.left)} {condition.operator} {scope.column(condition.right)}"
        if isinstance(condition, CompareSpan):
            span = scope.span(condition.end, condition.begin, condition.unit)
            return f"{span} {condition.operator} {number_literal(condition.number)}"
        column = scope.column(condition.ref)
        if isinstance(condition, CompareToRow):
            return f"{column} {condition.operator} {self._named_row(condition)}"
        if isinstance(condition, Compare):
            return f"{column} {condition.operator} {self._literal(condition.ref, condition.value)}"
        if isinstance(condition, OneOf):
            return _one_of(column, condition, is_text=self._kind(condition.ref) is ColumnKind.TEXT)
        if isinstance(condition, Matches):
            negation = "NOT " if condition.negated else ""
            return f"{column} {negation}ILIKE {pattern_literal(condition.text, condition.how)}"
        if isinstance(condition, OnWeekdays):
            return f"EXTRACT(ISODOW FROM {column}) IN ({', '.join(map(str, condition.days))})"
        if isinstance(condition, IsNull):
            return f"{column} IS {'NOT ' if condition.negated else ''}NULL"
        if isinstance(condition, InPeriod):
            spans = [self._period(column, condition.ref, period) for period in condition.periods]
            text = spans[0] if len(spans) == 1 else "(" + " OR ".join(f"({span})" for span in spans) + ")"
            if not condition.negated:
                return text
            # What has no date of it has not been done then either.
            nullable = self._source.lexicon.columns[condition.ref].column.nullable
            return f"({column} IS NULL OR NOT ({text}))" if nullable else f"NOT ({text})"
        return f"{column} {condition.operator} {self._whole_table(condition)}"

    def _kind(self, ref: Ref) -> ColumnKind:
        return self._source.lexicon.columns[ref].column.kind

    def _literal(self, ref: Ref, value: str | float | bool) -> str:
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, str) or self._kind(ref) is ColumnKind.TEXT:
            return text_literal(value if isinstance(value, str) else number_literal(value))
        return number_literal(value)

    def _period(self, column: str, ref: Ref, period: Period) -> str:
        if self._source.lexicon.columns[ref].is_year:
            if period.year is None and period.last_year is None:
                raise CannotCompile(f"{ref[0]}.{ref[1]} holds years, not days.")
            if period.year == period.last_year:
                return f"{column} = {period.year}"
            first = [] if period.year is None else [f"{column} >= {period.year}"]
            last = [] if period.last_year is None else [f"{column} <= {period.last_year}"]
            return " AND ".join([*first, *last])
        if not period.begin and not period.end:
            raise CannotCompile(f"“{period.text}” has neither a beginning nor an end.")
        begin = [f"{column} >= {period.begin}"] if period.begin else []
        end = [f"{column} < {period.end}"] if period.end else []
        return " AND ".join([*begin, *end])

    def _whole_table(self, condition: CompareToMeasure) -> str:
        measure = condition.measure
        inner = self._source.scope(measure.table)
        return f"(SELECT {inner.measure(measure)} FROM {inner.from_clause()})"  # noqa: S608 - names and literals are quoted

    def _named_row(self, condition: CompareToRow) -> str:
        """One value even where several rows have the name: that which every one of them is exceeded by."""
        inner = self._source.scope(condition.ref[0])
        function = "MAX" if condition.operator in {">", ">="} else "MIN"
        named = self._write(condition.row, inner)
        column = inner.column(condition.ref)
        return f"(SELECT {function}({column}) FROM {inner.from_clause()} WHERE {named})"  # noqa: S608 - names and literals are quoted

    def _exists(
        self, inner: Sequence[Condition], table: str, scope: Scope, *, negated: bool, owner: str | None = None
    ) -> str:
        way = self._way(scope, table, owner)
        sub = self._source.scope(way[0].target, scope)
        conditions = [sub.condition(way[0], scope)]
        for edge in way[1:]:
            sub.follow(edge)
        for condition in inner:
            for needed in tables_of(condition):
                sub.join(needed, freely=True)
            conditions.append(self._write(condition, sub))
        negation, where = "NOT " if negated else "", " AND ".join(conditions)
        return f"{negation}EXISTS (SELECT 1 FROM {sub.from_clause()} WHERE {where})"  # noqa: S608 - names and literals are quoted

    def _related(self, condition: Related, scope: Scope) -> str:
        return f"{self.of_each(condition, scope)} {condition.operator} {number_literal(condition.number)}"

    def of_each(self, condition: Related | OfEach, scope: Scope) -> str:
        """The measure over the rows that belong to the row at hand, as a subquery. Raises CannotCompile."""
        measure = condition.measure
        way = self._way(scope, measure.table, condition.owner)
        sub = self._source.scope(way[0].target, scope)
        conditions = [sub.condition(way[0], scope)]
        for edge in way[1:]:
            sub.follow(edge)
        repeated = any(not edge.to_one for edge in _backwards(way[1:], self._source)) and measure.ref is None
        fans_out = any(not edge.to_one for edge in way[1:])
        if measure.function in {"sum", "avg"} and repeated and not fans_out and len(way) > 1:
            raise CannotCompile(f"Totals of {measure.table} cannot be told apart on the way from {condition.owner}.")
        for one in condition.inner:
            for needed in tables_of(one):
                sub.join(needed)
            conditions.append(self._write(one, sub))
        key = self._source.graph.keys.get(measure.table, ())
        value = sub.measure(measure, repeated=repeated and bool(key), key=key)
        where = " AND ".join(conditions)
        return f"(SELECT {value} FROM {sub.from_clause()} WHERE {where})"  # noqa: S608 - names and literals are quoted

    def _way(self, scope: Scope, table: str, owner: str | None) -> tuple[Edge, ...]:
        starts = [owner] if owner is not None else list(scope.aliases)
        way = self._source.graph.path(starts, table)
        if not way:
            raise CannotCompile(f"No key links {table} to {owner or scope.root}.")
        return way


def _backwards(way: Sequence[Edge], source: Source) -> list[Edge]:
    """The same steps walked from their end."""
    steps = []
    for edge in reversed(way):
        back = next(
            (
                one
                for one in source.graph.edges.get(edge.target, ())
                if one.target == edge.source and one.source_columns == edge.target_columns
            ),
            None,
        )
        if back is not None:
            steps.append(back)
    return steps


def _compatible(conditions: Sequence[Condition]) -> list[list[Condition]]:
    """Conditions that one related row can meet together: two values of one column need two rows."""
    groups: list[list[Condition]] = []
    for condition in conditions:
        ref = getattr(condition, "ref", None)
        for group in groups:
            if (
                ref is None
                or not isinstance(condition, OneOf)
                or all(getattr(one, "ref", None) != ref for one in group)
            ):
                group.append(condition)
                break
        else:
            groups.append([condition])
    return groups


def _one_of(column: str, condition: OneOf, *, is_text: bool) -> str:
    values = condition.values
    if condition.ignore_case:
        column, values = f"LOWER({column}{'' if is_text else '::text'})", tuple(value.lower() for value in values)
    if len(values) == 1:
        return f"{column} {'<>' if condition.negated else '='} {text_literal(values[0])}"
    return f"{column} {'NOT ' if condition.negated else ''}IN ({', '.join(text_literal(value) for value in values)})"
