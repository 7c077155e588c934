"""Jobs in PostgreSQL. Time is the database's own, so that workers on several machines agree on leases."""

# ruff: noqa: S608 -- statements are put together from constants of this module; every value is a parameter

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from services.ingest.errors import JobStoreUnavailable, LeaseLost
from services.ingest.models import (
    MAX_JOINED_FILENAMES,
    NO_PROGRESS,
    Job,
    JobState,
    LeasedJob,
    NewJob,
    PageNote,
    PageProblem,
    PageRequest,
    Progress,
)

_COLUMNS = (
    "job_id, tenant, subject, document_id, extension, filename, request_id, state, failure_reason, failure_detail,"
    " attempt_count, lost_lease_count, parsed_page_count, total_page_count, indexed_chunk_count, total_chunk_count,"
    " tags, joined_filenames, page_notes, file_kept_until, create_time, update_time"
)
_ACTIVE = "state NOT IN ('READY', 'FAILED', 'CANCELLED')"
_TOUCH = "update_time = clock_timestamp()"
_LEASE_ENDS = "clock_timestamp() + make_interval(secs => %(lease_seconds)s)"
_KEPT_UNTIL = (
    "CASE WHEN %(keep_seconds)s::float8 > 0"
    " THEN clock_timestamp() + make_interval(secs => %(keep_seconds)s::float8) END"
)
_NO_LEASE = "lease_token = NULL, lease_until = NULL"

_CREATE = f"""
INSERT INTO jobs (job_id, tenant, subject, document_id, extension, filename, request_id, tags,
                  attempt_count, lease_token, lease_until)
VALUES (%(job_id)s, %(tenant)s, %(subject)s, %(document_id)s, %(extension)s, %(filename)s, %(request_id)s, %(tags)s,
        1, %(token)s, {_LEASE_ENDS})
RETURNING {_COLUMNS}"""
_TAKE = f"""
UPDATE jobs SET lease_token = %(token)s, lease_until = {_LEASE_ENDS}, attempt_count = attempt_count + 1,
       lost_lease_count = lost_lease_count + (lease_token IS NOT NULL AND state <> 'QUEUED')::int, state = 'QUEUED',
       {_TOUCH}"""
_FREE = "(lease_token IS NULL OR lease_until < clock_timestamp())"
_CLAIM = f"{_TAKE} WHERE job_id = %(job_id)s AND {_ACTIVE} AND {_FREE} RETURNING {_COLUMNS}"
_CLAIM_DUE = f"""{_TAKE} WHERE job_id = (
    SELECT job_id FROM jobs WHERE {_ACTIVE} AND {_FREE} AND due_time <= clock_timestamp()
    ORDER BY due_time LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING {_COLUMNS}"""
# A lease that ran out and that nobody took still is its holder's.
_HELD = f"WHERE job_id = %(job_id)s AND lease_token = %(token)s AND {_ACTIVE}"
_PROGRESS = (
    "parsed_page_count = %(parsed_page_count)s, total_page_count = %(total_page_count)s,"
    " indexed_chunk_count = %(indexed_chunk_count)s, total_chunk_count = %(total_chunk_count)s"
)
_FINISH = f"""
UPDATE jobs SET state = 'READY', {_PROGRESS}, page_notes = %(page_notes)s, {_NO_LEASE}, {_TOUCH},
       images_due_time = CASE WHEN %(images_due)s THEN clock_timestamp() END
{_HELD} AND joined_filenames = %(joined)s"""
_JOIN = f"""
UPDATE jobs SET joined_filenames = CASE WHEN %(filename)s = ANY(filename || joined_filenames)
                                   THEN joined_filenames ELSE joined_filenames || %(filename)s::text END
WHERE job_id = %(job_id)s AND {_ACTIVE}
  AND (cardinality(joined_filenames) < {MAX_JOINED_FILENAMES} OR %(filename)s = ANY(filename || joined_filenames))"""
_REQUEUE = f"""
UPDATE jobs SET state = 'QUEUED', failure_reason = '', failure_detail = '', attempt_count = 0, lost_lease_count = 0,
       parsed_page_count = 0, total_page_count = 0, file_kept_until = NULL, due_time = clock_timestamp(), {_TOUCH}
WHERE tenant = %(tenant)s AND job_id = %(job_id)s AND state = 'FAILED' AND file_kept_until > clock_timestamp()
RETURNING {_COLUMNS}"""
_TAKE_IMAGES = f"""
UPDATE jobs SET images_due_time = clock_timestamp() WHERE job_id = (
    SELECT job_id FROM jobs WHERE images_due_time < clock_timestamp() - make_interval(secs => %(after_seconds)s)
    ORDER BY images_due_time LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING {_COLUMNS}"""


