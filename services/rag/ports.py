"""What rag needs from the outside, in its own words."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from services.rag.models import (
    DocumentWrite,
    DraftSentence,
    Embedding,
    EmbeddingModel,
    IndexQuery,
    IndexStatistics,
    Reading,
    Retrieved,
    WriteOutcome,
    WriterUsage,
)


class ChunkIndex(Protocol):
    """Chunks of many tenants, found by meaning and by words. No call sees or changes another tenant's chunks.

    An index is opened for one embedding model. The first write records the model; from then on every method that
    stores or compares embeddings raises EmbeddingModelMismatch when it was opened for another one, until the index
    is empty again; an index whose dimension is fixed refuses a model of another one before it is opened. Any method
    raises ChunkStoreUnavailable when the index cannot be reached.

    One `search` serves both legs, because an index reaches both in one round trip; how the legs are fused is not
    its business. An index that cannot find by words leaves `by_words` empty; one that keeps no word counts leaves
    `counts.containing` empty, and every term then weighs the same.
    """

    @property
    def kind(self) -> str:
        """Name of the technology, for statistics."""
        ...

    async def fingerprints(self, tenant: str, document: str) -> dict[int, str]:
        """The fingerprint of every chunk stored of a document, by chunk index; empty for an unknown document."""
        ...

    async def write(self, write: DocumentWrite) -> WriteOutcome:
        """Store chunks of a document, rename it, and drop its chunks at or past `chunk_count`, all or nothing.

        `facts` are those of the whole document, also of chunks stored before; None leaves what is known of them.
        A chunk without an embedding keeps the one stored under the same fingerprint; where there is none, because
        another call changed or deleted the document meanwhile, nothing is written and `missing` says which. Writes of
        one document are carried out one after the other. An index without transactions stores embeddings before it
        removes chunks, so that repeating the call completes it. Raises ChunkInvalid for a chunk larger than the index
        keeps.
        """
        ...

    async def delete(self, tenant: str, document: str, *, successor: str = "") -> int:
        """Remove a document's chunks and its file name; return how many chunks there were, 0 for an unknown one.

        In the same step the chunks of `successor` are shown, if they were held back: a search finds those of either the
        one or the other. An index without transactions holds none back, and shows both for a moment.
        """
        ...

    async def show(self, tenant: str, document: str) -> None:
        """Have searches find the chunks of a document that were held back."""
        ...

    async def count(self, tenant: str, document: str) -> int:
        """How many chunks of a document the index says it holds now."""
        ...

    async def search(self, query: IndexQuery) -> Retrieved:
        """At most `limit` chunks by cosine similarity and at most `limit` by BM25 over `terms`, best first.

        Ties go by chunk id. `counts` tells the number of the tenant's chunks and how many of them hold each term,
        whatever `documents` and `filters` narrow the search to. A document whose facts were never written has none: it
        passes no filter on them.
        """
        ...

    async def statistics(self, tenant: str) -> IndexStatistics: ...

    async def check(self) -> bool:
        """Whether the index can be reached now."""
        ...


class Embedder(Protocol):
    """Turns texts into embeddings of length 1.

    Every method but `check` raises EmbedderUnavailable when it cannot load or reach its model, and ModelRefused when
    the model's provider turns the service down.
    """

    @property
    def model(self) -> EmbeddingModel: ...

    @property
    def max_tokens(self) -> int:
        """Longest passage the model reads, in its own tokens."""
        ...

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, in the same order, as `max_tokens` counts them.

        Where a model's vocabulary is not at hand these are upper bounds: no text is called shorter than it is.
        """
        ...

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed texts that are searched, in the same order. Raises TextTooLong past `max_tokens`: nothing is cut."""
        ...

    async def embed_queries(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed texts that are searched for. One longer than `max_tokens` is read in pieces, so that none is cut."""
        ...

    async def check(self) -> bool:
        """Whether the model is loaded or can be reached now."""
        ...


class Reranker(Protocol):
    """Reads passages with the question beside them, which tells more than embeddings made apart, and takes longer."""

    @property
    def name(self) -> str:
        """Its model's name, for statistics."""
        ...

    async def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, in the same order; higher is better, the range its own.

        Raises RerankerUnavailable when it has no score for every one of them, for whatever reason.
        """
        ...


class EmbeddingCache(Protocol):
    """Remembers embeddings for a while. It raises nothing: what it does not have is not known, for whatever reason."""

    async def get_many(self, model: EmbeddingModel, side: str, texts: Sequence[str]) -> list[Embedding | None]:
        """The embedding of each text on one side of a model, "passage" or "query"; None where it is not known."""
        ...

    async def set_many(self, model: EmbeddingModel, side: str, embeddings: Mapping[str, Embedding]) -> None:
        """Remember the embedding of each text."""
        ...

    async def forget_many(self, model: EmbeddingModel, side: str, fingerprints: Sequence[str]) -> int:
        """Forget the embeddings of texts, each told by its SHA-256 in hexadecimal digits; how many were there."""
        ...


class AnswerWriter(Protocol):
    """Writes an answer from passages alone.

    A writer whose model is away fails; no other writer steps in. Whoever asked would take quoted sentences for the
    answer they did not get, and with the model the embeddings are mostly away too, so that nothing is found to quote.
    """

    @property
    def name(self) -> str:
        """ "extractive", or a model's name."""
        ...

    def write(self, reading: Reading) -> AsyncGenerator[DraftSentence | WriterUsage, None]:
        """Yield the answer sentence by sentence, each with the quotes that back it, then exactly one WriterUsage.

        Closing it before its end stops whatever writes.

        No sentence at all means: the passages do not hold an answer. What passages say is data: a writer follows no
        instruction in them. A sentence counts once it is yielded: an error after it leaves the answer incomplete.

        Raises: EmbedderUnavailable, AnswerModelUnavailable, ModelRefused.
        """
        ...
