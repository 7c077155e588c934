"""A search among 50,000 chunks, how fast and how true, and indexing them: `python -m tests.performance.rag_search`.

Everything goes through rag's own use cases over a PostgreSQL of its own; only the embeddings are drawn instead of made.
A tenant has 50,000 chunks, and 40 others have 200 each in the same tables. Truth is what numpy finds by comparing all.
"""

import asyncio
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.rag.adapters.pgvector_index import MIGRATIONS, SCHEMA, PgvectorIndex
from services.rag.indexing import Indexing
from services.rag.models import (
    NO_FILTERS,
    Chunk,
    ChunkId,
    DocumentFacts,
    Embedding,
    EmbeddingModel,
    IndexQuery,
    SearchFilters,
)
from services.storage.postgres import open_store

CHUNKS = 50_000
CHUNKS_PER_DOCUMENT = 100
DIMENSION = 384
VOCABULARY = 30_000
TERMS_PER_CHUNK = 60
TERMS_PER_QUESTION = 5
QUESTIONS = 60
NEIGHBOURS = 10
TENANT = "bench"
SMALL_TENANTS, SMALL_CHUNKS = 40, 200
TAGS = 10
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
# Where memory is looked at: when everything has been loaded and used a few times, and at the end.
EARLY_DOCUMENT = 50


class DrawnEmbeddings:
    """An Embedder whose texts begin, below their header, with the number of their embedding."""

    model = EmbeddingModel("bench", DIMENSION)
    max_tokens = 512

    def __init__(self, embeddings: np.ndarray) -> None:
        self._embeddings = embeddings

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) // 4 for text in texts]

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        numbers = [int(text.rpartition("\n")[2].split(maxsplit=1)[0]) for text in texts]
        return [self._embeddings[number].tolist() for number in numbers]

    async def embed_queries(self, texts: Sequence[str]) -> list[Embedding]:
        return await self.embed_passages(texts)

    async def check(self) -> bool:
        return True


def measure() -> dict[str, float]:
    """Missed of the ten nearest, times in ms, growth of memory; see the names."""
    folder = Path(tempfile.mkdtemp(prefix="dg-bench-"))
    sockets = folder / "s"
    sockets.mkdir(mode=0o700)
    server = EmbeddedPostgres(folder / "pg", sockets)
    try:
        server.start()
        return asyncio.run(_measure(server.url("postgres")))
    finally:
        server.stop(timeout_seconds=10)
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(url: str) -> dict[str, float]:
    generator = np.random.default_rng(7)
    # Around a few hundred topics, as real texts lie: unrelated directions would make every neighbour equally near.
    topics = generator.standard_normal((300, DIMENSION))
    count = CHUNKS + SMALL_TENANTS * SMALL_CHUNKS
    embeddings = topics[generator.integers(0, len(topics), count)] + 0.9 * generator.standard_normal((count, DIMENSION))
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    async with open_store(url, schema=SCHEMA, migrations=MIGRATIONS, max_connections=2) as pool:
        index = PgvectorIndex(pool, DrawnEmbeddings.model)
        figures = await _index_all(Indexing(index, DrawnEmbeddings(embeddings)))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        figures["rag_index_mb"] = (row[0] if row else 0) / 1_000_000
        words = random.Random(11)
        for name, tenant, filters, passes in _cases():
            numbers = np.array([number for number in range(count) if _tenant(number) == tenant and passes(number)])
            searches = []
            elapsed_ms = []
            for place in range(QUESTIONS + 5):
                near = embeddings[generator.choice(numbers)]
                question = near + 0.03 * generator.standard_normal(DIMENSION)
                question = (question / np.linalg.norm(question)).astype(np.float32)
                terms = tuple({_term(words) for _ in range(TERMS_PER_QUESTION)})
                query = IndexQuery(tenant, question.tolist(), terms, limit=50, filters=filters)
                started = time.perf_counter()
                found = await index.search(query)
                if place >= 5:  # the first ones warm caches
                    elapsed_ms.append((time.perf_counter() - started) * 1000)
                    searches.append((question, found.by_meaning[:NEIGHBOURS]))
            # Only now: the threads of numpy would take the processor from the searches that are timed.
            missed = [_missed(embeddings[numbers], numbers, question, found) for question, found in searches]
            elapsed_ms.sort()
            figures[f"rag_{name}_missed_at_10"] = statistics.mean(missed)
            figures[f"rag_{name}_p50_ms"] = statistics.median(elapsed_ms)
            figures[f"rag_{name}_p95_ms"] = elapsed_ms[int(0.95 * len(elapsed_ms))]
    return figures


