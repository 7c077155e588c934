"""Storing the chunks of a document so that they can be found."""

from collections.abc import Sequence
from hashlib import sha256

from services.rag.errors import ChunkInvalid, ChunkStoreUnavailable
from services.rag.models import Chunk, DocumentFacts, DocumentWrite, IndexedChunk, IndexOutcome, IndexStatistics
from services.rag.ports import ChunkIndex, Embedder
from services.rag.requests import read_chunks, read_document, read_facts, read_filename
from services.rag.words import terms_of

# How often a call starts over because another one changed the same document meanwhile; three such coincidences in a row
# mean that something keeps rewriting it.
_ATTEMPTS = 4


class Indexing:
    """Embeds what is new, keeps what is not, drops what is stale."""

    def __init__(self, index: ChunkIndex, embedder: Embedder) -> None:
        self._index = index
        self._embedder = embedder

    async def index(
        self,
        tenant: str,
        document: str,
        filename: str,
        chunks: Sequence[Chunk],
        chunk_count: int,
        facts: DocumentFacts | None = None,
    ) -> IndexOutcome:
        """Store chunks of a document; those at or past `chunk_count` are removed. Repeating a call changes nothing.

        Embeddings are made before the index is written to, so that no transaction waits for the model.

        Raises: NameInvalid, FactsInvalid, ChunkInvalid, EmbeddingModelMismatch, Unavailable.
        """
        name = read_document(document)
        shown_name = read_filename(filename)
        known = read_facts(facts) if facts else None
        given = read_chunks(chunks, chunk_count=chunk_count)
        passages = await self._passages(given)
        fingerprints = [sha256(passage.encode()).hexdigest() for passage in passages]
        stored = await self._index.fingerprints(tenant, name)
        kept = {place for place, mark in enumerate(fingerprints) if stored.get(given[place].index) == mark}
        new: dict[int, Sequence[float]] = {}
        for _ in range(_ATTEMPTS):
            wanted = [place for place in range(len(given)) if place not in kept and place not in new]
            embedded = await self._embedder.embed_passages([passages[place] for place in wanted]) if wanted else []
            new.update(zip(wanted, embedded, strict=True))
            indexed = tuple(
                IndexedChunk(chunk, fingerprints[place], terms_of(_searched_words(chunk)), new.get(place))
                for place, chunk in enumerate(given)
            )
            outcome = await self._index.write(DocumentWrite(tenant, name, shown_name, chunk_count, indexed, known))
            if not outcome.missing:
                return IndexOutcome(len(new), len(given) - len(new), outcome.removed_count)
            kept = {place for place in kept if given[place].index not in outcome.missing}
        raise ChunkStoreUnavailable("Other calls keep changing this document; try again.")

    async def delete(self, tenant: str, document: str) -> int:
        """Remove every chunk of a document; return how many there were.

        Raises: NameInvalid, ChunkStoreUnavailable.
        """
        return await self._index.delete(tenant, read_document(document))

    async def statistics(self, tenant: str) -> IndexStatistics:
        """What a tenant has indexed. Raises ChunkStoreUnavailable."""
        return await self._index.statistics(tenant)

    async def _passages(self, chunks: Sequence[Chunk]) -> list[str]:
        """What is embedded for each chunk: its text under its innermost heading, where both fit into the model.

        A passage far below its heading often does not repeat what it is about.
        """
        if not chunks:
            return []
        limit = self._embedder.max_tokens
        headed = [_under_heading(chunk) for chunk in chunks]
        counts = await self._embedder.count_tokens([chunk.text for chunk in chunks] + headed)
        passages = []
        for place, chunk in enumerate(chunks):
            if counts[place] > limit:
                raise ChunkInvalid(
                    f"Chunk {chunk.index} holds {counts[place]} tokens; the embedding model reads {limit} at most.",
                    field=f"chunks[{place}].text",
                )
            passages.append(headed[place] if counts[len(chunks) + place] <= limit else chunk.text)
        return passages


def _under_heading(chunk: Chunk) -> str:
    heading = chunk.headings[-1].strip() if chunk.headings else ""
    return chunk.text if not heading or heading in chunk.text else f"{heading}\n{chunk.text}"


def _searched_words(chunk: Chunk) -> str:
    return "\n".join([*(heading for heading in chunk.headings if heading not in chunk.text), chunk.text])
