"""Words linked to names by what they mean: "luggage" for a table of baggage, by the embeddings of the rag service.

Likeness of single words is a noisy measure: "employees" lies near "customers", and both near "nurses". What holds, by
measurement on questions of many schemas: a likeness of LEAST_LIKENESS that stands out by LEAST_LEAD from every other
name of the schema, for a word that the thesaurus does not know. A word it knows has its synonyms there; when none of
them is in the schema, the word means something that the schema does not hold.
"""

from __future__ import annotations

import asyncio
import logging
import math
import operator
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from services.sql.grounding.abbreviations import ABBREVIATIONS
from services.sql.grounding.accounting import are_opposed, denied_base
from services.sql.grounding.lexicon import DATE_KINDS, Lexicon
from services.sql.grounding.linking import link_question
from services.sql.grounding.thesaurus import SYNONYMS
from services.sql.grounding.words import split_identifier, stem
from services.sql.ports import QuestionEmbedder
from services.sql.training_models import Vector

logger = logging.getLogger(__name__)

CERTAINTY = 0.8  # what a likeness takes from the confidence
LEAST_LIKENESS, LEAST_LEAD = 0.55, 0.1  # cosines of the measured model
LEAST_LIKENESS_OF_COLUMN = 0.65  # "passengers" are not "seats", "visitors" no "attendance"
MEASURED_MODEL = "all-MiniLM-L6-v2"  # another model's cosines mean something else
TEMPLATES = ("{}", "number of {}")  # the mean of both is steadier than either
MOST_NAMES = 1_500
FEW_NAMES = 300
LONGEST_NAME = 2  # words; of longer names one word says too little
MOST_WORDS = 4  # of one question
SHORTEST_WORD = 4
CALL_TEXTS = 64  # rag embeds others' texts in between, and answers well within its time
KEPT_SCHEMAS, KEPT_WORDS = 8, 2_000
PAUSE_SECONDS = 30.0
# Units and spans are told by cues and column types, never by likeness: a year is not a "term date".
MEASURES = frozenset(
    stem(word)
    for word in (
        "second minute hour day week weekend month quarter year decade century today tomorrow yesterday dollar euro"
        " pound cent franc percent percentage kilogram gram ton meter metre kilometer kilometre mile inch litre liter"
        " degree time times average mean"
    ).split()
)


@dataclass(frozen=True)
class _Name:
    """A name of the schema as people would say it."""

    text: str
    stems: frozenset[str]
    of_table: bool
    vector: Vector
    of_date: bool = False


@dataclass(frozen=True)
class Likened:
    """A question in which names stand for the words that mean much the same, and which for which."""

    question: str
    words: tuple[tuple[str, str], ...]

    def told(self) -> str:
        """For the explanation."""
        return " ".join(f"“{word}” was taken to mean “{name}”." for word, name in self.words)


