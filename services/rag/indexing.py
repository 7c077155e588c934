"""Storing the chunks of a document so that they can be found."""

from collections.abc import Sequence
from hashlib import sha256

from services.rag.embedding_cache import CachedEmbedder
from services.rag.errors import ChunkInvalid, ChunkStoreUnavailable
from services.rag.headers import headers_of, names_of, searched_words
from services.rag.models import (
    Chunk,
    DeleteOutcome,
    DocumentFacts,
    DocumentWrite,
    IndexedChunk,
    IndexOutcome,
    IndexStatistics,
)
from services.rag.ports import ChunkIndex, Embedder
from services.rag.requests import read_chunks, read_document, read_facts, read_filename
from services.rag.words import terms_of

# How often a call starts over because another one changed the same document meanwhile; three such coincidences in a row
# mean that something keeps rewriting it.
_ATTEMPTS = 4
# Of what the model reads a header takes one part of so many; chunks are cut so that it fits.
_HEADER_SHARE = 4
# A tokenizer that counts line breaks, or joins words over them, may find one more in the whole than in the parts.
_LINE_BREAK_TOKENS = 1


class Indexing:
    """Embeds what is new, keeps what is not, drops what is stale."""

    def __init__(self, index: ChunkIndex, embedder: Embedder, cache: CachedEmbedder | None = None) -> None:
        """`cache` is what remembers embeddings, if anything does."""
        self._index = index
        self._embedder = embedder
        self._cache = cache

    async def index(
        self,
        tenant: str,
        document: str,
        filename: str,
        chunks: Sequence[Chunk],
        chunk_count: int,
        facts: DocumentFacts | None = None,
        *,
        held_back: bool = False,
    ) -> IndexOutcome:
        """Store chunks of a document; those at or past `chunk_count` are removed. Repeating a call changes nothing.

        With `held_back` those of a document that has none yet are found once it is shown. Embeddings are made before
        the index is written to, so that no transaction waits for the model.

        Raises: NameInvalid, FactsInvalid, ChunkInvalid, EmbeddingModelMismatch, Unavailable.
        """
        name = read_document(document)
        shown_name = read_filename(filename)
        known = read_facts(facts) if facts else None
        given = read_chunks(chunks, chunk_count=chunk_count)
        names = names_of(shown_name, known.title if known else "")
        passages = await self._passages(given, names)
        fingerprints = [sha256(passage.encode()).hexdigest() for passage in passages]
        stored = await self._index.fingerprints(tenant, name)
        kept = {place for place, mark in enumerate(fingerprints) if stored.get(given[place].index) == mark}
        new: dict[int, Sequence[float]] = {}
        for _ in range(_ATTEMPTS):
            wanted = [place for place in range(len(given)) if place not in kept and place not in new]
            embedded = await self._embedder.embed_passages([passages[place] for place in wanted]) if wanted else []
            new.update(zip(wanted, embedded, strict=True))
            indexed = tuple(
                IndexedChunk(chunk, fingerprints[place], terms_of(searched_words(names, chunk)), new.get(place))
                for place, chunk in enumerate(given)
            )
            outcome = await self._index.write(
                DocumentWrite(tenant, name, shown_name, chunk_count, indexed, known, held_back)
            )
            if not outcome.missing:
                return IndexOutcome(len(new), len(given) - len(new), outcome.removed_count)
            kept = {place for place in kept if given[place].index not in outcome.missing}
        raise ChunkStoreUnavailable("Other calls keep changing this document; try again.")

    async def delete(self, tenant: str, document: str, successor: str = "") -> DeleteOutcome:
        """Remove every chunk of a document and what is cached of it, and show those of its successor in the same step.

        A cache that cannot be reached holds up no removal: its entries end by themselves.

        Raises: NameInvalid, ChunkStoreUnavailable.
        """
        name = read_document(document)
        shown = read_document(successor) if successor else ""
        fingerprints = await self._index.fingerprints(tenant, name)
        removed_count = await self._index.delete(tenant, name, successor=shown)
        forgotten_count = 0
        if self._cache is not None:
            forgotten_count = await self._cache.forget_passages(list(fingerprints.values()))
        return DeleteOutcome(removed_count, forgotten_count, await self._index.count(tenant, name))

    async def show(self, tenant: str, document: str) -> None:
        """Have searches find a document's chunks that were held back. Raises: NameInvalid, ChunkStoreUnavailable."""
        await self._index.show(tenant, read_document(document))

    async def statistics(self, tenant: str) -> IndexStatistics:
        """What a tenant has indexed. Raises ChunkStoreUnavailable."""
        return await self._index.statistics(tenant)

    async def _passages(self, chunks: Sequence[Chunk], names: Sequence[str]) -> list[str]:
        """What is embedded for each chunk: its text under a header of the document's names and its headings.

        A passage far below its heading often does not repeat what it is about. The header takes a quarter of what the
        model reads at most, and never room from the text; of one that is too long less is taken.

        Raises ChunkInvalid for a text that alone is longer than the model reads: nothing is cut unseen.
        """
        limit = self._embedder.max_tokens
        headers = [list(headers_of(names, chunk.headings, chunk.text)) for chunk in chunks]
        candidates = list(dict.fromkeys(header for each in headers for header in each))
        texts = [chunk.text for chunk in chunks]
        counts = await self._embedder.count_tokens([*texts, *candidates]) if chunks else []
        header_tokens = dict(zip(candidates, counts[len(texts) :], strict=True))
        passages = []
        for place, (chunk, count) in enumerate(zip(chunks, counts, strict=False)):
            if count > limit:
                raise ChunkInvalid(
                    f"Chunk {chunk.index} holds {count} tokens; the embedding model reads {limit} at most.",
                    field=f"chunks[{place}].text",
                )
            room = min(limit // _HEADER_SHARE, limit - count - _LINE_BREAK_TOKENS)
            header = next((header for header in headers[place] if header_tokens[header] <= room), "")
            passages.append(f"{header}\n{chunk.text}" if header else chunk.text)
        return passages
