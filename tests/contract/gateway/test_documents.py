import hashlib
from collections.abc import AsyncIterator

import grpc
import pytest

from protos.ingest.v1 import document_pb2
from tests.contract.gateway.house import MAX_FILE_BYTES, House, open_house, problem
from tests.fakes.ingest_servicer import ingest_job
from tests.fakes.servicers import failure

TEXT = b"Remote work: core working hours from 10 AM to 3 PM. 15 days per year of vacation."


async def test_an_uploaded_file_becomes_a_document(house: House) -> None:
    response = await house.upload(TEXT)

    body = response.json()
    assert response.status_code == 201
    assert body.pop("processing_time_ms") > 0
    assert body == {
        "status": "success",
        "filename": "policy.txt",
        "document_id": hashlib.sha256(TEXT).hexdigest(),
        "chunks_created": 1,
        "total_tokens": len(TEXT.split()),
        "file_size_bytes": len(TEXT),
        "storage_backend": "local",
        "cache_hit": False,
    }


async def test_the_same_bytes_again_are_a_cache_hit(house: House) -> None:
    first = (await house.upload(TEXT)).json()

    again = (await house.upload(TEXT, "copy.txt")).json()

    assert again["cache_hit"] is True
    assert again["document_id"] == first["document_id"]
    assert again["filename"] == "copy.txt"


async def test_a_file_that_takes_longer_than_the_wait_is_answered_by_its_job() -> None:
    async with open_house(upload_timeout_seconds=0.2) as house:
        house.ingest.faults.stall_seconds = 1
        house.ingest.under_way = [
            ingest_job("j4", TEXT, document_pb2.IngestJob.FAILED),
            ingest_job("j3", "another file", document_pb2.IngestJob.INDEXING),
            ingest_job("j2", TEXT, document_pb2.IngestJob.INDEXING),
        ]

        response = await house.upload(TEXT)

        assert response.status_code == 202, response.text
        assert response.headers["location"] == "/jobs/j2"
        assert response.json()["job_id"] == "j2"
        assert response.json()["document_id"] == hashlib.sha256(TEXT).hexdigest()
        assert response.json()["state"] == "INDEXING"


async def test_a_file_whose_work_goes_on_elsewhere_is_answered_by_the_job_that_is_named(house: House) -> None:
    house.ingest.faults.failures["IngestDocument"] = failure(
        grpc.StatusCode.DEADLINE_EXCEEDED, "WORK_GOES_ON", domain="ingest.diglot", metadata={"job": "jobs/j1"}
    )

    response = await house.upload(TEXT)

    assert response.status_code == 202, response.text
    assert response.headers["location"] == "/jobs/j1"


async def test_a_job_that_goes_on_and_cannot_be_read_is_told_as_the_end_of_the_wait(house: House) -> None:
    house.ingest.faults.failures["IngestDocument"] = failure(
        grpc.StatusCode.DEADLINE_EXCEEDED, "WORK_GOES_ON", domain="ingest.diglot", metadata={"job": "jobs/j7"}
    )

    problem(await house.upload(TEXT), 504, "WORK_GOES_ON")


async def test_a_wait_that_ends_before_there_is_a_job_is_a_timeout() -> None:
    async with open_house(upload_timeout_seconds=0.2) as house:
        house.ingest.faults.stall_seconds = 1

        problem(await house.upload(TEXT), 504, "INGEST_SERVICE_TIMEOUT")


async def test_parsing_that_takes_too_long_is_no_job_to_wait_for(house: House) -> None:
    house.ingest.faults.failure = failure(grpc.StatusCode.DEADLINE_EXCEEDED, "PARSING_TIMEOUT", domain="ingest.diglot")
    house.ingest.under_way = [ingest_job("j2", TEXT, document_pb2.IngestJob.PARSING)]

    problem(await house.upload(TEXT), 504, "PARSING_TIMEOUT")


