"""Cancelling jobs, wherever they are being done, and whatever is happening to them at that moment."""

import asyncio

import pytest

from services.ingest.cancelling import Cancelling
from services.ingest.errors import IndexUnavailable, JobCancelled, JobFinal, JobNotFound, Unreachable
from services.ingest.models import Job, JobState, PageRequest
from tests.fakes.ingest_world import LEASE_SECONDS, World, new_world, settled
from tests.unit.ingest.test_working import until

POLICY = b"# Leave\n\nFull time: 15 days.\n\nPart time: 7 days."


def cancelling(world: World) -> Cancelling:
    return Cancelling(world.jobs, world.registry, world.runner, world.deleting)


async def job_of(world: World) -> Job:
    [job] = await world.jobs.list_newest_first("red", PageRequest(9))
    return job


async def at_work(world: World) -> asyncio.Task[object]:
    """An upload whose parsing goes on and on."""
    world.parser.before_parsing = asyncio.Event().wait
    call: asyncio.Task[object] = asyncio.create_task(world.ingest(POLICY))
    await until(lambda: bool(world.parser.parsed))
    return call


async def test_a_job_is_stopped_and_what_it_has_stored_is_removed() -> None:
    world = new_world()
    call = await at_work(world)

    cancelled = await cancelling(world).cancel("red", (await job_of(world)).job_id)

    assert cancelled.state is JobState.CANCELLED
    with pytest.raises(JobCancelled):
        await call
    assert await world.nothing_left_of(POLICY)
    assert await world.registry.list_unsettled(limit=9) == []


async def test_cancelling_again_answers_the_same() -> None:
    world = new_world()
    call = await at_work(world)
    job = await job_of(world)

    first, second = [await cancelling(world).cancel("red", job.job_id) for _ in range(2)]

    assert first == second
    await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize("content", [POLICY, b"broken bytes"])
async def test_a_job_that_has_ended_says_how(content: bytes) -> None:
    world = new_world()
    await asyncio.gather(world.ingest(content), return_exceptions=True)
    job = await job_of(world)

    with pytest.raises(JobFinal) as caught:
        await cancelling(world).cancel("red", job.job_id)

    assert caught.value.metadata == {"state": job.state}
    assert (await world.document_of(content) is not None) is (job.state is JobState.READY)


async def test_a_document_published_a_moment_ago_stays() -> None:
    world = new_world()
    published, go_on = asyncio.Event(), asyncio.Event()
    finish = world.jobs.finish

    async def slow(*arguments: object, **options: object) -> bool:
        published.set()
        await go_on.wait()
        return await finish(*arguments, **options)  # type: ignore[arg-type]

    world.jobs.finish = slow  # type: ignore[method-assign]
    call = asyncio.create_task(world.ingest(POLICY))
    await published.wait()

    with pytest.raises(JobFinal) as caught:
        await cancelling(world).cancel("red", (await job_of(world)).job_id)
    go_on.set()

    assert caught.value.metadata == {"state": "READY"}
    assert (await call).document.filenames == ("notes.txt",)
    assert world.texts_of(POLICY)


async def test_a_job_of_another_process_is_removed_for_good_when_its_worker_has_let_go() -> None:
    world = new_world()
    call = await at_work(world)
    elsewhere = world.restarted()
    job = await job_of(world)

    cancelled = await cancelling(elsewhere).cancel("red", job.job_id)

    assert cancelled.state is JobState.CANCELLED
    await world.files.save_record(job.file_key, "chunks.json", b"what the worker still writes")
    assert await world.document_of(POLICY) is not None  # its removal goes on
    await world.runner.stop(job.job_id)
    await asyncio.gather(call, return_exceptions=True)
    await elsewhere.deleting.settle_all()
    assert await world.nothing_left_of(POLICY)


async def test_what_a_worker_left_that_died_meanwhile_is_removed_when_its_lease_has_run_out() -> None:
    world = new_world()
    leased = await world.abandoned_job(POLICY)
    leased = await world.jobs.claim(leased.job.job_id, lease_seconds=LEASE_SECONDS) or leased

    await cancelling(world).cancel("red", leased.job.job_id)
    await world.files.save_record(leased.job.file_key, "chunks.json", b"its last write")
    await world.deleting.settle_all()
    before = await world.document_of(POLICY)
    world.clock.pass_seconds(2 * LEASE_SECONDS)
    await world.deleting.settle_all()

    assert before is not None
    assert await world.nothing_left_of(POLICY)


async def test_bytes_that_come_anew_wait_until_the_cancelled_worker_has_let_go() -> None:
    world = new_world()
    call = await at_work(world)
    elsewhere = world.restarted()
    job = await job_of(world)
    await cancelling(elsewhere).cancel("red", job.job_id)

    anew = asyncio.create_task(elsewhere.ingest(POLICY))
    await settled()
    assert not anew.done()
    world.parser.before_parsing = None
    await world.runner.stop(job.job_id)
    await asyncio.gather(call, return_exceptions=True)

    assert (await asyncio.wait_for(anew, 5)).cache_hit is False
    assert world.texts_of(POLICY)
    assert world.key_of(POLICY) in world.files.originals


async def test_a_job_is_cancelled_also_while_the_index_is_away() -> None:
    world = new_world()
    world.indexer.trouble.errors["index"] = IndexUnavailable("away")
    await asyncio.gather(world.ingest(POLICY), return_exceptions=True)
    world.indexer.trouble.errors["delete"] = IndexUnavailable("away")

    cancelled = await cancelling(world).cancel("red", (await job_of(world)).job_id)

    assert cancelled.state is JobState.CANCELLED
    world.indexer.trouble.errors.clear()
    await world.deleting.settle_all()
    assert await world.nothing_left_of(POLICY)


async def test_a_job_of_another_tenant_is_unknown() -> None:
    world = new_world()
    await world.abandoned_job(POLICY)

    with pytest.raises(JobNotFound):
        await cancelling(world).cancel("blue", (await job_of(world)).job_id)
    assert not (await job_of(world)).state.is_final


async def test_two_who_remove_the_same_do_not_touch_what_a_third_brings_anew() -> None:
    world = new_world()
    await world.ingest(POLICY)
    doomed = await world.registry.mark_deleting("red", (await job_of(world)).document_id)
    assert doomed is not None
    other = world.restarted()
    slow = asyncio.Event()
    delete = world.files.delete

    async def late(*arguments: object) -> object:
        await slow.wait()
        return await delete(*arguments)  # type: ignore[arg-type]

    world.files.delete = late  # type: ignore[method-assign, assignment]
    first = asyncio.create_task(world.deleting.finish(doomed))
    await settled()
    second = asyncio.create_task(other.deleting.finish(doomed))
    third = asyncio.create_task(other.ingest(POLICY))
    await settled()
    slow.set()

    assert (await asyncio.gather(first, second))[1] is None
    assert (await asyncio.wait_for(third, 10)).cache_hit is False
    assert world.key_of(POLICY) in world.files.originals
    assert world.texts_of(POLICY)


async def test_a_removal_that_another_has_for_long_is_told_as_such() -> None:
    world = new_world()
    await world.ingest(POLICY)
    job = await job_of(world)
    doomed = await world.registry.mark_deleting("red", job.document_id)
    assert doomed is not None
    await world.registry.hold_deletion("red", job.document_id, lease_seconds=LEASE_SECONDS)

    with pytest.raises(Unreachable, match="still being removed"):
        await world.deleting.finish(doomed)
    world.clock.pass_seconds(2 * LEASE_SECONDS)
    await world.deleting.finish(doomed)

    assert await world.nothing_left_of(POLICY)
