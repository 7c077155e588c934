"""Tables of one SELECT: aliases, joins that never multiply rows, and expressions over them."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.join_paths import Edge, JoinGraph
from services.sql.grounding.lexicon import DATE_KINDS, Lexicon
from services.sql.grounding.logical_form import ColumnOf, Measure, Ref
from services.sql.grounding.quoting import identifier
from services.sql.models import ColumnKind

SECONDS_OF = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800, "year": 31_557_600}


class CannotCompile(Exception):
    """The logical form has no faithful SQL over this schema; the text is one sentence for a person."""


class Source:
    """Hands out scopes with aliases unique in the whole statement, and remembers which tables are read."""

    def __init__(self, lexicon: Lexicon, graph: JoinGraph) -> None:
        self.lexicon, self.graph = lexicon, graph
        self._aliases: dict[str, int] = {}
        self._tables: set[str] = set()

    @property
    def tables_read(self) -> frozenset[str]:
        """Full names of all tables handed out so far."""
        return frozenset(self._tables)

    def alias(self, table: str) -> str:
        """A fresh alias: the table's own name first, then with a number."""
        self._tables.add(self.lexicon.tables[table].table.full_name)
        is_role = table in self.lexicon.roles
        name = table.split(".", 1)[1] if is_role else self.lexicon.tables[table].table.name
        count = self._aliases[name] = self._aliases.get(name, 0) + 1
        return name if count == 1 else f"{name}_{count}"

    def scope(self, root: str, outer: Scope | None = None) -> Scope:
        """A new FROM clause that begins with one table."""
        return Scope(self, root, outer)

    def written(self, table: str) -> str:
        """The table's name, schema-qualified and quoted."""
        found = self.lexicon.tables[table].table
        return f"{identifier(found.schema)}.{identifier(found.name)}"


class Scope:
    """One FROM clause: the root table and what is joined to it."""

    def __init__(self, source: Source, root: str, outer: Scope | None) -> None:
        self._source, self.root, self.outer = source, root, outer
        self.aliases: dict[str, str] = {root: source.alias(root)}
        self._joins: list[str] = []

    def from_clause(self) -> str:
        """Everything after FROM."""
        return " ".join([self._item(self.root), *self._joins])

    def _item(self, table: str) -> str:
        alias, name = self.aliases[table], self._source.lexicon.tables[table].table.name
        written = self._source.written(table)
        return written if alias == name else f"{written} AS {identifier(alias)}"

    def can_join(self, table: str) -> bool:
        """Whether the table can be joined without multiplying the rows at hand, and no other way to it is shorter."""
        if table in self.aliases:
            return True
        way = self._source.graph.path(self.aliases, table, to_one=True)
        shortest = self._source.graph.path(self.aliases, table)
        return way is not None and shortest is not None and len(way) <= len(shortest)

    def join(self, table: str, *, freely: bool = False) -> None:
        """Join a table by to-one steps, or by any steps when rows may repeat. Raises CannotCompile."""
        way = self._source.graph.path(self.aliases, table, to_one=not freely)
        if way is None:
            raise CannotCompile(f"No key links {table} to {self.root}.")
        for edge in way:
            self.follow(edge)

    def follow(self, edge: Edge) -> None:
        """Join one step."""
        if edge.target in self.aliases:
            return
        self.aliases[edge.target] = self._source.alias(edge.target)
        self._joins.append(f"JOIN {self._item(edge.target)} ON {self.condition(edge, self)}")

    def condition(self, edge: Edge, near: Scope) -> str:
        """The join condition of a step whose source lies in `near` and whose target lies here."""
        pairs = zip(edge.source_columns, edge.target_columns, strict=True)
        return " AND ".join(
            f"{self.column((edge.target, target))} = {near.column((edge.source, source))}" for source, target in pairs
        )

    def column(self, ref: Ref) -> str:
        """A column of a table that is joined already."""
        return f"{identifier(self.aliases[ref[0]])}.{identifier(ref[1])}"

    def part(self, operand: ColumnOf) -> str:
        """A column or the part of a date in it."""
        text = self.column(operand.ref)
        if not operand.part:
            return text
        entry = self._source.lexicon.columns[operand.ref]
        if entry.column.kind not in DATE_KINDS:
            return text
        if operand.part == "weekday":
            return f"TRIM(TO_CHAR({text}, 'Day'))"
        if operand.part in {"hour", "isodow"}:
            return f"EXTRACT({operand.part.upper()} FROM {text})::int"
        if operand.part == "year":
            return f"EXTRACT(YEAR FROM {text})::int"
        return f"DATE_TRUNC('{operand.part}', {text})::date"

    def expression(self, measure: Measure) -> str:
        """What a measure aggregates, row by row."""
        if measure.ref is None:
            return "1"
        text = self.column(measure.ref)
        if measure.minus is not None and measure.unit:
            return self.span(measure.ref, measure.minus, measure.unit)
        if measure.minus is not None:
            return f"{text} - {self.column(measure.minus)}"
        return f"{text} * {self.column(measure.times)}" if measure.times is not None else text

    def span(self, end: Ref, begin: Ref, unit: str) -> str:
        """The time from one date to another, in the unit; days between days are whole."""
        later, earlier = self.column(end), self.column(begin)
        if unit == "interval":
            return f"{later} - {earlier}"
        kinds = {self._source.lexicon.columns[ref].column.kind for ref in (end, begin)}
        if kinds == {ColumnKind.DATE}:
            seconds = SECONDS_OF[unit]
            scale = "" if unit == "day" else f" * {86_400 // seconds}" if seconds < 86_400 else f" / {seconds / 86_400}"
            return f"({later} - {earlier}){scale}"
        return f"EXTRACT(EPOCH FROM ({later} - {earlier})) / {SECONDS_OF[unit]}"

    def measure(self, measure: Measure, *, repeated: bool = False, key: Sequence[str] = ()) -> str:
        """An aggregate; `repeated` says that rows of its table may occur more than once, told apart by the key."""
        if measure.function == "count":
            if measure.ref is not None:
                return f"COUNT({'DISTINCT ' if measure.distinct else ''}{self.column(measure.ref)})"
            if not repeated:
                return "COUNT(*)"
            if not key:
                raise CannotCompile(f"{measure.table} has no key by which its rows could be counted once.")
            columns = ", ".join(self.column((measure.table, column)) for column in key)
            return f"COUNT(DISTINCT {columns if len(key) == 1 else f'({columns})'})"
        if measure.function == "median":
            return f"PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY {self.expression(measure)})"
        return f"{measure.function.upper()}({'DISTINCT ' if measure.distinct else ''}{self.expression(measure)})"
