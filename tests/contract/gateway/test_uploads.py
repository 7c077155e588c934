"""Files past one request: opened, sent by a signed link, completed; and the file of a document given back."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest

from protos.ingest.v1 import ingest_service_pb2
from tests.contract.gateway.house import MAX_FILE_BYTES, House, open_house, problem

CONTENT = bytes(range(32, 127)) * 12_000  # a little more than a megabyte
KEY_HOLDERS = {hashlib.sha256(key.encode()).hexdigest(): {"tenant": key, "subject": "ann"} for key in ("red", "blue")}


def wanted(content: bytes = CONTENT, **fields: Any) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"filename": "report.txt", "size_bytes": len(content), "sha256": digest, **fields}


async def opened(house: House, content: bytes = CONTENT, **fields: object) -> dict[str, Any]:
    reply = await house.post("/uploads", wanted(content, **fields))
    assert reply.status_code == 201, reply.text
    body: dict[str, Any] = reply.json()
    return body


async def send(house: House, upload: dict[str, Any], content: bytes = CONTENT) -> httpx.Response:
    return await house.client.request(upload["method"], upload["url"], content=content, headers=upload["headers"])


async def test_a_file_is_opened_sent_and_completed(house: House) -> None:
    upload = await opened(house, tags=["a"])
    sent = await send(house, upload)
    completed = await house.client.post(f"/uploads/{upload['upload_id']}/complete")

    assert (upload["method"], upload["expires_at"][:2]) == ("PUT", "20")
    assert (sent.status_code, sent.content) == (200, b"")
    assert completed.status_code in (201, 202)
    assert completed.headers["location"] == f"/jobs/{completed.json()['job_id']}"
    assert house.ingest.pieces == [1024 * 1024, len(CONTENT) - 1024 * 1024]
    assert completed.json()["document_id"] == hashlib.sha256(CONTENT).hexdigest()


async def test_a_bucket_s_own_target_is_handed_on(house: House) -> None:
    house.ingest.target = ingest_service_pb2.UploadTarget(
        method="PUT", url="https://bucket.example/tmp?sig=1", headers={"x-amz-checksum-sha256": "abc="}
    )

    upload = await opened(house)

    assert upload["url"] == "https://bucket.example/tmp?sig=1"
    assert upload["headers"] == {"x-amz-checksum-sha256": "abc="}


@pytest.mark.parametrize("name", ["tenant", "size_bytes", "sha256", "expires", "signature"])
async def test_a_link_that_was_changed_holds_no_more(house: House, name: str) -> None:
    upload = await opened(house)
    parts = urlsplit(upload["url"])
    query = dict(parse_qsl(parts.query))
    query[name] = "1" + query[name][1:] if name != "tenant" else "blue"
    if query[name] == dict(parse_qsl(parts.query))[name]:
        query[name] = "2" + query[name][1:]
    changed = {**upload, "url": urlunsplit(parts._replace(query=urlencode(query)))}

    problem(await send(house, changed), 403, "UPLOAD_LINK_INVALID", "signature")
    assert house.ingest.pieces == []


async def test_a_link_of_one_upload_does_not_do_for_another(house: House) -> None:
    first, second = await opened(house), await opened(house)
    stolen = first["url"].replace(first["upload_id"], second["upload_id"])

    problem(await send(house, {**first, "url": stolen}), 403, "UPLOAD_LINK_INVALID", "signature")


async def test_without_a_link_nothing_can_be_sent(house: House) -> None:
    upload = await opened(house)
    bare = upload["url"].partition("?")[0]

    problem(await send(house, {**upload, "url": bare}), 403, "UPLOAD_LINK_INVALID", "signature")


async def test_a_link_that_has_expired_is_told_so(house: House) -> None:
    house.ingest.expire_seconds = 1_700_000_000
    upload = await opened(house)

    problem(await send(house, upload), 410, "UPLOAD_EXPIRED")


async def test_a_link_works_once(house: House) -> None:
    upload = await opened(house)
    await send(house, upload)

    problem(await send(house, upload), 409, "UPLOAD_RECEIVED")


async def test_other_bytes_than_announced_are_refused(house: House) -> None:
    upload = await opened(house)

    problem(await send(house, upload, CONTENT[::-1]), 400, "UPLOAD_MISMATCH", "file")
    short = {**upload, "headers": {}}
    body = problem(await send(house, short, CONTENT[:-1]), 400, "UPLOAD_MISMATCH", "Content-Length")
    assert f"expected {len(CONTENT):,} bytes, found {len(CONTENT) - 1:,} bytes" in body["detail"]

    async def trickle() -> AsyncIterator[bytes]:
        yield CONTENT[:10]

    reply = await house.client.put(upload["url"], content=trickle())
    problem(reply, 400, "UPLOAD_MISMATCH", "Content-Length")


async def test_what_has_not_come_cannot_be_completed(house: House) -> None:
    upload = await opened(house)

    problem(await house.client.post(f"/uploads/{upload['upload_id']}/complete"), 409, "UPLOAD_UNFINISHED")


@pytest.mark.parametrize("upload_id", ["7" * 32, "nonsense", "A" * 32])
async def test_an_unknown_upload_is_not_found(house: House, upload_id: str) -> None:
    problem(await house.client.post(f"/uploads/{upload_id}/complete"), 404, "UPLOAD_NOT_FOUND", "upload_id")


@pytest.mark.parametrize(
    ("fields", "status", "reason", "field"),
    [
        ({"size_bytes": MAX_FILE_BYTES + 1}, 413, "FILE_TOO_LARGE", "size_bytes"),
        ({"size_bytes": 0}, 422, "REQUEST_INVALID", "size_bytes"),
        ({"sha256": "A" * 64}, 422, "REQUEST_INVALID", "sha256"),
        ({"filenames": "x"}, 422, "REQUEST_INVALID", "filenames"),
    ],
)
async def test_an_upload_that_cannot_be_is_refused_by_its_field(
    house: House, fields: dict[str, Any], status: int, reason: str, field: str
) -> None:
    problem(await house.post("/uploads", wanted(**fields)), status, reason, field)


async def test_where_keys_are_wanted_a_link_needs_none_and_everything_else_does() -> None:
    async with open_house(identity="api_key", api_keys=KEY_HOLDERS) as house:
        problem(await house.post("/uploads", wanted()), 401, "API_KEY_INVALID")
        headers = {"X-API-Key": "red"}
        upload = (await house.client.post("/uploads", json=wanted(), headers=headers)).json()

        assert parse_qs(urlsplit(upload["url"]).query)["tenant"] == ["red"]
        assert (await send(house, upload)).status_code == 200
        problem(await house.client.post(f"/uploads/{upload['upload_id']}/complete"), 401, "API_KEY_INVALID")


async def test_a_large_file_of_a_form_goes_on_in_pieces(house: House) -> None:
    reply = await house.upload(CONTENT, "report.txt")

    assert (reply.status_code, reply.json()["document_id"]) == (201, hashlib.sha256(CONTENT).hexdigest())
    assert max(house.ingest.pieces) == 1024 * 1024


async def test_a_large_file_that_is_not_waited_for_goes_on_in_pieces_too(house: House) -> None:
    files = {"file": ("report.txt", CONTENT)}
    reply = await house.client.post("/upload", files=files, params={"mode": "async"})

    assert reply.status_code == 202
    assert sum(house.ingest.pieces) == len(CONTENT)


async def test_more_than_the_room_for_uploads_is_told_to_come_again() -> None:
    async with open_house(max_uploading_bytes=MAX_FILE_BYTES) as house:
        upload = await opened(house)
        begun, gate = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield CONTENT[:10]
            begun.set()
            await gate.wait()
            yield CONTENT[10:]

        first = asyncio.create_task(house.client.put(upload["url"], content=slow(), headers=upload["headers"]))
        await begun.wait()
        refused = await house.upload(CONTENT, "second.txt")
        gate.set()

        problem(refused, 429, "UPLOADS_BUSY")
        assert (await first).status_code == 200
        assert (await house.upload(CONTENT, "second.txt")).status_code == 201
        assert house.app.state.upload_budget.held_bytes == 0


async def test_the_file_of_a_document_is_saved_and_never_shown(house: House) -> None:
    document = (await house.upload(CONTENT, "Größe 1.txt")).json()["document_id"]

    reply = await house.client.get(f"/documents/{document}/content")

    assert (reply.status_code, reply.content) == (200, CONTENT)
    assert reply.headers["content-disposition"] == "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.txt"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert reply.headers["content-length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
async def test_a_part_of_the_file_is_sent_where_one_is_asked_for(
    house: House, asked: str, status: int, expected: bytes
) -> None:
    document = (await house.upload(b"0123456789", "digits.txt")).json()["document_id"]

    reply = await house.client.get(f"/documents/{document}/content", headers={"Range": asked})

    assert (reply.status_code, reply.content) == (status, expected)
    if status == 206:
        start = b"0123456789".index(expected)
        assert reply.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/10"


async def test_a_part_that_is_not_there_is_told_with_the_size(house: House) -> None:
    document = (await house.upload(b"0123456789", "digits.txt")).json()["document_id"]

    reply = await house.client.get(f"/documents/{document}/content", headers={"Range": "bytes=10-"})

    problem(reply, 416, "RANGE_INVALID", "Range")
    assert reply.headers["content-range"] == "bytes */10"


async def test_a_file_in_a_bucket_is_fetched_there(house: House) -> None:
    document = (await house.upload(b"0123456789", "digits.txt")).json()["document_id"]
    house.ingest.url = "https://bucket.example/original.txt?sig=1"

    reply = await house.client.get(f"/documents/{document}/content")

    assert (reply.status_code, reply.headers["location"]) == (307, "https://bucket.example/original.txt?sig=1")
    problem(await house.client.get(f"/documents/{'0' * 64}/content"), 404, "DOCUMENT_NOT_FOUND")
    problem(await house.client.get("/documents/nonsense/content"), 404, "DOCUMENT_NOT_FOUND")
