"""How far a job is: told, but not too often; and who works alone."""

import asyncio

from services.ingest.errors import JobStoreUnavailable, LeaseLost
from services.ingest.leases import kept
from services.ingest.models import JobState, PageNote, PageProblem, Progress
from services.ingest.progress import ProgressTeller
from services.ingest.records import MAX_PAGE_NOTES, bounded
from services.ingest.turns import Turns
from tests.fakes.ingest_world import LEASE_SECONDS, new_world, settled

POLICY = b"# Leave\n\nFull time: 15 days.\n\nPart time: 7 days."
OTHER = b"Other words."


async def test_pages_and_chunks_are_counted_and_a_ready_job_counts_them_all() -> None:
    world = new_world()
    world.parser.pages = 3

    ingested = await world.ingest(POLICY)

    chunks = ingested.document.chunk_count
    job = await world.job_of(POLICY)
    assert job is not None
    assert job.progress == Progress(3, 3, chunks, chunks)
    states = list(dict.fromkeys(state for state, _ in world.jobs.advances))
    assert states == [JobState.FETCHING, JobState.PARSING, JobState.CHUNKING, JobState.INDEXING]
    assert world.jobs.advances[-1][1].total_chunk_count == chunks


async def test_pages_that_could_not_be_read_are_told_with_the_job_and_the_document() -> None:
    world = new_world()
    world.parser.pages = 2
    world.parser.page_notes = (PageNote(2, PageProblem.SCANNED_WITHOUT_OCR, "page 2 is a picture of text"),)

    ingested = await world.ingest(POLICY)

    job = await world.job_of(POLICY)
    assert job is not None
    assert ingested.document.page_notes == job.page_notes == world.parser.page_notes
    assert job.state is JobState.READY


async def test_an_attempt_that_need_not_parse_again_knows_the_notes_of_the_one_before() -> None:
    world = new_world()
    world.parser.page_notes = (PageNote(1, PageProblem.PAGE_BROKEN, "page 1 is damaged"),)
    world.jobs.trouble.errors["finish"] = JobStoreUnavailable("away")
    await asyncio.gather(world.ingest(POLICY), return_exceptions=True)
    world.jobs.trouble.errors.clear()

    ingested = await world.restarted().ingest(POLICY)

    assert ingested.document.page_notes == world.parser.page_notes


def test_notes_beyond_the_limit_are_told_by_the_last() -> None:
    notes = [PageNote(page, PageProblem.SCANNED_WITHOUT_OCR, "a picture") for page in range(1, 1_002)]

    kept_notes = bounded(notes)

    assert len(kept_notes) == MAX_PAGE_NOTES
    assert kept_notes[:-1] == tuple(notes[: MAX_PAGE_NOTES - 1])
    assert kept_notes[-1].detail == "a picture; 801 more pages could not be read as they should be"


async def test_counts_that_come_fast_are_told_by_their_last_and_never_over_a_later_state() -> None:
    world = new_world()
    leased = await world.abandoned_job(POLICY)
    world.jobs.advances.clear()
    teller = ProgressTeller(world.jobs, leased, interval_seconds=3600)
    telling = asyncio.create_task(teller.tell())

    await teller.enter(JobState.PARSING)
    for page in range(1, 500):
        teller.count(parsed_page_count=page, total_page_count=500)
        if page == 250:
            await settled()
    await settled()
    await teller.enter(JobState.CHUNKING, parsed_page_count=500)
    await settled()

    advances = [(state, progress.parsed_page_count) for state, progress in world.jobs.advances]
    assert advances == [(JobState.PARSING, 0), (JobState.PARSING, 250), (JobState.CHUNKING, 500)]
    telling.cancel()


