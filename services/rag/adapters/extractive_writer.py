"""Answers made of quoted sentences: no model, no account, and not a word that no document holds."""

import re
from array import array
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import mul

from services.rag.answer_kinds import leaves_uncounted
from services.rag.asking import Asked, take_apart
from services.rag.certainty import CERTAINTY, QUICK_RANKING, RANKING, certainty
from services.rag.disagreeing import disagree
from services.rag.evidence import Candidate, weigh
from services.rag.models import DraftSentence, Embedding, FoundChunk, Quote, Reading, WriterUsage
from services.rag.naming import shown_name
from services.rag.ports import Embedder
from services.rag.words import terms_of

# Embedding a sentence costs milliseconds: only those are compared by meaning that their words make likely.
_SHORTLIST = 12
# Further sentences are quoted when they are nearly as good as the first.
_CLOSE_RANK = 1.5
_MOST_SENTENCES = 3
_MOST_SENTENCES_OF_DESCRIPTION = 4
_MOST_WORDS = 60
# "Show all orders" names what many sentences speak of and none lists: even odds, at the least.
_LEAST_CERTAINTY_OF_LIST = 0.5
_MOST_RIVALS = 3
_REMEMBERED_SENTENCES = 8_192
_REFERS_BACK = re.compile(r"(?:it|they|he|she|this|these|that|those|its|their|his|her)\b", re.IGNORECASE)
_EMPHASIS = re.compile(r"\*\*|__|`")


@dataclass(frozen=True, slots=True)
class _Ranked:
    candidate: Candidate
    rank: float
    similarity: float
    text: str


class ExtractiveWriter:
    """AnswerWriter that quotes the sentences which answer, or says that none does."""

    name = "extractive"

    def __init__(self, embedder: Embedder, *, min_certainty: float) -> None:
        self._embedder = embedder
        self._min_certainty = min_certainty
        # By tenant too: whether a sentence had to be embedded is told in the usage, and takes time.
        # As single-precision numbers, which is what models give: a list of Python's own takes eight times the room.
        self._remembered: OrderedDict[tuple[str, bytes], array[float]] = OrderedDict()

    async def write(self, reading: Reading) -> AsyncGenerator[DraftSentence | WriterUsage, None]:
        asked = take_apart(reading.question)
        candidates = weigh(asked, reading.passages, reading.counts)
        candidates.sort(key=lambda candidate: -QUICK_RANKING.sum(candidate.figures))
        ranked, embedded_texts = await self._rank(candidates[:_SHORTLIST], reading)
        chosen = self._choose(asked, ranked)
        rivals = _rivals(asked, chosen[0], ranked, reading.passages) if chosen else []
        if rivals:
            for place, each in enumerate(rivals):
                name = shown_name(reading.passages[each.candidate.passage].filename)
                opening = "Sources disagree: " if place == 0 else ""
                yield DraftSentence(f"{opening}{name} says: {_plain(each.text)}", _quotes(each))
        else:
            # The passage of the best sentence first; within a passage, as it reads.
            order = {passage: place for place, passage in enumerate(dict.fromkeys(c.candidate.passage for c in chosen))}
            for each in sorted(chosen, key=lambda c: (order[c.candidate.passage], c.candidate.sentence.start)):
                yield DraftSentence(_plain(each.text), _quotes(each))
        yield WriterUsage(embedded_texts=embedded_texts)

    async def _rank(self, candidates: Sequence[Candidate], reading: Reading) -> tuple[list[_Ranked], int]:
        texts = [_text(candidate, reading.passages) for candidate in candidates]
        embeddings, embedded_texts = await self._embed(reading.tenant, [_plain(text) for text in texts])
        ranked = []
        for candidate, text, embedding in zip(candidates, texts, embeddings, strict=True):
            similarity = sum(map(mul, reading.question_embedding, embedding))
            ranked.append(_Ranked(candidate, RANKING.sum(candidate.figures, similarity), similarity, text))
        return sorted(ranked, key=lambda each: -each.rank), embedded_texts

    def _choose(self, asked: Asked, ranked: Sequence[_Ranked]) -> list[_Ranked]:
        """The sentences to quote, the best first; none when that is not good enough."""
        if not ranked:
            return []
        needed = max(self._min_certainty, _LEAST_CERTAINTY_OF_LIST) if asked.asks_for_list else self._min_certainty
        if certainty(CERTAINTY, ranked[0].candidate.figures, ranked[0].similarity) < needed:
            return []
        best = ranked[0]
        if leaves_uncounted(asked, best.text):
            return []
        most = _MOST_SENTENCES_OF_DESCRIPTION if asked.enumerates else _MOST_SENTENCES
        chosen = [best]
        before = _referred_to(best, ranked)
        others = [each for each in ranked[1:] if each.rank >= best.rank - _CLOSE_RANK]
        for other in ([before] if before else []) + others:
            words = sum(len(each.text.split()) for each in [*chosen, other])
            if len(chosen) < most and words <= _MOST_WORDS and not any(_says_the_same(other, each) for each in chosen):
                chosen.append(other)
        return chosen

    async def _embed(self, tenant: str, texts: Sequence[str]) -> tuple[list[Embedding], int]:
        """The embeddings of sentences, and how many of them had to be made."""
        keys = [(tenant, sha256(text.encode()).digest()) for text in texts]
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._remembered}
        made = await self._embedder.embed_queries(list(unknown.values())) if unknown else []
        known = {key: self._remembered[key] for key in keys if key in self._remembered}
        known.update((key, array("f", embedding)) for key, embedding in zip(unknown, made, strict=True))
        for key, embedding in known.items():
            self._remembered[key] = embedding
            self._remembered.move_to_end(key)
        while len(self._remembered) > _REMEMBERED_SENTENCES:
            self._remembered.popitem(last=False)
        return [known[key] for key in keys], len(unknown)


