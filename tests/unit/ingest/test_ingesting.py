"""Taking files in: the same bytes once, whoever sends them, however often, under whichever names."""

import asyncio
from uuid import uuid4

import pytest

from services.ingest.errors import (
    FileBroken,
    FileEmpty,
    FileStoreUnavailable,
    FileTooLarge,
    FileTypeMismatch,
    FileTypeUnsupported,
    IndexRefused,
    IndexUnavailable,
    IngestError,
    JobCancelled,
    JobStoreUnavailable,
    ParsingTimeout,
    RequestIdInvalid,
    StorageFull,
)
from services.ingest.models import DocumentState, JobState
from tests.fakes.ingest_world import World, id_of, new_world, settled

POLICY = b"# Leave\n\nFull time: 15 days.\n\nPart time: 7 days."
OTHER = b"Other words."


async def test_a_file_becomes_a_ready_document_with_its_chunks() -> None:
    world = new_world()

    ingested = await world.ingest(POLICY, "policy.md")

    assert ingested.cache_hit is False
    document = ingested.document
    assert (document.document_id, document.state, document.filenames) == (
        id_of(POLICY),
        DocumentState.READY,
        ("policy.md",),
    )
    assert (document.title, document.size_bytes, document.content_type) == ("Leave", len(POLICY), "text/markdown")
    assert document.chunk_count == len(world.texts_of(POLICY)) > 0
    assert document.token_count > 0
    job = await world.jobs.get("red", ingested.job_id)
    assert job is not None
    assert (job.state, job.attempt_count, job.indexed_chunk_count) == (JobState.READY, 1, document.chunk_count)
    assert world.files.originals[world.key_of(POLICY, "md")] == POLICY


async def test_the_same_bytes_again_are_neither_parsed_nor_indexed() -> None:
    world = new_world()
    first = await world.ingest(POLICY, "policy.md")
    texts_before = world.indexer.indexed_texts

    again = await world.ingest(POLICY, "copy.md")

    assert again.cache_hit is True
    assert again.document.document_id == first.document.document_id
    assert again.document.filenames == ("policy.md", "copy.md")
    assert again.job_id == first.job_id
    assert (world.runner.parsed_file_count, world.indexer.indexed_texts) == (1, texts_before)


async def test_the_same_bytes_of_another_tenant_are_another_document() -> None:
    world = new_world()
    await world.ingest(POLICY)

    other = await world.ingest(POLICY, tenant="blue")

    assert other.cache_hit is False
    assert world.texts_of(POLICY, "blue") == world.texts_of(POLICY, "red")


async def test_callers_with_the_same_bytes_at_the_same_time_share_one_effort() -> None:
    world = new_world()

    results = await asyncio.gather(*(world.ingest(POLICY, f"{number}.txt") for number in range(5)))

    assert [result.cache_hit for result in results].count(False) == 1
    assert len({result.job_id for result in results}) == 1
    assert world.runner.parsed_file_count == 1
    document = await world.document_of(POLICY)
    assert document is not None
    assert set(document.filenames) == {f"{number}.txt" for number in range(5)}


async def test_a_caller_waits_for_the_job_of_another_process() -> None:
    world = new_world()
    elsewhere = world.restarted()
    gate = asyncio.Event()
    elsewhere.parser.before_parsing = gate.wait
    first = asyncio.create_task(elsewhere.ingest(POLICY, "a.txt"))
    await settled()

    second = asyncio.create_task(world.ingest(POLICY, "b.txt"))
    await settled()
    assert not second.done()
    gate.set()

    assert (await first).cache_hit is False
    assert (await second).cache_hit is True
    assert world.runner.parsed_file_count == 0


async def test_the_work_goes_on_when_its_caller_has_gone() -> None:
    world = new_world()
    gate = asyncio.Event()
    world.parser.before_parsing = gate.wait
    call = asyncio.create_task(world.ingest(POLICY))
    await settled()

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    gate.set()
    await settled_with_files(world)

    document = await world.document_of(POLICY)
    assert document is not None
    assert document.filenames == ("notes.txt",)


async def test_where_nothing_may_outlive_a_call_the_job_is_given_back() -> None:
    world = new_world(outlive_calls=False)
    world.parser.before_parsing = asyncio.Event().wait
    call = asyncio.create_task(world.ingest(POLICY))
    await settled_with_files(world)

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    job = await world.job_of(POLICY)
    assert job is not None
    assert job.state is JobState.QUEUED
    assert (await world.restarted().ingest(POLICY)).cache_hit is False


