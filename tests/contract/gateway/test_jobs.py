"""Jobs over REST: uploads that are not waited for, their progress, cancelling and retrying."""

import grpc
import pytest

from protos.ingest.v1 import document_pb2
from tests.contract.gateway.house import House, open_house, problem
from tests.fakes.ingest_servicer import ingest_job
from tests.fakes.servicers import document_name, failure

TEXT = b"Remote work: core working hours from 10 AM to 3 PM."
PARSING, FAILED, QUEUED = document_pb2.IngestJob.PARSING, document_pb2.IngestJob.FAILED, document_pb2.IngestJob.QUEUED


async def test_an_upload_that_is_not_waited_for_is_answered_by_its_job(house: House) -> None:
    response = await house.client.post("/upload?mode=async", files={"file": ("policy.txt", TEXT)})

    assert response.status_code == 202, response.text
    assert response.headers["location"] == "/jobs/j1"
    body = response.json()
    assert (body["job_id"], body["state"]) == ("j1", "QUEUED")
    assert f"documents/{body['document_id']}" == document_name(TEXT)
    assert body["progress"] == {"pages_done": 0, "pages_total": 0, "chunks_done": 0, "chunks_total": 0}


async def test_known_bytes_that_are_not_waited_for_have_a_job_that_is_ready(house: House) -> None:
    await house.upload(TEXT)

    response = await house.client.post("/upload?mode=async", files={"file": ("copy.txt", TEXT)})

    assert (response.status_code, response.json()["state"]) == (202, "READY")


async def test_a_large_file_is_waited_for_only_when_asked() -> None:
    async with open_house(async_file_bytes=1_000) as house:
        large = b"word " * 300

        by_itself = await house.upload(large)
        again = await house.upload(large)
        waited_for = await house.client.post("/upload?mode=wait", files={"file": ("b.txt", b"other " * 300)})
        small = await house.upload(TEXT)

        assert (by_itself.status_code, by_itself.headers["location"]) == (202, "/jobs/j1")
        assert (again.status_code, again.json()["cache_hit"]) == (201, True)
        assert waited_for.status_code == small.status_code == 201
        assert (await house.client.get("/info")).json()["limits"]["async_file_bytes"] == 1_000


@pytest.mark.parametrize("mode", ["sync", "ASYNC", ""])
async def test_a_mode_that_is_none_is_refused(house: House, mode: str) -> None:
    response = await house.client.post("/upload", params={"mode": mode}, files={"file": ("policy.txt", TEXT)})

    assert "'wait' or 'async'" in problem(response, 422, "REQUEST_INVALID", "mode")["detail"]
    assert house.ingest.documents == {}


async def test_an_upload_that_cannot_be_promised_is_refused_at_once(house: House) -> None:
    empty = await house.client.post("/upload?mode=async", files={"file": ("policy.txt", b"")})
    house.ingest.faults.failures["IngestDocument"] = failure(
        grpc.StatusCode.UNAVAILABLE, "FILE_STORE_UNAVAILABLE", domain="ingest.diglot"
    )
    away = await house.client.post("/upload?mode=async", files={"file": ("policy.txt", TEXT)})

    problem(empty, 400, "FILE_EMPTY", "file")
    problem(away, 503, "FILE_STORE_UNAVAILABLE")


@pytest.mark.parametrize("mode", ["wait", "async"])
async def test_tags_come_one_by_one_or_with_commas_between_them(house: House, mode: str) -> None:
    response = await house.client.post(
        f"/upload?mode={mode}", files={"file": ("policy.txt", TEXT)}, data={"tags": ["leave, 2025", "hr", " "]}
    )

    assert response.status_code in (201, 202)
    assert house.ingest.tags == ["leave", "2025", "hr"]


async def test_a_file_for_a_tag_is_refused(house: House) -> None:
    files = [("file", ("policy.txt", TEXT)), ("tags", ("tags.txt", b"hr"))]

    problem(await house.client.post("/upload", files=files), 422, "REQUEST_INVALID", "tags")


