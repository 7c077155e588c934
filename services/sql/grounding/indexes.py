"""What is computed once for each schema, and kept for the last few."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from services.sql.grounding.join_paths import JoinGraph, build_join_graph, with_keys_spelled_out
from services.sql.grounding.lexicon import Lexicon, build_lexicon, read_names
from services.sql.grounding.roles import graph_with_roles, mark_roles, with_roles
from services.sql.models import Schema

KEPT_SCHEMAS = 8
SMALL_SCHEMA_COLUMNS = 300  # the index of no more columns is made at once: it takes less than 50 ms


@dataclass(frozen=True)
class Index:
    """The words of a schema and the ways between its tables."""

    lexicon: Lexicon
    graph: JoinGraph


def build_index(schema: Schema) -> Index:
    """The index of one schema; a pure computation."""
    names = read_names(schema)
    graph = build_join_graph(schema, names)
    found = with_roles(schema, names, graph)
    if found is not None:
        schema, names, graph = found.schema, found.names, graph_with_roles(found)
    lexicon = build_lexicon(schema, with_keys_spelled_out(names, graph), graph.key_columns)
    return Index(mark_roles(lexicon, found.roles) if found is not None else lexicon, graph)


class Indexes:
    """The indexes of the schemas asked about last."""

    def __init__(self) -> None:
        self._known: OrderedDict[str | int, tuple[Schema, Index]] = OrderedDict()
        self._building: dict[str | int, asyncio.Future[Index]] = {}

    def of(self, schema: Schema) -> Index:
        """The index, made now if need be."""
        known = self._find(schema)
        return known if known is not None else self._keep(schema, build_index(schema))

    async def prepare(self, schema: Schema) -> Index:
        """The index; that of a large schema is made in a thread, once for all who wait for it."""
        known = self._find(schema)
        if known is not None:
            return known
        if sum(len(table.columns) for table in schema.tables) <= SMALL_SCHEMA_COLUMNS:
            return self.of(schema)
        key = _key_of(schema)
        building = self._building.get(key)
        if building is None:
            building = asyncio.ensure_future(asyncio.to_thread(build_index, schema))
            self._building[key] = building
            building.add_done_callback(lambda _: self._building.pop(key, None))
        # Shielded: a caller that gives up does not take the index away from the others.
        return self._keep(schema, await asyncio.shield(building))

    def _find(self, schema: Schema) -> Index | None:
        key = _key_of(schema)
        known = self._known.get(key)
        if known is None or not (schema.fingerprint or known[0] is schema):
            return None
        self._known.move_to_end(key)
        return known[1]

    def _keep(self, schema: Schema, index: Index) -> Index:
        self._known[_key_of(schema)] = (schema, index)
        while len(self._known) > KEPT_SCHEMAS:
            self._known.popitem(last=False)
        return index


def _key_of(schema: Schema) -> str | int:
    return schema.fingerprint or id(schema)
