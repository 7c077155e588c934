"""Jobs taken up after a crash, wherever it happened; leases; workers."""

import asyncio
import json
from collections.abc import Callable

import pytest

from services.ingest import deleting
from services.ingest.erasures import ErasedFromIndex
from services.ingest.errors import (
    FileStoreUnavailable,
    IndexUnavailable,
    JobCancelled,
    JobStoreUnavailable,
    LeaseLost,
)
from services.ingest.models import DocumentState, JobState
from tests.fakes.ingest_world import LEASE_SECONDS, id_of, new_world, settled

POLICY = b"# Leave\n\nFull time: 15 days.\n\nPart time: 7 days."


@pytest.mark.parametrize("stored", [True, False])
async def test_an_abandoned_job_is_finished_by_a_worker_or_said_to_have_lost_its_file(stored: bool) -> None:
    world = new_world()
    await world.abandoned_job(POLICY, stored=stored)

    await world.workers.take_up_due()

    job = await world.job_of(POLICY)
    assert job is not None
    if stored:
        assert (job.state, job.attempt_count) == (JobState.READY, 2)
        assert world.texts_of(POLICY)
    else:
        assert (job.state, job.failure_reason) == (JobState.FAILED, "FILE_MISSING")
        assert await world.nothing_left_of(POLICY)


async def test_a_job_without_its_file_is_saved_by_sending_the_bytes_again() -> None:
    world = new_world()
    abandoned = await world.abandoned_job(POLICY, stored=False)

    ingested = await world.ingest(POLICY)

    assert ingested.job_id == abandoned.job.job_id
    assert ingested.document.state is DocumentState.READY


async def test_a_job_that_three_workers_died_of_is_given_up() -> None:
    world = new_world()
    await world.abandoned_job(POLICY, lost=3)

    await world.workers.take_up_due()

    job = await world.job_of(POLICY)
    assert job is not None
    assert (job.state, job.failure_reason) == (JobState.FAILED, "ATTEMPTS_EXHAUSTED")
    assert await world.only_the_file_left_of(POLICY)


async def test_jobs_that_rest_are_not_counted_as_lost_however_often() -> None:
    world = new_world()
    world.indexer.trouble.errors["index"] = IndexUnavailable("away")
    for _ in range(6):
        with pytest.raises(IndexUnavailable):
            await world.ingest(POLICY)
    world.indexer.trouble.errors.clear()
    world.clock.pass_seconds(3600)

    await world.workers.take_up_due()

    assert (await world.ingest(POLICY)).cache_hit is True


@pytest.mark.parametrize("batches_before", [0, 1, 2])
async def test_a_worker_killed_while_indexing_loses_nothing_and_makes_nothing_twice(batches_before: int) -> None:
    world = new_world()
    content = b"\n\n".join(b"Paragraph number %d here." % number for number in range(6))
    left = batches_before

    async def kill() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            await asyncio.Event().wait()

    world.indexer.before_indexing = kill
    call = asyncio.create_task(world.ingest(content))
    await until(lambda: left < 0)
    world.indexer.before_indexing = None
    world.clock.pass_seconds(2 * LEASE_SECONDS)

    successor = world.restarted()
    await successor.workers.take_up_due()

    assert successor.runner.parsed_file_count == 0
    assert world.indexer.indexed_texts == len(world.texts_of(content)) == 6
    document = await world.document_of(content)
    assert document is not None
    assert document.chunk_count == 6
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def test_a_worker_killed_after_publishing_only_needs_its_job_closed() -> None:
    world = new_world()
    world.jobs.trouble.errors["finish"] = JobStoreUnavailable("away")
    with pytest.raises(JobStoreUnavailable):
        await world.ingest(POLICY)
    world.jobs.trouble.errors.clear()
    world.clock.pass_seconds(3600)

    successor = world.restarted()
    await successor.workers.take_up_due()

    job = await world.job_of(POLICY)
    assert job is not None
    assert job.state is JobState.READY
    assert successor.runner.parsed_file_count == 0


async def test_whoever_lost_the_lease_stops_and_changes_nothing() -> None:
    world = new_world()
    gate = asyncio.Event()
    world.parser.before_parsing = gate.wait
    leased = await world.abandoned_job(POLICY)
    slow = asyncio.create_task(world.runner.run(leased))
    await until(lambda: bool(world.parser.parsed))
    successor = world.restarted()
    taken = await world.jobs.claim_due(lease_seconds=LEASE_SECONDS)
    assert taken is not None

    gate.set()
    with pytest.raises(LeaseLost):
        await slow
    await successor.runner.run(taken)

    job = await world.job_of(POLICY)
    assert job is not None
    assert job.state is JobState.READY


async def test_a_lease_is_renewed_while_the_work_goes_on() -> None:
    world = new_world()
    world.runner.lease_seconds = 0.03
    beats = 0
    renew = world.jobs.heartbeat

    async def counted(*arguments: object, **options: object) -> None:
        nonlocal beats
        beats += 1
        await renew(*arguments, **options)  # type: ignore[arg-type]

    world.jobs.heartbeat = counted  # type: ignore[method-assign]

    async def until_three_beats() -> None:
        while beats < 3:  # noqa: ASYNC110 -- the beats are counted by a replaced method
            await asyncio.sleep(0.005)

    world.parser.before_parsing = until_three_beats

    assert (await world.ingest(POLICY)).document.state is DocumentState.READY