async def test_a_job_tells_its_progress_and_what_could_not_be_read(house: House) -> None:
    job = ingest_job("j2", TEXT, PARSING)
    job.parsed_page_count, job.total_page_count, job.indexed_chunk_count, job.total_chunk_count = 3, 8, 4, 9
    job.page_notes.add(page=2, reason="SCANNED_WITHOUT_OCR", detail="page 2 is a picture of text")
    house.ingest.under_way = [job]

    told = (await house.client.get("/jobs/j2")).json()

    assert told["progress"] == {"pages_done": 3, "pages_total": 8, "chunks_done": 4, "chunks_total": 9}
    note = {"page": 2, "reason": "SCANNED_WITHOUT_OCR", "detail": "page 2 is a picture of text"}
    assert told["page_notes"] == [note]
    assert "page_notes" not in (await house.client.get("/jobs/j1")).json()


async def test_a_document_tells_what_could_not_be_read(house: House) -> None:
    document_id = (await house.upload(TEXT)).json()["document_id"]
    house.ingest.documents[document_name(TEXT)].page_notes.add(page=7, reason="OCR_FAILED", detail="unreadable")

    document = (await house.client.get(f"/documents/{document_id}")).json()

    assert document["page_notes"] == [{"page": 7, "reason": "OCR_FAILED", "detail": "unreadable"}]


async def test_jobs_of_one_state_are_listed(house: House) -> None:
    house.ingest.under_way = [ingest_job("j2", "a", FAILED), ingest_job("j3", "b", PARSING)]

    failed = (await house.client.get("/jobs?state=FAILED")).json()
    refused = await house.client.get("/jobs?state=LOST")

    assert [job["job_id"] for job in failed["jobs"]] == ["j2"]
    problem(refused, 422, "REQUEST_INVALID", "state")


async def test_a_job_is_cancelled_once_and_for_all(house: House) -> None:
    house.ingest.under_way = [ingest_job("j2", TEXT, PARSING)]

    first = await house.client.post("/jobs/j2/cancel")
    again = await house.client.post("/jobs/j2/cancel", json={})

    assert [(each.status_code, each.json()["state"]) for each in (first, again)] == [(200, "CANCELLED")] * 2


async def test_a_job_that_has_ended_cannot_be_cancelled(house: House) -> None:
    refused = problem(await house.client.post("/jobs/j1/cancel"), 409, "JOB_FINAL")

    assert refused["metadata"] == {"state": "READY"}


async def test_a_failed_job_is_begun_again_while_its_file_is_kept(house: House) -> None:
    job = ingest_job("j2", TEXT, FAILED)
    job.retry_end_time.FromSeconds(1_763_800_000)
    house.ingest.under_way = [job]
    kept_until = (await house.client.get("/jobs/j2")).json()["retry_until"]

    response = await house.client.post("/jobs/j2/retry")

    assert kept_until.startswith("2025-11-22T")
    assert (response.status_code, response.headers["location"]) == (202, "/jobs/j2")
    assert response.json()["state"] == "QUEUED"
    assert "retry_until" not in response.json()


async def test_a_job_that_cannot_be_retried_says_why(house: House) -> None:
    house.ingest.under_way = [ingest_job("j2", TEXT, FAILED)]

    problem(await house.client.post("/jobs/j1/retry"), 409, "JOB_NOT_RETRYABLE")
    problem(await house.client.post("/jobs/j2/retry"), 410, "JOB_FILE_GONE", "job_id")


@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_a_job_that_is_unknown_is_not_found(house: House, action: str) -> None:
    problem(await house.client.post(f"/jobs/j9/{action}"), 404, "JOB_NOT_FOUND")
    problem(await house.client.post(f"/jobs/%20/{action}"), 404, "JOB_NOT_FOUND", "job_id")
    problem(await house.client.get(f"/jobs/j1/{action}"), 405, "METHOD_NOT_ALLOWED")
    problem(await house.client.post(f"/jobs/j1/{action}", json={"now": True}), 422, "REQUEST_INVALID", "now")