def _cases() -> Iterator[tuple[str, str, SearchFilters, Callable[[int], bool]]]:
    """Name, tenant, filters, and which of the tenant's chunks pass them."""
    yield "search", TENANT, NO_FILTERS, lambda number: True
    yield "search_small_tenant", _tenant(CHUNKS), NO_FILTERS, lambda number: True
    yield "search_one_tag_in_ten", TENANT, SearchFilters(tags=("tag 3",)), lambda number: _document(number) % TAGS == 3
    last = FIRST_DAY + timedelta(days=5)
    yield "search_five_days", TENANT, SearchFilters(create_time_before=last), lambda number: _document(number) < 5
    yield "search_one_file", TENANT, SearchFilters(filenames=("file 7.txt",)), lambda number: _document(number) == 7


async def _index_all(indexing: Indexing) -> dict[str, float]:
    words = random.Random(5)
    early_mb = 0.0
    began = time.perf_counter()
    documents = (CHUNKS + SMALL_TENANTS * SMALL_CHUNKS) // CHUNKS_PER_DOCUMENT
    for document in range(documents):
        first = document * CHUNKS_PER_DOCUMENT
        chunks = []
        for place in range(CHUNKS_PER_DOCUMENT):
            text = f"{first + place} " + " ".join(_term(words) for _ in range(TERMS_PER_CHUNK))
            chunks.append(Chunk(place, text, 0, len(text)))
        facts = DocumentFacts("", "txt", (f"tag {document % TAGS}",), FIRST_DAY + timedelta(days=document))
        await indexing.index(
            _tenant(first), _chunk_id(first).document, f"file {document}.txt", chunks, CHUNKS_PER_DOCUMENT, facts
        )
        if document == EARLY_DOCUMENT:
            early_mb = _memory_mb()
    return {
        "rag_write_chunks_per_second": documents * CHUNKS_PER_DOCUMENT / (time.perf_counter() - began),
        "rag_indexing_memory_mb": _memory_mb(),
        "rag_indexing_memory_growth": _memory_mb() / early_mb,
    }


def _missed(held: np.ndarray, numbers: np.ndarray, question: np.ndarray, found: tuple[ChunkId, ...]) -> float:
    nearest = numbers[np.argsort(-(held @ question))[:NEIGHBOURS]]
    return 1 - len({_chunk_id(int(number)) for number in nearest} & set(found)) / len(nearest)


def _memory_mb() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


def _tenant(number: int) -> str:
    return TENANT if number < CHUNKS else f"small {_document(number - CHUNKS) % SMALL_TENANTS}"


def _document(number: int) -> int:
    return number // CHUNKS_PER_DOCUMENT


def _chunk_id(number: int) -> ChunkId:
    return ChunkId(f"documents/{_document(number):064x}", number % CHUNKS_PER_DOCUMENT)


def _term(words: random.Random) -> str:
    """Words as common as in English, where the n-th most common one occurs 1/n as often as the first.

    The commonest twenty stand for "the" and "of", which no question looks for.
    """
    while (rank := int(VOCABULARY ** words.random())) <= 20:
        pass
    return f"word{rank}"


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=1)
