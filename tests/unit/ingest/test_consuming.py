"""Jobs done because a message named them: once, whatever the queue does."""

from __future__ import annotations

import asyncio

import pytest

from services.ingest.consuming import WorkingTime
from services.ingest.errors import (
    FileStoreUnavailable,
    IndexUnavailable,
    JobQueueUnavailable,
    JobStoreUnavailable,
    WorkGoesOn,
)
from services.ingest.models import Job, JobMessage, JobState
from tests.fakes.ingest_world import World, id_of, new_world, settled
from tests.unit.ingest.test_working import until

POLICY = b"# Leave\n\nFull time: 15 days.\n\nPart time: 7 days."
LONG = 1_000.0


async def waiting_job(world: World, content: bytes = POLICY) -> Job:
    """A job that was given back, and the message that tells of it."""
    world.indexer.trouble.errors["index"] = IndexUnavailable("away")
    with pytest.raises(IndexUnavailable):
        await world.ingest(content)
    world.indexer.trouble.errors.clear()
    job = await job_of(world, content)
    assert world.queue.announced[-1] == (job.job_id, world.runner.first_pause_seconds)
    world.clock.pass_seconds(LONG)
    return job


async def job_of(world: World, content: bytes = POLICY) -> Job:
    job = await world.job_of(content)
    assert job is not None
    return job


async def next_message(world: World) -> JobMessage:
    (message,) = await world.queue.receive()
    return message


async def test_a_waiting_job_is_done_when_its_message_comes() -> None:
    world = new_world()
    await waiting_job(world)

    assert await world.consuming.take_up(await next_message(world)) is True

    assert (await job_of(world)).state is JobState.READY
    assert world.texts_of(POLICY)


async def test_a_message_that_comes_twice_doubles_nothing() -> None:
    world = new_world()
    await waiting_job(world)
    message = await next_message(world)

    assert await world.consuming.take_up(message) is True
    assert await world.consuming.take_up(message) is True

    assert world.runner.parsed_file_count == 1
    assert world.indexer.indexed_texts == len(world.texts_of(POLICY))
    assert (await job_of(world)).attempt_count == 2


async def test_a_message_that_comes_twice_at_the_same_time_is_worked_on_once() -> None:
    world = new_world()
    await waiting_job(world)
    message = await next_message(world)
    elsewhere = world.restarted()

    done = await asyncio.gather(world.consuming.take_up(message), elsewhere.consuming.take_up(message))

    assert all(done)
    assert world.indexer.indexed_texts == len(world.texts_of(POLICY))
    assert world.runner.parsed_file_count + elsewhere.runner.parsed_file_count == 1


async def test_messages_out_of_order_and_of_a_job_that_was_started_anew_change_nothing_that_is_done() -> None:
    world = new_world()
    first = await waiting_job(world)
    old_message = await next_message(world)
    await world.ingesting.delete("red", id_of(POLICY))
    await world.ingest(POLICY)
    newer = await job_of(world)

    assert await world.consuming.take_up(old_message) is True

    assert newer.job_id != first.job_id
    assert (await job_of(world)).state is JobState.READY
    assert len(world.texts_of(POLICY)) > 0


async def test_only_what_is_unfinished_comes_again() -> None:
    world = new_world()
    job = await waiting_job(world)
    fine = await next_message(world)
    unknown, nonsense = JobMessage("m7", "7" * 32, "r7"), JobMessage("m8", None, "r8")

    again = await world.consuming.take_up_all([nonsense, fine, unknown], WorkingTime(LONG))

    assert again == [nonsense]
    assert (await job_of(world)).job_id == job.job_id
    assert (await job_of(world)).state is JobState.READY


async def test_a_file_that_cannot_be_a_document_is_done_with() -> None:
    world = new_world()
    broken = b"broken bytes"
    leased = await world.abandoned_job(broken)

    assert await world.consuming.take_up(JobMessage("m1", leased.job.job_id, "r1")) is True

    assert (await job_of(world, broken)).failure_reason == "FILE_BROKEN"


@pytest.mark.parametrize("trouble", [IndexUnavailable("away"), FileStoreUnavailable("away")])
async def test_what_cannot_be_done_now_comes_again_later_and_its_job_waits(
    trouble: IndexUnavailable | FileStoreUnavailable,
) -> None:
    world = new_world()
    await waiting_job(world)
    world.indexer.trouble.errors["index"] = trouble
    message = await next_message(world)

    assert await world.consuming.take_up_all([message], WorkingTime(LONG)) == [message]

    assert (await job_of(world)).state is JobState.QUEUED
    assert await world.queue.receive() == []
    assert len(world.queue.announced) == 1  # the message itself comes again; another one would double it


async def test_a_job_ends_as_failed_with_the_last_delivery_of_its_message() -> None:
    world = new_world(max_receives=3)
    await waiting_job(world)
    world.indexer.trouble.errors["index"] = IndexUnavailable("away")

    for _ in range(3):
        await world.consuming.take_up_all([await next_message(world)], WorkingTime(LONG))
        world.clock.pass_seconds(LONG)

    job = await job_of(world)
    assert (job.state, job.failure_reason) == (JobState.FAILED, "ATTEMPTS_EXHAUSTED")
    assert "4 attempts" in job.failure_detail
    assert await world.queue.receive() == []
    assert world.queue.aside == [job.job_id]


