"""Answering a question from the documents alone."""

from collections.abc import Sequence

from services.rag.models import NO_FILTERS, Answer, Citation, FoundChunk, Quote, Reading, SearchFilters, WriterUsage
from services.rag.ports import AnswerWriter
from services.rag.requests import read_documents, read_filters, read_question, read_top_k
from services.rag.searching import Searching

DEFAULT_TOP_K = 3
NOT_ANSWERED = "The documents do not contain an answer to this question."


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
        asked = read_question(question)
        limit = read_top_k(top_k, default=DEFAULT_TOP_K)
        within, narrowed = read_documents(documents), read_filters(filters)
        findings = await self._searching.find(tenant, asked, limit=limit, documents=within, filters=narrowed)
        passages = tuple(chunk.found for chunk in findings.chunks)
        sentences: list[str] = []
        citations: list[Citation] = []
        spent = WriterUsage()
        reading = Reading(tenant, asked, findings.embedding, passages, findings.counts)
        async for part in self._writer.write(reading):
            if isinstance(part, WriterUsage):
                spent = part
                continue
            backed = [cite(quote, passages, len(sentences)) for quote in part.quotes if _holds(quote, passages)]
            if backed and part.text.strip():
                sentences.append(part.text)
                citations += backed
        usage = WriterUsage(spent.input_tokens, spent.output_tokens, spent.embedded_texts + 1)
        return Answer(
            text=_join(sentences) or NOT_ANSWERED,
            answered=bool(sentences),
            citations=tuple(citations),
            sources=findings.chunks,
            usage=usage,
        )


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
    )


def _holds(quote: Quote, passages: Sequence[FoundChunk]) -> bool:
    if not 0 <= quote.passage < len(passages):
        return False
    text = passages[quote.passage].chunk.text
    return 0 <= quote.start < quote.end <= len(text) and bool(text[quote.start : quote.end].strip())


def _join(sentences: Sequence[str]) -> str:
    """Sentences after one another; what does not end like a sentence, a list item or a row, ends its line."""
    text = ""
    for sentence in sentences:
        if text:
            text += " " if text.rstrip("\"'”’»)").endswith((".", "!", "?", "。", "！", "？")) else "\n"
        text += sentence
    return text
