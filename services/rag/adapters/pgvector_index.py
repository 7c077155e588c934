"""The index of chunks in PostgreSQL: embeddings by pgvector, words by BM25 over a table of postings.

Every statement names the tenant. What is stored is searched by `pgvector_search`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from services.rag.adapters.pgvector_holding import searched_as, show
from services.rag.adapters.pgvector_search import find, vector_text
from services.rag.errors import ChunkStoreUnavailable, EmbeddingModelMismatch
from services.rag.models import (
    Chunk,
    DocumentWrite,
    EmbeddingModel,
    IndexedChunk,
    IndexQuery,
    IndexStatistics,
    Retrieved,
    WriteOutcome,
)

MIGRATIONS: Final = Path(__file__).parent / "migrations"
SCHEMA: Final = "rag"

_CHECK_WAIT_SECONDS = 1.0

_READ_MODEL = "SELECT name, dimension FROM index_model"
_RECORD_MODEL = "INSERT INTO index_model (name, dimension) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_REPLACE_MODEL = "UPDATE index_model SET name = %s, dimension = %s"
_HOLDS_CHUNKS = "SELECT EXISTS (SELECT FROM chunks)"

_LOCK_DOCUMENT = """
INSERT INTO documents (tenant, document, filename) VALUES (%(tenant)s, %(document)s, %(filename)s)
ON CONFLICT (tenant, document) DO UPDATE SET filename = excluded.filename
"""
_PUT_FACTS = """
UPDATE documents SET title = %(title)s, extension = %(extension)s, tags = %(tags)s, create_time = %(create_time)s
WHERE tenant = %(tenant)s AND document = %(document)s
"""
_COUNT_DOCUMENT = """
UPDATE documents SET (chunk_count, term_count) = (
    SELECT count(*), coalesce(sum(chunks.term_count), 0) FROM chunks
    WHERE chunks.tenant = %(tenant)s AND chunks.document = %(document)s
) WHERE tenant = %(tenant)s AND document = %(document)s
"""
_READ_FINGERPRINTS = "SELECT chunk_index, fingerprint FROM chunks WHERE tenant = %s AND document = %s"
_READ_STORED = """
SELECT chunk_index, id, fingerprint, page, headings, start_character, end_character, table_number, first_row, last_row
FROM chunks WHERE tenant = %(tenant)s AND document = %(document)s
"""
_REMOVE_STALE = """
DELETE FROM chunks WHERE tenant = %(tenant)s AND document = %(document)s AND chunk_index >= %(chunk_count)s
"""
_PUT_CHUNK = """
INSERT INTO chunks (tenant, document, chunk_index, text, page, headings, start_character, end_character, table_number,
                    first_row, last_row, fingerprint, term_count)
VALUES (%(tenant)s, %(document)s, %(chunk_index)s, %(text)s, %(page)s, %(headings)s, %(start)s, %(end)s, %(table)s,
        %(first_row)s, %(last_row)s, %(fingerprint)s, %(term_count)s)
ON CONFLICT (tenant, document, chunk_index) DO UPDATE SET
    text = excluded.text, page = excluded.page, headings = excluded.headings,
    start_character = excluded.start_character, end_character = excluded.end_character,
    table_number = excluded.table_number, first_row = excluded.first_row, last_row = excluded.last_row,
    fingerprint = excluded.fingerprint, term_count = excluded.term_count
