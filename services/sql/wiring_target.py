"""The user's database put together: its pool, what watches it, what reads its schema and what runs queries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.sql.adapters.postgres_identity import Place
from services.sql.adapters.postgres_introspection import PostgresSchemaReader, ReadLimits
from services.sql.adapters.postgres_role import TargetWatch
from services.sql.adapters.postgres_session import RunLimits, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.settings import SqlSettings

MAX_RESULT_ROWS = 1_000
MAX_RESULT_BYTES = 4_000_000
_STRUCTURE_SECONDS = 15.0


@dataclass(frozen=True)
class Target:
    """What asks the user's database."""

    database: PostgresTarget
    reader: PostgresSchemaReader
    watch: TargetWatch


@asynccontextmanager
async def open_target(settings: SqlSettings, store_place: Place | None) -> AsyncIterator[Target]:
    """The database at `DATABASE_URL`, which may be down now.

    Raises: ConfigurationRefused: it holds the service's own data, or the role is too powerful for production.
    """
    async with open_target_pool(
        settings.database_url.get_secret_value(),
        # One more, so that health is told and the schema read while every run is busy.
        max_connections=settings.max_concurrent_runs + 1,
        checkout_wait_seconds=settings.checkout_wait_seconds,
    ) as pool:
        watch = TargetWatch(
            refuses_powers=settings.is_production,
            store_place=store_place,
            seconds=settings.schema_check_seconds,
        )
        await watch.look_at_start(pool)
        yield Target(
            PostgresTarget(
                pool,
                run_limits(settings),
                max_concurrent_runs=settings.max_concurrent_runs,
                wait_seconds=settings.checkout_wait_seconds,
                watch=watch,
            ),
            PostgresSchemaReader(
                pool,
                ReadLimits(
                    structure_seconds=_STRUCTURE_SECONDS,
                    sample_seconds=settings.sample_seconds,
                    sample_table_seconds=settings.sample_table_seconds,
                    sample_rows=settings.sample_rows,
                ),
                visibility=settings.visibility,
            ),
            watch,
        )


def run_limits(settings: SqlSettings) -> RunLimits:
    """What one run may take, by the settings."""
    return RunLimits(
        statement_seconds=settings.statement_seconds,
        lock_seconds=settings.lock_seconds,
        work_memory_kilobytes=settings.work_memory_kilobytes,
        max_plan_cost=settings.max_plan_cost,
        max_rows=MAX_RESULT_ROWS,
        max_bytes=MAX_RESULT_BYTES,
    )