class MeaningLinks:
    """Keeps the embedded names of the last schemas, made behind the questions, and the embedded words."""

    def __init__(
        self,
        embedder: QuestionEmbedder,
        *,
        wait_seconds: float = 0.3,
        first_wait_seconds: float = 2.0,
        apart: Callable[[], AbstractContextManager[object]] = nullcontext,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`apart` enters a context in which the deadline of the call being served does not bind.

        A question waits for the vectors of its own words for `wait_seconds` at most, and one that comes while the names
        of its schema are being embedded waits `first_wait_seconds` for them: asked again it would read otherwise.
        After a failure nothing is embedded for a while.
        """
        self._embedder = embedder
        self._wait_seconds = wait_seconds
        self._first_wait_seconds = first_wait_seconds
        self._apart = apart
        self._monotonic = monotonic
        self._names: OrderedDict[str, list[_Name]] = OrderedDict()
        self._making: dict[str, asyncio.Task[None]] = {}
        self._words: OrderedDict[str, Vector] = OrderedDict()
        self._away_until = 0.0

    def prepare(self, fingerprint: str, lexicon: Lexicon) -> None:
        """Begin to embed the names of a schema, unless that is done or under way."""
        if not fingerprint or fingerprint in self._names or fingerprint in self._making or self._is_away():
            return
        task = asyncio.create_task(self._make(fingerprint, lexicon))
        self._making[fingerprint] = task
        task.add_done_callback(lambda _: self._making.pop(fingerprint, None))

    async def aclose(self) -> None:
        """Break off what is under way."""
        tasks = list(self._making.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until no names are being embedded."""
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    async def liken(self, question: str, fingerprint: str, lexicon: Lexicon) -> Likened | None:
        """The question with names in place of unlinked words that mean the same; None when there are none, or not yet.

        Never raises: without embeddings a question is read as it stands.
        """
        tokens, mentions = link_question(question, lexicon)
        loose = [
            tokens[item.first]
            for item in mentions
            if item.kind == "word" and item.content and _may_be_likened(tokens[item.first].text, item.first)
        ]
        if not loose or len(loose) > MOST_WORDS or self._is_away():
            return None
        names = await self._names_when_made(fingerprint)
        if not names:
            return None
        vectors = await self._vectors_of(list(dict.fromkeys(token.lower for token in loose)))
        if len(names) > FEW_NAMES:  # milliseconds of plain arithmetic for each word
            nearest = await asyncio.to_thread(_nearest_of_each, vectors, names)
        else:
            nearest = _nearest_of_each(vectors, names)
        text = question
        replaced: list[tuple[str, str]] = []
        for token in reversed(loose):
            name = nearest.get(token.lower)
            if name is not None and not any(are_opposed(token.lower, one) for one in name.split()):
                text = text[: token.start] + name + text[token.end :]
                replaced.append((token.text, name))
        return Likened(text, tuple(reversed(replaced))) if replaced else None

    async def _names_when_made(self, fingerprint: str) -> list[_Name] | None:
        """The embedded names of a schema; waits a little where they are being made, and lets them be made on."""
        making = self._making.get(fingerprint)
        if fingerprint not in self._names and making is not None:
            await asyncio.wait([making], timeout=self._first_wait_seconds)
        return self._names.get(fingerprint)

    def _is_away(self) -> bool:
        return self._monotonic() < self._away_until

    async def _make(self, fingerprint: str, lexicon: Lexicon) -> None:
        texts = names_of(lexicon)
        dates = _only_dates(lexicon)
        try:
            with self._apart():
                vectors = await self._embed(list(texts))
        except Exception as error:  # whatever it is: questions are read without
            self._fail(error)
            return
        self._names[fingerprint] = [
            _Name(text, frozenset(stems), of_table, vector, text in dates)
            for (text, (stems, of_table)), vector in zip(texts.items(), vectors, strict=True)
        ]
        while len(self._names) > KEPT_SCHEMAS:
            self._names.popitem(last=False)
        logger.info("names.embedded", extra={"names": len(texts)})

    async def _vectors_of(self, words: Sequence[str]) -> dict[str, Vector]:
        missing = [word for word in words if word not in self._words]
        if missing:
            try:
                async with asyncio.timeout(self._wait_seconds):
                    vectors = await self._embed(missing)
            except Exception as error:
                self._fail(error)
                return {}
            self._words.update(zip(missing, vectors, strict=True))
        found = {word: self._words[word] for word in words}
        while len(self._words) > KEPT_WORDS:
            self._words.popitem(last=False)
        return found

    async def _embed(self, phrases: Sequence[str]) -> list[Vector]:
        """One vector of length 1 for each phrase: the mean over the templates. Raises whatever the embedder does."""
        texts = [template.format(phrase) for phrase in phrases for template in TEMPLATES]
        vectors: list[Vector] = []
        for begin in range(0, len(texts), CALL_TEXTS):
            reply = await self._embedder.embed(texts[begin : begin + CALL_TEXTS])
            if not reply.model.startswith(MEASURED_MODEL):
                raise _OtherModel
            vectors.extend(reply)
        count = len(TEMPLATES)
        return [_mean(vectors[begin : begin + count]) for begin in range(0, len(vectors), count)]

    def _fail(self, error: Exception) -> None:
        pause = math.inf if isinstance(error, _OtherModel) else PAUSE_SECONDS
        self._away_until = self._monotonic() + pause
        logger.warning("meaning_links.off", extra={"error_kind": type(error).__name__})


class _OtherModel(Exception):
    """The vectors come from a model whose cosines were not measured."""


def names_of(lexicon: Lexicon) -> dict[str, tuple[set[str], bool]]:
    """Names as people would say them: of tables, then of columns that are no keys.

    With each the stems in it, and whether it is a table's.
    """
    found: dict[str, tuple[set[str], bool]] = {}
    for table in lexicon.tables.values():
        if not table.is_bridge:  # nobody calls by one word what only links two others
            found.setdefault(_said(table.stems, table.table.name), (set(), True))[0].update(table.stems)
    for entry in lexicon.columns.values():
        if not entry.is_key:
            found.setdefault(_said(entry.own, entry.column.name), (set(), False))[0].update(entry.own)
    found.pop("", None)
    return dict(list(found.items())[:MOST_NAMES])


def _only_dates(lexicon: Lexicon) -> set[str]:
    """The names that no table and no column but dates have."""
    dates = {_said(one.own, one.column.name) for one in lexicon.columns.values() if one.column.kind in DATE_KINDS}
    others = {_said(one.own, one.column.name) for one in lexicon.columns.values() if one.column.kind not in DATE_KINDS}
    return dates - others - {_said(table.stems, table.table.name) for table in lexicon.tables.values()}


def _said(stems: Sequence[str], name: str) -> str:
    """The words of an identifier that are among the stems it is known by: "dim_customer" → customer."""
    words = [word for piece in split_identifier(name) for word in ABBREVIATIONS.get(piece, piece).split()]
    telling = [word for word in words if stem(word) in stems]
    return " ".join(dict.fromkeys(telling or words))


def _may_be_likened(word: str, place: int) -> bool:
    return (
        len(word) >= SHORTEST_WORD
        and word.isalpha()
        and (place == 0 or not word[0].isupper())
        and stem(word.lower()) not in SYNONYMS
        and stem(word.lower()) not in MEASURES
        and not word.lower().endswith(("person", "persons", "people", "man", "woman"))  # another role is another person
        and not denied_base(word)  # embeddings of a word and of its denial lie close together
    )


def _nearest_of_each(vectors: dict[str, Vector], names: Sequence[_Name]) -> dict[str, str | None]:
    return {word: _nearest(vector, names) for word, vector in vectors.items()}


def _nearest(vector: Vector, names: Sequence[_Name]) -> str | None:
    """The name that is nearest and stands out; names that share a word with it do not count against it."""
    scores = [(sum(map(operator.mul, vector, name.vector)), place) for place, name in enumerate(names)]
    score, place = max(scores)
    best = names[place]
    if best.of_date:
        return None  # what happened when is named by its own words: a salary is no date of payment
    if score < (LEAST_LIKENESS if best.of_table else LEAST_LIKENESS_OF_COLUMN) or len(best.text.split()) > LONGEST_NAME:
        return None
    others = [other for other, index in scores if not names[index].stems & best.stems]
    return best.text if score - max(others, default=0.0) >= LEAST_LEAD else None


def _mean(vectors: Sequence[Vector]) -> Vector:
    total = [sum(values) for values in zip(*vectors, strict=True)]
    length = math.sqrt(sum(value * value for value in total)) or 1.0
    return [value / length for value in total]
