"""The stores of queries, of schemas and of training in DynamoDB, opened together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from services.sql.adapters.dynamodb_queries import DynamoQueryStore
from services.sql.adapters.dynamodb_schemas import DynamoSchemaStore
from services.sql.adapters.dynamodb_tables import QUERIES
from services.sql.adapters.dynamodb_training import DynamoTrainingStore
from services.sql.errors import QueryStoreUnavailable
from services.storage.dynamodb import open_tables


@asynccontextmanager
async def open_dynamodb_stores(
    prefix: str, *, run_lease: timedelta, queries_kept_for: timedelta
) -> AsyncIterator[tuple[DynamoQueryStore, DynamoSchemaStore, DynamoTrainingStore]]:
    """Queries, schemas and training in the table of this prefix. Raises as services.storage.dynamodb.open_tables."""
    async with open_tables(prefix, (QUERIES,), unavailable=QueryStoreUnavailable) as (table,):
        yield (
            DynamoQueryStore(table, run_lease=run_lease, keeps_ended=queries_kept_for),
            DynamoSchemaStore(table, keeps_for=queries_kept_for),
            DynamoTrainingStore(table),
        )
