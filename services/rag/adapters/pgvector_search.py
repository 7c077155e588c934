"""Searching the chunks in PostgreSQL: by meaning and by words, at one moment.

Up to a number of chunks a tenant's embeddings are all compared. Above it their signs are (a thirtieth of the bytes),
and then the embeddings of the likeliest: among 50,000 chunks that misses less than one of a hundred neighbours.
No graph (hnsw) is used: it knows no tenants, and walks past the chunks of others or of documents that a filter leaves
out. ARCHITECTURE.md has the figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from services.rag.models import (
    Chunk,
    Embedding,
    EmbeddingModel,
    FoundChunk,
    IndexQuery,
    Retrieved,
    TableRange,
    TermCounts,
)

# The usual constants of BM25: how soon a repeated word stops counting, and how much a long chunk is held back.
# Robertson, Zaragoza: The Probabilistic Relevance Framework, 2009, doi:10.1561/1500000019.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75
# A term that more chunks hold than this tells them apart so little that it is left out where rarer ones are asked for.
_COMMON_TERM_CHUNKS = 5_000
# Of more, how many are compared whole after their sketches: for each that is asked for, at least, and one of so many.
_LIKELY_PER_RESULT, _LEAST_LIKELY, _SKETCHES_PER_LIKELY = 10, 1_000, 40

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
# A search is too short for processes beside it: starting them takes as long.
_ONE_PROCESS = "SET LOCAL max_parallel_workers_per_gather = 0"
_CORPUS = """
SELECT coalesce(sum(chunk_count), 0), (SELECT name FROM index_model), (SELECT dimension FROM index_model)
FROM documents WHERE tenant = %(tenant)s
"""
# Embeddings have length 1, so the inner product is the cosine. How many are likely stands there as a number: planned
# without it, all embeddings are read.
_LIKELY = """
WITH likely AS MATERIALIZED (
    SELECT chunk_id FROM sketches WHERE tenant = %(tenant)s {only_within}
    ORDER BY sketch <~> binary_quantize(%(embedding)s::vector) LIMIT %(likely)s
), nearest AS (
    SELECT chunk_id, embedding <#> %(embedding)s::vector AS distance FROM likely JOIN embeddings USING (chunk_id)
    WHERE tenant = %(tenant)s ORDER BY distance LIMIT %(limit)s
)
"""
_ALL = """
WITH nearest AS (
    SELECT chunk_id, embedding <#> %(embedding)s::vector AS distance FROM embeddings
    WHERE tenant = %(tenant)s {only_within} ORDER BY distance LIMIT %(limit)s
)
"""
_BY_MEANING = """
SELECT -nearest.distance, {chunk_columns}
FROM nearest JOIN chunks ON chunks.id = nearest.chunk_id
JOIN documents ON documents.tenant = chunks.tenant AND documents.document = chunks.document
WHERE chunks.tenant = %(tenant)s
ORDER BY nearest.distance, chunks.document, chunks.chunk_index
"""
# Scored before they are filtered: the other way round all postings of all chunks that a filter lets pass are read.
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
), scored AS MATERIALIZED (
    SELECT chunk_id, sum(weight * occurrences * (%(saturation)s + 1) / (
        occurrences + %(saturation)s * (1 - %(length_weight)s + %(length_weight)s * chunk_length / corpus.length)
    )) AS score
    FROM postings JOIN weights USING (term), corpus
    WHERE tenant = %(tenant)s
    GROUP BY chunk_id
), best AS (
    SELECT chunk_id, score FROM scored WHERE true {only_within} ORDER BY score DESC, chunk_id LIMIT %(limit)s
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


async def find(
    connection: AsyncConnection[TupleRow], query: IndexQuery, model: EmbeddingModel, *, most_compared: int
) -> tuple[EmbeddingModel | None, Retrieved]:
    """Which model the tenant's embeddings are of, None where there are none; and, of our model, what both legs find.

    The connection is in no transaction yet.
    """
    async with connection.pipeline(), connection.cursor() as corpus:
        await corpus.execute(_ONE_MOMENT)
        await corpus.execute(_ONE_PROCESS)
        await corpus.execute(_CORPUS, {"tenant": query.tenant})
        [(chunk_count, *recorded)] = await corpus.fetchall()
    counts = TermCounts(int(chunk_count))
    if not chunk_count or EmbeddingModel(*recorded) != model:
        return EmbeddingModel(*recorded) if chunk_count else None, Retrieved({}, (), (), counts)
    narrowed = _narrowed(query)
    parameters = {
        "tenant": query.tenant,
        "embedding": vector_text(query.embedding),
        "terms": list(query.terms),
        "limit": query.limit,
        "likely": max(_LEAST_LIKELY, _LIKELY_PER_RESULT * query.limit, counts.chunk_count // _SKETCHES_PER_LIKELY),
        "common": _COMMON_TERM_CHUNKS,
        "saturation": _SATURATION,
        "length_weight": _LENGTH_WEIGHT,
    } | narrowed
    only_within = _only_within(narrowed)
    nearest = _ALL if counts.chunk_count <= most_compared else _LIKELY
    async with connection.pipeline(), connection.cursor() as meaning, connection.cursor() as words:
        # Not prepared: planned without the terms and the sizes, both take twice as long.
        await meaning.execute(_filled(nearest + _BY_MEANING, only_within), parameters, prepare=False)
        await words.execute(_filled(_BY_WORDS, only_within), parameters, prepare=False)
        by_meaning = [_found(row) for row in await meaning.fetchall()]
        word_rows = await words.fetchall()
    by_words = [_found(row[1:]) for row in word_rows if row[2] is not None]
    return model, Retrieved(
        chunks={found.id: found for found in [*by_meaning, *by_words]},
        by_meaning=tuple(found.id for found in by_meaning),
        by_words=tuple(found.id for found in by_words),
        counts=TermCounts(counts.chunk_count, (word_rows[0][0] if word_rows else None) or {}),
    )


def vector_text(embedding: Embedding) -> str:
    """pgvector's text form; seven digits are what its single-precision numbers hold."""
    return f"[{','.join(f'{value:.7g}' for value in embedding)}]"


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


def _found(row: Sequence[Any]) -> FoundChunk:
    similarity, document, filename, index, text, start, end, page, headings, table, first_row, last_row = row
    rows = None if table is None else TableRange(table, first_row, last_row)
    chunk = Chunk(index, text, start, end, page, tuple(headings), rows)
    # Rounding can carry the product of two embeddings of length 1 a little past 1.
    return FoundChunk(document, filename, chunk, max(-1.0, min(1.0, similarity)))