async def test_a_path_for_a_file_name_is_refused_by_its_field(house: House) -> None:
    refused = problem(await house.upload(TEXT, "../../etc/policy.txt"), 400, "FILENAME_INVALID")

    assert refused["errors"][0]["field"] == "file"


@pytest.mark.parametrize(
    ("content", "filename", "reason"),
    [
        (b"", "empty.txt", "FILE_EMPTY"),
        (TEXT, "program.exe", "FILE_TYPE_UNSUPPORTED"),
        (TEXT, "x" * 300 + ".txt", "FILENAME_INVALID"),
        (TEXT, "folder/", "FILENAME_INVALID"),
    ],
)
async def test_a_refused_file_is_named_as_such(house: House, content: bytes, filename: str, reason: str) -> None:
    problem(await house.upload(content, filename), 400, reason, "file")
    assert house.ingest.documents == {}


async def test_a_file_beyond_the_limit_is_refused_by_its_length(house: House) -> None:
    problem(await house.upload(b"x" * (MAX_FILE_BYTES + 200_000)), 413, "FILE_TOO_LARGE", "file")


async def test_a_file_just_beyond_the_limit_is_refused_too(house: House) -> None:
    problem(await house.upload(b"x" * (MAX_FILE_BYTES + 1)), 413, "FILE_TOO_LARGE", "file")


async def test_a_file_without_a_told_length_is_refused_once_it_has_grown_too_large(house: House) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        while sent < 100_000_000:
            sent += 100_000
            yield b"x" * 100_000

    response = await house.client.post(
        "/upload", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=b"}
    )

    problem(response, 413, "FILE_TOO_LARGE", "file")
    assert sent < 5_000_000


async def test_the_limit_of_the_ingest_service_is_a_413_too() -> None:
    async with open_house(max_file_bytes=10_000_000) as house:
        body = problem(await house.upload(b"x" * (MAX_FILE_BYTES + 1)), 413, "FILE_TOO_LARGE", "file")

    assert body["metadata"] == {"max_bytes": str(MAX_FILE_BYTES)}


@pytest.mark.parametrize(
    ("content", "content_type", "status", "reason"),
    [
        (b"{}", "application/json", 415, "MEDIA_TYPE_UNSUPPORTED"),
        (b"x", "multipart/form-data", 400, "MULTIPART_INVALID"),
        (b"garbage", "multipart/form-data; boundary=b", 400, "MULTIPART_INVALID"),
        (
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
            400,
            "MULTIPART_INVALID",
        ),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 422, "REQUEST_INVALID"),
        (b"", "multipart/form-data; boundary=b", 422, "REQUEST_INVALID"),
    ],
)
async def test_a_malformed_form_is_refused(
    house: House, content: bytes, content_type: str, status: int, reason: str
) -> None:
    response = await house.client.post("/upload", content=content, headers={"Content-Type": content_type})

    problem(response, status, reason)


async def test_a_part_that_is_no_file_and_two_files_are_refused(house: House) -> None:
    text = await house.client.post("/upload", files={"file": (None, b"just text")})
    other = await house.client.post("/upload", files={"datei": ("a.txt", b"x")})
    two = await house.client.post("/upload", files=[("file", ("a.txt", b"x")), ("file", ("b.txt", b"y"))])

    for response in (text, other, two):
        problem(response, 422, "REQUEST_INVALID", "file")


async def test_documents_are_listed_got_and_deleted(house: House) -> None:
    ids = [
        (await house.upload(f"text {number}".encode(), f"{number}.txt")).json()["document_id"] for number in range(3)
    ]

    first = (await house.client.get("/documents", params={"page_size": 2})).json()
    second = (
        await house.client.get("/documents", params={"page_size": 2, "page_token": first["next_page_token"]})
    ).json()
    one = (await house.client.get(f"/documents/{ids[0]}")).json()
    deleted = await house.client.delete(f"/documents/{ids[0]}")

    assert [document["document_id"] for document in first["documents"] + second["documents"]] == ids[::-1]
    assert (one["filename"], one["filenames"], one["file_size_bytes"]) == ("0.txt", ["0.txt"], 6)
    assert "page_count" not in one
    assert (deleted.status_code, deleted.json()["verified"]) == (200, True)
    assert (deleted.json()["document_id"], deleted.json()["filenames"]) == (ids[0], ["0.txt"])
    assert one["version"] == 1
    problem(await house.client.get(f"/documents/{ids[0]}"), 404, "DOCUMENT_NOT_FOUND")
    problem(await house.client.delete(f"/documents/{ids[0]}"), 404, "DOCUMENT_NOT_FOUND")


