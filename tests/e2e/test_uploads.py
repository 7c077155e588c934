"""Files past one request through REST: opened, sent by the link, completed, given back, replaced, erased."""

from __future__ import annotations

import hashlib
import time
from typing import Any
from uuid import uuid4

import httpx

from tests.e2e.running_system import problem


def large_text(mark: str) -> bytes:
    """A Markdown file of more than two megabytes with few passages: most of it is one comment."""
    return f"# Gate\n\nThe gate opens at nine. {mark}\n\n<!-- {'x' * 2_200_000} -->\n".encode()


def sent(client: httpx.Client, content: bytes, filename: str) -> tuple[dict[str, Any], httpx.Response]:
    wanted = {"filename": filename, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    opened = client.post("/uploads", json={**wanted, "tags": ["gates"]})
    assert opened.status_code == 201, opened.text
    upload: dict[str, Any] = opened.json()
    return upload, httpx.request(upload["method"], upload["url"], content=content, headers=upload["headers"])


def finished(client: httpx.Client, job_id: str) -> dict[str, Any]:
    for _ in range(600):
        job: dict[str, Any] = client.get(f"/jobs/{job_id}").json()
        if job["state"] in ("READY", "FAILED", "CANCELLED"):
            return job
        time.sleep(0.1)
    raise AssertionError(f"the job goes on and on: {job}")


def test_a_file_sent_by_its_link_becomes_a_document_that_is_given_back_and_erased(client: httpx.Client) -> None:
    content = f"The gate of hall {uuid4()} opens at nine.\n".encode() * 3
    upload, reply = sent(client, content, "gate.txt")
    assert reply.status_code == 200, reply.text

    first = client.post(f"/uploads/{upload['upload_id']}/complete")
    again = client.post(f"/uploads/{upload['upload_id']}/complete")
    job = finished(client, first.json()["job_id"])

    assert first.status_code in (201, 202)
    assert again.json()["job_id"] == job["job_id"]
    assert job["state"] == "READY", job
    document = job["document_id"]
    given_back = client.get(f"/documents/{document}/content", follow_redirects=True)
    assert given_back.content == content
    erased = client.delete(f"/documents/{document}")
    assert erased.status_code == 200
    assert erased.json()["verified"] is True
    assert erased.json()["filenames"] == ["gate.txt"]
    assert erased.json()["chunk_count"] >= 1
    assert erased.json()["file_count"] >= 3
    assert problem(client.get(f"/documents/{document}/content"), 404)["reason"] == "DOCUMENT_NOT_FOUND"


def test_other_bytes_than_announced_are_told_and_the_right_ones_taken(client: httpx.Client) -> None:
    content = f"The gate of hall {uuid4()} opens at ten.".encode()
    wanted = {"filename": "gate.txt", "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    upload = client.post("/uploads", json=wanted).json()

    wrong = httpx.put(upload["url"], content=content[::-1], headers=upload["headers"])
    unfinished = client.post(f"/uploads/{upload['upload_id']}/complete")
    right = httpx.put(upload["url"], content=content, headers=upload["headers"])
    completed = client.post(f"/uploads/{upload['upload_id']}/complete")

    assert (wrong.status_code, wrong.json()["reason"]) == (400, "UPLOAD_MISMATCH")
    assert wanted["sha256"] in wrong.json()["detail"]
    assert problem(unfinished, 409)["reason"] == "UPLOAD_UNFINISHED"
    assert (right.status_code, completed.status_code) == (200, 202)
    assert finished(client, completed.json()["job_id"])["state"] == "READY"
    client.delete(f"/documents/{wanted['sha256']}")


def test_a_form_of_megabytes_goes_in_and_the_next_version_takes_its_place(client: httpx.Client) -> None:
    name, marks = f"gate_{uuid4().hex}.md", [uuid4().hex, uuid4().hex]
    replies = [
        client.post("/upload", files={"file": (name, large_text(mark))}, params={"mode": "wait"}) for mark in marks
    ]

    assert [reply.status_code for reply in replies] == [201, 201], [reply.text for reply in replies]
    old, new = (reply.json()["document_id"] for reply in replies)
    assert problem(client.get(f"/documents/{old}"), 404)["reason"] == "DOCUMENT_NOT_FOUND"
    assert client.get(f"/documents/{new}").json()["version"] == 2
    found = client.post("/query/documents", json={"query": f"When does the gate {marks[0]} open?", "top_k": 10}).json()
    assert all(source["metadata"]["document_id"] != old for source in found["sources"])
    assert client.delete(f"/documents/{new}").json()["verified"] is True
