"""Documents and the names that point to them, in PostgreSQL."""

# ruff: noqa: S608 -- statements are put together from constants of this module; every value is a parameter

from dataclasses import asdict
from uuid import uuid4

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, TupleRow
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from services.ingest.adapters.postgres_jobs import notes_from, opened
from services.ingest.errors import LeaseLost
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.models import Document, DocumentState, DocumentTotals, Job, PageRequest, Pointed

_COLUMNS = (
    "tenant, document_id, extension, content_type, size_bytes, chunk_count, token_count, job_id, title, page_count,"
    " indexed_filename, state, create_time, update_time, tags, page_notes, version, successor,"
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
                       title, page_count, indexed_filename, tags, page_notes, state)
VALUES (%(tenant)s, %(document_id)s, %(extension)s, %(content_type)s, %(size_bytes)s, %(chunk_count)s,
        %(token_count)s, %(job_id)s, %(title)s, %(page_count)s, %(indexed_filename)s, %(tags)s, %(page_notes)s, 'READY')
ON CONFLICT (tenant, document_id) DO UPDATE SET
    extension = EXCLUDED.extension, content_type = EXCLUDED.content_type, size_bytes = EXCLUDED.size_bytes,
    chunk_count = EXCLUDED.chunk_count, token_count = EXCLUDED.token_count, job_id = EXCLUDED.job_id,
    title = EXCLUDED.title, page_count = EXCLUDED.page_count, indexed_filename = EXCLUDED.indexed_filename,
    tags = EXCLUDED.tags, page_notes = EXCLUDED.page_notes, update_time = clock_timestamp()
WHERE documents.state = 'READY'"""
_CONDEMN = """
INSERT INTO documents (tenant, document_id, extension, content_type, size_bytes, chunk_count, token_count, job_id,
                       title, page_count, indexed_filename, state)