async def test_a_store_of_jobs_that_is_away_at_the_last_delivery_keeps_the_job_for_the_next_look_into_it() -> None:
    world = new_world(max_receives=1)
    job = await waiting_job(world)
    claim = world.jobs.claim

    async def away(*arguments: object, **options: object) -> None:
        raise JobStoreUnavailable("away")

    world.jobs.claim = away  # type: ignore[method-assign]
    assert await world.consuming.take_up(await next_message(world)) is False
    world.jobs.claim = claim  # type: ignore[method-assign]

    await world.workers.take_up_due()
    assert (await job_of(world)).job_id == job.job_id
    assert (await job_of(world)).state is JobState.READY


async def test_nothing_is_begun_when_time_is_short_and_what_is_begun_is_cut_off_in_time() -> None:
    world = new_world()
    await waiting_job(world)
    first = await next_message(world)
    second = JobMessage("m9", "9" * 32, "r9")
    world.indexer.before_indexing = asyncio.Event().wait

    again = await world.consuming.take_up_all([first, second], WorkingTime(0.1))

    assert again == [first, second]
    job = await job_of(world)
    assert (job.state, job.attempt_count) == (JobState.QUEUED, 2)
    world.indexer.before_indexing = None
    assert await world.consuming.take_up(await next_message(world)) is True


async def test_a_worker_looks_into_the_store_only_while_another_job_may_begin() -> None:
    world = new_world()
    await waiting_job(world)

    await world.workers.take_up_due(may_begin=lambda: False)
    assert (await job_of(world)).state is JobState.QUEUED

    await world.workers.take_up_due(may_begin=WorkingTime(LONG).may_begin)
    assert (await job_of(world)).state is JobState.READY


async def test_a_call_that_nothing_outlives_gives_its_work_back_before_it_ends_and_tells_of_it() -> None:
    world = new_world(outlive_calls=False)
    world.remaining_seconds = 0.1
    world.indexer.before_indexing = asyncio.Event().wait

    with pytest.raises(WorkGoesOn) as caught:
        await world.ingest(POLICY)

    job = await job_of(world)
    assert caught.value.metadata == {"job": f"jobs/{job.job_id}"}
    assert job.state is JobState.QUEUED
    assert world.queue.announced == [(job.job_id, 0)]
    world.indexer.before_indexing = None
    assert await world.consuming.take_up(await next_message(world)) is True
    assert (await world.ingest(POLICY)).cache_hit is True


async def test_a_call_that_ends_before_its_file_is_stored_says_so_and_leaves_nothing() -> None:
    world = new_world(outlive_calls=False)
    world.remaining_seconds = 0.1
    save = world.files.save_original

    async def slow(*arguments: object) -> None:
        await asyncio.Event().wait()

    world.files.save_original = slow  # type: ignore[method-assign, assignment]
    with pytest.raises(FileStoreUnavailable):
        await world.ingest(POLICY)

    world.files.save_original = save  # type: ignore[method-assign]
    world.remaining_seconds = LONG
    assert await world.nothing_left_of(POLICY)
    assert (await world.ingest(POLICY)).cache_hit is False


async def test_an_upload_is_told_the_same_when_nobody_can_be_told_of_its_job() -> None:
    world = new_world(outlive_calls=False)
    world.remaining_seconds = 0.1
    world.queue.trouble.errors["announce"] = JobQueueUnavailable("away")
    world.indexer.before_indexing = asyncio.Event().wait
    with pytest.raises(WorkGoesOn):
        await world.ingest(POLICY)
    world.indexer.before_indexing = None

    await world.workers.take_up_due()

    assert (await job_of(world)).state is JobState.READY


async def test_a_listener_does_jobs_and_removes_their_messages() -> None:
    world = new_world()
    await waiting_job(world)
    world.queue.put("7" * 32)

    async with world.consuming.listening(2):
        await until(lambda: world.queue.length == 0)

    assert (await job_of(world)).state is JobState.READY


async def test_a_listener_keeps_a_message_from_others_while_its_job_goes_on() -> None:
    world = new_world()
    await waiting_job(world)
    world.consuming.keep_seconds = 0.01
    gate = asyncio.Event()
    world.indexer.before_indexing = gate.wait
    kept = 0
    keep = world.queue.keep

    async def counted(message: JobMessage, *, seconds: float) -> None:
        nonlocal kept
        kept += 1
        await keep(message, seconds=seconds)

    world.queue.keep = counted  # type: ignore[method-assign]
    async with world.consuming.listening(1):
        await until(lambda: kept >= 3)
        gate.set()
        await until(lambda: world.queue.length == 0)

    assert (await job_of(world)).state is JobState.READY


async def test_what_a_listener_is_doing_when_it_stops_is_given_back_at_once_message_and_all() -> None:
    world = new_world()
    await waiting_job(world)
    begun = asyncio.Event()

    async def stuck() -> None:
        begun.set()
        await asyncio.Event().wait()

    world.indexer.before_indexing = stuck
    async with world.consuming.listening(1):
        await begun.wait()
    world.indexer.before_indexing = None

    assert (await job_of(world)).state is JobState.QUEUED
    successor = world.restarted()
    assert await successor.consuming.take_up(await next_message(world)) is True
    assert (await job_of(world)).state is JobState.READY


async def test_a_listener_survives_a_queue_that_goes_away() -> None:
    world = new_world()
    await waiting_job(world)
    world.queue.trouble.errors.update(
        receive=JobQueueUnavailable("away"), keep=JobQueueUnavailable("away"), remove=JobQueueUnavailable("away")
    )
    world.queue.trouble.times.update(receive=3, remove=1)

    async with world.consuming.listening(1):
        await until(lambda: bool(world.texts_of(POLICY)))
        await settled()

    assert (await job_of(world)).state is JobState.READY
