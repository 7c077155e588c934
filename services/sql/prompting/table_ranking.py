"""Which tables of a large schema a question is about: by words, values, what is known besides, and ways between tables.

Nothing here understands the question. A table left out cannot be used at all, while one too many costs some tokens: so
every sign counts, weak ones too, and only their order matters.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from services.sql.grounding.abbreviations import ABBREVIATIONS, is_abbreviated
from services.sql.grounding.thesaurus import SYNONYMS
from services.sql.grounding.wording import FUNCTION_WORDS
from services.sql.grounding.words import are_derived, split_identifier, split_question, stem
from services.sql.models import Schema, Table
from services.sql.prompting.table_links import Links, read_links

_NAME, _COLUMN, _TABLE_COMMENT, _COLUMN_COMMENT, _VALUE = 3.0, 1.0, 1.0, 0.6, 1.6
_SYNONYM, _DERIVED, _PART, _TYPO = 0.7, 0.8, 0.6, 0.5
_LONGEST_VALUE_WORDS = 6
_MOST_VALUES = 300_000  # of a whole schema: memory has an end
_MOST_QUESTION_WORDS = 120
_POINTED_AT, _POINTING = 0.4, 0.3
_SEEDS = 10
_LEAST_SEED_SHARE = 0.3  # of the best table's score: what is far below it is no end of a way
_LONGEST_WAY = 4
_BRIDGE = 0.9
_WORD = re.compile(r"[^\W_]+")


@dataclass
class _Words:
    """Where one stem occurs: full name of each table, with the best weight of the places."""

    tables: dict[str, float] = field(default_factory=dict)

    def add(self, table: str, weight: float) -> None:
        self.tables[table] = max(weight, self.tables.get(table, 0.0))


class TableRanking:
    """The words and ways of one schema. Built once, in time in proportion to its columns; then read only."""

    def __init__(self, schema: Schema) -> None:
        self._tables = {table.full_name: table for table in schema.tables}
        self._words: dict[str, _Words] = defaultdict(_Words)
        self._name_stems: dict[str, tuple[str, ...]] = {}
        self._column_stems: dict[str, list[frozenset[str]]] = {}
        self._values: dict[str, set[str]] = defaultdict(set)
        for table in schema.tables:
            self._read(table)
        self._links: Links = read_links(schema)
        self._matches: dict[str, tuple[tuple[str, float], ...]] = {}

    @property
    def links(self) -> Links:
        """The ways between its tables."""
        return self._links

    def rank(self, question: str, known: Mapping[str, float] | None = None) -> list[str]:
        """Full names of all tables, likeliest first; ties by name.

        `known` are tables that something else speaks for, from 0 (not at all) to 1.
        """
        scores = self._by_words(question)
        best = max(scores.values(), default=0.0) or 1.0
        for name, share in (known or {}).items():
            if name in self._tables:
                scores[name] = scores.get(name, 0.0) + best * share
        scores = self._with_ways(scores)
        return sorted(self._tables, key=lambda name: (-round(scores.get(name, 0.0), 6), name))

    def columns_by_words(self, table: Table, question: str) -> list[str]:
        """Names of the table's columns, those first that the question speaks of; else in the table's order."""
        asked = {match for word in _stems(question) for match, _ in self._matches_of(word)}
        stems = self._column_stems[table.full_name]
        order = sorted(range(len(stems)), key=lambda place: (-len(stems[place] & asked), place))
        return [table.columns[place].name for place in order]

    def mentioned_in(self, text: str) -> set[str]:
        """Full names of the tables whose names stand in a text as they are written."""
        words = set(re.findall(r"\w+", text.lower()))
        return {name for name, table in self._tables.items() if table.name.lower() in words}

    def _read(self, table: Table) -> None:
        name = table.full_name
        self._name_stems[name] = tuple(dict.fromkeys(_identifier_stems(table.name)))
        for word in self._name_stems[name]:
            self._words[word].add(name, _NAME)
        for word in _stems(table.comment):
            self._words[word].add(name, _TABLE_COMMENT)
        self._column_stems[name] = []
        for column in table.columns:
            stems = frozenset(_identifier_stems(column.name))
            self._column_stems[name].append(stems)
            for word in stems:
                self._words[word].add(name, _COLUMN)
            for word in _stems(column.comment):
                self._words[word].add(name, _COLUMN_COMMENT)
            if len(self._values) < _MOST_VALUES:
                for value in column.values:
                    self._values[" ".join(_WORD.findall(value.lower()))].add(name)

    def _by_words(self, question: str) -> dict[str, float]:
        scores: dict[str, float] = defaultdict(float)
        met: dict[str, set[str]] = defaultdict(set)
        for word in _stems(question):
            best: dict[str, float] = {}
            for match, quality in self._matches_of(word):
                rarity = self._rarity(match)
                for table, weight in self._words[match].tables.items():
                    # A word of the name tells more the more of the name it is: "order" means orders, not order_items.
                    share = 1.0
                    if match in self._name_stems[table]:
                        met[table].add(match)
                        share = 0.5 + 0.5 / len(self._name_stems[table])
                    best[table] = max(best.get(table, 0.0), quality * rarity * weight * share)
            for table, score in best.items():
                scores[table] += score
        for table, words in met.items():
            if len(words) == len(self._name_stems[table]):
                scores[table] += sum(self._rarity(word) for word in words)
        for tables in self._values_in(question):
            for table in tables:
                scores[table] += _VALUE * self._full_rarity / (1 + math.log2(len(tables)))
        return scores

    def _values_in(self, question: str) -> Iterable[set[str]]:
        words = _WORD.findall(question.lower())[:_MOST_QUESTION_WORDS]
        seen: set[str] = set()
        for start in range(len(words)):
            for length in range(1, _LONGEST_VALUE_WORDS + 1):
                text = " ".join(words[start : start + length])
                if text in seen or (length == 1 and (text in FUNCTION_WORDS or len(text) < 2)):
                    continue
                seen.add(text)
                found = self._values.get(text)
                if found:
                    yield found

    def _matches_of(self, word: str) -> tuple[tuple[str, float], ...]:
        """Stems of the schema that a question's stem may stand for, with how surely."""
        known = self._matches.get(word)
        if known is not None:
            return known
        found: dict[str, float] = {word: 1.0} if word in self._words else {}
        for other in SYNONYMS.get(word, ()):
            if other in self._words:
                found.setdefault(other, _SYNONYM)
        if len(word) >= 4:
            for other in self._vocabulary:
                if other in found or len(other) < 3:
                    continue
                if are_derived(word, other):
                    found[other] = _DERIVED
                elif (
                    (word in other)
                    or (word.startswith(other) and 2 * len(other) >= len(word))
                    or is_abbreviated(other, word)
                ):
                    found[other] = _PART  # "cust" for customer, "orderlines" for lines, "trng" for training
        if not found and len(word) >= 5:
            found = dict.fromkeys(difflib.get_close_matches(word, self._vocabulary, n=2, cutoff=0.8), _TYPO)
        matches = tuple(sorted(found.items()))
        if len(self._matches) < 20_000:  # questions come from outside: what they leave behind stays bounded
            self._matches[word] = matches
        return matches

    @cached_property
    def _vocabulary(self) -> tuple[str, ...]:
        return tuple(sorted(self._words))

    def _rarity(self, word: str) -> float:
        """From near 0 for a word in every table to `_full_rarity`."""
        return math.log(1 + len(self._tables) / len(self._words[word].tables))

    @cached_property
    def _full_rarity(self) -> float:
        return math.log(1 + len(self._tables))

    def _with_ways(self, scores: Mapping[str, float]) -> dict[str, float]:
        """The scores, with those of tables that lie beside a likely one, or on a way between two."""
        found = dict(scores)
        beside: dict[str, float] = {}
        for name, score in scores.items():
            for others, share in (
                (self._links.targets_of(name), _POINTED_AT),
                (self._links.sources_of(name), _POINTING),
            ):
                for other in others:
                    beside[other] = max(beside.get(other, 0.0), score * share / (1 + math.log2(len(others))))
        for name, score in beside.items():
            found[name] = found.get(name, 0.0) + score
        best = max(scores.values(), default=0.0)
        likeliest = sorted(scores, key=lambda name: (-scores[name], name))[:_SEEDS]
        seeds = [name for name in likeliest if scores[name] >= _LEAST_SEED_SHARE * best]
        steps = {seed: self._links.steps_from(seed, _LONGEST_WAY) for seed in seeds}
        for place, one in enumerate(seeds):
            for other in seeds[place + 1 :]:
                length = steps[one].get(other, 0)
                for between in self._links.between(steps[one], steps[other], length):
                    bridge = _BRIDGE ** (length - 1) * min(scores[one], scores[other])
                    found[between] = max(found.get(between, 0.0), bridge)
        return found


def _stems(text: str) -> list[str]:
    """Stems of the telling words of a text, each once."""
    found: dict[str, None] = {}
    for token in split_question(text)[:_MOST_QUESTION_WORDS]:
        if token.kind == "quoted":
            found.update(dict.fromkeys(stem(word) for word in _WORD.findall(token.lower)))
        elif token.kind == "word" and token.lower not in FUNCTION_WORDS and len(token.lower) > 1:
            found[token.stem] = None
            # People write names as they stand, too: order_items, orderItems.
            found.update(dict.fromkeys(map(stem, split_identifier(token.text))))
    return list(found)


def _identifier_stems(name: str) -> list[str]:
    words: list[str] = []
    for piece in split_identifier(name) or [name.lower()]:
        words.append(piece)
        words += ABBREVIATIONS.get(piece, "").split()
    return [stem(word) for word in words]