async def test_a_known_name_with_other_bytes_moves_and_the_nameless_document_goes() -> None:
    world = new_world()
    await world.ingest(POLICY, "policy.txt")

    ingested = await world.ingest(OTHER, "policy.txt")

    assert ingested.document.filenames == ("policy.txt",)
    assert await world.nothing_left_of(POLICY)


async def test_a_document_that_keeps_a_name_stays_and_is_shown_by_it() -> None:
    world = new_world()
    await world.ingest(POLICY, "policy.txt")
    await world.ingest(POLICY, "leave.txt")

    await world.ingest(OTHER, "policy.txt")

    assert world.texts_of(POLICY)
    assert world.indexer.filenames["red", id_of(POLICY)] == "leave.txt"
    assert await world.registry.list_unsettled(limit=9) == []


async def test_a_name_that_moves_to_known_bytes_is_a_cache_hit() -> None:
    world = new_world()
    await world.ingest(POLICY, "a.txt")
    await world.ingest(OTHER, "b.txt")

    ingested = await world.ingest(POLICY, "b.txt")

    assert ingested.cache_hit is True
    assert ingested.document.filenames == ("a.txt", "b.txt")
    assert await world.nothing_left_of(OTHER)


@pytest.mark.parametrize(
    ("content", "filename", "error"),
    [
        (b"", "a.txt", FileEmpty),
        (b"x" * 10_001, "a.txt", FileTooLarge),
        (b"text", "a.exe", FileTypeUnsupported),
        (b"text", "a.pdf", FileTypeMismatch),
        (b"\x89PNG\r\n\x1a\n", "a.txt", FileTypeMismatch),
    ],
)
async def test_what_is_refused_at_the_door_leaves_not_even_a_job(
    content: bytes, filename: str, error: type[IngestError]
) -> None:
    world = new_world()

    with pytest.raises(error):
        await world.ingest(content, filename)

    assert await world.job_of(content) is None
    assert world.files.originals == {}


async def test_the_largest_file_is_named_in_the_refusal() -> None:
    world = new_world()

    with pytest.raises(FileTooLarge) as caught:
        await world.ingest(b"x" * 10_001)

    assert caught.value.metadata == {"max_bytes": "10000"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileBroken("damaged"), "FILE_BROKEN"),
        (ParsingTimeout("too slow"), "PARSING_TIMEOUT"),
        (RuntimeError("a bug"), "UNEXPECTED"),
    ],
)
async def test_a_file_that_fails_to_parse_leaves_only_its_failed_job_and_what_may_be_retried(
    error: Exception, reason: str
) -> None:
    world = new_world()
    world.parser.error = error

    with pytest.raises(type(error)):
        await world.ingest(POLICY)

    job = await world.job_of(POLICY)
    assert job is not None
    assert (job.state, job.failure_reason) == (JobState.FAILED, reason)
    assert "a bug" not in job.failure_detail
    if reason == "UNEXPECTED":
        assert await world.only_the_file_left_of(POLICY)
    else:
        assert await world.nothing_left_of(POLICY)


async def test_after_a_failure_the_same_bytes_may_be_tried_as_another_kind_of_file() -> None:
    world = new_world()
    gate = asyncio.Event()
    world.parser.before_parsing = gate.wait
    as_json = asyncio.create_task(world.ingest(b"broken as that", "a.json"))
    await settled_with_files(world)
    as_text = asyncio.create_task(world.ingest(b"broken as that", "a.txt"))
    await settled()
    gate.set()

    results = await asyncio.gather(as_json, as_text, return_exceptions=True)

    assert [type(result) for result in results] == [FileBroken, FileBroken]
    assert world.parser.parsed == [b"broken as that"] * 2


@pytest.mark.parametrize("place", ["save_original", "save_record"])
async def test_a_full_disk_fails_the_job_and_leaves_nothing(place: str) -> None:
    world = new_world()
    world.files.trouble.errors[place] = StorageFull("no room")

    with pytest.raises(StorageFull):
        await world.ingest(POLICY)

    job = await world.job_of(POLICY)
    assert job is not None
    assert (job.state, job.failure_reason) == (JobState.FAILED, "STORAGE_FULL")
    assert await world.nothing_left_of(POLICY)
    world.files.trouble.errors.clear()
    assert (await world.ingest(POLICY)).cache_hit is False


async def test_a_file_store_that_is_away_lets_the_same_call_succeed_later() -> None:
    world = new_world()
    world.files.trouble.errors.update(save_original=FileStoreUnavailable("away"), delete=FileStoreUnavailable("away"))
    request_id = str(uuid4())
    with pytest.raises(FileStoreUnavailable):
        await world.ingest(POLICY, request_id=request_id)
    world.files.trouble.errors.clear()

    assert (await world.ingest(POLICY, request_id=request_id)).document.state is DocumentState.READY


