"""Which tables and columns of the user's database are spoken of at all.

Applied where the schema is read: what is hidden is in no description, prompt, sample or key, and the guard, which knows
nothing but the schema, refuses whatever names it.

Patterns are for columns of tables. A column of a composite type is one column: shown, it is shown with all its fields,
whatever their names are. To hide a field hide the column, or show a view without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from services.sql.models import ForeignKey, Table

_ANY = "*"
_NO_PART = frozenset(";\"'|")  # rather a slip in how the list is written than a part of a name


@dataclass(frozen=True)
class Unmatched:
    """Patterns that stand for nothing."""

    tables: tuple[str, ...] = ()
    hidden_columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        by_setting = (("SQL_TABLES", self.tables), ("SQL_HIDDEN_COLUMNS", self.hidden_columns))
        return "; ".join(f"{setting}: {', '.join(patterns)}" for setting, patterns in by_setting if patterns)


@dataclass(frozen=True)
class Visibility:
    """Patterns with * and ? for `schema.table`, and for `schema.table.column`; what is left out in front is any."""

    tables: tuple[str, ...] = (_ANY,)
    hidden_columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, tables: str, hidden_columns: str) -> Visibility:
        """Read two comma-separated lists. No tables at all means every one.

        Raises: ValueError: an entry is blank between its dots, has too many parts, or signs that are no part of a
            pattern; it is quoted. So is a list of commas alone, which would otherwise show everything.
        """
        return cls(_patterns(tables, parts=2) or (_ANY,), _patterns(hidden_columns, parts=3))

    def shown(self, tables: Iterable[Table]) -> list[Table]:
        """The tables with only what may be spoken of. A table without any column left is left out."""
        seen = {(table.schema, table.name): self._without_hidden(table) for table in tables if self._shows(table)}
        return [replace(table, foreign_keys=_kept(table, seen)) for table in seen.values() if table.columns]

    def unmatched(self, tables: Iterable[Table]) -> Unmatched:
        """The patterns that stand for nothing among all that there is: most likely they are misspelled."""
        known = list(tables)
        names = [(table.schema, table.name) for table in known]
        columns = [(table.schema, table.name, column.name) for table in known for column in table.columns]
        return Unmatched(
            tables=tuple(each for each in self.tables if each != _ANY and not _matches_any(each, names)),
            hidden_columns=tuple(each for each in self.hidden_columns if not _matches_any(each, columns)),
        )

    def _shows(self, table: Table) -> bool:
        return any(_matches(pattern, (table.schema, table.name)) for pattern in self.tables)

    def _without_hidden(self, table: Table) -> Table:
        concerning = [pattern for pattern in self.hidden_columns if self._concerns(pattern, table)]
        if not concerning:
            return table
        columns = tuple(
            column
            for column in table.columns
            if not any(_matches(pattern, (table.schema, table.name, column.name)) for pattern in concerning)
        )
        names = {column.name for column in columns}
        primary_key = table.primary_key if names.issuperset(table.primary_key) else ()
        # Even where it has no such column now: it may get one before the schema is read again.
        return replace(table, columns=columns, primary_key=primary_key, has_hidden_columns=True)

    def _concerns(self, pattern: str, table: Table) -> bool:
        *of_table, _ = _padded(pattern, 3)
        return all(map(fnmatchcase, (table.schema, table.name), of_table))


def _kept(table: Table, seen: dict[tuple[str, str], Table]) -> tuple[ForeignKey, ...]:
    """The foreign keys whose columns, here and there, are shown."""
    kept = []
    for key in table.foreign_keys:
        other = seen.get((key.referenced_schema, key.referenced_table))
        if other is not None and all(map(table.column, key.columns)) and all(map(other.column, key.referenced_columns)):
            kept.append(key)
    return tuple(kept)


def _patterns(text: str, *, parts: int) -> tuple[str, ...]:
    patterns = tuple(pattern for pattern in (entry.strip() for entry in text.split(",")) if pattern)
    if text.strip() and not patterns:
        raise ValueError(f"{text.strip()!r} names nothing")
    for pattern in patterns:
        if not _NO_PART.isdisjoint(pattern):
            raise ValueError(f"{pattern!r} has signs that are no part of a pattern; use ? in place of any one sign")
        names = pattern.split(".")
        if len(names) > parts or not all(names):
            raise ValueError(f"{pattern!r} has {'an empty part' if not all(names) else f'more than {parts} parts'}")
    return patterns


def _matches(pattern: str, names: tuple[str, ...]) -> bool:
    return all(map(fnmatchcase, names, _padded(pattern, len(names))))


def _matches_any(pattern: str, names: Iterable[tuple[str, ...]]) -> bool:
    return any(_matches(pattern, each) for each in names)


def _padded(pattern: str, parts: int) -> list[str]:
    names = pattern.split(".")
    return [_ANY] * (parts - len(names)) + names
