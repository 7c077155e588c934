"""Ways between tables: declared foreign keys, keys recognised by name where none are declared, and shortest paths."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.sql.models import ColumnKind, Schema, Table


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

    def path(self, sources: Iterable[str], target: str, *, to_one: bool = False) -> tuple[Edge, ...] | None:
        """The shortest way from any of the sources, declared keys before recognised ones; None when there is none.

        With `to_one` only steps that never multiply the rows of the source.
        """
        starts = list(dict.fromkeys(sources))
        if target in starts:
            return ()
        came: dict[str, Edge | None] = dict.fromkeys(starts)
        queue = deque(starts)
        while queue:
            here = queue.popleft()
            for edge in self.edges.get(here, ()):
                if edge.target in came or (to_one and not edge.to_one):
                    continue
                came[edge.target] = edge
                if edge.target == target:
                    return _walk_back(came, target)
                queue.append(edge.target)
        return None

    def distance(self, one: str, other: str) -> int:
        """Number of steps between two tables; 99 when there is no way."""
        way = self.path((one,), other)
        return 99 if way is None else len(way)

    def reaches_all(self, root: str, targets: Iterable[str]) -> int | None:
        """Steps of the to-one ways from the root to all targets together; None when some cannot be reached so."""
        total = 0
        for target in targets:
            way = self.path((root,), target, to_one=True)
            if way is None:
                return None
            total += len(way)
        return total


def _walk_back(came: dict[str, Edge | None], target: str) -> tuple[Edge, ...]:
    steps: list[Edge] = []
    here = target
    while (edge := came[here]) is not None:
        steps.append(edge)
        here = edge.source
    return tuple(reversed(steps))


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


def _recognised_key(table: Table) -> tuple[str, ...]:
    if table.primary_key:
        return table.primary_key
    wanted = {"id", _flat(table.name) + "id", _singular(_flat(table.name)) + "id"}
    for column in table.columns:
        if _flat(column.name) in wanted:
            return (column.name,)
    first = table.columns[0] if table.columns else None
    if first is not None and _flat(first.name).endswith("id"):
        referenced = [key for key in table.foreign_keys if first.name in key.columns]
        twins = [column for column in table.columns if _flat(column.name).endswith("id")]
        rows = table.estimated_row_count
        repeats = first.distinct_estimate is not None and rows > 0 and first.distinct_estimate < rows
        if not referenced and not repeats and len(twins) < len(table.columns):
            return (first.name,)
    return ()


def _are_alike(one: ColumnKind, other: ColumnKind) -> bool:
    return one == other


def build_join_graph(schema: Schema) -> JoinGraph:
    """The graph of a schema. Where a table declares no key to another, columns of the same telling name are joined."""
    keys = {table.full_name: _recognised_key(table) for table in schema.tables}
    edges: dict[str, list[Edge]] = defaultdict(list)
    key_columns = {(name, column) for name, columns in keys.items() if len(columns) == 1 for column in columns}
    linked: set[tuple[str, str]] = set()
    names = {table.full_name for table in schema.tables}

    def link(
        table: Table, columns: tuple[str, ...], other: str, other_columns: tuple[str, ...], declared: bool
    ) -> None:
        source_is_unique = bool(keys[table.full_name]) and set(keys[table.full_name]) <= set(columns)
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
    for table in schema.tables:
        for other in schema.tables:
            if other is table or (table.full_name, other.full_name) in linked:
                continue
            found = _recognised_link(table, other, keys)
            if found is not None:
                link(table, (found,), other.full_name, keys[other.full_name], False)
    order: Callable[[Edge], tuple[bool, bool, str]] = lambda edge: (not edge.declared, not edge.to_one, edge.target)  # noqa: E731
    return JoinGraph(
        {name: tuple(sorted(found, key=order)) for name, found in edges.items()}, keys, frozenset(key_columns)
    )


def _recognised_link(table: Table, other: Table, keys: dict[str, tuple[str, ...]]) -> str | None:
    """The column of `table` that holds keys of `other` judging by its name and type; None when no name tells so."""
    key = keys[other.full_name]
    if len(key) != 1:
        return None
    key_column = other.column(key[0])
    if key_column is None:
        return None
    flat_key, flat_table = _flat(key[0]), _flat(other.name)
    wanted = {flat_table + "id", _singular(flat_table) + "id", flat_table + flat_key, _singular(flat_table) + flat_key}
    if flat_key not in {"id", "name", "code", "key"}:
        wanted.add(flat_key)
    own = {flat for flat in (_flat(column) for column in keys[table.full_name])}
    for column in table.columns:
        flat = _flat(column.name)
        if (
            flat in wanted
            and column.kind == key_column.kind
            and (flat not in own or len(keys[table.full_name]) > 1 or flat != flat_key)
        ):
            return column.name
    for column in table.columns:  # a column named like the other table, holding its key: "singer" → singer.singer_id
        if _flat(column.name) in {flat_table, _singular(flat_table)} and column.kind == key_column.kind:
            return column.name
    return None
