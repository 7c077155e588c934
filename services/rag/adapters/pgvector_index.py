"""The index of chunks in PostgreSQL: embeddings by pgvector, words by BM25 over a table of postings.

Every statement names the tenant. No approximate index is used (the migration says why).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from services.rag.adapters.pgvector_holding import searched_as, show
from services.rag.errors import ChunkStoreUnavailable, EmbeddingModelMismatch
from services.rag.models import (
    Chunk,
    DocumentWrite,
    Embedding,
    EmbeddingModel,
    FoundChunk,
    IndexedChunk,
    IndexQuery,
    IndexStatistics,
    Retrieved,
    TableRange,
    TermCounts,
    WriteOutcome,
)

MIGRATIONS: Final = Path(__file__).parent / "migrations"
SCHEMA: Final = "rag"

# The usual constants of BM25: how soon a repeated word stops counting, and how much a long chunk is held back.
# Robertson, Zaragoza: The Probabilistic Relevance Framework, 2009, doi:10.1561/1500000019.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75
# A term that more chunks hold than this tells them apart so little that it is left out where rarer ones are asked for.
_COMMON_TERM_CHUNKS = 5_000
# How many chunks are compared by their whole embeddings, for each that is asked for and at least.
_LIKELY_PER_RESULT, _LEAST_LIKELY = 10, 1_000
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

_ONLY_WITHIN = """
AND chunk_id IN (
    SELECT chunks.id FROM chunks JOIN documents USING (tenant, document) WHERE tenant = %(tenant)s AND {conditions}
)
"""
# By the parameter that a query may leave empty.
_CONDITIONS = {
    "documents": "document = ANY(%(documents)s)",
    "filenames": "filename = ANY(%(filenames)s)",
    "extensions": "extension = ANY(%(extensions)s)",
    "tags": "tags @> %(tags)s::text[]",
    "create_time_from": "create_time >= %(create_time_from)s",
    "create_time_before": "create_time < %(create_time_before)s",
}
_CHUNK_COLUMNS = """
chunks.document, documents.filename, chunks.chunk_index, chunks.text, chunks.start_character, chunks.end_character,
chunks.page, chunks.headings, chunks.table_number, chunks.first_row, chunks.last_row
"""
# The legs see the same chunks, also while one document takes the place of another.
_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_CORPUS = """
SELECT coalesce(sum(chunk_count), 0), (SELECT name FROM index_model), (SELECT dimension FROM index_model)
FROM documents WHERE tenant = %(tenant)s
"""
# Embeddings have length 1, so the inner product is the cosine. The sub-select is read once, before any embedding: those
# of another dimension cannot be compared.
_BY_MEANING = """
WITH likely AS MATERIALIZED (
    SELECT chunk_id FROM sketches
    WHERE tenant = %(tenant)s AND (SELECT dimension FROM index_model) = %(dimension)s {only_within}
    ORDER BY sketch <~> binary_quantize(%(embedding)s::vector) LIMIT %(likely)s
), nearest AS (
    SELECT chunk_id, embedding <#> %(embedding)s::vector AS distance FROM likely JOIN embeddings USING (chunk_id)
    WHERE tenant = %(tenant)s ORDER BY distance LIMIT %(limit)s
)
SELECT -nearest.distance, {chunk_columns}
FROM nearest JOIN chunks ON chunks.id = nearest.chunk_id
JOIN documents ON documents.tenant = chunks.tenant AND documents.document = chunks.document
WHERE chunks.tenant = %(tenant)s
ORDER BY nearest.distance, chunks.document, chunks.chunk_index
"""
_BY_WORDS = """
WITH corpus AS (
    SELECT sum(chunk_count)::float8 AS chunk_count, greatest(sum(term_count), 1)::float8 / sum(chunk_count) AS length
    FROM documents WHERE tenant = %(tenant)s HAVING sum(chunk_count) > 0
), counts AS MATERIALIZED (
    SELECT term, count(*) AS containing FROM postings WHERE tenant = %(tenant)s AND term = ANY(%(terms)s) GROUP BY term
), weights AS MATERIALIZED (
    SELECT term, ln(1 + (greatest(chunk_count - containing, 0) + 0.5) / (containing + 0.5)) AS weight
    FROM counts, corpus
    WHERE containing <= greatest(%(common)s, (SELECT min(containing) FROM counts))
), best AS (
    SELECT chunk_id, sum(weight * occurrences * (%(saturation)s + 1) / (
        occurrences + %(saturation)s * (1 - %(length_weight)s + %(length_weight)s * chunk_length / corpus.length)
    )) AS score
    FROM postings JOIN weights USING (term), corpus
    WHERE tenant = %(tenant)s AND (SELECT dimension FROM index_model) = %(dimension)s {only_within}
    GROUP BY chunk_id ORDER BY score DESC, chunk_id LIMIT %(limit)s
)
SELECT counted.containing, -(embeddings.embedding <#> %(embedding)s::vector), {chunk_columns}
FROM (SELECT jsonb_object_agg(term, containing) AS containing FROM counts) AS counted
LEFT JOIN (
    best JOIN chunks ON chunks.id = best.chunk_id AND chunks.tenant = %(tenant)s
    JOIN documents ON documents.tenant = chunks.tenant AND documents.document = chunks.document
    JOIN embeddings ON embeddings.chunk_id = best.chunk_id AND embeddings.tenant = %(tenant)s
) ON true
ORDER BY best.score DESC, chunks.document, chunks.chunk_index
"""


class PgvectorIndex:
    """ChunkIndex over a pool of connections to the schema that the migrations build."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[TupleRow]], model: EmbeddingModel) -> None:
        self._pool = pool
        self._model = model

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
        parameters = {
            "tenant": query.tenant,
            "embedding": _vector(query.embedding),
            "dimension": self._model.dimension,
            "terms": list(query.terms),
            "limit": query.limit,
            "likely": max(_LEAST_LIKELY, _LIKELY_PER_RESULT * query.limit),
            "common": _COMMON_TERM_CHUNKS,
            "saturation": _SATURATION,
            "length_weight": _LENGTH_WEIGHT,
        }
        narrowed = _narrowed(query)
        only_within, parameters = _only_within(narrowed), parameters | narrowed
        async with self._cursor() as cursor, cursor.connection.pipeline():
            meaning, words = cursor.connection.cursor(), cursor.connection.cursor()
            await cursor.execute(_ONE_MOMENT)
            await cursor.execute(_CORPUS, parameters)
            # Not prepared: planned without the terms and the sizes, both take twice as long.
            await meaning.execute(_filled(_BY_MEANING, only_within), parameters, prepare=False)
            await words.execute(_filled(_BY_WORDS, only_within), parameters, prepare=False)
            chunk_count, *recorded = (await cursor.fetchall())[0]
            by_meaning = [_found(row) for row in await meaning.fetchall()]
            word_rows = await words.fetchall()
        if chunk_count:
            self._require(EmbeddingModel(*recorded))
        by_words = [_found(row[1:]) for row in word_rows if row[2] is not None]
        return Retrieved(
            chunks={found.id: found for found in [*by_meaning, *by_words]},
            by_meaning=tuple(found.id for found in by_meaning),
            by_words=tuple(found.id for found in by_words),
            counts=TermCounts(int(chunk_count), (word_rows[0][0] if word_rows else None) or {}),
        )

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
            (chunk_id, tenant, _vector(given.embedding))
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


def _narrowed(query: IndexQuery) -> dict[str, object]:
    """What a query narrows the search by, as parameters; nothing that it leaves empty."""
    values = asdict(query.filters) | {"documents": query.documents}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}


def _only_within(narrowed: Mapping[str, object]) -> str:
    if not narrowed:
        return ""
    return _ONLY_WITHIN.format(conditions=" AND ".join(_CONDITIONS[name] for name in narrowed))


def _filled(statement: str, only_within: str) -> bytes:
    """A statement with its fixed parts filled in; what the caller gave is never among them."""
    return statement.format(chunk_columns=_CHUNK_COLUMNS, only_within=only_within).encode()


def _vector(embedding: Embedding) -> str:
    """pgvector's text form; seven digits are what its single-precision numbers hold."""
    return f"[{','.join(f'{value:.7g}' for value in embedding)}]"


def _found(row: Sequence[Any]) -> FoundChunk:
    similarity, document, filename, index, text, start, end, page, headings, table, first_row, last_row = row
    rows = None if table is None else TableRange(table, first_row, last_row)
    chunk = Chunk(index, text, start, end, page, tuple(headings), rows)
    # Rounding can carry the product of two embeddings of length 1 a little past 1.
    return FoundChunk(document, filename, chunk, max(-1.0, min(1.0, similarity)))
