"""Ways between tables: declared foreign keys, keys recognised by name where none are declared, and shortest paths."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from services.sql.grounding.lexicon import NameWords
from services.sql.models import Column, ColumnKind, Schema, Table, TableKind

SIBLINGS = 0.9  # what a step from a parent down to other children costs beside its length
NO_WAY = 99  # steps

_KEPT_WAYS = 50_000
_KEPT_TARGETS = 64


@dataclass(frozen=True)
class Edge:
    """One step between tables. `to_one`: each row of `source` meets at most one row of `target`."""

    source: str
    source_columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    to_one: bool
    declared: bool


@dataclass(frozen=True)
class JoinGraph:
    """Edges of a schema in both directions, by source; and the key of each table, declared or recognised."""

    edges: dict[str, tuple[Edge, ...]]
    keys: dict[str, tuple[str, ...]]
    key_columns: frozenset[tuple[str, str]]
    apart: frozenset[tuple[str, str]] = frozenset()  # tables that several roles link, so that no plain way does
    _ways: dict[tuple[tuple[str, ...], str, bool], tuple[Edge, ...] | None] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )  # those looked for already: a question asks for the same ones again and again
    _steps: dict[str, dict[str, int]] = field(default_factory=dict, init=False, compare=False, repr=False)

    def references(self) -> dict[tuple[str, str], str]:
        """Each single column that points to a table, and that table."""
        return {
            (edge.source, edge.source_columns[0]): edge.target
            for edges in self.edges.values()
            for edge in edges
            if edge.to_one and len(edge.source_columns) == 1 and self.keys.get(edge.target) == edge.target_columns
        }

    def path(self, sources: Iterable[str], target: str, *, to_one: bool = False) -> tuple[Edge, ...] | None:
        """The shortest way from any of the sources, declared keys before recognised ones; None when there is none.

        With `to_one` only steps that never multiply the rows of the source.
        """
        starts = list(dict.fromkeys(sources))
        if target in starts:
            return ()
        if starts and {(starts[0], target), (target, starts[0])} & self.apart:
            return None
        wanted = (tuple(starts), target, to_one)
        found = self._ways.get(wanted, ())  # never the way to another table
        if found == ():
            found = self._cheapest(*wanted)
            if len(self._ways) >= _KEPT_WAYS:
                self._ways.clear()
            self._ways[wanted] = found
        return found

    def _cheapest(self, starts: tuple[str, ...], target: str, to_one: bool) -> tuple[Edge, ...] | None:
        """Steps cost one; down again after going up costs more: two rows of one parent have little in common."""
        best: dict[tuple[str, bool], float] = {(start, False): 0.0 for start in starts}
        came: dict[tuple[str, bool], tuple[Edge, tuple[str, bool]]] = {}
        heap: list[tuple[float, int, tuple[str, bool]]] = [(0.0, at, (start, False)) for at, start in enumerate(starts)]
        count = len(heap)
        while heap:
            cost, _, here = heapq.heappop(heap)
            if cost > best[here]:
                continue
            if here[0] == target:
                steps: list[Edge] = []
                while here in came:
                    edge, here = came[here]
                    steps.append(edge)
                return tuple(reversed(steps))
            for edge in self.edges.get(here[0], ()):
                if to_one and not edge.to_one:
                    continue
                price = cost + 1.0 + (SIBLINGS if here[1] and not edge.to_one else 0.0)
                there = (edge.target, edge.to_one)
                if price < best.get(there, math.inf):
                    best[there], came[there] = price, (edge, here)
                    heapq.heappush(heap, (price, count, there))
                    count += 1
        return None

    def distance(self, one: str, other: str) -> int:
        """Number of steps of the path from one table to another; NO_WAY when there is none."""
        if one == other:
            return 0
        if {(one, other), (other, one)} & self.apart:
            return NO_WAY
        steps = self._steps.get(other)
        if steps is None:
            steps = self._steps_to(other)
            if len(self._steps) >= _KEPT_TARGETS:
                self._steps.clear()
            self._steps[other] = steps
        return steps.get(one, NO_WAY)

    def _steps_to(self, target: str) -> dict[str, int]:
        """Steps of the cheapest way from each table: a question compares all tables by how near they are to one."""
        found: dict[tuple[str, bool], int] = {}
        heap: list[tuple[float, int, tuple[str, bool]]] = [(0.0, 0, (target, up)) for up in (False, True)]
        while heap:
            cost, steps, here = heapq.heappop(heap)
            if here in found:
                continue
            found[here] = steps
            for edge in self._edges_to.get(here[0], ()):
                if edge.to_one == here[1]:
                    for up in (False, True):
                        price = cost + 1.0 + (SIBLINGS if up and not edge.to_one else 0.0)
                        heapq.heappush(heap, (price, steps + 1, (edge.source, up)))
        return {table: steps for (table, up), steps in found.items() if not up}

    @cached_property
    def _edges_to(self) -> dict[str, list[Edge]]:
        by_target: dict[str, list[Edge]] = defaultdict(list)
        for edges in self.edges.values():
            for edge in edges:
                by_target[edge.target].append(edge)
        return by_target

    def reaches_all(self, root: str, targets: Iterable[str]) -> int | None:
        """Steps of the to-one ways from the root to all targets together; None when some cannot be reached so."""
        total = 0
        for target in targets:
            way = self.path((root,), target, to_one=True)
            if way is None:
                return None
            total += len(way)
        return total


@lru_cache(maxsize=16_384)
def _flat(name: str) -> str:
    return name.lower().replace("_", "")


def _singular(name: str) -> str:
    return (
        name[:-3] + "y"
        if name.endswith("ies")
        else name[:-1]
        if name.endswith("s") and not name.endswith("ss")
        else name
    )


def _is_unique(table: Table, column: Column) -> bool | None:
    """Whether no value of the column was met twice; None when that is not known."""
    if column.distinct_estimate is None or table.estimated_row_count < 2:
        return None
    return column.distinct_estimate >= table.estimated_row_count


def _recognised_key(table: Table) -> tuple[str, ...]:
    """The declared key, else a column whose name or place and whose values make it one."""
    if table.primary_key:
        return table.primary_key
    wanted = {"id", _flat(table.name) + "id", _singular(_flat(table.name)) + "id", table.name[:1].lower() + "id"}
    for column in table.columns:
        if _flat(column.name) in wanted and _is_unique(table, column) is not False:
            return (column.name,)
    if not table.columns or table.kind is not TableKind.TABLE:
        return ()
    first = table.columns[0]
    ids = [column for column in table.columns if _flat(column.name).endswith("id")]
    if any(first.name in key.columns for key in table.foreign_keys) or len(ids) == len(table.columns):
        return ()
    if _flat(first.name).endswith("id") and _is_unique(table, first) is not False:
        return (first.name,)
    if first.kind in {ColumnKind.TEXT, ColumnKind.INTEGER} and _is_unique(table, first):
        return (first.name,)
    return ()


def build_join_graph(
    schema: Schema,
    words: NameWords,
    *,
    closed: frozenset[str] = frozenset(),
    apart: frozenset[tuple[str, str]] = frozenset(),
) -> JoinGraph:
    """The graph of a schema. Where a table declares no key to another, columns of telling names are joined.

    No way to a `closed` table is recognised by names, and none leads plainly between tables that are `apart`.
    """
    keys = {table.full_name: _recognised_key(table) for table in schema.tables}
    edges: dict[str, list[Edge]] = defaultdict(list)
    key_columns = {(name, column) for name, columns in keys.items() if len(columns) == 1 for column in columns}
    linked: set[tuple[str, str]] = set()
    names = {table.full_name for table in schema.tables}

    def link(
        table: Table, columns: tuple[str, ...], other: str, other_columns: tuple[str, ...], declared: bool
    ) -> None:
        key = keys[table.full_name]
        source_is_unique = bool(key) and set(key) <= set(columns)
        edges[table.full_name].append(Edge(table.full_name, columns, other, other_columns, True, declared))
        edges[other].append(Edge(other, other_columns, table.full_name, columns, source_is_unique, declared))
        linked.update({(table.full_name, other), (other, table.full_name)})
        key_columns.update((table.full_name, column) for column in columns)

    for table in schema.tables:
        for key in table.foreign_keys:
            if key.referenced_name in names and key.referenced_name != table.full_name:
                link(table, key.columns, key.referenced_name, key.referenced_columns, True)
            elif key.referenced_name == table.full_name:
                key_columns.update((table.full_name, column) for column in key.columns)
    wanted = {
        other.full_name: (other, _names_of_reference(other, keys), words.tables[other.full_name])
        for other in schema.tables
        if other.full_name not in closed and len(keys[other.full_name]) == 1
    }
    for table in schema.tables:
        flats = {_flat(column.name) for column in table.columns}
        abouts = {_about(words, table, column) for column in table.columns}
        for name, (other, references, other_words) in wanted.items():
            if other is table or (flats.isdisjoint(references) and other_words not in abouts):
                continue  # in a large schema nearly all pairs of tables: told cheaply
            if (table.full_name, name) in linked:
                continue
            found = _recognised_link(table, other, keys, words)
            if found is not None and not (table.full_name in closed and keys[table.full_name] == (found,)):
                link(table, (found,), other.full_name, keys[other.full_name], False)

    def preference(edge: Edge) -> tuple[bool, bool, str]:
        return not edge.declared, not edge.to_one, edge.target

    ordered = {name: tuple(sorted(found, key=preference)) for name, found in edges.items()}
    return JoinGraph(ordered, keys, _telling_keys(schema, frozenset(key_columns)), apart)


def _telling_keys(schema: Schema, keys: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Key columns that say nothing by themselves; a name by which tables are joined is still a name to show."""
    names = {"name", "title"}
    return frozenset(
        (table.full_name, column.name)
        for table in schema.tables
        for column in table.columns
        if (table.full_name, column.name) in keys
        and not (column.kind is ColumnKind.TEXT and any(_flat(column.name).endswith(name) for name in names))
    )