@pytest.mark.parametrize("document_id", ["unknown", "A" * 64, "%2e%2e", "a" * 63])
async def test_an_id_of_no_document_is_not_found(house: House, document_id: str) -> None:
    assert (await house.client.get(f"/documents/{document_id}")).json()["status"] == 404
    assert (await house.client.delete(f"/documents/{document_id}")).json()["status"] == 404


async def test_jobs_are_listed_and_got(house: House) -> None:
    listed = (await house.client.get("/jobs")).json()
    one = (await house.client.get("/jobs/j1")).json()

    assert listed == {"jobs": [one], "next_page_token": None}
    assert (one["state"], one["filename"]) == ("READY", "x.txt")
    problem(await house.client.get("/jobs/j2"), 404, "JOB_NOT_FOUND")
    problem(await house.client.get("/jobs/Nonsense"), 404, "JOB_NOT_FOUND", "job_id")
    problem(await house.client.get("/jobs/%20"), 404, "JOB_NOT_FOUND")


async def test_a_page_token_of_no_list_is_refused(house: House) -> None:
    document_id = (await house.upload(TEXT)).json()["document_id"]

    for path in ("/documents", "/jobs", f"/documents/{document_id}/images"):
        response = await house.client.get(path, params={"page_token": "nonsense"})
        problem(response, 400, "PAGE_TOKEN_INVALID", "page_token")


async def test_images_of_a_document_are_listed_with_where_their_bytes_are(house: House) -> None:
    house.ingest.images = [b"first", b"second"]
    document_id = (await house.upload(TEXT)).json()["document_id"]

    page = (await house.client.get(f"/documents/{document_id}/images?page_size=1")).json()
    token = page["next_page_token"]
    rest = (await house.client.get(f"/documents/{document_id}/images", params={"page_token": token})).json()

    image_id = hashlib.sha256(b"first").hexdigest()
    assert page["images"] == [
        {
            "image_id": image_id,
            "page": 1,
            "width": 20,
            "height": 10,
            "content_type": "image/png",
            "file_size_bytes": 5,
            "url": f"/documents/{document_id}/images/{image_id}",
        }
    ]
    assert len(rest["images"]) == 1
    assert rest["next_page_token"] is None


async def test_an_image_comes_as_an_image_and_as_nothing_else(house: House) -> None:
    house.ingest.images = [b"<script>alert(1)</script>"]
    document_id = (await house.upload(TEXT)).json()["document_id"]
    (image,) = (await house.client.get(f"/documents/{document_id}/images")).json()["images"]

    response = await house.client.get(image["url"])

    assert response.status_code == 200
    assert response.content == b"<script>alert(1)</script>"
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]


@pytest.mark.parametrize("image_id", ["0" * 64, "x", "..%2f..%2fsecret", "A" * 64])
async def test_an_image_that_is_not_there_is_not_found(house: House, image_id: str) -> None:
    document_id = (await house.upload(TEXT)).json()["document_id"]

    assert (await house.client.get(f"/documents/{document_id}/images/{image_id}")).status_code == 404


async def test_images_of_an_unknown_document_are_not_found(house: House) -> None:
    problem(await house.client.get(f"/documents/{'0' * 64}/images"), 404, "DOCUMENT_NOT_FOUND", "document_id")
    problem(await house.client.get("/documents/no-id/images"), 404, "DOCUMENT_NOT_FOUND", "document_id")
