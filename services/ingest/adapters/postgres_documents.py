"""Documents and the names that point to them, in PostgreSQL."""

# ruff: noqa: S608 -- statements are put together from constants of this module; every value is a parameter

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, TupleRow
from psycopg_pool import AsyncConnectionPool

from services.ingest.adapters.postgres_jobs import opened
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.models import Document, DocumentState, DocumentTotals, Job, PageRequest, Pointed

_COLUMNS = (
    "tenant, document_id, extension, content_type, size_bytes, chunk_count, token_count, job_id, title, page_count,"
    " indexed_filename, state, create_time, update_time,"
    " ARRAY(SELECT filename FROM filenames WHERE filenames.tenant = documents.tenant"
    " AND filenames.document_id = documents.document_id ORDER BY create_time, filename) AS filenames"
)
_THIS = "tenant = %(tenant)s AND document_id = %(document_id)s"
# Names of a tenant move one after the other: two uploads that swap names would wait for each other for ever.
_LOCK_NAMES = "SELECT pg_advisory_xact_lock(hashtextextended('ingest.filenames.' || %(tenant)s, 0))"
_OLDEST_NAME = (
    "(SELECT filename FROM filenames WHERE filenames.tenant = documents.tenant"
    " AND filenames.document_id = documents.document_id ORDER BY create_time, filename LIMIT 1)"
)

_PUBLISH = """
INSERT INTO documents (tenant, document_id, extension, content_type, size_bytes, chunk_count, token_count, job_id,
                       title, page_count, indexed_filename, state)
VALUES (%(tenant)s, %(document_id)s, %(extension)s, %(content_type)s, %(size_bytes)s, %(chunk_count)s,
        %(token_count)s, %(job_id)s, %(title)s, %(page_count)s, %(indexed_filename)s, 'READY')
ON CONFLICT (tenant, document_id) DO UPDATE SET
    extension = EXCLUDED.extension, content_type = EXCLUDED.content_type, size_bytes = EXCLUDED.size_bytes,
    chunk_count = EXCLUDED.chunk_count, token_count = EXCLUDED.token_count, job_id = EXCLUDED.job_id,
    title = EXCLUDED.title, page_count = EXCLUDED.page_count, indexed_filename = EXCLUDED.indexed_filename,
    update_time = clock_timestamp()
WHERE documents.state = 'READY'"""
_CONDEMN = """
INSERT INTO documents (tenant, document_id, extension, content_type, size_bytes, chunk_count, token_count, job_id,
                       title, page_count, indexed_filename, state)
VALUES (%(tenant)s, %(document_id)s, %(extension)s, %(content_type)s, 0, 0, 0, %(job_id)s, '', NULL, '', 'DELETING')
ON CONFLICT (tenant, document_id) DO NOTHING"""
_MARK_RENAMED = f"UPDATE documents SET renamed = true, update_time = clock_timestamp() WHERE {_THIS}"
_MARK_DELETING = (
    f"UPDATE documents SET state = 'DELETING', renamed = false, update_time = clock_timestamp() WHERE {_THIS}"
)