async def test_a_store_that_is_away_for_a_moment_is_told_later_and_a_lost_lease_ends_the_telling() -> None:
    world = new_world()
    leased = await world.abandoned_job(POLICY)
    world.jobs.trouble.errors["advance"] = JobStoreUnavailable("away")
    world.jobs.trouble.times["advance"] = 2
    teller = ProgressTeller(world.jobs, leased, interval_seconds=0)
    telling = asyncio.create_task(teller.tell())

    teller.count(indexed_chunk_count=7)
    await settled()
    job = await world.job_of(POLICY)
    assert job is not None
    assert job.indexed_chunk_count == 7
    await world.jobs.claim(leased.job.job_id, lease_seconds=LEASE_SECONDS)
    teller.count(indexed_chunk_count=8)

    await asyncio.wait_for(telling, 5)


async def test_a_lease_is_over_when_it_could_not_be_renewed_in_its_time() -> None:
    asked = 0

    async def away() -> None:
        nonlocal asked
        asked += 1
        raise JobStoreUnavailable("away")

    await asyncio.wait_for(kept(away, lease_seconds=0.05), 5)

    assert asked >= 2


async def test_a_lease_that_is_lost_is_over_at_once() -> None:
    async def lost() -> None:
        raise LeaseLost("somebody has it")

    await asyncio.wait_for(kept(lost, lease_seconds=0.01), 5)


async def test_who_works_alone_waits_for_all_others_and_they_for_it() -> None:
    turns, gates = Turns(), [asyncio.Event() for _ in range(3)]
    told: list[str] = []

    async def work(name: str, gate: asyncio.Event, *, alone: bool) -> None:
        async with turns.taken(alone=alone):
            told.append(f"{name} begins")
            await gate.wait()
            told.append(f"{name} ends")

    tasks = [
        asyncio.create_task(work("first", gates[0], alone=False)),
        asyncio.create_task(work("second", gates[0], alone=False)),
    ]
    await settled()
    tasks.append(asyncio.create_task(work("alone", gates[1], alone=True)))
    await settled()
    tasks.append(asyncio.create_task(work("third", gates[2], alone=False)))
    for gate in (*gates, None):
        await settled()
        if gate is not None:
            gate.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)

    assert told == [
        "first begins",
        "second begins",
        "first ends",
        "second ends",
        "alone begins",
        "alone ends",
        "third begins",
        "third ends",
    ]


async def test_whoever_stops_waiting_to_be_alone_holds_nobody_up() -> None:
    turns = Turns()
    gate = asyncio.Event()

    async def work(*, alone: bool) -> str:
        async with turns.taken(alone=alone):
            await gate.wait()
            return "done"

    first = asyncio.create_task(work(alone=False))
    await settled()
    alone = asyncio.create_task(work(alone=True))
    await settled()
    last = asyncio.create_task(work(alone=False))
    await settled()
    alone.cancel()
    gate.set()

    assert [*await asyncio.wait_for(asyncio.gather(first, last), 5)] == ["done", "done"]


async def test_a_file_that_kills_its_workers_takes_no_innocent_one_with_it() -> None:
    world = new_world()
    deadly = await world.abandoned_job(POLICY, lost=2)
    assert deadly.job.lost_lease_count == 1
    began = asyncio.Event()

    async def die() -> None:
        began.set()
        await asyncio.Event().wait()

    world.parser.before_parsing = die
    worker = asyncio.create_task(world.workers.take_up_due())  # it has ended two workers already: done alone
    await asyncio.wait_for(began.wait(), 5)
    upload = asyncio.create_task(world.ingest(OTHER, "other.txt"))
    await settled()
    waiting = await world.job_of(OTHER)
    assert waiting is not None
    assert waiting.state is JobState.QUEUED
    assert world.parser.parsed == [POLICY]
    world.clock.pass_seconds(2 * LEASE_SECONDS)  # the third worker is dead, with both of its jobs

    successor = world.restarted()
    await successor.workers.take_up_due()

    given_up, done = await world.job_of(POLICY), await world.job_of(OTHER)
    assert given_up is not None
    assert done is not None
    assert (given_up.state, given_up.failure_reason) == (JobState.FAILED, "ATTEMPTS_EXHAUSTED")
    assert (done.state, done.lost_lease_count) == (JobState.READY, 0)
    for task in (worker, upload):
        task.cancel()
    await asyncio.gather(worker, upload, world.ingesting.close(), return_exceptions=True)
