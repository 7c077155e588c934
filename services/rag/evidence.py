"""How well passages bear on a question: what can be told without a model, and how sure it makes us.

The figures of a passage and of its sentences are compared with weights that were fitted on the project's own questions
(tests/quality/dev) by logistic regression, so that a certainty is near the share of such questions that were answered.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import PurePath

from services.rag.answer_kinds import holds_wanted
from services.rag.asking import Asked
from services.rag.instructions import instructs_a_model
from services.rag.models import FoundChunk, TermCounts
from services.rag.sentences import Sentence, rows_and_sentences_of, sentences_of
from services.rag.words import terms_of, words_of

# As if these many chunks of other texts had been indexed too, of which a few hold the term: in a corpus of five chunks
# it would otherwise say nothing that four of them hold a word.
_PRIOR_CHUNKS = 200
_PRIOR_CONTAINING = 4
# The words that name the kind of answer ("in which year") need not be repeated by it.
_KIND_WEIGHT = 0.3
# What a term is worth that stands not in the sentence itself but near it.
_IN_HEADING, _IN_SENTENCE_BEFORE, _IN_SENTENCE_AFTER, _IN_PASSAGE, _IN_FILENAME = 0.8, 0.6, 0.3, 0.3, 0.5
# "It was founded in 1897": what "it" is stands in the sentence before.
_IN_SENTENCE_REFERRED_TO = 0.9
_REFERS_BACK = re.compile(r"(?:it|its|they|their|he|his|she|her|this|these|that|those|there|such|the)\b", re.IGNORECASE)
_SAME_BEGINNING = 0.7
# "List all products" is covered by any sentence that holds the one word, and no sentence lists them all.
_LISTING_OF_ONE_TERM = 0.6


@dataclass(frozen=True, slots=True)
class Figures:
    """What can be counted about one sentence of a passage. Shares are from 0 to 1."""

    coverage: float
    """Share of the question, by how rare its terms are, that stands in or near the sentence."""
    passage_coverage: float
    """The same share for the whole passage."""
    similarity: float
    """Cosine similarity of question and passage."""
    wanted: float
    """1 where it holds the kind of thing that is asked for, -1 where it does not, 0 where nothing particular is."""
    missing_names: float
    """Share of the question's names that the passage does not hold."""
    uncounted: float
    """1 where the question asks how many there are of something and the sentence does not count it, otherwise 0."""
    phrases: float = 0.0
    """Share of the question's neighbouring terms that are neighbours in the sentence too."""
    missing_rarest: float = 0.0
    """Weight of the heaviest term that the passage does not hold, as a share of the heaviest of all."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sentence of one passage, with its figures."""

    passage: int
    sentence: Sentence
    figures: Figures


class Rarity:
    """How much each term of a question weighs."""

    def __init__(self, asked: Asked, counts: TermCounts) -> None:
        self._weights = {term: self._weight(term, asked, counts) for term in asked.terms}
        self._total = sum(self._weights.values())
        self._trust = _LISTING_OF_ONE_TERM if len(asked.terms) == 1 and asked.asks_for_list else 1.0

    def share(self, credit_of: dict[str, float]) -> float:
        """The weighted share that terms with a credit from 0 to 1 make of all; 0 for a question without terms."""
        if not self._total:
            return 0.0
        return self._trust * sum(self._weights[term] * credit for term, credit in credit_of.items()) / self._total

    def heaviest(self, terms: Iterable[str]) -> float:
        """The weight of the heaviest of these terms, as a share of the heaviest of all; 0 for none."""
        return max((self._weights[term] for term in terms), default=0.0) / max(self._weights.values(), default=1.0)

    def _weight(self, term: str, asked: Asked, counts: TermCounts) -> float:
        total = counts.chunk_count + _PRIOR_CHUNKS
        containing = min(counts.containing.get(term, 0) + _PRIOR_CONTAINING, total)
        weight = math.log(1 + (total - containing + 0.5) / (containing + 0.5))
        return weight * (_KIND_WEIGHT if term in asked.kind_terms else 1)


@dataclass(frozen=True, slots=True)
class _TextView:
    sentences: tuple[Sentence, ...]
    terms: tuple[frozenset[str], ...]
    neighbours: tuple[frozenset[tuple[str, str]], ...]
    orders: tuple[bool, ...]
    """Whether each is an order to a model."""


@lru_cache(maxsize=2_048)
def _view(text: str, *, has_rows: bool) -> _TextView:
    """A text cut into sentences, with the terms of each; kept, because the same passages are read again and again."""
    sentences = tuple(rows_and_sentences_of(text) if has_rows else sentences_of(text))
    ordered = [_ordered_terms(text[start:end]) for start, end, _ in sentences]
    orders = tuple(instructs_a_model(text[start:end]) for start, end, _ in sentences)
    return _TextView(sentences, tuple(map(frozenset, ordered)), tuple(map(_neighbours, ordered)), orders)


