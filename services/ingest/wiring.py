"""The ingest service put together."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from protos.ingest.v1.ingest_service_pb2_grpc import add_IngestServiceServicer_to_server
from services.ingest.adapters.images_client import ImagesClient
from services.ingest.adapters.images_process import ImagesProcess
from services.ingest.adapters.parsing.formats import PARSING_VERSION
from services.ingest.adapters.parsing.pdf_images import IMAGES_VERSION
from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.adapters.polled_queue import PolledQueue
from services.ingest.adapters.rag_client import RagChunkIndexer
from services.ingest.adapters.reading_help import reading_help
from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.bringing import Bringing
from services.ingest.cancelling import Cancelling
from services.ingest.chunking import Chunker
from services.ingest.consuming import Consuming
from services.ingest.deleting import Deleting
from services.ingest.imaging import Imaging
from services.ingest.ingesting import Ingesting
from services.ingest.ports import DocumentRegistry, FileStore, JobStore
from services.ingest.reading import Reading
from services.ingest.retrying import Retrying
from services.ingest.service import FAILURES, IngestServicer
from services.ingest.service_events import IngestEvents
from services.ingest.settings import IngestSettings
from services.ingest.stopping import stopped
from services.ingest.uploading import Uploading
from services.ingest.uploads import UploadStore
from services.ingest.workers import Workers
from services.ingest.working import JobRunner
from services.transport.addresses import table_prefix_of
from services.transport.aws_clients import make_aws_client
from services.transport.channels import open_channel
from services.transport.deadlines import call_timeout_seconds
from services.transport.identity import Caller, acting_as
from services.transport.serving import ServiceDefinition

if TYPE_CHECKING:
    from services.ingest.adapters.sqs_queue import SqsQueue

MIGRATIONS = Path(__file__).parent / "adapters" / "migrations"
SERVICE_NAME = "diglot.ingest.v1.IngestService"
# Each job renews its lease and tells its progress; calls come on top.
_MAX_CONNECTIONS = 6
_STORING_IMAGES_SECONDS = 60
_S3_READ_TIMEOUT_SECONDS = 30  # for one read of the socket, not for a file


@asynccontextmanager
async def open_ingest(settings: IngestSettings) -> AsyncIterator[ServiceDefinition]:
    """Everything the service needs, opened in order and closed in reverse; work that is under way is given back."""
    async with AsyncExitStack() as stack:
        jobs, registry = await stack.enter_async_context(_open_stores(settings))
        rag = await stack.enter_async_context(open_channel(settings.rag_target, settings.transport))
        files, uploads = stack.enter_context(_open_files(settings))
        queue = stack.enter_context(_open_queue(settings))
        indexer = RagChunkIndexer(
            rag, batch_chunks=settings.index_batch_chunks, timeout_seconds=settings.index_timeout_seconds
        )
        deleting = Deleting(
            jobs=jobs,
            registry=registry,
            files=files,
            indexer=indexer,
            act_for=act_for,
            lease_seconds=settings.lease_seconds,
        )
        helpers = await asyncio.to_thread(
            reading_help,
            settings.docling,
            settings.docling_artifacts_path,
            settings.ocr_engine,
            download=settings.docling_allow_download,
        )
        imaging = Imaging(
            jobs=jobs,
            registry=registry,
            files=files,
            reader=ImagesProcess(
                timeout_seconds=settings.parsing_timeout_seconds, memory_bytes=settings.parsing_memory_bytes
            ),
            act_for=act_for,
            fingerprint=f"images-{IMAGES_VERSION}",
            elsewhere=await stack.enter_async_context(_open_image_function(settings)),
            outlive_calls=settings.background_work,
            resume_after_seconds=settings.parsing_timeout_seconds + _STORING_IMAGES_SECONDS,
        )
        stack.push_async_callback(imaging.close)
        runner = JobRunner(
            jobs=jobs,
            registry=registry,
            files=files,
            parser=ParsingProcess(
                timeout_seconds=settings.parsing_timeout_seconds,
                memory_bytes=settings.parsing_memory_bytes,
                quiet_seconds=settings.parsing_quiet_seconds,
                max_parallel=settings.max_parallel_parsings,
                reading_help=helpers,
                help_memory_bytes=settings.docling_memory_bytes,
                help_timeout_seconds=settings.docling_timeout_seconds,
            ),
            chunker=Chunker(
                WordPieceTokens(),
                max_tokens=settings.chunk_tokens,
                merge_tokens=settings.chunk_merge_tokens,
                overlap_tokens=settings.chunk_overlap_tokens,
            ),
            indexer=indexer,
            deleting=deleting,
            act_for=act_for,
            parsing_fingerprint=f"parsing-{PARSING_VERSION}{helpers.fingerprint}",
            lease_seconds=settings.lease_seconds,
            has_images=imaging.has_images,
            after_ready=imaging.after_ready,
            first_pause_seconds=settings.retry_pause_seconds,
            max_lost_leases=settings.max_lost_workers,
            max_attempts=settings.max_attempts,
            keep_failed_seconds=settings.failed_file_hours * 3600,
        )
        bringing = Bringing(
            jobs=jobs,
            registry=registry,
            files=files,
            runner=runner,
            deleting=deleting,
            queue=queue or PolledQueue(),
            outlive_calls=settings.background_work,
        )
        ingesting = Ingesting(
            bringing=bringing,
            max_file_bytes=settings.max_file_bytes,
            remaining_seconds=lambda: call_timeout_seconds(None, math.inf),
            hand_over_seconds=settings.hand_over_seconds,
        )
        stack.push_async_callback(ingesting.close)
        uploading = Uploading(
            store=uploads,
            ingesting=ingesting,
            jobs=jobs,
            registry=registry,
            max_file_bytes=settings.max_file_bytes,
            open_seconds=settings.upload_minutes * 60,
        )
        # With a queue the store is only looked into for what no message told of.
        workers = Workers(
            jobs=jobs,
            runner=runner,
            deleting=deleting,
            imaging=imaging,
            count=1 if queue else settings.worker_count,
            poll_seconds=settings.sweep_seconds if queue else settings.worker_poll_seconds,
        )
        consuming = None
        if queue is not None:
            consuming = Consuming(
                jobs=jobs, runner=runner, messages=queue, keep_seconds=settings.queue_visibility_seconds
            )
        if settings.background_work:
            await stack.enter_async_context(_working(workers))
            await stack.enter_async_context(_sweeping(uploading))
            if consuming is not None:
                await stack.enter_async_context(consuming.listening(settings.worker_count))
        events = IngestEvents(
            workers=workers, deleting=deleting, consuming=consuming, read_message=queue.message if queue else None
        )
        in_postgresql = table_prefix_of(settings.store_url.get_secret_value()) is None
        servicer = IngestServicer(
            ingesting=ingesting,
            cancelling=Cancelling(jobs=jobs, registry=registry, runner=runner, deleting=deleting),
            retrying=Retrying(bringing=bringing),
            reading=Reading(jobs=jobs, registry=registry, files=files, counter=runner),
            uploading=uploading,
            max_content_bytes=settings.max_content_bytes,
            imaging=imaging,
            storage_backend=files.kind,
            parts={
                "job_store": "postgresql" if in_postgresql else "dynamodb",
                "queue": "off" if queue is None else "sqs",
                "images": "here" if settings.images_target is None else "elsewhere",
                "docling": helpers.docling or "off",
                "docling_models": "on" if helpers.reads_layout else "off",
                "ocr": helpers.ocr or "off",
            },
        )

        async def is_serving() -> bool:
            return await jobs.is_reachable() and await files.is_reachable()

        yield ServiceDefinition(
            name=SERVICE_NAME,
            domain="ingest.diglot",
            failures=FAILURES,
            add_to=lambda server: add_IngestServiceServicer_to_server(servicer, server),
            checks={"": is_serving, "job_store": jobs.is_reachable, "file_store": files.is_reachable},
            take_event=events.take,
        )


@asynccontextmanager
async def _open_stores(settings: IngestSettings) -> AsyncIterator[tuple[JobStore, DocumentRegistry]]:
    store_url = settings.store_url.get_secret_value()
    match table_prefix_of(store_url):
        case None:
            from services.ingest.adapters.postgres_documents import PostgresDocuments
            from services.ingest.adapters.postgres_jobs import PostgresJobs
            from services.storage.postgres import open_store

            opening = open_store(store_url, schema="ingest", migrations=MIGRATIONS, max_connections=_MAX_CONNECTIONS)
            async with opening as pool:
                yield PostgresJobs(pool), PostgresDocuments(pool)
        case prefix:
            from services.ingest.adapters.dynamodb_stores import open_dynamodb_stores

            async with open_dynamodb_stores(
                prefix, jobs_kept_for=timedelta(days=settings.job_retention_days)
            ) as stores:
                yield stores


@contextmanager
def _open_files(settings: IngestSettings) -> Iterator[tuple[FileStore, UploadStore]]:
    match settings.s3_cache_bucket if settings.storage_backend == "s3" else None:
        case None:
            from services.ingest.adapters.local_files import LocalFiles
            from services.ingest.adapters.local_uploads import LocalUploads

            uploads = LocalUploads(settings.data_dir / "uploads", max_bytes=settings.max_open_upload_bytes)
            yield LocalFiles(settings.data_dir / "files"), uploads
        case bucket:
            from services.ingest.adapters.s3_bucket import S3Bucket
            from services.ingest.adapters.s3_files import S3Files
            from services.ingest.adapters.s3_presigning import S3Presigner
            from services.ingest.adapters.s3_uploads import S3Uploads
            from services.ingest.adapters.temporary_folders import sweep_left_behind

            sweep_left_behind()
            client = make_aws_client("s3", read_timeout_seconds=_S3_READ_TIMEOUT_SECONDS, addressing_style="virtual")
            objects, presigner = S3Bucket(client, bucket), S3Presigner(client, bucket)
            try:
                yield S3Files(objects, presigner), S3Uploads(objects, presigner)
            finally:
                client.close()


@contextmanager
def _open_queue(settings: IngestSettings) -> Iterator[SqsQueue | None]:
    """None: there is no queue, and workers look into the store of jobs."""
    if settings.queue_url is None:
        yield None
        return
    from services.ingest.adapters.sqs_queue import SqsQueue

    # Each worker waits for a message, or keeps one; callers announce besides.
    client = make_aws_client("sqs", max_concurrent_calls=2 * settings.worker_count + 2)
    try:
        yield SqsQueue(client, settings.queue_url, visibility_seconds=settings.queue_visibility_seconds)
    finally:
        client.close()


@asynccontextmanager
async def _open_image_function(settings: IngestSettings) -> AsyncIterator[ImagesClient | None]:
    if settings.images_target is None:
        yield None
        return
    async with open_channel(settings.images_target, settings.transport) as channel:
        yield ImagesClient(channel, timeout_seconds=settings.parsing_timeout_seconds + _STORING_IMAGES_SECONDS)


def act_for(tenant: str) -> AbstractContextManager[Caller]:
    """Work for a tenant is done in this service's name: it may end long after the user's claim has."""
    return acting_as(Caller(tenant, "ingest-worker", frozenset({"user"})))


@asynccontextmanager
async def _sweeping(uploading: Uploading) -> AsyncIterator[None]:
    task = asyncio.create_task(uploading.sweep_for_ever())
    try:
        yield
    finally:
        await stopped(task)


@asynccontextmanager
async def _working(workers: Workers) -> AsyncIterator[None]:
    task = asyncio.create_task(workers.run())
    try:
        yield
    finally:
        await stopped(task)
