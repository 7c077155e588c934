"""A schema told to a language model within a budget, so that prompts begin alike.

Providers charge less for a prompt that begins like an earlier one. A schema that fits is told whole, sorted by name,
and nothing of it depends on the question. Of one that does not, a core that most tables point to comes first, always
the same; after it, sorted too, the tables that the question is likely about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.sql.models import Schema, Table
from services.sql.prompting.schema_text import estimate_tokens, tell_table
from services.sql.prompting.table_ranking import TableRanking

_CORE_SHARE = 8  # of the budget, one part in so many
_LEAST_CORE_TOKENS = 1_500  # with the rules more than the 1,024 that providers begin to keep
_LARGEST_TABLE_SHARE = 4  # no table takes more than one part in so many
_PARTS_SHARE = 0.4  # of what the core leaves: for the keys and likeliest columns of less likely tables
_PART_TOKENS = 70
_LEAST_TABLE_TOKENS = 20
_MENTIONED = 0.4


@dataclass(frozen=True)
class ToldTables:
    """Statements that define tables: first those that every question gets, then those chosen for this one."""

    always: tuple[str, ...]
    chosen: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Both, in order."""
        return self.always + self.chosen


class ToldSchema:
    """One schema and its texts; made once for each schema, which takes a while for a large one."""

    def __init__(self, schema: Schema, *, max_tokens: int, with_values: bool) -> None:
        self._tables = {table.full_name: table for table in sorted(schema.tables, key=lambda table: table.full_name)}
        self._with_values = with_values
        self._max_tokens = max_tokens
        self._texts = {name: tell_table(table, with_values=with_values) for name, table in self._tables.items()}
        self._tokens = {name: estimate_tokens(text) for name, text in self._texts.items()}
        self.total_tokens = sum(self._tokens.values())
        self._ranking: TableRanking | None = None if self.is_whole else TableRanking(schema)

    @property
    def is_whole(self) -> bool:
        """Whether all of it is told to every question."""
        return self.total_tokens <= self._max_tokens

    def tell(self, question: str, known: Mapping[str, float], texts: tuple[str, ...] = ()) -> ToldTables:
        """What a question needs; `known` as `TableRanking.rank` has it, `texts` speak of tables by their names."""
        if self._ranking is None:
            return ToldTables(tuple(self._texts.values()))
        mentioned = {name: _MENTIONED for text in texts for name in self._ranking.mentioned_in(text)}
        core = self._core(self._ranking)
        left = self._max_tokens - sum(self._tokens[name] for name in core)
        for_parts = int(left * _PARTS_SHARE)
        chosen: dict[str, str] = {}
        for name in self._ranking.rank(question, {**mentioned, **known}):
            if left < _LEAST_TABLE_TOKENS:
                break
            if name in core:
                continue
            text, tokens = self._texts[name], self._tokens[name]
            room = min(left - for_parts, self._max_tokens // _LARGEST_TABLE_SHARE)
            if tokens > room:
                # A wide one is cut to fit; once the room for whole ones is used up, all are.
                room = room if room > 4 * _PART_TOKENS else min(left, _PART_TOKENS)
                text = text if tokens <= room else self._told_in_part(self._tables[name], question, self._ranking, room)
            if text:
                chosen[name] = text
                left -= estimate_tokens(text)
        return ToldTables(tuple(self._texts[name] for name in core), tuple(chosen[name] for name in sorted(chosen)))

    def _core(self, ranking: TableRanking) -> list[str]:
        """The tables that most others point to, sorted by name: nothing of it depends on the question."""
        left = max(self._max_tokens // _CORE_SHARE, min(_LEAST_CORE_TOKENS, self._max_tokens // _LARGEST_TABLE_SHARE))
        largest = left // 2
        core = []
        for name in sorted(self._tables, key=lambda name: (-len(ranking.links.sources_of(name)), name)):
            if self._tokens[name] <= min(left, largest):
                core.append(name)
                left -= self._tokens[name]
        return sorted(core)

    def _told_in_part(self, table: Table, question: str, ranking: TableRanking, max_tokens: int) -> str:
        """The table with its keys and the columns the question speaks of, as far as there is room; may be empty."""
        keys = {*table.primary_key, *(column for key in table.foreign_keys for column in key.columns)}
        spoken_of = ranking.columns_by_words(table, question)
        wanted = [name for name in spoken_of if name in keys] + [name for name in spoken_of if name not in keys]
        count = len(wanted)
        while count:
            text = tell_table(table, with_values=self._with_values, columns=set(wanted[:count]))
            tokens = estimate_tokens(text)
            if tokens <= max_tokens:
                return text
            count = min(count - 1, count * max_tokens // tokens)
        return ""
