"""The document side as it runs, fed with evaluation texts: the real parsers, the real model and a real store."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from services.ingest.adapters.parsing.formats import parse_bytes
from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.chunking import Chunker
from services.ingest.models import EmbeddingLimits, ParsedDocument
from services.ingest.settings import IngestSettings
from services.rag.adapters.extractive_writer import ExtractiveWriter
from services.rag.adapters.minilm_embedder import MiniLmEmbedder
from services.rag.adapters.pgvector_index import MIGRATIONS, SCHEMA, PgvectorIndex
from services.rag.answering import Answering
from services.rag.assessing import Assessing
from services.rag.indexing import Indexing
from services.rag.models import Chunk, DocumentFacts, TableRange
from services.rag.searching import Searching
from services.rag.settings import RagSettings
from services.storage.postgres import open_store
from tests.quality.passages import cut

TENANT = "evaluation"
_MIN_CERTAINTY: float = RagSettings.model_fields["min_certainty"].default
_MOST_CHUNKS_A_CALL = 256


@dataclass
class Library:
    """Documents that questions can be put to."""

    indexing: Indexing
    searching: Searching
    answering: Answering
    assessing: Assessing
    chunker: Chunker
    titles: dict[str, str] = field(default_factory=dict)
    """What each document is called in the evaluation data, by resource name."""

    async def add(self, title: str, text: str, *, filename: str | None = None, heading: str = "") -> str:
        """Index one text as it is; return its resource name."""
        document = self._name(title)
        await self._index(document, filename or title, [_under(chunk, heading) for chunk in cut(text)])
        return document

    async def add_file(self, title: str, content: bytes, *, filename: str) -> str:
        """Parse, cut and index one file as an upload of it would be; return its resource name. Raises FileRefused."""
        extension = filename.rpartition(".")[2].lower()
        parsed = await asyncio.to_thread(parse_bytes, content, extension)
        return await self.add_parsed(title, parsed, filename=filename)

    async def add_parsed(self, title: str, parsed: ParsedDocument, *, filename: str) -> str:
        """Cut and index what a parser made of a file; return its resource name."""
        document = self._name(title)
        extension = filename.rpartition(".")[2].lower()
        chunks = await asyncio.to_thread(self.chunker.chunk, parsed)
        indexed = [
            Chunk(
                index=chunk.index,
                text=chunk.text,
                start=chunk.start,
                end=chunk.end,
                page=chunk.page,
                headings=chunk.headings,
                table=TableRange(chunk.table.table, chunk.table.first_row, chunk.table.last_row)
                if chunk.table
                else None,
            )
            for chunk in chunks
        ]
        await self._index(document, filename, indexed, DocumentFacts(title=parsed.title[:300], extension=extension))
        return document

    async def ranking(self, question: str, *, most: int) -> list[str]:
        """Titles of the documents found, best first, none twice."""
        found = await self.searching.find(TENANT, question, limit=2 * most)
        return list(dict.fromkeys(self.titles[chunk.found.document] for chunk in found.chunks))[:most]

    def _name(self, title: str) -> str:
        document = f"documents/{sha256(title.encode()).hexdigest()}"
        self.titles[document] = title
        return document

    async def _index(
        self, document: str, filename: str, chunks: Sequence[Chunk], facts: DocumentFacts | None = None
    ) -> None:
        for first in range(0, len(chunks), _MOST_CHUNKS_A_CALL):
            part = chunks[first : first + _MOST_CHUNKS_A_CALL]
            await self.indexing.index(TENANT, document, filename, part, len(chunks), facts)


def _under(chunk: Chunk, heading: str) -> Chunk:
    headings = chunk.headings or ((heading,) if heading else ())
    return Chunk(chunk.index, chunk.text, chunk.start, chunk.end, chunk.page, headings)


def _default_chunker(limits: EmbeddingLimits) -> Chunker:
    """The chunker of an ingest service without settings of its own."""
    defaults: Mapping[str, int] = {name: each.default for name, each in IngestSettings.model_fields.items()}
    return Chunker(
        WordPieceTokens(),
        max_tokens=defaults["chunk_tokens"],
        merge_tokens=defaults["chunk_merge_tokens"],
        overlap_tokens=defaults["chunk_overlap_tokens"],
    ).within(limits)


@asynccontextmanager
async def open_library(store_url: str) -> AsyncIterator[Library]:
    """A library on a store, empty but for what the store holds already."""
    embedder = MiniLmEmbedder()
    try:
        async with open_store(store_url, schema=SCHEMA, migrations=MIGRATIONS) as pool:
            index = PgvectorIndex(pool, embedder.model)
            searching = Searching(index, embedder)
            writer = ExtractiveWriter(embedder, min_certainty=_MIN_CERTAINTY)
            yield Library(
                Indexing(index, embedder),
                searching,
                Answering(searching, writer),
                Assessing(searching, embedder),
                _default_chunker(EmbeddingLimits(embedder.model.name, embedder.max_tokens)),
            )
    finally:
        embedder.close()
