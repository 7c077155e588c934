"""Words of a question that the database does not know and an uploaded document defines.

What documents say is data: of a passage only sentences are taken that define a word of the question, each in one line
of bounded length. They are shown, and read as a part of the question; no text of a document is ever run.
"""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence, Set

from services.sql.errors import KnowledgeUnavailable
from services.sql.grounding.definitions import read_definitions
from services.sql.grounding.wording import FUNCTION_WORDS
from services.sql.grounding.words import Token, split_question
from services.sql.guidance import Term
from services.sql.models import Schema
from services.sql.ports import DocumentSearch
from services.sql.training_models import Passage

logger = logging.getLogger(__name__)

MAX_TERMS = 4
MAX_TERM_CHARACTERS = 300
MAX_NAME_CHARACTERS = 120
_PASSAGES = 8
_MAX_SENTENCES = 60  # of one passage
_REMEMBERED = 128
_TRUSTED_TO_HAVE_SECONDS = 60.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
# A line that goes on: the next begins in lower case, as in text that was set in lines.
_WRAPPED = re.compile(r"(?<=[^\s.!?:;|])[ \t]*\r?\n[ \t]*(?=[a-z(])")
_SENTENCE = re.compile(r"[\r\n]+|(?<=[.!?;])\s+")

UnlinkedWords = Callable[[str, Schema], Awaitable[Sequence[str]]]
"""Words of a question, as written, that nothing in the schema or its values stands for."""


class BusinessTerms:
    """Looks words up in the documents of a tenant. Asks nobody where every word is known or there is no document."""

    def __init__(
        self,
        documents: DocumentSearch,
        unlinked_words: UnlinkedWords,
        *,
        trusted_seconds: float = 3,
        pause_seconds: float = 10,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """What was found, and that there is no document, is believed so long; who is away is left alone longer."""
        self._documents = documents
        self._unlinked_words = unlinked_words
        self._trusted_seconds = trusted_seconds
        self._pause_seconds = pause_seconds
        self._monotonic = monotonic
        self._found: OrderedDict[tuple[str, str], tuple[float, list[Passage]]] = OrderedDict()
        self._has_any: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._unknown: OrderedDict[tuple[str, str], frozenset[str]] = OrderedDict()
        self._away_until = 0.0

    async def terms(self, tenant: str, question: str, schema: Schema) -> tuple[Term, ...]:
        """Definitions of words of the question, best first. Raises KnowledgeUnavailable."""
        unknown = await self._unknown_words(question, schema)
        if not unknown:
            return ()
        tokens = split_question(question)
        phrases = list(_phrases(tokens, unknown))
        passages = await self._passages(tenant, f"definition of {', '.join(phrases)}") if phrases else []
        return definitions_in(passages, tokens, unknown)

    async def _unknown_words(self, question: str, schema: Schema) -> frozenset[str]:
        """Remembered, because a question comes twice: to be assessed, and to be answered."""
        key = (schema.fingerprint, question)
        known = self._unknown.get(key)
        if known is None or not schema.fingerprint:
            known = frozenset([word.lower() for word in await self._unlinked_words(question, schema)])
            self._unknown[key] = known
            if len(self._unknown) > _REMEMBERED:
                self._unknown.popitem(last=False)
        return known

    async def _passages(self, tenant: str, wanted: str) -> list[Passage]:
        now = self._monotonic()
        if now < self._away_until:
            return []
        until, found = self._found.get((tenant, wanted), (0.0, []))
        if now < until:
            return found
        try:
            has_any = await self._tenant_has_any(tenant, now)
            found = await self._documents.passages(wanted, limit=_PASSAGES) if has_any else []
        except KnowledgeUnavailable:
            self._away_until = now + self._pause_seconds
            raise
        if has_any:
            self._found[tenant, wanted] = (now + self._trusted_seconds, found)
            if len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)
        return found

    async def _tenant_has_any(self, tenant: str, now: float) -> bool:
        until, has_any = self._has_any.get(tenant, (0.0, False))
        if now >= until:
            has_any = await self._documents.has_any()
            # Who has documents will have some for a while; who has none may upload the first one now.
            self._has_any[tenant] = (now + (_TRUSTED_TO_HAVE_SECONDS if has_any else self._trusted_seconds), has_any)
            if len(self._has_any) > _REMEMBERED:
                self._has_any.popitem(last=False)
        return has_any


def definitions_in(passages: Sequence[Passage], tokens: Sequence[Token], unknown: Set[str]) -> tuple[Term, ...]:
    """Sentences that define what stands in the question and holds an unknown word, in the order of the passages."""
    asked = [token.stem for token in tokens]
    stems = {token.stem for token in tokens if token.lower in unknown}
    found: dict[str, Term] = {}
    for passage in passages:
        for sentence in sentences_of(passage.text):
            term = Term(sentence, _plain(passage.document)[:MAX_NAME_CHARACTERS], _place(passage))
            for definition in read_definitions([term]):
                defined = [token.stem for token in split_question(definition.term)]
                if stems & set(defined) and stands_in(defined, asked):
                    found.setdefault(sentence.lower(), term)
    return tuple(found.values())[:MAX_TERMS]


def _phrases(tokens: Sequence[Token], unknown: Set[str]) -> Iterator[str]:
    """Runs of words that carry meaning, of which at least one is unknown."""
    run: list[Token] = []
    for token in [*tokens, None]:
        if token is not None and token.kind in {"word", "quoted"} and token.lower not in FUNCTION_WORDS:
            run.append(token)
            continue
        if any(word.lower in unknown for word in run):
            yield " ".join(word.text for word in run)
        run = []


def sentences_of(text: str, *, most: int = _MAX_SENTENCES) -> list[str]:
    """The first sentences and lines of a text, each plain, in one line and not too long to be a definition."""
    pieces = _SENTENCE.split(_WRAPPED.sub(" ", text))
    plain = (_plain(piece) for piece in pieces[:most])
    return [piece for piece in plain if 0 < len(piece) <= MAX_TERM_CHARACTERS]


def stands_in(words: Sequence[str], text: Sequence[str]) -> bool:
    """Whether the words occur in the text one behind the other; none do not."""
    length = len(words)
    return length > 0 and any(list(text[at : at + length]) == list(words) for at in range(len(text) - length + 1))


def _place(passage: Passage) -> str:
    heading = _plain(passage.headings[-1]) if passage.headings else ""
    parts = (f"page {passage.page}" if passage.page else "", f"section {heading}" if heading else "")
    return ", ".join(filter(None, parts))[:MAX_NAME_CHARACTERS]


def _plain(text: str) -> str:
    """One line without control characters and without what turns the direction of writing."""
    return " ".join(_CONTROL.sub(" ", text).split())