async def test_a_deletion_elsewhere_stops_the_work_and_what_came_late_is_removed() -> None:
    world = new_world()
    elsewhere = world.restarted()
    gate = asyncio.Event()
    world.indexer.before_indexing = gate.wait
    call = asyncio.create_task(world.ingest(POLICY))
    await until(lambda: bool(world.files.records))
    await settled()

    await elsewhere.ingesting.delete("red", id_of(POLICY))
    gate.set()

    with pytest.raises(JobCancelled):
        await call
    assert await world.nothing_left_of(POLICY)
    assert await world.registry.list_unsettled(limit=9) == []


async def test_chunks_cut_by_another_version_are_not_taken_for_current() -> None:
    world = new_world()
    leased = await world.abandoned_job(POLICY)
    stale: dict[str, object] = {"fingerprint": "parsing-0/chunks-0", "chunks": [], "title": "", "page_count": None}
    await world.files.save_record(leased.job.file_key, "chunks.json", json.dumps(stale).encode())

    await world.workers.take_up_due()

    assert world.runner.parsed_file_count == 1
    assert world.texts_of(POLICY)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"fingerprint": 3}'])
async def test_damaged_records_are_made_again(damage: bytes) -> None:
    world = new_world()
    leased = await world.abandoned_job(POLICY)
    await world.files.save_record(leased.job.file_key, "chunks.json", damage)

    await world.workers.take_up_due()

    assert world.texts_of(POLICY)


async def test_a_failing_job_does_not_keep_a_worker_from_the_next() -> None:
    world = new_world()
    broken, second = b"broken bytes", b"Second file."
    await world.abandoned_job(broken)
    world.indexer.trouble.errors["index"] = IndexUnavailable("away")
    with pytest.raises(IndexUnavailable):
        await world.ingest(second, "second.txt")
    world.indexer.trouble.errors.clear()
    world.clock.pass_seconds(3600)

    await world.workers.take_up_due()

    job = await world.job_of(broken)
    assert job is not None
    assert job.failure_reason == "FILE_BROKEN"
    assert await world.document_of(second) is not None


async def test_workers_survive_a_store_that_goes_away_and_take_up_what_is_due() -> None:
    world = new_world()
    await world.abandoned_job(POLICY)
    world.jobs.trouble.errors["claim_due"] = JobStoreUnavailable("away")
    world.jobs.trouble.times["claim_due"] = 3
    running = asyncio.create_task(world.workers.run())

    await until(lambda: bool(world.texts_of(POLICY)))
    await settled()

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    document = await world.document_of(POLICY)
    assert document is not None


async def test_a_deletion_that_always_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "_SETTLED_AT_ONCE", 1)
    world = new_world()
    texts = (b"Stuck.", b"First behind it.", b"Second behind it.")
    for number, text in enumerate(texts):
        await world.ingest(text, f"{number}.txt")
        await world.registry.mark_deleting("red", id_of(text))
    delete = world.indexer.delete

    async def sticky(document_id: str, *, successor: str = "") -> ErasedFromIndex:
        if document_id == id_of(texts[0]):
            raise IndexUnavailable("away")
        return await delete(document_id, successor=successor)

    monkeypatch.setattr(world.indexer, "delete", sticky)

    for _ in range(4):
        await world.deleting.settle_all()

    assert [found.document_id for found in await world.registry.list_unsettled(limit=9)] == [id_of(texts[0])]
    monkeypatch.undo()
    await world.deleting.settle_all()
    assert await world.registry.list_unsettled(limit=9) == []


async def test_workers_finish_deletions_and_renamings_that_were_cut_short() -> None:
    world = new_world()
    await world.ingest(POLICY, "a.txt")
    await world.ingest(POLICY, "b.txt")
    await world.ingest(b"To be deleted.", "c.txt")
    world.indexer.trouble.errors.update(delete=IndexUnavailable("away"), index=IndexUnavailable("away"))
    with pytest.raises(IndexUnavailable):
        await world.ingesting.delete("red", id_of(b"To be deleted."))
    await world.ingest(POLICY, "a.txt")
    world.indexer.trouble.errors.clear()

    await world.workers.deleting.settle_all()

    assert await world.nothing_left_of(b"To be deleted.")
    assert await world.registry.list_unsettled(limit=9) == []


async def test_files_that_cannot_be_read_now_let_the_job_rest() -> None:
    world = new_world()
    await world.abandoned_job(POLICY)
    world.files.trouble.errors["fetched"] = FileStoreUnavailable("away")

    await world.workers.take_up_due()

    job = await world.job_of(POLICY)
    assert job is not None
    assert job.state is JobState.QUEUED


async def until(happened: Callable[[], bool], *, seconds: float = 5) -> None:
    """Wait for something that other tasks and threads bring about."""
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110 -- there is nothing that would tell
            await asyncio.sleep(0.001)