def _ordered_terms(text: str) -> list[str]:
    return [word.term for word in words_of(text) if word.term]


def _neighbours(terms: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Terms that follow one another, words of grammar between them aside."""
    return frozenset(pairwise(terms))


class PassageView:
    """A passage cut into sentences, with the terms of each and of what stands around them."""

    def __init__(self, found: FoundChunk) -> None:
        self.found = found
        self.text = found.chunk.text
        view = _view(self.text, has_rows=found.chunk.table is not None)
        self.sentences = view.sentences
        self.sentence_terms = view.terms
        self.sentence_neighbours = view.neighbours
        self.is_order = view.orders

    @cached_property
    def heading_terms(self) -> list[frozenset[str]]:
        """For each sentence, the terms of the headings it stands under."""
        above = frozenset(terms_of(" \n".join(self.found.chunk.headings)))
        found = []
        for sentence, terms in zip(self.sentences, self.sentence_terms, strict=True):
            if sentence.is_heading:
                above = frozenset(terms_of(" \n".join(self.found.chunk.headings[:-1]))) | terms
            found.append(above)
        return found

    def asks(self, number: int) -> bool:
        """Whether a sentence is a question, as in lists of frequent ones: the answer follows it."""
        start, end, _ = self.sentences[number]
        return self.text[start:end].rstrip("\"'”’)* ").endswith("?")

    @cached_property
    def filename_terms(self) -> frozenset[str]:
        return frozenset(terms_of(PurePath(self.found.filename).stem.replace("_", " ").replace("-", " ")))

    @cached_property
    def all_terms(self) -> frozenset[str]:
        headings = frozenset(terms_of(" \n".join(self.found.chunk.headings)))
        return frozenset().union(headings, *self.sentence_terms)


def weigh(asked: Asked, passages: Sequence[FoundChunk], counts: TermCounts) -> list[Candidate]:
    """Every sentence that could be quoted, with its figures, in the order of the passages.

    Headings and questions are no answers, and neither are sentences that tell a model what to do.
    """
    rarity = Rarity(asked, counts)
    neighbours = _neighbours(asked.terms)
    candidates = []
    for place, found in enumerate(passages):
        view = PassageView(found)
        names = asked.names
        missing_names = sum(term not in view.all_terms for term in names) / len(names) if names else 0.0
        passage_coverage = rarity.share({term: _passage_credit(term, view) for term in asked.terms})
        missing_rarest = rarity.heaviest(term for term in asked.terms if not held_by(term, view.all_terms))
        for number, sentence in enumerate(view.sentences):
            text = view.text[sentence.start : sentence.end]
            if sentence.is_heading or view.asks(number) or view.is_order[number]:
                continue
            holds = holds_wanted(asked, text)
            figures = Figures(
                coverage=rarity.share({term: _sentence_credit(term, number, view) for term in asked.terms}),
                passage_coverage=passage_coverage,
                similarity=found.similarity,
                wanted=0.0 if holds is None else 1.0 if holds else -1.0,
                missing_names=missing_names,
                uncounted=1.0 if asked.counted and not holds else 0.0,
                phrases=len(neighbours & view.sentence_neighbours[number]) / len(neighbours) if neighbours else 0.0,
                missing_rarest=missing_rarest,
            )
            candidates.append(Candidate(place, sentence, figures))
    return candidates


def _sentence_credit(term: str, number: int, view: PassageView) -> float:
    terms = view.sentence_terms
    here = held_by(term, terms[number])
    if here == 1:
        return 1
    nearby = [here, _IN_HEADING * held_by(term, view.heading_terms[number])]
    if number > 0:
        start, end, _ = view.sentences[number]
        referring = _REFERS_BACK.match(view.text, start, end)
        credit = _IN_SENTENCE_REFERRED_TO if referring or view.asks(number - 1) else _IN_SENTENCE_BEFORE
        nearby.append(credit * held_by(term, terms[number - 1]))
    if number + 1 < len(terms):
        nearby.append(_IN_SENTENCE_AFTER * held_by(term, terms[number + 1]))
    return max(*nearby, _IN_PASSAGE * _passage_credit(term, view))


def _passage_credit(term: str, view: PassageView) -> float:
    return max(held_by(term, view.all_terms), _IN_FILENAME * held_by(term, view.filename_terms))


def held_by(term: str, terms: frozenset[str]) -> float:
    """1 for the term itself, less for a word with the same long beginning: complaint and complain."""
    if term in terms:
        return 1.0
    if len(term) >= 5 and any(_begin_alike(term, other) for other in terms):
        return _SAME_BEGINNING
    return 0.0


def _begin_alike(term: str, other: str) -> bool:
    shorter, longer = sorted((term, other), key=len)
    needed = max(5, math.ceil(0.7 * len(longer)))
    return len(shorter) >= needed and shorter[:needed] == longer[:needed]
