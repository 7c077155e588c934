"""Where the sql service keeps what is its own, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from services.sql.adapters.postgres_identity import Place, read_place
from services.sql.ports import QueryStore, SchemaStore, TrainingStore
from services.sql.settings import SqlSettings
from services.transport.addresses import table_prefix_of

if TYPE_CHECKING:
    from services.sql.adapters.postgres_queries import StorePool

MIGRATIONS = Path(__file__).parent / "adapters" / "migrations"

# A run lives at most for its statement time and little more; whoever is EXECUTING much longer is dead.
_RUN_LEASE_MARGIN_SECONDS = 60.0


@dataclass(frozen=True)
class Stores:
    """What the service keeps for itself. `pool` leads to the database it is kept in, None where it is none."""

    kind: str
    queries: QueryStore
    schemas: SchemaStore
    training: TrainingStore
    pool: StorePool | None = None

    async def place(self) -> Place | None:
        """Where that database is."""
        if self.pool is None:
            return None
        async with self.pool.connection() as connection:
            return await read_place(connection)


@asynccontextmanager
async def open_stores(settings: SqlSettings) -> AsyncIterator[Stores]:
    """The stores at `DIGLOT_STORE_URL`. Raises as services.storage.postgres.open_store and dynamodb.open_tables."""
    store_url = settings.store_url.get_secret_value()
    lease_seconds = settings.statement_seconds + settings.lock_seconds + _RUN_LEASE_MARGIN_SECONDS
    run_lease = timedelta(seconds=lease_seconds)
    match table_prefix_of(store_url):
        case None:
            from services.sql.adapters.postgres_queries import PostgresQueryStore
            from services.sql.adapters.postgres_schemas import PostgresSchemaStore
            from services.sql.adapters.postgres_training import PostgresTrainingStore
            from services.storage.postgres import open_store

            async with open_store(store_url, schema="sql", migrations=MIGRATIONS) as pool:
                queries = PostgresQueryStore(pool, run_lease=run_lease)
                yield Stores("postgresql", queries, PostgresSchemaStore(pool), PostgresTrainingStore(pool), pool)
        case prefix:
            from services.sql.adapters.dynamodb_stores import open_dynamodb_stores

            kept_for = timedelta(days=settings.query_retention_days)
            async with open_dynamodb_stores(prefix, run_lease=run_lease, queries_kept_for=kept_for) as stores:
                yield Stores("dynamodb", *stores)
