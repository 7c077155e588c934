"""Uploads that are not waited for: what is promised when the call returns is kept, whoever dies afterwards."""

# ruff: noqa: ASYNC110 -- what background tasks do can only be looked at

import asyncio
from uuid import uuid4

import pytest

from services.ingest.errors import FileEmpty, FileStoreUnavailable, StorageFull, TagsInvalid
from services.ingest.models import DocumentState, Job, JobState, PageRequest, Started
from tests.fakes.ingest_world import LEASE_SECONDS, World, id_of, new_world, settled
from tests.unit.ingest.test_working import until

POLICY = b"# Leave\n\nFull time: 15 days.\n\nPart time: 7 days."


async def start(
    world: World,
    content: bytes = POLICY,
    filename: str = "notes.txt",
    *,
    request_id: str = "",
    tags: tuple[str, ...] = (),
) -> Started:
    return await world.ingesting.start(
        tenant="red", subject="ann", filename=filename, content=content, request_id=request_id, tags=tags
    )


async def jobs_of(world: World) -> list[Job]:
    return await world.jobs.list_newest_first("red", PageRequest(9))


async def ready(world: World) -> None:
    async with asyncio.timeout(5):
        while not all(job.state is JobState.READY for job in await jobs_of(world)):
            await asyncio.sleep(0.001)


async def test_a_started_upload_is_stored_and_done_without_the_call() -> None:
    world = new_world()
    gate = asyncio.Event()
    world.parser.before_parsing = gate.wait

    started = await start(world)

    assert started.document is None
    assert not started.job.state.is_final
    assert world.files.originals[world.key_of(POLICY)] == POLICY
    gate.set()
    await ready(world)
    document = await world.document_of(POLICY)
    assert document is not None
    assert (document.filenames, document.job_id) == (("notes.txt",), started.job.job_id)


async def test_bytes_that_are_ready_get_a_job_that_is_so_too() -> None:
    world = new_world()
    first = await world.ingest(POLICY)

    started = await start(world, filename="copy.txt")

    assert started.document is not None
    assert started.document.filenames == ("notes.txt", "copy.txt")
    assert (started.job.state, started.job.filename) == (JobState.READY, "copy.txt")
    assert started.job.job_id != first.job_id
    assert started.job.indexed_chunk_count == first.document.chunk_count
    assert world.runner.parsed_file_count == 1


async def test_bytes_that_are_being_ingested_elsewhere_keep_their_job_which_gets_the_name() -> None:
    world = new_world()
    gate = asyncio.Event()
    world.parser.before_parsing = gate.wait
    first = await start(world, filename="a.txt")
    elsewhere = world.restarted()

    second = await start(elsewhere, filename="b.txt")
    gate.set()
    await ready(world)

    assert second.job.job_id == first.job.job_id
    document = await world.document_of(POLICY)
    assert document is not None
    assert document.filenames == ("a.txt", "b.txt")
    assert elsewhere.runner.parsed_file_count == 0


async def test_names_that_joined_a_job_outlive_the_process_that_took_them() -> None:
    world = new_world()
    world.parser.before_parsing = asyncio.Event().wait
    await start(world, filename="a.txt")
    await start(world, filename="b.txt")
    waiting = asyncio.create_task(world.ingest(POLICY, "c.txt"))
    await settled()
    world.clock.pass_seconds(2 * LEASE_SECONDS)  # and the process is dead

    successor = world.restarted()
    await successor.workers.take_up_due()

    document = await world.document_of(POLICY)
    assert document is not None
    assert document.filenames == ("a.txt", "b.txt", "c.txt")
    waiting.cancel()
    await asyncio.gather(waiting, world.ingesting.close(), return_exceptions=True)


async def test_a_job_whose_file_never_came_is_saved_by_a_started_upload() -> None:
    world = new_world()
    abandoned = await world.abandoned_job(POLICY, stored=False)

    started = await start(world)
    await ready(world)

    assert started.job.job_id == abandoned.job.job_id
    assert world.texts_of(POLICY)


async def test_where_nothing_outlives_a_call_the_job_is_handed_on_at_once() -> None:
    world = new_world(outlive_calls=False)

    first = await start(world, filename="a.txt")
    second = await start(world, filename="b.txt")

    assert first.job.state is JobState.QUEUED
    assert second.job.job_id == first.job.job_id
    assert [job_id for job_id, _ in world.queue.announced] == [first.job.job_id] * 2
    assert world.parser.parsed == []
    (message,) = await world.queue.receive()
    assert await world.consuming.take_up(message) is True
    document = await world.document_of(POLICY)
    assert document is not None
    assert document.filenames == ("a.txt", "b.txt")


async def test_the_same_request_gives_the_same_job() -> None:
    world = new_world()
    request_id = str(uuid4())
    first = await start(world, request_id=request_id)
    await ready(world)

    again = await start(world, request_id=request_id.upper())

    assert again.job.job_id == first.job.job_id
    assert again.document is not None
    assert len(await jobs_of(world)) == 1


async def test_the_same_request_begins_anew_what_failed_through_no_fault_of_the_file() -> None:
    world = new_world()
    world.parser.error = RuntimeError("a bug")
    request_id = str(uuid4())
    await start(world, request_id=request_id)
    async with asyncio.timeout(5):
        while (await jobs_of(world))[0].state is not JobState.FAILED:
            await asyncio.sleep(0.001)
    world.parser.error = None

    await start(world, request_id=request_id)
    async with asyncio.timeout(5):
        while (await jobs_of(world))[0].state is not JobState.READY:
            await asyncio.sleep(0.001)

    assert world.texts_of(POLICY)


async def test_what_cannot_be_promised_is_told_at_once() -> None:
    world = new_world()
    with pytest.raises(FileEmpty):
        await start(world, b"")
    world.files.trouble.errors["save_original"] = StorageFull("no room")
    with pytest.raises(StorageFull):
        await start(world)
    world.files.trouble.errors["save_original"] = FileStoreUnavailable("away")
    with pytest.raises(FileStoreUnavailable):
        await start(world, b"Other words.")

    assert world.files.originals == {}
    assert [job.state for job in await jobs_of(world)] == [JobState.FAILED] * 2


async def test_a_half_deleted_document_is_deleted_whole_before_it_is_started_again() -> None:
    world = new_world()
    await world.ingest(POLICY)
    await world.registry.mark_deleting("red", id_of(POLICY))

    await start(world)
    await until(lambda: bool(world.texts_of(POLICY)))
    await ready(world)

    document = await world.document_of(POLICY)
    assert document is not None
    assert document.state is DocumentState.READY


async def test_tags_stay_with_the_document() -> None:
    world = new_world()

    await start(world, tags=(" leave ", "2025", "leave"))
    await ready(world)

    document = await world.document_of(POLICY)
    assert document is not None
    assert document.tags == ("leave", "2025")


@pytest.mark.parametrize("tags", [("",), ("x" * 51,), ("a\nb",), tuple(f"t{number}" for number in range(51))])
async def test_tags_that_are_none_are_refused(tags: tuple[str, ...]) -> None:
    with pytest.raises(TagsInvalid) as caught:
        await start(new_world(), tags=tags)
    assert caught.value.field == "tags"