RETURNING id
"""
_PUT_EMBEDDING = """
WITH given AS (SELECT %s::bigint AS chunk_id, %s::text AS tenant, %s::vector AS embedding), put AS (
    INSERT INTO embeddings (chunk_id, tenant, embedding) SELECT chunk_id, tenant, embedding FROM given
    ON CONFLICT (chunk_id) DO UPDATE SET embedding = excluded.embedding
)
INSERT INTO sketches (chunk_id, tenant, sketch) SELECT chunk_id, tenant, binary_quantize(embedding) FROM given
ON CONFLICT (chunk_id) DO UPDATE SET sketch = excluded.sketch
"""
_REMOVE_POSTINGS = "DELETE FROM postings WHERE tenant = %s AND chunk_id = ANY(%s)"
_COPY_POSTINGS = "COPY postings (chunk_id, tenant, term, occurrences, chunk_length) FROM STDIN"

_DELETE_DOCUMENT = "DELETE FROM documents WHERE tenant = %s AND document = %s RETURNING chunk_count"
_STATISTICS = """
SELECT count(*) FILTER (WHERE chunk_count > 0), coalesce(sum(chunk_count), 0) FROM documents WHERE tenant = %s
"""


class PgvectorIndex:
    """ChunkIndex over a pool of connections to the schema that the migrations build."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[TupleRow]],
        model: EmbeddingModel,
        *,
        most_compared: int = 5_000,
    ) -> None:
        """`most_compared`: up to so many chunks of a tenant are searched exactly."""
        self._pool = pool
        self._model = model
        self._most_compared = most_compared

    @property
    def kind(self) -> str:
        return "pgvector"

    async def fingerprints(self, tenant: str, document: str) -> dict[int, str]:
        async with self._cursor() as cursor:
            await cursor.execute(_READ_FINGERPRINTS, (tenant, document))
            return dict(await cursor.fetchall())

    async def write(self, write: DocumentWrite) -> WriteOutcome:
        key = {"tenant": write.tenant, "document": write.document}
        async with self._cursor() as cursor:
            await self._claim_model(cursor)
            await cursor.execute(_LOCK_DOCUMENT, {**key, "filename": write.filename})
            await cursor.execute(_READ_STORED, key)
            stored = {row[0]: row[1:] for row in await cursor.fetchall()}
            missing = frozenset(
                given.chunk.index
                for given in write.chunks
                if given.embedding is None
                and (given.chunk.index not in stored or stored[given.chunk.index][1] != given.fingerprint)
            )
            if missing:
                await cursor.connection.rollback()
                return WriteOutcome(missing=missing)
            if write.facts:
                await cursor.execute(_PUT_FACTS, key | asdict(write.facts) | {"tags": list(write.facts.tags)})
            await cursor.execute(_REMOVE_STALE, {**key, "chunk_count": write.chunk_count})
            removed_count = cursor.rowcount
            changed = [given for given in write.chunks if _differs(given, stored.get(given.chunk.index))]
            if changed:
                tenant = await searched_as(cursor, key, held_back=write.held_back, is_new=not stored)
                await self._put(cursor, write, changed, tenant)
            if changed or removed_count:
                await cursor.execute(_COUNT_DOCUMENT, key)
        return WriteOutcome(removed_count)

    async def delete(self, tenant: str, document: str, *, successor: str = "") -> int:
        async with self._cursor() as cursor:
            await cursor.execute(_DELETE_DOCUMENT, (tenant, document))
            row = await cursor.fetchone()
            if successor:
                await show(cursor, tenant, successor)
            return row[0] if row else 0

    async def show(self, tenant: str, document: str) -> None:
        async with self._cursor() as cursor:
            await show(cursor, tenant, document)

    async def count(self, tenant: str, document: str) -> int:
        return len(await self.fingerprints(tenant, document))

    async def search(self, query: IndexQuery) -> Retrieved:
        async with self._cursor() as cursor:
            recorded, retrieved = await find(cursor.connection, query, self._model, most_compared=self._most_compared)
        if retrieved.counts.chunk_count:
            self._require(recorded)
        return retrieved

    async def statistics(self, tenant: str) -> IndexStatistics:
        async with self._cursor() as cursor:
            await cursor.execute(_STATISTICS, (tenant,))
            [(document_count, chunk_count)] = await cursor.fetchall()
            return IndexStatistics(document_count, int(chunk_count))

    async def check(self) -> bool:
        try:
            async with self._pool.connection(timeout=_CHECK_WAIT_SECONDS) as connection:
                await connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[AsyncCursor[TupleRow]]:
        """A cursor in a transaction that is committed at the end; what the driver raises becomes our own error."""
        try:
            async with self._pool.connection() as connection, connection.cursor() as cursor:
                yield cursor
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # A pool that has no connection free in time raises one too: "busy" and "down" are alike to the caller.
            raise ChunkStoreUnavailable("The index of chunks cannot be reached.") from error

    async def _claim_model(self, cursor: AsyncCursor[TupleRow]) -> None:
        """Make sure the index takes our embeddings, and goes on doing so until this transaction ends."""
        recorded = await _recorded_model(cursor, " FOR SHARE")
        if recorded is None:
            await cursor.execute(_RECORD_MODEL, (self._model.name, self._model.dimension))
            recorded = await _recorded_model(cursor, " FOR SHARE")
        elif recorded != self._model:
            # An index that was emptied may be filled by another model. The lock waits for writers of the old one.
            await cursor.connection.rollback()
            recorded = await _recorded_model(cursor, " FOR UPDATE")
            await cursor.execute(_HOLDS_CHUNKS)
            if await cursor.fetchone() == (False,):
                await cursor.execute(_REPLACE_MODEL, (self._model.name, self._model.dimension))
                recorded = self._model
        self._require(recorded)

    def _require(self, recorded: EmbeddingModel | None) -> None:
        if recorded is not None and recorded != self._model:
            raise EmbeddingModelMismatch(recorded=str(recorded), current=str(self._model))

    async def _put(
        self, cursor: AsyncCursor[TupleRow], write: DocumentWrite, changed: Sequence[IndexedChunk], tenant: str
    ) -> None:
        """Store chunks; searches find them for that tenant."""
        lengths = [sum(given.terms.values()) for given in changed]
        rows = [_chunk_parameters(write, given, length) for given, length in zip(changed, lengths, strict=True)]
        await cursor.executemany(_PUT_CHUNK, rows, returning=True)
        ids = []
        for _ in changed:
            ids.append((await cursor.fetchall())[0][0])
            cursor.nextset()
        embedded = [
            (chunk_id, tenant, vector_text(given.embedding))
            for chunk_id, given in zip(ids, changed, strict=True)
            if given.embedding is not None
        ]
        await cursor.executemany(_PUT_EMBEDDING, embedded)
        await cursor.execute(_REMOVE_POSTINGS, (tenant, ids))
        async with cursor.copy(_COPY_POSTINGS) as copy:
            for chunk_id, given, length in zip(ids, changed, lengths, strict=True):
                for term, occurrences in given.terms.items():
                    await copy.write_row((chunk_id, tenant, term, occurrences, length))


