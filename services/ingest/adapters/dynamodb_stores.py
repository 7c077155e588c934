"""The stores of jobs and documents in DynamoDB, opened together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from services.ingest.adapters.dynamodb_documents import DynamoDocuments
from services.ingest.adapters.dynamodb_jobs import DynamoJobs
from services.ingest.adapters.dynamodb_tables import DOCUMENTS, JOBS
from services.ingest.errors import JobStoreUnavailable
from services.storage.dynamodb import open_tables


@asynccontextmanager
async def open_dynamodb_stores(
    prefix: str, *, jobs_kept_for: timedelta
) -> AsyncIterator[tuple[DynamoJobs, DynamoDocuments]]:
    """Jobs and documents in the tables of this prefix. Raises as services.storage.dynamodb.open_tables."""
    async with open_tables(prefix, (JOBS, DOCUMENTS), unavailable=unavailable) as (jobs, documents):
        yield DynamoJobs(jobs, keeps_for=jobs_kept_for), DynamoDocuments(documents)


def unavailable() -> JobStoreUnavailable:
    """What callers are told when DynamoDB cannot do its part."""
    return JobStoreUnavailable("the store of jobs cannot be reached at the moment")
