"""How fast and how true a search is among 50,000 chunks: `python -m tests.performance.rag_search`."""

import asyncio
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.rag.adapters.pgvector_index import MIGRATIONS, SCHEMA, PgvectorIndex
from services.rag.models import Chunk, ChunkId, DocumentWrite, EmbeddingModel, IndexedChunk, IndexQuery
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


def measure() -> dict[str, float]:
    """Recall@10 against comparing all embeddings with numpy, median and 95th percentile of a hybrid search in ms."""
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
    embeddings = topics[generator.integers(0, len(topics), CHUNKS)] + 0.9 * generator.standard_normal(
        (CHUNKS, DIMENSION)
    )
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    embeddings = embeddings.astype(np.float32)
    async with open_store(url, schema=SCHEMA, migrations=MIGRATIONS, max_connections=2) as pool:
        index = PgvectorIndex(pool, EmbeddingModel("bench", DIMENSION))
        started = time.perf_counter()
        for write in _writes(embeddings):
            await index.write(write)
        write_seconds = time.perf_counter() - started
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        elapsed_ms: list[float] = []
        searches: list[tuple[np.ndarray, tuple[ChunkId, ...]]] = []
        words = random.Random(11)
        for place in range(QUESTIONS + 5):
            question = embeddings[generator.integers(0, CHUNKS)] + 0.03 * generator.standard_normal(DIMENSION)
            question = (question / np.linalg.norm(question)).astype(np.float32)
            terms = tuple({_term(words) for _ in range(TERMS_PER_QUESTION)})
            query = IndexQuery(TENANT, question.tolist(), terms, limit=50)
            started = time.perf_counter()
            found = await index.search(query)
            if place >= 5:  # the first ones warm caches and prepare statements
                elapsed_ms.append((time.perf_counter() - started) * 1000)
                searches.append((question, found.by_meaning[:NEIGHBOURS]))
    # Only now: the threads of numpy would take the processor from the searches that are timed.
    recalls = [_recall(embeddings, question, found) for question, found in searches]
    elapsed_ms.sort()
    return {
        "rag_search_chunks": CHUNKS,
        "rag_search_recall_at_10": statistics.mean(recalls),
        "rag_search_p50_ms": statistics.median(elapsed_ms),
        "rag_search_p95_ms": elapsed_ms[int(0.95 * len(elapsed_ms))],
        "rag_write_chunks_per_second": CHUNKS / write_seconds,
        "rag_index_mb": (row[0] if row else 0) / 1_000_000,
    }


def _recall(embeddings: "np.ndarray", question: "np.ndarray", found: tuple[ChunkId, ...]) -> float:
    nearest = np.argsort(-(embeddings @ question))[:NEIGHBOURS]
    return len({_chunk_id(int(number)) for number in nearest} & set(found)) / NEIGHBOURS


def _writes(embeddings: "np.ndarray") -> Iterator[DocumentWrite]:
    words = random.Random(5)
    for first in range(0, CHUNKS, CHUNKS_PER_DOCUMENT):
        chunks = []
        for place in range(CHUNKS_PER_DOCUMENT):
            terms: dict[str, int] = {}
            for _ in range(TERMS_PER_CHUNK):
                term = _term(words)
                terms[term] = terms.get(term, 0) + 1
            text = " ".join(terms) * 2
            embedding = embeddings[first + place].tolist()
            chunks.append(IndexedChunk(Chunk(place, text, 0, len(text)), f"{first + place}", terms, embedding))
        document = _chunk_id(first).document
        yield DocumentWrite(TENANT, document, "bench.txt", CHUNKS_PER_DOCUMENT, tuple(chunks))


def _chunk_id(number: int) -> ChunkId:
    return ChunkId(f"documents/{number // CHUNKS_PER_DOCUMENT:064x}", number % CHUNKS_PER_DOCUMENT)


def _term(words: random.Random) -> str:
    """Words as common as in English, where the n-th most common one occurs 1/n as often as the first.

    The commonest twenty stand for "the" and "of", which no question looks for.
    """
    while (rank := int(VOCABULARY ** words.random())) <= 20:
        pass
    return f"word{rank}"


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=1)
