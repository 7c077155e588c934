"""The document side as it runs, fed with evaluation texts: the real model and a real store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from services.rag.adapters.extractive_writer import ExtractiveWriter
from services.rag.adapters.minilm_embedder import MiniLmEmbedder
from services.rag.adapters.pgvector_index import MIGRATIONS, SCHEMA, PgvectorIndex
from services.rag.answering import Answering
from services.rag.assessing import Assessing
from services.rag.indexing import Indexing
from services.rag.models import Chunk
from services.rag.searching import Searching
from services.storage.postgres import open_store
from tests.quality.passages import cut

TENANT = "evaluation"
_MIN_CERTAINTY = 0.5


@dataclass
class Library:
    """Documents that questions can be put to."""

    indexing: Indexing
    searching: Searching
    answering: Answering
    assessing: Assessing
    titles: dict[str, str] = field(default_factory=dict)
    """What each document is called in the evaluation data, by resource name."""

    async def add(self, title: str, text: str, *, filename: str | None = None, heading: str = "") -> str:
        """Index one text; return its resource name."""
        document = f"documents/{sha256(title.encode()).hexdigest()}"
        chunks = [_under(chunk, heading) for chunk in cut(text)]
        if chunks:
            for first in range(0, len(chunks), 256):
                part = chunks[first : first + 256]
                await self.indexing.index(TENANT, document, filename or title, part, len(chunks))
        self.titles[document] = title
        return document

    async def ranking(self, question: str, *, most: int) -> list[str]:
        """Titles of the documents found, best first, none twice."""
        found = await self.searching.find(TENANT, question, limit=2 * most)
        return list(dict.fromkeys(self.titles[chunk.found.document] for chunk in found.chunks))[:most]


def _under(chunk: Chunk, heading: str) -> Chunk:
    headings = chunk.headings or ((heading,) if heading else ())
    return Chunk(chunk.index, chunk.text, chunk.start, chunk.end, chunk.page, headings)


@asynccontextmanager
async def open_library(store_url: str) -> AsyncIterator[Library]:
    """An empty library on a store."""
    embedder = MiniLmEmbedder()
    try:
        async with open_store(store_url, schema=SCHEMA, migrations=MIGRATIONS) as pool:
            index = PgvectorIndex(pool, embedder.model)
            searching = Searching(index, embedder)
            writer = ExtractiveWriter(embedder, min_certainty=_MIN_CERTAINTY)
            yield Library(
                Indexing(index, embedder), searching, Answering(searching, writer), Assessing(searching, embedder)
            )
    finally:
        embedder.close()