def _names_of_reference(other: Table, keys: dict[str, tuple[str, ...]]) -> frozenset[str]:
    """What columns are called that hold keys of a table, without underscores."""
    flat_key, flat_table = _flat(keys[other.full_name][0]), _flat(other.name)
    wanted = {flat_table + "id", _singular(flat_table) + "id", flat_table + flat_key, _singular(flat_table) + flat_key}
    wanted |= {flat_table, _singular(flat_table)}  # a column named like the other table, holding its key
    if flat_key not in {"id", "name", "code", "key", "title", "year", "date", "number", "type"}:
        wanted.add(flat_key)
    return frozenset(wanted)


def _about(words: NameWords, table: Table, column: Column) -> tuple[str, ...] | None:
    """The words of a column whose name also says that it is a key; None when it does not say so."""
    own = words.columns[table.full_name, column.name]
    about = tuple(word for word in own if word not in {"id", "key", "code"})
    return about if len(about) < len(own) else None


def _recognised_link(table: Table, other: Table, keys: dict[str, tuple[str, ...]], words: NameWords) -> str | None:
    """The column of `table` that holds keys of `other` by its name, type and values; None when nothing tells so."""
    key_column = other.column(keys[other.full_name][0])
    if key_column is None:
        return None
    flat_table = _flat(other.name)
    wanted = _names_of_reference(other, keys)
    for column in table.columns:
        flat = _flat(column.name)
        is_named = flat in wanted or _about(words, table, column) == words.tables[other.full_name]
        if not is_named or column.kind != key_column.kind or not _may_refer(column, key_column):
            continue
        if keys[table.full_name] == (column.name,) and not (
            flat.startswith((flat_table, _singular(flat_table))) and not flat.startswith(_singular(_flat(table.name)))
        ):
            continue  # both tables are known by this name: only the one it is named after is pointed to
        return column.name
    return None


def _may_refer(column: Column, key: Column) -> bool:
    """Whether the values allow it: all known ones of the column occur in the key."""
    if not (column.values_complete and key.values_complete and column.values):
        return True
    known = set(key.values)
    met = sum(value in known for value in column.values)
    return met >= 0.5 * len(column.values)


def with_keys_spelled_out(words: NameWords, graph: JoinGraph) -> NameWords:
    """The same names, but a key that hides its meaning, such as "fid", is read as the id of the table it stands for."""
    references = graph.references()
    columns = dict(words.columns)
    for (table, column), own in words.columns.items():
        if "id" in own or not _flat(column).endswith("id"):
            continue
        if graph.keys.get(table) == (column,):
            columns[table, column] = ("id",)
        elif (table, column) in references:
            columns[table, column] = (*words.tables[references[table, column]], "id")
    return NameWords(words.tables, columns)
