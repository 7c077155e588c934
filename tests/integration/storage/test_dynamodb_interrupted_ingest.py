"""Documents and jobs in DynamoDB when the process ends at any of the calls that a step consists of.

Each step is broken off at its first call, then at its second, and so on until it gets through; once as if the call had
not reached DynamoDB, once as if only its answer had been lost. Whatever was left must hold together, and repeating the
step, or letting the lease run out, must lead to where the step leads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from services.ingest.adapters.dynamodb_documents import DynamoDocuments
from services.ingest.adapters.dynamodb_jobs import DynamoJobs
from services.ingest.adapters.dynamodb_stores import unavailable
from services.ingest.adapters.dynamodb_tables import DOCUMENTS, JOBS
from services.ingest.errors import JobStoreUnavailable, LeaseLost
from services.ingest.models import DocumentState, Job, JobState, LeasedJob, NewJob, PageRequest, Progress
from services.storage.dynamodb import DynamoTable
from services.storage.dynamodb_items import from_attributes
from services.storage.dynamodb_tables import Table
from tests.aws_server import AwsAccount
from tests.contract.ingest.document_registry_contract import A, B, document
from tests.contract.ingest.job_store_contract import new_job
from tests.dynamodb import PREFIX, TroubledClient, items_of, make_tables
from tests.fakes.ingest_stores import Clock

Heard = pytest.mark.parametrize("is_heard", [False, True], ids=["call-lost", "answer-lost"])
MOST_CALLS = 20


async def _breaking(
    table: Table,
    is_heard: bool,
    prepare: Callable[[DynamoTable, str], Awaitable[Any]],
    step: Callable[[DynamoTable, str, Any], Awaitable[object]],
    check: Callable[[DynamoTable, str, Any], Awaitable[None]],
) -> int:
    """Break the step off at each of its calls, for a tenant of its own each time. Returns: how many calls it has."""
    await make_tables(table)
    healthy = TroubledClient()
    sound = DynamoTable(healthy, table.name(PREFIX), unavailable=unavailable)
    for number in range(1, MOST_CALLS):
        tenant = f"tenant-{number}"
        prepared = await prepare(sound, tenant)
        troubled = healthy.breaking(number, is_heard=is_heard)
        try:
            await step(DynamoTable(troubled, table.name(PREFIX), unavailable=unavailable), tenant, prepared)
            is_through = True
        except JobStoreUnavailable:
            is_through = False
        await check(sound, tenant, prepared)
        if is_through:
            healthy.close()
            return number - 1
    raise AssertionError(f"more than {MOST_CALLS} calls")


async def _documents_hold_together() -> None:
    items = list(map(from_attributes, await items_of(DOCUMENTS.name(PREFIX))))
    documents = [item for item in items if item["sk"] == "DOCUMENT"]
    pointing = {item["link"] for item in items if item["sk"] == "NAME"}
    listed = [name["link"] for document in documents for name in document["names"]]
    dropped = {link for document in documents for link in document["dropped"].values()}
    assert len(listed) == len(set(listed))
    assert set(listed) <= pointing <= set(listed) | dropped
    totals: Counter[str] = Counter()
    for item in items:
        if item["pk"].startswith("TOTAL#"):
            totals[item["pk"].removeprefix("TOTAL#")] += item["document_count"]
    ready = [document for document in documents if document["document_state"] == "READY"]
    assert +totals == Counter(document["tenant_key"] for document in ready)
    assert all(document["names"] and "ready_tenant" in document for document in ready)
    assert all(
        "unsettled" in document and "ready_tenant" not in document and not document["names"]
        for document in documents
        if document["document_state"] == "DELETING"
    )


async def _publish(table: DynamoTable, tenant: str, document_id: str, name: str) -> object:
    return await DynamoDocuments(table).publish(document(document_id, tenant=tenant, indexed_filename=name), name)


@Heard
async def test_publishing_over_another_document(aws_account: AwsAccount, is_heard: bool) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> None:
        await _publish(table, tenant, A, "one.txt")

    async def step(table: DynamoTable, tenant: str, _: None) -> None:
        await _publish(table, tenant, B, "one.txt")

    async def check(table: DynamoTable, tenant: str, _: None) -> None:
        await _documents_hold_together()
        await _publish(table, tenant, B, "one.txt")
        await _documents_hold_together()
        registry = DynamoDocuments(table)
        assert [found.document_id for found in await registry.list_ready(tenant, PageRequest(9))] == [B]
        unsettled = await registry.list_unsettled(limit=99)
        assert [found.document_id for found in unsettled if found.tenant == tenant] == [A]

    assert await _breaking(DOCUMENTS, is_heard, prepare, step, check) == 4


@Heard
async def test_pointing_a_name_away_from_a_document_with_another(aws_account: AwsAccount, is_heard: bool) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> None:
        await _publish(table, tenant, A, "one.txt")
        await _publish(table, tenant, B, "two.txt")
        await DynamoDocuments(table).point(tenant, "three.txt", A)

    async def step(table: DynamoTable, tenant: str, _: None) -> None:
        await DynamoDocuments(table).point(tenant, "one.txt", B)

    async def check(table: DynamoTable, tenant: str, _: None) -> None:
        await _documents_hold_together()
        registry = DynamoDocuments(table)
        assert await registry.point(tenant, "one.txt", B) is not None
        await _documents_hold_together()
        names = {found.document_id: found.filenames for found in await registry.list_ready(tenant, PageRequest(9))}
        assert names == {A: ("three.txt",), B: ("two.txt", "one.txt")}
        unsettled = await registry.list_unsettled(limit=99)
        assert [found.document_id for found in unsettled if found.tenant == tenant] == [A]

    assert await _breaking(DOCUMENTS, is_heard, prepare, step, check) == 4


@Heard
async def test_deleting_and_forgetting_a_document_with_names(aws_account: AwsAccount, is_heard: bool) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> None:
        await _publish(table, tenant, A, "one.txt")
        await DynamoDocuments(table).point(tenant, "two.txt", A)

    async def step(table: DynamoTable, tenant: str, _: None) -> None:
        registry = DynamoDocuments(table)
        await registry.mark_deleting(tenant, A)
        token = await registry.hold_deletion(tenant, A, lease_seconds=-60)  # of whoever dies it runs out at once
        await registry.remove(tenant, A, token or "")

    async def check(table: DynamoTable, tenant: str, _: None) -> None:
        await _documents_hold_together()
        await step(table, tenant, None)
        await _documents_hold_together()
        items = [item for item in await items_of(table.name) if tenant in item["pk"]["S"].split("#")]
        assert [item["pk"]["S"] for item in items] == [f"TOTAL#{tenant}"]
        assert await _publish(table, tenant, A, "two.txt") is not None

    assert await _breaking(DOCUMENTS, is_heard, prepare, step, check) == 8


@Heard
async def test_condemning_what_a_job_may_have_left(aws_account: AwsAccount, is_heard: bool) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> Job:
        now = Clock().now()
        return Job("2" * 32, tenant, "ann", A, "txt", "one.txt", create_time=now, update_time=now)

    async def step(table: DynamoTable, tenant: str, job: Job) -> None:
        await DynamoDocuments(table).condemn(job)

    async def check(table: DynamoTable, tenant: str, job: Job) -> None:
        await _documents_hold_together()
        assert (await DynamoDocuments(table).condemn(job)).state is DocumentState.DELETING
        await _documents_hold_together()

    assert await _breaking(DOCUMENTS, is_heard, prepare, step, check) == 2


async def _jobs_hold_together() -> None:
    items = list(map(from_attributes, await items_of(JOBS.name(PREFIX))))
    jobs = {item["job_id"]: item for item in items if item["sk"] == "JOB"}
    active = {job["job_id"] for job in jobs.values() if not JobState(job["job_state"]).is_final}
    assert {item["job_id"] for item in items if item["sk"] == "ACTIVE"} == active
    assert {job["job_id"] for job in jobs.values() if "due_queue" in job and "active_tenant" in job} == active
    asked = {job["job_id"] for job in jobs.values() if job.get("request_id")}
    assert {item["job_id"] for item in items if item["sk"] == "REQUEST"} == asked
    assert {job["job_id"] for job in jobs.values() if "expires_at" in job} == jobs.keys() - active
    counted: Counter[str] = Counter()
    for item in items:
        if item["pk"].startswith("COUNT#"):
            counted.update({state: item.get(state, 0) for state in ("READY", "FAILED", "CANCELLED")})
    final = Counter(job["job_state"] for job in jobs.values() if job["job_id"] not in active)
    assert +counted == final


async def _create(table: DynamoTable, tenant: str, *, lease_seconds: float = 60) -> LeasedJob:
    leased = await _jobs(table).create(new_job(tenant=tenant, request_id=f"r-{tenant}"), lease_seconds=lease_seconds)
    assert leased is not None
    return leased


def _jobs(table: DynamoTable) -> DynamoJobs:
    return DynamoJobs(table, clock_skew_seconds=0)


@Heard
async def test_creating_a_job(aws_account: AwsAccount, is_heard: bool) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> NewJob:
        return new_job(tenant=tenant, request_id=f"r-{tenant}")

    async def step(table: DynamoTable, tenant: str, new: NewJob) -> None:
        assert await _jobs(table).create(new, lease_seconds=0) is not None

    async def check(table: DynamoTable, tenant: str, new: NewJob) -> None:
        await _jobs_hold_together()
        # The upload is sent again; where its job was recorded already, that is taken up.
        again = await _jobs(table).create(new_job(tenant=tenant, request_id=f"r-{tenant}"), lease_seconds=60)
        taken = again or await _jobs(table).claim_due(lease_seconds=60)
        assert taken is not None
        assert taken.job.tenant == tenant
        assert taken.job == await _jobs(table).find_by_request(tenant, f"r-{tenant}")
        assert taken.job == await _jobs(table).find_active(tenant, "a" * 64)
        await _jobs_hold_together()

    assert await _breaking(JOBS, is_heard, prepare, step, check) == 1


@Heard
@pytest.mark.parametrize("by_id", [True, False], ids=["by-its-id", "as-the-next-due"])
async def test_taking_a_job_up(aws_account: AwsAccount, is_heard: bool, by_id: bool) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> LeasedJob:
        leased = await _create(table, tenant)
        await _jobs(table).release(leased, pause_seconds=0)
        return leased

    async def step(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        jobs = _jobs(table)
        taking = jobs.claim(leased.job.job_id, lease_seconds=0) if by_id else jobs.claim_due(lease_seconds=0)
        assert await taking is not None

    async def check(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        await _jobs_hold_together()
        taken = await _jobs(table).claim_due(lease_seconds=60)  # the lease of whoever died has run out
        assert taken is not None
        assert taken.job.job_id == leased.job.job_id
        assert taken.job.lost_lease_count == 0  # whoever died had not begun to work
        await _jobs(table).finish(taken)
        await _jobs_hold_together()

    assert await _breaking(JOBS, is_heard, prepare, step, check) == (1 if by_id else 2)


@Heard
@pytest.mark.parametrize("end", ["finish", "fail", "cancel"])
async def test_ending_a_job(aws_account: AwsAccount, is_heard: bool, end: str) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> LeasedJob:
        return await _create(table, tenant)

    async def step(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        match end:
            case "finish":
                await _jobs(table).finish(leased)
            case "fail":
                await _jobs(table).fail(leased, reason="FILE_BROKEN", detail="broken")
            case _:
                await _jobs(table).cancel(leased.job.job_id)

    async def check(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        await _jobs_hold_together()
        with suppress(LeaseLost):  # It may have ended.
            await step(table, tenant, leased)
        await _jobs_hold_together()
        job = await _jobs(table).get(tenant, leased.job.job_id)
        assert job is not None
        assert job.state.is_final
        assert dict(await _jobs(table).count_by_state(tenant)) == {job.state: 1}
        next_one = await _jobs(table).create(new_job(tenant=tenant), lease_seconds=60)
        assert next_one is not None
        await _jobs(table).cancel(next_one.job.job_id)

    assert await _breaking(JOBS, is_heard, prepare, step, check) == (2 if end == "cancel" else 1)


@Heard
@pytest.mark.parametrize("change", ["heartbeat", "advance", "release"])
async def test_changing_a_job(aws_account: AwsAccount, is_heard: bool, change: str) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> LeasedJob:
        return await _create(table, tenant)

    async def step(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        match change:
            case "heartbeat":
                await _jobs(table).heartbeat(leased, lease_seconds=0)
            case "advance":
                await _jobs(table).advance(
                    leased, JobState.INDEXING, Progress(indexed_chunk_count=1, total_chunk_count=2)
                )
            case _:
                await _jobs(table).release(leased, pause_seconds=0)

    async def check(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        await _jobs_hold_together()
        try:
            await _jobs(table).release(leased, pause_seconds=0)
        except LeaseLost:
            assert change == "release"  # It had been given back.
        taken = await _jobs(table).claim_due(lease_seconds=60)
        assert taken is not None
        assert (taken.job.job_id, taken.job.lost_lease_count) == (leased.job.job_id, 0)
        await _jobs(table).finish(taken)
        await _jobs_hold_together()

    assert await _breaking(JOBS, is_heard, prepare, step, check) == 1


@Heard
async def test_beginning_a_failed_job_again(aws_account: AwsAccount, is_heard: bool) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> LeasedJob:
        leased = await _create(table, tenant)
        await _jobs(table).fail(leased, reason="STORAGE_FULL", detail="full", keep_file_seconds=60)
        return leased

    async def step(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        assert await _jobs(table).requeue(tenant, leased.job.job_id) is not None

    async def check(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        await _jobs_hold_together()
        await _jobs(table).requeue(tenant, leased.job.job_id)
        await _jobs_hold_together()
        assert dict(await _jobs(table).count_by_state(tenant)) == {JobState.QUEUED: 1}
        taken = await _jobs(table).claim_due(lease_seconds=60)
        assert taken is not None
        assert (taken.job.job_id, taken.job.attempt_count) == (leased.job.job_id, 1)
        await _jobs(table).finish(taken)
        assert dict(await _jobs(table).count_by_state(tenant)) == {JobState.READY: 1}

    assert await _breaking(JOBS, is_heard, prepare, step, check) >= 3


@Heard
async def test_a_name_that_joins_a_job(aws_account: AwsAccount, is_heard: bool) -> None:
    async def prepare(table: DynamoTable, tenant: str) -> LeasedJob:
        return await _create(table, tenant)

    async def step(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        assert await _jobs(table).join(leased.job.job_id, "copy.txt") is True

    async def check(table: DynamoTable, tenant: str, leased: LeasedJob) -> None:
        await step(table, tenant, leased)
        assert await _jobs(table).finish(leased) is False
        assert await _jobs(table).finish(leased, joined=["copy.txt"]) is True
        await _jobs_hold_together()

    assert await _breaking(JOBS, is_heard, prepare, step, check) == 1


async def test_a_worker_whose_clock_is_ahead_takes_nothing_within_the_margin(aws_account: AwsAccount) -> None:
    await make_tables(JOBS)
    client, clock, ahead = TroubledClient(), Clock(), Clock()
    table = DynamoTable(client, JOBS.name(PREFIX), unavailable=unavailable)
    ahead.pass_seconds(1.9)
    mine = DynamoJobs(table, clock_skew_seconds=2, now=clock.now)
    other = DynamoJobs(table, clock_skew_seconds=2, now=ahead.now)
    leased = await mine.create(new_job(), lease_seconds=10)
    assert leased is not None
    await mine.advance(leased, JobState.PARSING)

    for _ in range(5):
        clock.pass_seconds(9.9)
        ahead.pass_seconds(9.9)
        assert await other.claim_due(lease_seconds=10) is None
        assert await other.claim(leased.job.job_id, lease_seconds=10) is None
        await mine.heartbeat(leased, lease_seconds=10)

    ahead.pass_seconds(12)
    taken = await other.claim_due(lease_seconds=10)
    client.close()
    assert taken is not None
    assert taken.job.lost_lease_count == 1


async def test_final_jobs_and_what_their_request_ids_stood_for_are_forgotten(aws_account: AwsAccount) -> None:
    await make_tables(JOBS)
    client, clock = TroubledClient(), Clock()
    table = DynamoTable(client, JOBS.name(PREFIX), unavailable=unavailable)
    # By this clock the job ends so long ago that its days are over by the one that reads go by.
    jobs = DynamoJobs(table, now=clock.now)
    request_id = str(uuid4())
    leased = await jobs.create(new_job(request_id=request_id), lease_seconds=60)
    assert leased is not None
    await jobs.finish(leased)

    assert await jobs.get("red", leased.job.job_id) is None
    assert await jobs.find_by_request("red", request_id) is None
    assert await jobs.list_newest_first("red", PageRequest(9)) == []
    assert dict(await jobs.count_by_state("red")) == {}
    clock.pass_seconds(91 * 24 * 3600)
    assert await jobs.create(new_job(request_id=request_id), lease_seconds=60) is not None
    client.close()
