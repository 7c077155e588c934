"""Retrying failed jobs while their files are kept, and what becomes of those files otherwise."""

import pytest

from services.ingest.errors import (
    FileBroken,
    IndexRefused,
    IndexUnavailable,
    JobFailed,
    JobFileGone,
    JobNotFound,
    JobNotRetryable,
    StorageFull,
)
from services.ingest.models import Job, JobState, PageRequest
from services.ingest.retrying import Retrying
from tests.fakes.ingest_world import World, new_world

POLICY = b"# Leave\n\nFull time: 15 days.\n\nPart time: 7 days."
DAY = 24 * 3600.0


def retrying(world: World) -> Retrying:
    return Retrying(world.bringing)


async def newest(world: World) -> Job:
    return (await world.jobs.list_newest_first("red", PageRequest(9)))[0]


async def failed_job(world: World) -> Job:
    """A job that failed although nothing is wrong with its file."""
    world.indexer.trouble.errors["index"] = IndexRefused("another model", index_reason="EMBEDDING_MODEL_MISMATCH")
    with pytest.raises(IndexRefused):
        await world.ingest(POLICY)
    world.indexer.trouble.errors.clear()
    return await newest(world)


async def test_a_failed_job_is_done_anew_without_its_file_being_sent_or_parsed_again() -> None:
    world = new_world()
    job = await failed_job(world)
    assert job.file_kept_until is not None

    requeued = await retrying(world).retry("red", job.job_id)
    await world.workers.take_up_due()

    assert (requeued.state, requeued.failure_reason, requeued.attempt_count) == (JobState.QUEUED, "", 0)
    assert world.queue.announced[-1][0] == job.job_id
    done = await newest(world)
    assert (done.job_id, done.state, done.attempt_count) == (job.job_id, JobState.READY, 1)
    assert world.runner.parsed_file_count == 1
    document = await world.document_of(POLICY)
    assert document is not None
    assert document.chunk_count == len(world.texts_of(POLICY)) > 0


async def test_retrying_a_job_that_goes_on_changes_nothing() -> None:
    world = new_world()
    job = await failed_job(world)

    first = await retrying(world).retry("red", job.job_id)
    again = await retrying(world).retry("red", job.job_id)

    assert again == first


@pytest.mark.parametrize("error", [FileBroken("damaged"), StorageFull("no room")])
async def test_what_would_fail_again_or_has_no_room_is_not_kept(error: Exception) -> None:
    world = new_world()
    world.parser.error = error
    with pytest.raises(type(error)):
        await world.ingest(POLICY)

    with pytest.raises(JobFileGone, match="upload") as caught:
        await retrying(world).retry("red", (await newest(world)).job_id)

    assert caught.value.metadata == {"state": "FAILED"}
    assert await world.nothing_left_of(POLICY)


async def test_a_cancelled_job_is_to_be_uploaded_again() -> None:
    world = new_world()
    leased = await world.abandoned_job(POLICY)
    await world.jobs.cancel(leased.job.job_id)

    with pytest.raises(JobFileGone, match="upload the file again"):
        await retrying(world).retry("red", leased.job.job_id)


async def test_a_job_that_is_ready_or_unknown_is_not_retried() -> None:
    world = new_world()
    job_id = (await world.ingest(POLICY)).job_id

    with pytest.raises(JobNotRetryable, match="READY"):
        await retrying(world).retry("red", job_id)
    with pytest.raises(JobNotFound):
        await retrying(world).retry("blue", job_id)


async def test_a_job_whose_bytes_were_uploaded_again_is_not_retried() -> None:
    world = new_world()
    job = await failed_job(world)
    await world.ingest(POLICY)

    with pytest.raises(JobNotRetryable, match="have become a document since"):
        await retrying(world).retry("red", job.job_id)


async def test_a_job_whose_bytes_are_being_uploaded_again_names_the_other_job() -> None:
    world = new_world()
    job = await failed_job(world)
    other = await world.abandoned_job(POLICY)

    with pytest.raises(JobNotRetryable, match=other.job.job_id):
        await retrying(world).retry("red", job.job_id)


async def test_chunks_the_index_could_not_forget_go_first_and_the_file_stays() -> None:
    world = new_world()
    world.runner.max_attempts = 1
    world.indexer.trouble.errors.update(index=IndexUnavailable("away"), delete=IndexUnavailable("away"))
    with pytest.raises(IndexUnavailable):
        await world.ingest(POLICY)
    with pytest.raises(JobFailed, match="1 attempts"):
        await world.ingest(POLICY)
    job = await newest(world)
    assert (job.state, job.failure_reason) == (JobState.FAILED, "ATTEMPTS_EXHAUSTED")

    with pytest.raises(IndexUnavailable):
        await retrying(world).retry("red", job.job_id)
    world.indexer.trouble.errors.clear()
    await world.deleting.settle_all()
    assert await world.only_the_file_left_of(POLICY)
    await retrying(world).retry("red", job.job_id)
    await world.workers.take_up_due()

    assert (await newest(world)).state is JobState.READY
    assert world.texts_of(POLICY)


async def test_a_file_is_kept_for_its_time_and_then_removed() -> None:
    world = new_world()
    job = await failed_job(world)
    world.clock.pass_seconds(DAY / 2)
    await world.deleting.forget_outdated()
    assert await world.only_the_file_left_of(POLICY)

    world.clock.pass_seconds(DAY)
    with pytest.raises(JobFileGone):
        await retrying(world).retry("red", job.job_id)
    await world.deleting.forget_outdated()

    assert await world.nothing_left_of(POLICY)
    assert (await newest(world)).file_kept_until is None
    assert await world.registry.list_unsettled(limit=9) == []


async def test_a_file_that_became_a_document_since_stays_when_its_time_is_over() -> None:
    world = new_world()
    await failed_job(world)
    await world.ingest(POLICY)
    world.clock.pass_seconds(2 * DAY)

    await world.deleting.forget_outdated()

    assert world.texts_of(POLICY)
    assert world.files.originals[world.key_of(POLICY)] == POLICY
    assert await world.jobs.list_outdated(limit=9) == []


async def test_a_file_that_is_being_ingested_again_stays_when_its_time_is_over() -> None:
    world = new_world()
    await failed_job(world)
    world.clock.pass_seconds(2 * DAY)
    await world.abandoned_job(POLICY)

    await world.deleting.forget_outdated()
    await world.workers.take_up_due()

    assert (await newest(world)).state is JobState.READY
    assert world.texts_of(POLICY)


async def test_a_file_that_became_a_document_as_another_kind_goes_when_its_time_is_over() -> None:
    world = new_world()
    await failed_job(world)
    await world.ingest(POLICY, "notes.md")
    world.clock.pass_seconds(2 * DAY)

    await world.deleting.forget_outdated()

    assert set(world.files.originals) == {world.key_of(POLICY, "md")}


async def test_a_job_that_rested_too_often_is_given_up() -> None:
    world = new_world()
    world.runner.max_attempts = 3
    world.indexer.trouble.errors["index"] = IndexUnavailable("away")
    for _ in range(3):
        with pytest.raises(IndexUnavailable):
            await world.ingest(POLICY)

    with pytest.raises(JobFailed, match="in 3 attempts"):
        await world.ingest(POLICY)

    job = await newest(world)
    assert (job.state, job.failure_reason) == (JobState.FAILED, "ATTEMPTS_EXHAUSTED")
    assert await world.only_the_file_left_of(POLICY)