class PostgresJobs:
    """JobStore in the tables of migrations 0001, 0002 and 0004."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[TupleRow]]) -> None:
        self._pool = pool

    async def create(self, new: NewJob, *, lease_seconds: float) -> LeasedJob | None:
        token = uuid4().hex
        parameters = {**vars(new), "tags": list(new.tags), "token": token, "lease_seconds": lease_seconds}
        async with opened(self._pool) as cursor:
            try:
                await cursor.execute(_CREATE, parameters)
            except UniqueViolation:
                return None
            return _leased(await cursor.fetchone(), token)

    async def claim(self, job_id: str, *, lease_seconds: float) -> LeasedJob | None:
        return await self._take(_CLAIM, job_id=job_id, lease_seconds=lease_seconds)

    async def claim_due(self, *, lease_seconds: float) -> LeasedJob | None:
        return await self._take(_CLAIM_DUE, lease_seconds=lease_seconds)

    async def _take(self, statement: str, **parameters: Any) -> LeasedJob | None:
        token = uuid4().hex
        async with opened(self._pool) as cursor:
            await cursor.execute(statement, {**parameters, "token": token})
            return _leased(await cursor.fetchone(), token)

    async def heartbeat(self, leased: LeasedJob, *, lease_seconds: float) -> None:
        await self._change(leased, f"lease_until = {_LEASE_ENDS}", lease_seconds=lease_seconds)

    async def advance(self, leased: LeasedJob, state: JobState, progress: Progress = NO_PROGRESS) -> None:
        await self._change(leased, f"state = %(state)s, {_PROGRESS}, {_TOUCH}", state=state.value, **vars(progress))

    async def finish(
        self,
        leased: LeasedJob,
        *,
        progress: Progress = NO_PROGRESS,
        page_notes: Sequence[PageNote] = (),
        joined: Sequence[str] = (),
        images_due: bool = False,
    ) -> bool:
        held = {"job_id": leased.job.job_id, "token": leased.lease_token}
        notes = Jsonb([asdict(note) for note in page_notes])
        async with opened(self._pool) as cursor:
            ended = {"page_notes": notes, "joined": list(joined), "images_due": images_due}
            await cursor.execute(_FINISH, {**held, **vars(progress), **ended})
            if cursor.rowcount == 1:
                return True
            await cursor.execute(f"SELECT 1 FROM jobs {_HELD}", held)
            if await cursor.fetchone() is None:
                raise LeaseLost("the job belongs to another worker or is final")
            return False

    async def take_images_due(self, *, after_seconds: float) -> Job | None:
        async with opened(self._pool) as cursor:
            await cursor.execute(_TAKE_IMAGES, {"after_seconds": after_seconds})
            row = await cursor.fetchone()
            return _job(row) if row is not None else None

    async def settle_images(self, job_id: str) -> None:
        await self._changes_one("UPDATE jobs SET images_due_time = NULL WHERE job_id = %(job_id)s", job_id=job_id)

    async def fail(self, leased: LeasedJob, *, reason: str, detail: str, keep_file_seconds: float = 0) -> None:
        await self._change(
            leased,
            "state = 'FAILED', failure_reason = %(reason)s, failure_detail = %(detail)s,"
            f" file_kept_until = {_KEPT_UNTIL}, {_NO_LEASE}, {_TOUCH}",
            reason=reason,
            detail=detail,
            keep_seconds=keep_file_seconds,
        )

    async def release(self, leased: LeasedJob, *, pause_seconds: float) -> None:
        await self._change(
            leased,
            "state = 'QUEUED', due_time = clock_timestamp() + make_interval(secs => %(pause_seconds)s),"
            f" {_NO_LEASE}, {_TOUCH}",
            pause_seconds=pause_seconds,
        )

    async def _change(self, leased: LeasedJob, assignments: str, **parameters: Any) -> None:
        held = {"job_id": leased.job.job_id, "token": leased.lease_token}
        async with opened(self._pool) as cursor:
            await cursor.execute(f"UPDATE jobs SET {assignments} {_HELD}", {**parameters, **held})
            if cursor.rowcount != 1:
                raise LeaseLost("the job belongs to another worker or is final")

    async def join(self, job_id: str, filename: str) -> bool:
        return await self._changes_one(_JOIN, job_id=job_id, filename=filename)

    async def cancel(self, job_id: str) -> bool:
        return await self._changes_one(
            f"UPDATE jobs SET state = 'CANCELLED', {_TOUCH} WHERE job_id = %(job_id)s AND {_ACTIVE}", job_id=job_id
        )

    async def let_go(self, leased: LeasedJob) -> None:
        await self._changes_one(
            f"UPDATE jobs SET {_NO_LEASE} WHERE job_id = %(job_id)s AND lease_token = %(token)s AND NOT ({_ACTIVE})",
            job_id=leased.job.job_id,
            token=leased.lease_token,
        )

    async def is_held(self, tenant: str, job_id: str) -> bool:
        async with opened(self._pool) as cursor:
            await cursor.execute(
                "SELECT 1 FROM jobs WHERE tenant = %s AND job_id = %s AND lease_until > clock_timestamp()",
                (tenant, job_id),
            )
            return await cursor.fetchone() is not None

    async def requeue(self, tenant: str, job_id: str) -> Job | None:
        async with opened(self._pool) as cursor:
            try:
                await cursor.execute(_REQUEUE, {"tenant": tenant, "job_id": job_id})
            except UniqueViolation:
                return None
            row = await cursor.fetchone()
            return _job(row) if row is not None else None

    async def list_outdated(self, *, limit: int) -> list[Job]:
        async with opened(self._pool) as cursor:
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE file_kept_until < clock_timestamp()"
                " ORDER BY file_kept_until LIMIT %s",
                (limit,),
            )
            return [_job(row) for row in await cursor.fetchall()]

    async def forget_file(self, job_id: str) -> None:
        await self._changes_one(
            f"UPDATE jobs SET file_kept_until = NULL WHERE job_id = %(job_id)s AND NOT ({_ACTIVE})", job_id=job_id
        )

    async def _changes_one(self, statement: str, **parameters: str) -> bool:
        async with opened(self._pool) as cursor:
            await cursor.execute(statement, parameters)
            return cursor.rowcount == 1

    async def get(self, tenant: str, job_id: str) -> Job | None:
        return await self._find("tenant = %s AND job_id = %s", tenant, job_id)

    async def find_by_request(self, tenant: str, request_id: str) -> Job | None:
        return await self._find("tenant = %s AND request_id = %s", tenant, request_id)

    async def find_active(self, tenant: str, document_id: str) -> Job | None:
        return await self._find(f"tenant = %s AND document_id = %s AND {_ACTIVE}", tenant, document_id)

    async def _find(self, condition: str, *parameters: str) -> Job | None:
        async with opened(self._pool) as cursor:
            await cursor.execute(f"SELECT {_COLUMNS} FROM jobs WHERE {condition}", parameters)
            row = await cursor.fetchone()
            return _job(row) if row is not None else None

    async def list_newest_first(self, tenant: str, page: PageRequest, *, state: JobState | None = None) -> list[Job]:
        conditions = "AND (create_time, job_id) < (%(time)s, %(id)s)" if page.before else ""
        if state is not None:
            conditions += " AND state = %(state)s"
        time, identifier = page.before or (None, None)
        async with opened(self._pool) as cursor:
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE tenant = %(tenant)s {conditions}"
                " ORDER BY create_time DESC, job_id DESC LIMIT %(size)s",
                {"tenant": tenant, "time": time, "id": identifier, "size": page.size, "state": state},
            )
            return [_job(row) for row in await cursor.fetchall()]

    async def count_by_state(self, tenant: str) -> Mapping[JobState, int]:
        async with opened(self._pool) as cursor:
            await cursor.execute("SELECT state, count(*) FROM jobs WHERE tenant = %s GROUP BY state", (tenant,))
            return {JobState(row["state"]): row["count"] for row in await cursor.fetchall()}

    async def is_reachable(self) -> bool:
        try:
            async with opened(self._pool) as cursor:
                await cursor.execute("SELECT 1")
        except JobStoreUnavailable:
            return False
        return True


@asynccontextmanager
async def opened(pool: AsyncConnectionPool[AsyncConnection[TupleRow]]) -> AsyncIterator[AsyncCursor[DictRow]]:
    """A cursor in a transaction of its own. Raises JobStoreUnavailable when the database cannot be reached."""
    try:
        async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            yield cursor
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:  # PoolTimeout and PoolClosed are such, too
        raise JobStoreUnavailable("the store of jobs cannot be reached at the moment") from error


def _leased(row: DictRow | None, token: str) -> LeasedJob | None:
    return LeasedJob(_job(row), token) if row is not None else None


def _job(row: DictRow) -> Job:
    facts = {
        **row,
        "state": JobState(row["state"]),
        "tags": tuple(row["tags"]),
        "joined_filenames": tuple(row["joined_filenames"]),
        "page_notes": notes_from(row["page_notes"]),
    }
    return Job(**facts)


def notes_from(rows: list[dict[str, Any]]) -> tuple[PageNote, ...]:
    """Notes as a column holds them."""
    return tuple(PageNote(row["page"], PageProblem(row["reason"]), row["detail"]) for row in rows)