async def _recorded_model(cursor: AsyncCursor[TupleRow], lock: str) -> EmbeddingModel | None:
    await cursor.execute((_READ_MODEL + lock).encode())
    row = await cursor.fetchone()
    return EmbeddingModel(*row) if row else None


def _differs(given: IndexedChunk, stored: tuple[Any, ...] | None) -> bool:
    """Whether anything about a chunk is not stored yet."""
    chunk = given.chunk
    place = (chunk.page, list(chunk.headings), chunk.start, chunk.end, *_table_columns(chunk))
    return stored is None or stored[1:] != (given.fingerprint, *place)


def _table_columns(chunk: Chunk) -> tuple[int | None, int | None, int | None]:
    return (chunk.table.table, chunk.table.first_row, chunk.table.last_row) if chunk.table else (None, None, None)


def _chunk_parameters(write: DocumentWrite, given: IndexedChunk, length: int) -> dict[str, object]:
    chunk = given.chunk
    table, first_row, last_row = _table_columns(chunk)
    return {
        "tenant": write.tenant,
        "document": write.document,
        "chunk_index": chunk.index,
        "text": chunk.text,
        "page": chunk.page,
        "headings": list(chunk.headings),
        "start": chunk.start,
        "end": chunk.end,
        "table": table,
        "first_row": first_row,
        "last_row": last_row,
        "fingerprint": given.fingerprint,
        "term_count": length,
    }
