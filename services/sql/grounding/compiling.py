"""From logical form to one SELECT in PostgreSQL's dialect.

Rows are never multiplied by a join that the question did not ask for: from the root table only to-one steps are
joined, everything else is an EXISTS or a subquery, and an aggregate over a coarser table than the root counts each of
its rows once.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.sql.grounding.conditions_sql import ConditionWriter
from services.sql.grounding.from_clause import CannotCompile, Source
from services.sql.grounding.join_paths import JoinGraph
from services.sql.grounding.lexicon import Lexicon
from services.sql.grounding.logical_form import (
    ColumnOf,
    LogicalForm,
    Measure,
    OfEach,
    Operand,
    PartOfAll,
    Ratio,
    Windowed,
)
from services.sql.grounding.quoting import identifier, number_literal


def compile_form(form: LogicalForm, lexicon: Lexicon, graph: JoinGraph) -> tuple[str, frozenset[str]]:
    """The SELECT and the full names of all tables it reads. Raises CannotCompile."""
    return _Compiler(form, lexicon, graph).compile()


class _Compiler:
    def __init__(self, form: LogicalForm, lexicon: Lexicon, graph: JoinGraph) -> None:
        self._form, self._lexicon, self._graph = form, lexicon, graph
        self._source = Source(lexicon, graph)
        self._root = self._choose_root()
        self._scope = self._source.scope(self._root)
        self._conditions = ConditionWriter(self._source)

    def compile(self) -> tuple[str, frozenset[str]]:
        if self._form.within:
            return self._compile_within()
        form, scope = self._form, self._scope
        coarse = [measure for measure in self._measures() if self._is_repeated(measure)]
        if any(measure.function in {"sum", "avg"} for measure in coarse):
            return self._compile_deduplicated()
        wheres = self._conditions.write_all(form.conditions, scope)
        selects = [self._output(operand) for operand in form.outputs]
        if form.share_of:
            selects = [self._share()]
        groups = [self._operand(group) for group in form.groups]
        havings = [
            f"{self._operand(measure)} {operator} {number_literal(number)}" for measure, operator, number in form.having
        ]
        orders = [self._ordering(index) for index in range(len(form.order))]
        distinct = form.distinct and not form.groups
        if distinct and any(order.operand not in form.outputs for order in form.order):
            # SELECT DISTINCT sorts by what it selects only; one group for each row of outputs says the same.
            groups, distinct = [self._operand(output) for output in form.outputs], False
            orders = [
                f"{'MAX' if order.descending else 'MIN'}({self._operand(order.operand)})"
                f"{' DESC' if order.descending else ''} NULLS LAST"
                for order in form.order
            ]
        parts = [f"SELECT {'DISTINCT ' if distinct else ''}{', '.join(selects)}", f"FROM {scope.from_clause()}"]
        if wheres:
            parts.append("WHERE " + " AND ".join(wheres))
        if groups:
            parts.append("GROUP BY " + ", ".join(dict.fromkeys(groups)))
        if havings:
            parts.append("HAVING " + " AND ".join(havings))
        if orders:
            parts.append("ORDER BY " + ", ".join(orders))
        if form.limit is not None:
            parts.append(f"LIMIT {form.limit}" + (f" OFFSET {form.offset}" if form.offset else ""))
        return "\n".join(parts), self._source.tables_read

    def _compile_within(self) -> tuple[str, frozenset[str]]:
        """The first rows of each group: ranked inside, and those of the wanted places kept outside."""
        form, scope = self._form, self._scope
        if not form.order or form.limit is None or form.share_of:
            raise CannotCompile("It would need an order within each group.")
        if any(self._is_repeated(measure) for measure in self._measures()):
            raise CannotCompile("It would need totals over tables that repeat each other's rows.")
        wheres = self._conditions.write_all(form.conditions, scope)
        names = _distinct_names(form.outputs)
        outputs = [
            f"{self._operand(output)} AS {identifier(name)}" for output, name in zip(form.outputs, names, strict=True)
        ]
        groups = [self._operand(group) for group in form.groups]
        partition = ", ".join(self._operand(one) for one in form.within)
        orders = ", ".join(self._ordering(index) for index in range(len(form.order)))
        place = "place" if "place" not in names else "place_within"
        inner = [
            f"SELECT {', '.join(outputs)}, RANK() OVER (PARTITION BY {partition} ORDER BY {orders}) AS {place}",
            f"FROM {scope.from_clause()}",
        ]
        if wheres:
            inner.append("WHERE " + " AND ".join(wheres))
        if groups:
            inner.append("GROUP BY " + ", ".join(dict.fromkeys(groups)))
        first, last = form.offset + 1, form.offset + form.limit
        kept = f"{place} = {first}" if first == last else f"{place} BETWEEN {first} AND {last}"
        shown = ", ".join(identifier(name) for name in names)
        keys = ", ".join(identifier(names[form.outputs.index(one)]) for one in form.within if one in form.outputs)
        by = f"{keys}, {place}" if keys else place
        body = " ".join(inner)
        return f"SELECT {shown}\nFROM ({body}) AS ranked\nWHERE {kept}\nORDER BY {by}", self._source.tables_read

    def _compile_deduplicated(self) -> tuple[str, frozenset[str]]:
        """Sum or average over a table whose rows the grouping repeats: each of its rows once for each group."""
        form, scope = self._form, self._scope
        measures = list(dict.fromkeys(self._measures()))
        if len({measure.table for measure in measures}) != 1 or form.share_of:
            raise CannotCompile("It would need totals over tables that repeat each other's rows.")
        key = self._graph.keys.get(measures[0].table)
        if not key:
            raise CannotCompile(f"{measures[0].table} has no key by which its rows could be counted once.")
        wheres = self._conditions.write_all(form.conditions, scope)
        scope.join(measures[0].table)
        inner = [f"{self._operand(group)} AS g{index}" for index, group in enumerate(form.groups)]
        inner += [f"{scope.column((measures[0].table, column))} AS k{index}" for index, column in enumerate(key)]
        inner += [f"{scope.expression(measure)} AS m{index}" for index, measure in enumerate(measures)]
        names: dict[Operand, str] = {group: f"g{index}" for index, group in enumerate(form.groups)}
        for index, measure in enumerate(measures):
            names[measure] = "COUNT(*)" if measure.function == "count" else f"{measure.function.upper()}(m{index})"
        missing = [one for one in (*form.outputs, *(order.operand for order in form.order)) if one not in names]
        if missing:
            raise CannotCompile("It would need columns beside totals that are not grouped by them.")
        selects = [f"{names[output]} AS {identifier(output_name(output))}" for output in form.outputs]
        where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
        parts = [
            f"SELECT {', '.join(selects)}",
            f"FROM (SELECT DISTINCT {', '.join(inner)} FROM {scope.from_clause()}{where}) AS once",  # noqa: S608 - names and literals are quoted
        ]
        if form.groups:
            parts.append("GROUP BY " + ", ".join(f"g{index}" for index in range(len(form.groups))))
        if form.having:
            parts.append(
                "HAVING " + " AND ".join(f"{names[m]} {operator} {number_literal(n)}" for m, operator, n in form.having)
            )
        if form.order:
            keys = [f"{names[order.operand]}{' DESC NULLS LAST' if order.descending else ''}" for order in form.order]
            parts.append("ORDER BY " + ", ".join(keys))
        if form.limit is not None:
            parts.append(f"LIMIT {form.limit}" + (f" OFFSET {form.offset}" if form.offset else ""))
        return "\n".join(parts), self._source.tables_read

    def _choose_root(self) -> str:
        """The table whose rows are selected or counted: all columns that must be seen lie on to-one ways from it."""
        form = self._form
        seen = [one for one in self._operands() if isinstance(one, ColumnOf)]
        measures = self._measures()
        needed = list(dict.fromkeys([*(one.table for one in seen), *(measure.table for measure in measures)]))
        if not needed:
            needed = [form.subject]
        preferred = measures[0].table if measures else form.subject if form.subject in needed else needed[0]
        best: tuple[int, int, int, str] | None = None
        for name in self._lexicon.tables:
            steps = self._graph.reaches_all(name, needed)
            if steps is None:
                continue
            rank = (0 if name == preferred else 1, steps, 0 if name in needed else 1, name)
            if best is None or rank < best:
                best = rank
        if best is None:
            names = " and ".join(needed)
            raise CannotCompile(f"No key links {names}.")
        return best[3]

    def _operands(self) -> Iterable[Operand]:
        form = self._form
        return [
            *form.outputs,
            *form.groups,
            *(order.operand for order in form.order),
            *(having[0] for having in form.having),
            *form.within,
        ]

    def _measures(self) -> list[Measure]:
        found = [one for one in self._operands() if isinstance(one, Measure)]
        for one in self._operands():
            if isinstance(one, Ratio):
                found += [one.upper, one.lower]
            elif isinstance(one, (PartOfAll, Windowed)):
                found.append(one.measure)
        return found

    def _is_repeated(self, measure: Measure) -> bool:
        """Whether rows of the measure's table may occur more than once among the root's rows."""
        if measure.table == self._root:
            return False
        way = self._graph.path((measure.table,), self._root, to_one=True)
        return way is None

    def _operand(self, operand: Operand) -> str:
        if isinstance(operand, ColumnOf):
            self._scope.join(operand.table)
            return self._scope.part(operand)
        if isinstance(operand, Ratio):
            sides = []
            for measure, conditions in ((operand.upper, operand.upper_if), (operand.lower, operand.lower_if)):
                inner = self._conditions.write_all(conditions, self._scope)
                kept = f" FILTER (WHERE {' AND '.join(inner)})" if inner else ""
                sides.append(self._operand(measure) + kept)
            upper = f"({sides[0]})" if operand.upper_if else sides[0]
            if operand.combine == "difference":
                return f"{sides[0]} - {sides[1]}"
            if operand.combine == "growth":
                return f"100.0 * ({sides[0]} - {sides[1]})::numeric / NULLIF({sides[1]}, 0)"
            scale = "100.0 * " if operand.is_percentage else ""
            return f"{scale}{upper}::numeric / NULLIF({sides[1]}, 0)"
        if isinstance(operand, OfEach):
            self._scope.join(operand.owner)
            value = self._conditions.of_each(operand, self._scope)
            return f"COALESCE({value}, 0)" if operand.measure.function == "sum" else value
        if isinstance(operand, Windowed):
            return self._windowed(operand)
        if isinstance(operand, PartOfAll):
            part = self._operand(operand.measure)
            total = f"SUM({part}) OVER ()"
            return f"100.0 * {part} / NULLIF({total}, 0)"
        self._scope.join(operand.table)
        for ref in (operand.ref, operand.times, operand.minus):
            if ref is not None:
                self._scope.join(ref[0])
        return self._scope.measure(
            operand, repeated=self._is_repeated(operand), key=self._graph.keys.get(operand.table, ())
        )

    def _windowed(self, operand: Windowed) -> str:
        figure = self._operand(operand.measure)
        parts = ", ".join(self._operand(one) for one in operand.within)
        over = f"({f'PARTITION BY {parts} ' if parts else ''}ORDER BY {self._operand(operand.along)})"
        if operand.kind == "running":
            return f"SUM({figure}) OVER {over}"
        before = f"LAG({figure}) OVER {over}"
        if operand.kind == "change":
            return f"{figure} - {before}"
        return f"100.0 * ({figure} - {before}) / NULLIF({before}, 0)"

    def _output(self, operand: Operand) -> str:
        text = self._operand(operand)
        name = output_name(operand)
        if isinstance(operand, ColumnOf) and not operand.part:
            return text
        return f"{text} AS {identifier(name)}"

    def _share(self) -> str:
        inner = self._conditions.write_all(self._form.share_of, self._scope)
        return f"100.0 * COUNT(*) FILTER (WHERE {' AND '.join(inner)}) / NULLIF(COUNT(*), 0) AS percentage"

    def _ordering(self, index: int) -> str:
        order = self._form.order[index]
        text = self._operand(order.operand)
        if not order.descending:
            return text
        column = isinstance(order.operand, Measure) and order.operand.function == "count"
        return f"{text} DESC" if column else f"{text} DESC NULLS LAST"


def _distinct_names(outputs: Iterable[Operand]) -> list[str]:
    """A name for each output, no two alike: "name", "name_2"."""
    names: list[str] = []
    for output in outputs:
        name, count = output_name(output), 2
        while name in names:
            name, count = f"{output_name(output)}_{count}", count + 1
        names.append(name)
    return names


def output_name(operand: Operand) -> str:
    """What the result's column is called: the column itself, or the aggregate and what it is over."""
    if isinstance(operand, ColumnOf):
        return f"{operand.part}" if operand.part else operand.ref[1]
    if isinstance(operand, Ratio):
        return "percentage" if operand.is_percentage else operand.combine
    if isinstance(operand, PartOfAll):
        return "percentage"
    if isinstance(operand, Windowed):
        return {"running": "running_total", "growth": "growth_percent"}.get(operand.kind, operand.kind)
    if isinstance(operand, OfEach):
        return output_name(operand.measure)
    if operand.ref is None:
        return f"{operand.table.split('.', 1)[1]}_count"
    if operand.times is not None:
        return {"sum": "total"}.get(operand.function, operand.function) + "_amount"
    if operand.minus is not None and operand.unit:
        return {"sum": "total", "avg": "average"}.get(operand.function, operand.function) + (
            "_duration" if operand.unit == "interval" else f"_{operand.unit}s"
        )
    if operand.minus is not None:
        return {"sum": "total"}.get(operand.function, operand.function) + "_difference"
    words = {"sum": "total", "avg": "average", "count": "count", "max": "highest", "min": "lowest"}
    prefix = words.get(operand.function, operand.function)
    name = operand.ref[1]
    if operand.function == "count":
        return f"{name}_count"
    return name if name.startswith(prefix) else f"{prefix}_{name}"