class PostgresDocuments:
    """DocumentRegistry in the tables of migration 0001."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[TupleRow]]) -> None:
        self._pool = pool

    async def get(self, tenant: str, document_id: str) -> Document | None:
        async with opened(self._pool) as cursor:
            return await _read(cursor, tenant, document_id)

    async def publish(self, document: Document, filename: str) -> Pointed | None:
        async with opened(self._pool) as cursor:
            await cursor.execute(_LOCK_NAMES, {"tenant": document.tenant})
            await cursor.execute(_PUBLISH, vars(document))
            if cursor.rowcount != 1:
                return None
            return await _point(cursor, document.tenant, filename, document.document_id)

    async def point(self, tenant: str, filename: str, document_id: str) -> Pointed | None:
        async with opened(self._pool) as cursor:
            await cursor.execute(_LOCK_NAMES, {"tenant": tenant})
            return await _point(cursor, tenant, filename, document_id)

    async def mark_indexed_filename(self, tenant: str, document_id: str, filename: str) -> None:
        async with opened(self._pool) as cursor:
            await cursor.execute(
                f"UPDATE documents SET indexed_filename = %(filename)s, renamed = %(filename)s IS DISTINCT FROM"
                f" {_OLDEST_NAME} WHERE {_THIS}",
                {"tenant": tenant, "document_id": document_id, "filename": filename},
            )

    async def mark_deleting(self, tenant: str, document_id: str) -> Document | None:
        async with opened(self._pool) as cursor:
            await cursor.execute(_LOCK_NAMES, {"tenant": tenant})
            return await _mark_deleting(cursor, tenant, document_id)

    async def condemn(self, job: Job) -> Document:
        async with opened(self._pool) as cursor:
            await cursor.execute(_LOCK_NAMES, {"tenant": job.tenant})
            await cursor.execute(_CONDEMN, {**vars(job), "content_type": CONTENT_TYPES[job.extension]})
            document = await _mark_deleting(cursor, job.tenant, job.document_id)
        if document is None:
            raise RuntimeError("a document vanished inside the transaction that made it")
        return document

    async def remove(self, tenant: str, document_id: str) -> None:
        async with opened(self._pool) as cursor:
            await cursor.execute(
                f"DELETE FROM documents WHERE {_THIS} AND state = 'DELETING'",
                {"tenant": tenant, "document_id": document_id},
            )

    async def list_ready(self, tenant: str, page: PageRequest) -> list[Document]:
        condition = "AND (create_time, document_id) < (%(time)s, %(id)s)" if page.before else ""
        time, identifier = page.before or (None, None)
        async with opened(self._pool) as cursor:
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM documents WHERE tenant = %(tenant)s AND state = 'READY' {condition}"
                " ORDER BY create_time DESC, document_id DESC LIMIT %(size)s",
                {"tenant": tenant, "time": time, "id": identifier, "size": page.size},
            )
            return [_document(row) for row in await cursor.fetchall()]

    async def list_unsettled(self, *, limit: int) -> list[Document]:
        async with opened(self._pool) as cursor:
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM documents WHERE renamed OR state = 'DELETING' ORDER BY update_time LIMIT %s",
                (limit,),
            )
            return [_document(row) for row in await cursor.fetchall()]

    async def count(self, tenant: str) -> DocumentTotals:
        async with opened(self._pool) as cursor:
            await cursor.execute(
                "SELECT count(*) AS documents, coalesce(sum(size_bytes), 0)::bigint AS size_bytes"
                " FROM documents WHERE tenant = %s AND state = 'READY'",
                (tenant,),
            )
            [row] = await cursor.fetchall()
            return DocumentTotals(row["documents"], row["size_bytes"])


async def _read(cursor: AsyncCursor[DictRow], tenant: str, document_id: str) -> Document | None:
    await cursor.execute(
        f"SELECT {_COLUMNS} FROM documents WHERE {_THIS}", {"tenant": tenant, "document_id": document_id}
    )
    row = await cursor.fetchone()
    return _document(row) if row is not None else None


async def _point(cursor: AsyncCursor[DictRow], tenant: str, filename: str, document_id: str) -> Pointed | None:
    this = {"tenant": tenant, "document_id": document_id, "filename": filename}
    document = await _read(cursor, tenant, document_id)
    if document is None or document.state is not DocumentState.READY:
        return None
    await cursor.execute(
        "SELECT document_id FROM filenames WHERE tenant = %(tenant)s AND filename = %(filename)s", this
    )
    row = await cursor.fetchone()
    before = row["document_id"] if row is not None else None
    if before == document_id:
        return Pointed(document)
    await cursor.execute("DELETE FROM filenames WHERE tenant = %(tenant)s AND filename = %(filename)s", this)
    await cursor.execute(
        "INSERT INTO filenames (tenant, filename, document_id) VALUES (%(tenant)s, %(filename)s, %(document_id)s)", this
    )
    await cursor.execute(f"UPDATE documents SET update_time = clock_timestamp() WHERE {_THIS}", this)
    document = await _read(cursor, tenant, document_id)
    if document is None:
        raise RuntimeError("a document vanished inside the transaction that read it")
    if before is None:
        return Pointed(document)
    former = await _read(cursor, tenant, before)
    if former is not None and not former.filenames:
        return Pointed(document, orphan=await _mark_deleting(cursor, tenant, before))
    if former is None or not former.index_shows_old_name:
        return Pointed(document)
    await cursor.execute(_MARK_RENAMED, {"tenant": tenant, "document_id": before})
    return Pointed(document, renamed=former)


async def _mark_deleting(cursor: AsyncCursor[DictRow], tenant: str, document_id: str) -> Document | None:
    this = {"tenant": tenant, "document_id": document_id}
    await cursor.execute(_MARK_DELETING, this)
    await cursor.execute(f"DELETE FROM filenames WHERE {_THIS}", this)
    return await _read(cursor, tenant, document_id)


def _document(row: DictRow) -> Document:
    return Document(**{**row, "state": DocumentState(row["state"]), "filenames": tuple(row["filenames"])})
