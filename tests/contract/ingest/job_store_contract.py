"""What every store of jobs does, whatever keeps them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from services.ingest.errors import LeaseLost
from services.ingest.models import JobState, LeasedJob, NewJob, PageNote, PageProblem, PageRequest, Progress
from services.ingest.ports import JobStore

LONG = 60.0
SHORT = 0.2


def new_job(document: str = "a", *, tenant: str = "red", request_id: str | None = None) -> NewJob:
    return NewJob(
        job_id=uuid4().hex,
        tenant=tenant,
        subject="ann",
        document_id=document * 64,
        extension="txt",
        filename="notes.txt",
        request_id=request_id,
    )


@dataclass
class Store:
    """A store and a way to let time pass in it."""

    jobs: JobStore
    pass_seconds: Callable[[float], Awaitable[None]]


async def created(store: Store, new: NewJob | None = None, *, lease_seconds: float = LONG) -> LeasedJob:
    leased = await store.jobs.create(new or new_job(), lease_seconds=lease_seconds)
    assert leased is not None
    return leased


class JobStoreContract:
    @pytest.fixture
    def store(self) -> Store:
        raise AssertionError("a suite must say which store it is about")

    async def test_a_created_job_is_queued_and_held_by_its_maker(self, store: Store) -> None:
        new = new_job(request_id="r1")

        leased = await created(store, new)

        job = await store.jobs.get("red", new.job_id)
        assert job == leased.job
        assert (job.state, job.attempt_count, job.lost_lease_count) == (JobState.QUEUED, 1, 0)
        assert {name: getattr(job, name) for name in vars(new)} == vars(new)
        assert await store.jobs.claim(new.job_id, lease_seconds=LONG) is None
        assert await store.jobs.claim_due(lease_seconds=LONG) is None

    async def test_a_document_has_one_job_that_is_not_final(self, store: Store) -> None:
        first = await created(store)

        assert await store.jobs.create(new_job(), lease_seconds=LONG) is None
        assert await store.jobs.create(new_job(tenant="blue"), lease_seconds=LONG) is not None
        assert await store.jobs.create(new_job("b"), lease_seconds=LONG) is not None
        await store.jobs.finish(first)
        assert await store.jobs.create(new_job(), lease_seconds=LONG) is not None

    async def test_many_creating_at_once_make_one_job(self, store: Store) -> None:
        made = await asyncio.gather(*(store.jobs.create(new_job(), lease_seconds=LONG) for _ in range(8)))

        assert len([leased for leased in made if leased is not None]) == 1

    async def test_a_request_id_has_one_job_for_ever(self, store: Store) -> None:
        first = await created(store, new_job(request_id="r1"))
        await store.jobs.fail(first, reason="FILE_BROKEN", detail="broken")

        assert await store.jobs.create(new_job("b", request_id="r1"), lease_seconds=LONG) is None
        assert await store.jobs.create(new_job("b", tenant="blue", request_id="r1"), lease_seconds=LONG) is not None
        found = await store.jobs.find_by_request("red", "r1")
        assert found is not None
        assert found.job_id == first.job.job_id
        assert await store.jobs.find_by_request("red", "r2") is None

    async def test_progress_is_recorded(self, store: Store) -> None:
        leased = await created(store)

        await store.jobs.advance(leased, JobState.INDEXING, Progress(7, 8, 3, 9))

        job = await store.jobs.get("red", leased.job.job_id)
        assert job is not None
        assert (job.state, job.progress) == (JobState.INDEXING, Progress(7, 8, 3, 9))
        assert job.update_time >= job.create_time

    async def test_a_failed_job_says_why_and_is_final(self, store: Store) -> None:
        leased = await created(store)

        await store.jobs.fail(leased, reason="FILE_BROKEN", detail="it is broken")

        job = await store.jobs.get("red", leased.job.job_id)
        assert job is not None
        assert (job.state, job.failure_reason, job.failure_detail) == (JobState.FAILED, "FILE_BROKEN", "it is broken")
        assert await store.jobs.find_active("red", "a" * 64) is None
        assert await store.jobs.claim(leased.job.job_id, lease_seconds=LONG) is None

    async def test_a_released_job_rests_but_whoever_asks_for_it_gets_it(self, store: Store) -> None:
        leased = await created(store)

        await store.jobs.release(leased, pause_seconds=LONG)

        assert await store.jobs.claim_due(lease_seconds=LONG) is None
        taken = await store.jobs.claim(leased.job.job_id, lease_seconds=LONG)
        assert taken is not None
        assert (taken.job.attempt_count, taken.job.lost_lease_count) == (2, 0)

    async def test_a_released_job_is_due_after_its_pause(self, store: Store) -> None:
        leased = await created(store)
        await store.jobs.release(leased, pause_seconds=SHORT)

        await store.pass_seconds(2 * SHORT)

        taken = await store.jobs.claim_due(lease_seconds=LONG)
        assert taken is not None
        assert taken.job.job_id == leased.job.job_id
        assert taken.job.state is JobState.QUEUED

    async def test_a_job_whose_lease_ran_out_is_taken_up_once_and_counted(self, store: Store) -> None:
        leased = await created(store, lease_seconds=SHORT)
        await store.jobs.advance(leased, JobState.PARSING)
        await store.pass_seconds(2 * SHORT)

        taken = await asyncio.gather(*(store.jobs.claim_due(lease_seconds=LONG) for _ in range(5)))

        [winner] = [found for found in taken if found is not None]
        assert (winner.job.attempt_count, winner.job.lost_lease_count) == (2, 1)
        assert winner.job.state is JobState.QUEUED

    async def test_a_lease_that_ran_out_before_the_work_began_is_not_counted_as_lost(self, store: Store) -> None:
        leased = await created(store, lease_seconds=SHORT)
        await store.pass_seconds(2 * SHORT)
        taken = await store.jobs.claim(leased.job.job_id, lease_seconds=SHORT)
        assert taken is not None
        await store.jobs.advance(taken, JobState.FETCHING)
        await store.pass_seconds(2 * SHORT)

        again = await store.jobs.claim(leased.job.job_id, lease_seconds=SHORT)
        assert again is not None
        await store.pass_seconds(2 * SHORT)
        last = await store.jobs.claim_due(lease_seconds=LONG)

        assert last is not None
        assert [found.job.lost_lease_count for found in (taken, again, last)] == [0, 1, 1]

    async def test_what_was_counted_stays_when_another_takes_the_job_up(self, store: Store) -> None:
        leased = await created(store)
        await store.jobs.advance(leased, JobState.INDEXING, Progress(8, 8, 3, 9))
        await store.jobs.release(leased, pause_seconds=0)

        taken = await store.jobs.claim(leased.job.job_id, lease_seconds=LONG)

        assert taken is not None
        assert taken.job.progress == Progress(8, 8, 3, 9)

    async def test_heartbeats_keep_a_lease(self, store: Store) -> None:
        leased = await created(store, lease_seconds=SHORT)

        await store.jobs.heartbeat(leased, lease_seconds=LONG)
        await store.pass_seconds(2 * SHORT)

        assert await store.jobs.claim_due(lease_seconds=LONG) is None

    async def test_whoever_lost_the_lease_changes_nothing_any_more(self, store: Store) -> None:
        leased = await created(store, lease_seconds=SHORT)
        await store.pass_seconds(2 * SHORT)
        taken = await store.jobs.claim_due(lease_seconds=LONG)

        for change in (
            store.jobs.heartbeat(leased, lease_seconds=LONG),
            store.jobs.advance(leased, JobState.INDEXING),
            store.jobs.finish(leased),
            store.jobs.fail(leased, reason="X", detail="x"),
            store.jobs.release(leased, pause_seconds=0),
        ):
            with pytest.raises(LeaseLost):
                await change

        assert taken is not None
        assert await store.jobs.get("red", leased.job.job_id) == taken.job

    async def test_a_lease_that_ran_out_still_counts_while_nobody_took_the_job(self, store: Store) -> None:
        leased = await created(store, lease_seconds=SHORT)
        await store.pass_seconds(2 * SHORT)

        await store.jobs.finish(leased)

        job = await store.jobs.get("red", leased.job.job_id)
        assert job is not None
        assert job.state is JobState.READY

    async def test_cancel_ends_a_job_whoever_holds_it(self, store: Store) -> None:
        leased = await created(store)

        assert await store.jobs.cancel(leased.job.job_id) is True
        assert await store.jobs.cancel(leased.job.job_id) is False
        assert await store.jobs.cancel("f" * 32) is False
        with pytest.raises(LeaseLost):
            await store.jobs.advance(leased, JobState.INDEXING)

    async def test_a_finished_job_says_how_much_there_was_and_what_could_not_be_read(self, store: Store) -> None:
        leased = await created(store, replace(new_job(), tags=("leave", "2025")))
        notes = (PageNote(2, PageProblem.OCR_FAILED, "page 2 could not be read"),)

        assert await store.jobs.finish(leased, progress=Progress(3, 3, 9, 9), page_notes=notes) is True

        job = await store.jobs.get("red", leased.job.job_id)
        assert job is not None
        assert (job.state, job.progress, job.page_notes) == (JobState.READY, Progress(3, 3, 9, 9), notes)
        assert job.tags == ("leave", "2025")

    async def test_a_job_is_finished_only_with_all_names_that_joined_it(self, store: Store) -> None:
        leased = await created(store)
        job_id = leased.job.job_id

        assert await store.jobs.join(job_id, "copy.txt") is True
        assert await store.jobs.join(job_id, "copy.txt") is True
        assert await store.jobs.join(job_id, "notes.txt") is True
        assert await store.jobs.finish(leased) is False
        job = await store.jobs.get("red", job_id)
        assert job is not None
        assert (job.state, job.joined_filenames) == (JobState.QUEUED, ("copy.txt",))
        assert await store.jobs.finish(leased, joined=["copy.txt"]) is True
        assert await store.jobs.join(job_id, "late.txt") is False
        assert await store.jobs.join("f" * 32, "late.txt") is False

    async def test_a_cancelled_job_is_held_until_its_worker_lets_it_go_or_is_taken_for_dead(self, store: Store) -> None:
        leased, other = await created(store), await created(store, new_job("b"), lease_seconds=SHORT)
        resting = await created(store, new_job("c"))
        await store.jobs.release(resting, pause_seconds=LONG)

        for each in (leased, other, resting):
            await store.jobs.cancel(each.job.job_id)
        held = [await store.jobs.is_held("red", each.job.job_id) for each in (leased, resting)]
        await store.jobs.let_go(leased)
        await store.pass_seconds(2 * SHORT)

        assert held == [True, False]
        assert [await store.jobs.is_held("red", each.job.job_id) for each in (leased, other)] == [False, False]
        assert await store.jobs.is_held("blue", leased.job.job_id) is False
        assert await store.jobs.claim(leased.job.job_id, lease_seconds=LONG) is None

    async def test_a_job_at_work_is_held_and_one_that_ended_is_not(self, store: Store) -> None:
        leased = await created(store)
        before = await store.jobs.is_held("red", leased.job.job_id)

        await store.jobs.let_go(leased)
        assert await store.jobs.is_held("red", leased.job.job_id) is True
        await store.jobs.finish(leased)

        assert before is True
        assert await store.jobs.is_held("red", leased.job.job_id) is False

    async def test_a_failed_job_whose_file_is_kept_can_begin_again(self, store: Store) -> None:
        leased = await created(store, new_job(request_id="r1"))
        await store.jobs.advance(leased, JobState.INDEXING, Progress(4, 4, 1, 9))
        await store.jobs.fail(leased, reason="INDEX_REFUSED", detail="refused", keep_file_seconds=LONG)
        failed = await store.jobs.get("red", leased.job.job_id)
        assert failed is not None
        assert failed.file_kept_until is not None

        assert await store.jobs.requeue("blue", leased.job.job_id) is None
        job = await store.jobs.requeue("red", leased.job.job_id)

        assert job is not None
        assert (job.state, job.attempt_count, job.failure_reason) == (JobState.QUEUED, 0, "")
        assert (job.file_kept_until, job.total_chunk_count) == (None, 9)
        assert await store.jobs.find_active("red", "a" * 64) == job
        assert dict(await store.jobs.count_by_state("red")) == {JobState.QUEUED: 1}
        assert await store.jobs.requeue("red", leased.job.job_id) is None
        taken = await store.jobs.claim_due(lease_seconds=LONG)
        assert taken is not None
        assert (taken.job.job_id, taken.job.attempt_count) == (leased.job.job_id, 1)
        await store.jobs.finish(taken)
        assert dict(await store.jobs.count_by_state("red")) == {JobState.READY: 1}
        found = await store.jobs.find_by_request("red", "r1")
        assert found is not None
        assert found.state is JobState.READY

    async def test_no_other_job_begins_again(self, store: Store) -> None:
        ready, broken = await created(store, new_job("a")), await created(store, new_job("b"))
        overtaken = await created(store, new_job("c"))
        await store.jobs.finish(ready)
        await store.jobs.fail(broken, reason="FILE_BROKEN", detail="broken")
        await store.jobs.fail(overtaken, reason="STORAGE_FULL", detail="full", keep_file_seconds=LONG)
        await created(store, new_job("c"))

        for each in (ready, broken, overtaken):
            assert await store.jobs.requeue("red", each.job.job_id) is None

    async def test_files_that_were_kept_long_enough_are_listed_until_they_are_gone(self, store: Store) -> None:
        short, long = await created(store, new_job("a")), await created(store, new_job("b"))
        await store.jobs.fail(short, reason="STORAGE_FULL", detail="full", keep_file_seconds=SHORT)
        await store.jobs.fail(long, reason="STORAGE_FULL", detail="full", keep_file_seconds=LONG)
        assert await store.jobs.list_outdated(limit=9) == []
        await store.pass_seconds(2 * SHORT)

        found = await store.jobs.list_outdated(limit=9)
        assert await store.jobs.requeue("red", short.job.job_id) is None
        await store.jobs.forget_file(short.job.job_id)

        assert [job.job_id for job in found] == [short.job.job_id]
        assert await store.jobs.list_outdated(limit=9) == []
        job = await store.jobs.get("red", short.job.job_id)
        assert job is not None
        assert (job.state, job.file_kept_until) == (JobState.FAILED, None)

    async def test_images_that_are_due_are_taken_by_one_until_they_are_there(self, store: Store) -> None:
        with_images, without = await created(store, new_job("a")), await created(store, new_job("b"))
        await store.jobs.finish(with_images, images_due=True)
        await store.jobs.finish(without)
        assert await store.jobs.take_images_due(after_seconds=LONG) is None
        await store.pass_seconds(0.01)

        taken = await asyncio.gather(*(store.jobs.take_images_due(after_seconds=0.005) for _ in range(3)))

        assert with_images.job.job_id in [job.job_id for job in taken if job is not None]
        assert await store.jobs.take_images_due(after_seconds=LONG) is None
        await store.jobs.settle_images(with_images.job.job_id)
        await store.pass_seconds(0.01)
        assert await store.jobs.take_images_due(after_seconds=0) is None
        job = await store.jobs.get("red", with_images.job.job_id)
        assert job is not None
        assert job.state is JobState.READY

    async def test_jobs_of_one_state_are_listed_page_by_page(self, store: Store) -> None:
        for document in "abcdef":
            leased = await created(store, new_job(document))
            if document in "ace":
                await store.jobs.fail(leased, reason="FILE_BROKEN", detail="broken")

        first = await store.jobs.list_newest_first("red", PageRequest(2), state=JobState.FAILED)
        page = PageRequest(2, (first[-1].create_time, first[-1].job_id))
        second = await store.jobs.list_newest_first("red", page, state=JobState.FAILED)

        assert [job.document_id[0] for job in [*first, *second]] == ["e", "c", "a"]
        assert await store.jobs.list_newest_first("red", PageRequest(2), state=JobState.READY) == []

    async def test_jobs_of_another_tenant_are_unknown(self, store: Store) -> None:
        leased = await created(store)

        assert await store.jobs.get("blue", leased.job.job_id) is None
        assert await store.jobs.find_active("blue", "a" * 64) is None
        assert await store.jobs.list_newest_first("blue", PageRequest(10)) == []
        assert dict(await store.jobs.count_by_state("blue")) == {}

    async def test_pages_go_from_newest_to_oldest_without_gap_or_repeat(self, store: Store) -> None:
        for document in "abcde":
            await created(store, new_job(document))

        first = await store.jobs.list_newest_first("red", PageRequest(2))
        second = await store.jobs.list_newest_first("red", PageRequest(9, (first[-1].create_time, first[-1].job_id)))

        assert [job.document_id[0] for job in [*first, *second]] == ["e", "d", "c", "b", "a"]

    async def test_states_are_counted(self, store: Store) -> None:
        await store.jobs.finish(await created(store, new_job("a")))
        await store.jobs.finish(await created(store, new_job("b")))
        await store.jobs.advance(await created(store, new_job("c")), JobState.PARSING)

        assert dict(await store.jobs.count_by_state("red")) == {JobState.READY: 2, JobState.PARSING: 1}

    async def test_the_longest_waiting_job_is_due_first(self, store: Store) -> None:
        for document in "ab":
            await store.jobs.release(await created(store, new_job(document)), pause_seconds=0)
            await store.pass_seconds(0.01)

        taken = await store.jobs.claim_due(lease_seconds=LONG)

        assert taken is not None
        assert taken.job.document_id[0] == "a"
