"""Ways between the tables of a schema: by declared keys, and by columns named like another table's key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from services.sql.models import Schema, Table

_PLAIN_KEYS = frozenset({"id", "key", "code", "name", "no", "number", "type", "date", "year", "uuid", "guid", "oid"})
_KEY_ENDINGS = ("id", "key", "code", "cd", "no", "nr", "num")
_MOST_OWNERS = 3  # of tables that have one key, copies often, those of the shortest names


class Links:
    """Which tables point to which, and which can therefore be joined."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        targets: dict[str, set[str]] = defaultdict(set)
        sources: dict[str, set[str]] = defaultdict(set)
        for source, target in pairs:
            if source != target:
                targets[source].add(target)
                sources[target].add(source)
        self._targets = {name: tuple(sorted(others)) for name, others in targets.items()}
        self._sources = {name: tuple(sorted(others)) for name, others in sources.items()}

    def targets_of(self, name: str) -> tuple[str, ...]:
        """The tables it points to."""
        return self._targets.get(name, ())

    def sources_of(self, name: str) -> tuple[str, ...]:
        """The tables that point to it."""
        return self._sources.get(name, ())

    def steps_from(self, start: str, longest: int) -> dict[str, int]:
        """Number of steps to each table that is at most `longest` away."""
        steps = {start: 0}
        border = [start]
        for length in range(1, longest + 1):
            beside = (other for name in border for other in (*self.targets_of(name), *self.sources_of(name)))
            border = [other for other in dict.fromkeys(beside) if steps.setdefault(other, length) == length]
        return steps

    @staticmethod
    def between(here: Mapping[str, int], there: Mapping[str, int], length: int) -> list[str]:
        """The tables on the shortest ways of this length between two, by the steps from each of them."""
        return [
            name for name, steps in here.items() if 0 < steps < length and steps + there.get(name, length) == length
        ]


def read_links(schema: Schema) -> Links:
    """The links of a schema: declared keys, and names where a table declares none to the other."""
    names = {table.full_name for table in schema.tables}
    owners: dict[tuple[str, str], set[str]] = defaultdict(set)
    for table in schema.tables:
        for name in _key_names(table):
            owners[table.schema, name].add(table.full_name)
    pairs = []
    for table in schema.tables:
        for key in table.foreign_keys:
            if key.referenced_name in names:
                pairs.append((table.full_name, key.referenced_name))
        for column in table.columns:
            targets = owners.get((table.schema, _flat(column.name)), set())
            pairs += [(table.full_name, target) for target in sorted(targets, key=_by_length)[:_MOST_OWNERS]]
    return Links(pairs)


def _key_names(table: Table) -> set[str]:
    """What columns of other tables are called that hold this table's key, without underscores."""
    flat = _flat(table.name)
    names = {flat, _singular(flat)}
    found = {f"{name}{ending}" for name in names for ending in _KEY_ENDINGS}
    keys = table.primary_key or tuple(column.name for column in table.columns[:1])
    key = _flat(keys[0]) if len(keys) == 1 else ""
    if key and (table.primary_key or key.endswith(_KEY_ENDINGS)):
        found |= {f"{name}{key}" for name in names}
        if key not in _PLAIN_KEYS:
            found.add(key)
    return found


def _by_length(name: str) -> tuple[int, str]:
    return len(name), name


def _flat(name: str) -> str:
    return name.lower().replace("_", "")


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return name[:-3] + "y"
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name