async def test_while_the_index_is_away_the_job_waits_and_the_next_call_finishes_it_without_parsing_again() -> None:
    world = new_world()
    world.indexer.trouble.errors["index"] = IndexUnavailable("away")

    with pytest.raises(IndexUnavailable) as caught:
        await world.ingest(POLICY)

    assert caught.value.retry_after_seconds > 0
    job = await world.job_of(POLICY)
    assert job is not None
    assert job.state is JobState.QUEUED
    world.indexer.trouble.errors.clear()
    ingested = await world.ingest(POLICY)
    assert (ingested.cache_hit, ingested.job_id) == (False, job.job_id)
    assert world.runner.parsed_file_count == 1


async def test_an_index_that_refuses_fails_the_job_and_leaves_only_its_file() -> None:
    world = new_world()
    world.indexer.trouble.errors["index"] = IndexRefused("another model", index_reason="EMBEDDING_MODEL_MISMATCH")

    with pytest.raises(IndexRefused):
        await world.ingest(POLICY)

    job = await world.job_of(POLICY)
    assert job is not None
    assert job.failure_reason == "INDEX_REFUSED"
    assert await world.only_the_file_left_of(POLICY)


async def test_a_store_of_jobs_that_is_away_is_told() -> None:
    world = new_world()
    world.jobs.trouble.errors["create"] = JobStoreUnavailable("away")

    with pytest.raises(JobStoreUnavailable):
        await world.ingest(POLICY)


async def test_a_repeated_request_gives_the_same_job() -> None:
    world = new_world()
    request_id = str(uuid4())
    first = await world.ingest(POLICY, request_id=request_id)

    again = await world.ingest(POLICY, request_id=request_id.upper())
    with_other_bytes = await world.ingest(OTHER, "other.txt", request_id=request_id)

    assert again.job_id == with_other_bytes.job_id == first.job_id
    assert with_other_bytes.document.document_id == id_of(POLICY)
    assert await world.document_of(OTHER) is None


async def test_a_repeated_request_for_a_broken_file_fails_alike_without_parsing_again() -> None:
    world = new_world()
    request_id = str(uuid4())
    for _ in range(2):
        with pytest.raises(FileBroken, match="the file is broken"):
            await world.ingest(b"broken", request_id=request_id)

    assert len(world.parser.parsed) == 1


async def test_a_request_whose_document_was_deleted_since_makes_it_anew() -> None:
    world = new_world()
    request_id = str(uuid4())
    await world.ingest(POLICY, request_id=request_id)
    await world.ingesting.delete("red", id_of(POLICY))

    assert (await world.ingest(POLICY, request_id=request_id)).cache_hit is False


async def test_a_request_id_that_is_no_uuid_is_refused() -> None:
    with pytest.raises(RequestIdInvalid) as caught:
        await new_world().ingest(POLICY, request_id="first")
    assert caught.value.field == "request_id"


async def test_a_document_deleted_while_it_is_ingested_cancels_its_job() -> None:
    world = new_world()
    world.parser.before_parsing = asyncio.Event().wait
    call = asyncio.create_task(world.ingest(POLICY))
    await settled_with_files(world)

    await world.ingesting.delete("red", id_of(POLICY))

    with pytest.raises(JobCancelled):
        await call
    job = await world.job_of(POLICY)
    assert job is not None
    assert job.state is JobState.CANCELLED
    assert await world.nothing_left_of(POLICY)


async def test_a_half_deleted_document_is_deleted_whole_before_it_comes_again() -> None:
    world = new_world()
    await world.ingest(POLICY)
    world.indexer.trouble.errors["delete"] = IndexUnavailable("away")
    with pytest.raises(IndexUnavailable):
        await world.ingesting.delete("red", id_of(POLICY))
    world.indexer.trouble.errors.clear()

    assert (await world.ingest(POLICY)).cache_hit is False
    assert len(world.texts_of(POLICY)) > 0


async def test_closing_gives_back_what_is_under_way() -> None:
    world = new_world()
    world.parser.before_parsing = asyncio.Event().wait
    call = asyncio.create_task(world.ingest(POLICY))
    await settled_with_files(world)

    await world.ingesting.close()
    await asyncio.gather(call, return_exceptions=True)

    job = await world.job_of(POLICY)
    assert job is not None
    assert job.state is JobState.QUEUED
    assert await world.jobs.claim_due(lease_seconds=9) is not None


async def settled_with_files(world: World) -> None:
    """Let things go on also through the threads that reading a file takes."""
    for _ in range(20):
        await settled()
        await asyncio.sleep(0.001)