def _quotes(chosen: _Ranked) -> tuple[Quote, ...]:
    sentence = chosen.candidate.sentence
    return (Quote(chosen.candidate.passage, sentence.start, sentence.end),)


def _rivals(asked: Asked, best: _Ranked, ranked: Sequence[_Ranked], passages: Sequence[FoundChunk]) -> list[_Ranked]:
    """The best sentence and those of other documents that say otherwise, each value once; none when all agree."""
    told = [best]
    for other in ranked:
        documents = {passages[each.candidate.passage].document for each in told}
        if passages[other.candidate.passage].document in documents or len(told) == _MOST_RIVALS:
            continue
        if all(disagree(asked, each.text, other.text) for each in told):
            told.append(other)
    return told if len(told) > 1 else []


def _text(candidate: Candidate, passages: Sequence[FoundChunk]) -> str:
    start, end, _ = candidate.sentence
    return passages[candidate.passage].chunk.text[start:end]


def _plain(text: str) -> str:
    """A quote as it reads in an answer: on one line and without marks of emphasis; its words are untouched."""
    return " ".join(_EMPHASIS.sub("", text).split())


def _referred_to(best: _Ranked, ranked: Sequence[_Ranked]) -> _Ranked | None:
    """The sentence before one that begins with "it" or "they", without which it cannot be understood."""
    if not _REFERS_BACK.match(best.text):
        return None
    earlier = [
        each
        for each in ranked
        if each.candidate.passage == best.candidate.passage
        and 0 <= best.candidate.sentence.start - each.candidate.sentence.end <= 4
    ]
    return earlier[0] if earlier else None


def _says_the_same(one: _Ranked, other: _Ranked) -> bool:
    """Whether one sentence says nothing that the other does not, as overlapping chunks and copied documents make them.

    Two that differ in a single word are both quoted: sources that disagree must not look as if they agreed.
    """
    first, second = set(terms_of(one.text)), set(terms_of(other.text))
    return first <= second or second <= first
