"""Jobs in PostgreSQL. Time is the database's own, so that workers on several machines agree on leases."""

# ruff: noqa: S608 -- statements are put together from constants of this module; every value is a parameter

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg_pool import AsyncConnectionPool

from services.ingest.errors import JobStoreUnavailable, LeaseLost
from services.ingest.models import Job, JobState, LeasedJob, NewJob, PageRequest

_COLUMNS = (
    "job_id, tenant, subject, document_id, extension, filename, request_id, state, failure_reason, failure_detail,"
    " attempt_count, lost_lease_count, indexed_chunk_count, total_chunk_count, create_time, update_time"
)
_ACTIVE = "state NOT IN ('READY', 'FAILED', 'CANCELLED')"
_TOUCH = "update_time = clock_timestamp()"
_LEASE_ENDS = "clock_timestamp() + make_interval(secs => %(lease_seconds)s)"
_NO_LEASE = "lease_token = NULL, lease_until = NULL"

_CREATE = f"""
INSERT INTO jobs (job_id, tenant, subject, document_id, extension, filename, request_id,
                  attempt_count, lease_token, lease_until)
VALUES (%(job_id)s, %(tenant)s, %(subject)s, %(document_id)s, %(extension)s, %(filename)s, %(request_id)s,
        1, %(token)s, {_LEASE_ENDS})
RETURNING {_COLUMNS}"""
_TAKE = f"""
UPDATE jobs SET lease_token = %(token)s, lease_until = {_LEASE_ENDS}, attempt_count = attempt_count + 1,
       lost_lease_count = lost_lease_count + (lease_token IS NOT NULL)::int, {_TOUCH}"""
_FREE = "(lease_token IS NULL OR lease_until < clock_timestamp())"
_CLAIM = f"{_TAKE} WHERE job_id = %(job_id)s AND {_ACTIVE} AND {_FREE} RETURNING {_COLUMNS}"
_CLAIM_DUE = f"""{_TAKE} WHERE job_id = (
    SELECT job_id FROM jobs WHERE {_ACTIVE} AND {_FREE} AND due_time <= clock_timestamp()
    ORDER BY due_time LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING {_COLUMNS}"""
# A lease that ran out and that nobody took still is its holder's.
_HELD = f"WHERE job_id = %(job_id)s AND lease_token = %(token)s AND {_ACTIVE}"


class PostgresJobs:
    """JobStore in the tables of migration 0001."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[TupleRow]]) -> None:
        self._pool = pool

    async def create(self, new: NewJob, *, lease_seconds: float) -> LeasedJob | None:
        token = uuid4().hex
        parameters = {**vars(new), "token": token, "lease_seconds": lease_seconds}
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

    async def advance(self, leased: LeasedJob, state: JobState, *, indexed: int = 0, total: int = 0) -> None:
        await self._change(
            leased,
            f"state = %(state)s, indexed_chunk_count = %(indexed)s, total_chunk_count = %(total)s, {_TOUCH}",
            state=state.value,
            indexed=indexed,
            total=total,
        )

    async def finish(self, leased: LeasedJob) -> None:
        await self._change(leased, f"state = 'READY', {_NO_LEASE}, {_TOUCH}")

    async def fail(self, leased: LeasedJob, *, reason: str, detail: str) -> None:
        await self._change(
            leased,
            f"state = 'FAILED', failure_reason = %(reason)s, failure_detail = %(detail)s, {_NO_LEASE}, {_TOUCH}",
            reason=reason,
            detail=detail,
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

    async def cancel(self, job_id: str) -> bool:
        async with opened(self._pool) as cursor:
            await cursor.execute(
                f"UPDATE jobs SET state = 'CANCELLED', {_NO_LEASE}, {_TOUCH} WHERE job_id = %s AND {_ACTIVE}",
                (job_id,),
            )
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

    async def list_newest_first(self, tenant: str, page: PageRequest) -> list[Job]:
        condition = "AND (create_time, job_id) < (%(time)s, %(id)s)" if page.before else ""
        time, identifier = page.before or (None, None)
        async with opened(self._pool) as cursor:
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE tenant = %(tenant)s {condition}"
                " ORDER BY create_time DESC, job_id DESC LIMIT %(size)s",
                {"tenant": tenant, "time": time, "id": identifier, "size": page.size},
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
    return Job(**{**row, "state": JobState(row["state"])})
