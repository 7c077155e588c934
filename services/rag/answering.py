"""Answering a question from the documents alone."""

from collections.abc import AsyncGenerator, Sequence, Set
from contextlib import aclosing

from services.rag.models import (
    NO_FILTERS,
    Answer,
    AnswerSentence,
    ChunkId,
    Citation,
    FoundChunk,
    Quote,
    Reading,
    ScoredChunk,
    SearchFilters,
    WriterUsage,
)
from services.rag.naming import shown_name
from services.rag.ports import AnswerWriter
from services.rag.requests import read_documents, read_filters, read_question, read_top_k
from services.rag.searching import Searching

DEFAULT_TOP_K = 3
NOT_ANSWERED = "The documents do not contain an answer to this question."
_NOTHING_INDEXED = f"{NOT_ANSWERED} There are none yet."
_NOTHING_WITHIN = f"{NOT_ANSWERED} None of those that the question is narrowed to has any text."
# Read for an answer even where fewer are listed: what answers, or says otherwise, is not always among the first three.
_LEAST_READ = 8


class Answering:
    """Reads the best chunks, lets the writer answer from them, and keeps what is backed by them."""

    def __init__(self, searching: Searching, writer: AnswerWriter) -> None:
        self._searching = searching
        self._writer = writer

    @property
    def writer(self) -> str:
        """Name of the writer."""
        return self._writer.name

    async def answer(
        self,
        tenant: str,
        question: str,
        *,
        top_k: int = 0,
        documents: Sequence[str] = (),
        filters: SearchFilters = NO_FILTERS,
    ) -> Answer:
        """An answer of which every sentence is cited, or one that says the documents hold none.

        A sentence that a writer gives without a quote from the passages is left out: it is the writer's own.

        Raises: QuestionInvalid, TopKInvalid, NameInvalid, FiltersInvalid, EmbeddingModelMismatch, Unavailable.
        """
        parts = self.stream(tenant, question, top_k=top_k, documents=documents, filters=filters)
        async with aclosing(parts):
            async for part in parts:
                if isinstance(part, Answer):
                    return part
        raise AssertionError("a stream ends with the whole answer")

    async def stream(
        self,
        tenant: str,
        question: str,
        *,
        top_k: int = 0,
        documents: Sequence[str] = (),
        filters: SearchFilters = NO_FILTERS,
    ) -> AsyncGenerator[AnswerSentence | Answer, None]:
        """The answer sentence by sentence, each as soon as it is backed, then the whole of it, as `answer` gives it.

        Closing it before its end stops the writer too. Raises as `answer` does, also after sentences.
        """
        asked = read_question(question)
        limit = read_top_k(top_k, default=DEFAULT_TOP_K)
        within, narrowed = read_documents(documents), read_filters(filters)
        depth = max(limit, _LEAST_READ)
        findings = await self._searching.find(tenant, asked, limit=depth, documents=within, filters=narrowed)
        passages = tuple(chunk.found for chunk in findings.chunks)
        text, count = "", 0
        citations: list[Citation] = []
        spent = WriterUsage()
        reading = Reading(tenant, asked, findings.embedding, passages, findings.counts)
        async with aclosing(self._writer.write(reading)) as drafts:
            async for part in drafts:
                if isinstance(part, WriterUsage):
                    spent = part
                    continue
                backed = tuple(cite(quote, passages, count) for quote in part.quotes if _holds(quote, passages))
                if not backed or not part.text.strip():
                    continue
                sentence = AnswerSentence(_gap_after(text) + part.text, backed)
                yield sentence
                text, count = text + sentence.text, count + 1
                citations += backed
        yield Answer(
            text=text or not_answered(passages, is_narrowed=bool(within) or narrowed != NO_FILTERS),
            answered=bool(text),
            citations=tuple(citations),
            sources=_sources(findings.chunks, {citation.chunk for citation in citations}, limit),
            usage=WriterUsage(spent.input_tokens, spent.output_tokens, spent.embedded_texts + 1),
        )


def not_answered(passages: Sequence[FoundChunk], *, is_narrowed: bool) -> str:
    """That the documents hold no answer, and where it was looked for."""
    if not passages:
        return _NOTHING_WITHIN if is_narrowed else _NOTHING_INDEXED
    places = dict.fromkeys(_place(found) for found in passages[:DEFAULT_TOP_K])
    *others, last = places
    told = f"{', '.join(others)} and {last}" if others else last
    return f"{NOT_ANSWERED} What comes nearest was looked at, in {told}."


def _place(found: FoundChunk) -> str:
    name = shown_name(found.filename)
    return f"{name} (page {found.chunk.page})" if found.chunk.page is not None else name


def _sources(chunks: Sequence[ScoredChunk], cited: Set[ChunkId], limit: int) -> tuple[ScoredChunk, ...]:
    """What is cited and the best of the rest, `limit` in all unless more are cited; best first."""
    rest = max(0, limit - sum(chunk.found.id in cited for chunk in chunks))
    others = {chunk.found.id for chunk in [chunk for chunk in chunks if chunk.found.id not in cited][:rest]}
    return tuple(chunk for chunk in chunks if chunk.found.id in cited or chunk.found.id in others)


def cite(quote: Quote, passages: Sequence[FoundChunk], sentence_index: int) -> Citation:
    """Where in its document a quote stands.

    The text of a chunk is usually the document's own; then the place is exact. Where it was made from the document's
    (a table with its header repeated), characters cannot be told apart: then the place is the chunk's stretch.
    """
    found = passages[quote.passage]
    chunk = found.chunk
    is_verbatim = chunk.end - chunk.start == len(chunk.text)
    return Citation(
        chunk=found.id,
        filename=found.filename,
        quote=chunk.text[quote.start : quote.end],
        start=chunk.start + quote.start if is_verbatim else chunk.start,
        end=chunk.start + quote.end if is_verbatim else chunk.end,
        page=chunk.page,
        sentence_index=sentence_index,
        table=chunk.table,
        headings=chunk.headings,
    )


def _holds(quote: Quote, passages: Sequence[FoundChunk]) -> bool:
    if not 0 <= quote.passage < len(passages):
        return False
    text = passages[quote.passage].chunk.text
    return 0 <= quote.start < quote.end <= len(text) and bool(text[quote.start : quote.end].strip())


def _gap_after(text: str) -> str:
    """What parts a sentence from the text before it: a row, which has no full stop, ends its line."""
    if not text:
        return ""
    return " " if text.rstrip("\"'”’»)").endswith((".", "!", "?", "。", "！", "？")) else "\n"