VALUES (%(tenant)s, %(document_id)s, %(extension)s, %(content_type)s, 0, 0, 0, %(job_id)s, '', NULL, '', 'DELETING')
ON CONFLICT (tenant, document_id) DO UPDATE SET job_id = EXCLUDED.job_id, extension = EXCLUDED.extension
WHERE documents.job_id = ''"""
_NAMED = "SELECT document_id FROM filenames WHERE tenant = %(tenant)s AND filename = %(filename)s"
_RECEIVE_NAME = f"""
UPDATE documents SET update_time = clock_timestamp(), version = greatest(version, 1 + coalesce((
    SELECT former.version FROM documents AS former
    WHERE former.tenant = %(tenant)s AND former.document_id = %(before)s
), 0)) WHERE {_THIS}"""
_MARK_RENAMED = f"UPDATE documents SET renamed = true, update_time = clock_timestamp() WHERE {_THIS}"
_MARK_DELETING = (
    "UPDATE documents SET state = 'DELETING', renamed = false, update_time = clock_timestamp(),"
    f" successor = CASE %(successor)s WHEN '' THEN successor ELSE %(successor)s END WHERE {_THIS}"
)
_HELD = "state = 'DELETING' AND deletion_token = %(token)s"
_HOLD_ENDS = "clock_timestamp() + make_interval(secs => %(lease_seconds)s)"
_HOLD = f"""
UPDATE documents SET deletion_token = %(token)s, deletion_until = {_HOLD_ENDS}
WHERE {_THIS} AND state = 'DELETING' AND (deletion_token IS NULL OR deletion_until < clock_timestamp())"""


class PostgresDocuments:
    """DocumentRegistry in the tables of migrations 0001 to 0003."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[TupleRow]]) -> None:
        self._pool = pool

    async def get(self, tenant: str, document_id: str) -> Document | None:
        async with opened(self._pool) as cursor:
            return await _read(cursor, tenant, document_id)

    async def named(self, tenant: str, filename: str) -> Document | None:
        async with opened(self._pool) as cursor:
            await cursor.execute(_NAMED, {"tenant": tenant, "filename": filename})
            row = await cursor.fetchone()
            return await _read(cursor, tenant, row["document_id"]) if row is not None else None

    async def publish(self, document: Document, filename: str) -> Pointed | None:
        async with opened(self._pool) as cursor:
            await cursor.execute(_LOCK_NAMES, {"tenant": document.tenant})
            notes = Jsonb([asdict(note) for note in document.page_notes])
            await cursor.execute(_PUBLISH, {**vars(document), "tags": list(document.tags), "page_notes": notes})
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
        document = await self._condemn(job, spare_ready=False)
        if document is None:
            raise RuntimeError("a document vanished inside the transaction that made it")
        return document

    async def condemn_unready(self, job: Job) -> Document | None:
        return await self._condemn(job, spare_ready=True)

    async def _condemn(self, job: Job, *, spare_ready: bool) -> Document | None:
        async with opened(self._pool) as cursor:
            await cursor.execute(_LOCK_NAMES, {"tenant": job.tenant})
            this = {"tenant": job.tenant, "document_id": job.document_id, "extension": job.extension}
            await cursor.execute(_CONDEMN, {**this, "job_id": job.job_id, "content_type": CONTENT_TYPES[job.extension]})
            known = await _read(cursor, job.tenant, job.document_id)
            if spare_ready and known is not None and known.state is DocumentState.READY:
                return None
            return await _mark_deleting(cursor, job.tenant, job.document_id)

    async def hold_deletion(self, tenant: str, document_id: str, *, lease_seconds: float) -> str | None:
        token = uuid4().hex
        taken = await self._change_held(
            _HOLD, tenant=tenant, document_id=document_id, token=token, lease_seconds=lease_seconds
        )
        return token if taken else None

    async def keep_deletion(self, tenant: str, document_id: str, token: str, *, lease_seconds: float) -> None:
        held = await self._change_held(
            f"UPDATE documents SET deletion_until = {_HOLD_ENDS} WHERE {_THIS} AND {_HELD}",
            tenant=tenant,
            document_id=document_id,
            token=token,
            lease_seconds=lease_seconds,
        )
        if not held:
            raise LeaseLost("somebody else removes the document, or it is gone")

    async def let_deletion_go(self, tenant: str, document_id: str, token: str) -> None:
        await self._change_held(
            f"UPDATE documents SET deletion_token = NULL, deletion_until = NULL WHERE {_THIS} AND {_HELD}",
            tenant=tenant,
            document_id=document_id,
            token=token,
        )

    async def remove(self, tenant: str, document_id: str, token: str) -> bool:
        return await self._change_held(
            f"DELETE FROM documents WHERE {_THIS} AND {_HELD}", tenant=tenant, document_id=document_id, token=token
        )

    async def _change_held(self, statement: str, **parameters: str | float) -> bool:
        async with opened(self._pool) as cursor:
            await cursor.execute(statement, parameters)
            return cursor.rowcount == 1

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
    await cursor.execute(_NAMED, this)
    row = await cursor.fetchone()
    before = row["document_id"] if row is not None else None
    if before == document_id:
        return Pointed(document)
    await cursor.execute("DELETE FROM filenames WHERE tenant = %(tenant)s AND filename = %(filename)s", this)
    await cursor.execute(
        "INSERT INTO filenames (tenant, filename, document_id) VALUES (%(tenant)s, %(filename)s, %(document_id)s)", this
    )
    await cursor.execute(_RECEIVE_NAME, {**this, "before": before})
    document = await _read(cursor, tenant, document_id)
    if document is None:
        raise RuntimeError("a document vanished inside the transaction that read it")
    if before is None:
        return Pointed(document)
    former = await _read(cursor, tenant, before)
    if former is not None and not former.filenames:
        return Pointed(document, orphan=await _mark_deleting(cursor, tenant, before, successor=document_id))
    if former is None or not former.index_shows_old_name:
        return Pointed(document)
    await cursor.execute(_MARK_RENAMED, {"tenant": tenant, "document_id": before})
    return Pointed(document, renamed=former)


async def _mark_deleting(
    cursor: AsyncCursor[DictRow], tenant: str, document_id: str, *, successor: str = ""
) -> Document | None:
    this = {"tenant": tenant, "document_id": document_id, "successor": successor}
    await cursor.execute(_MARK_DELETING, this)
    await cursor.execute(f"DELETE FROM filenames WHERE {_THIS}", this)
    return await _read(cursor, tenant, document_id)


def _document(row: DictRow) -> Document:
    facts = {
        **row,
        "state": DocumentState(row["state"]),
        "filenames": tuple(row["filenames"]),
        "tags": tuple(row["tags"]),
        "page_notes": notes_from(row["page_notes"]),
    }
    return Document(**facts)
