"""Cases generated from the OpenAPI document: no 5xx, and nothing that the document does not say.

A longer run: `DIGLOT_FUZZ_EXAMPLES=300 python -m pytest tests/contract/gateway/test_fuzz.py --timeout=3600`, or,
against a running gateway, `schemathesis run http://127.0.0.1:8000/openapi.json --checks all`, which may report for
/upload that a random file was refused with 400: no schema can say which bytes are a file that can be parsed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
import uvicorn
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.contract.gateway.house import open_house

EXAMPLES = int(os.environ.get("DIGLOT_FUZZ_EXAMPLES", "25"))
OPERATIONS = [
    ("GET", "/health"),
    ("GET", "/info"),
    ("GET", "/stats"),
    ("POST", "/upload"),
    ("POST", "/uploads"),
    ("PUT", "/uploads/{upload_id}/content"),
    ("POST", "/uploads/{upload_id}/complete"),
    ("GET", "/documents"),
    ("GET", "/documents/{document_id}"),
    ("GET", "/documents/{document_id}/content"),
    ("GET", "/documents/{document_id}/images"),
    ("GET", "/documents/{document_id}/images/{image_id}"),
    ("DELETE", "/documents/{document_id}"),
    ("GET", "/jobs"),
    ("GET", "/jobs/{job_id}"),
    ("POST", "/jobs/{job_id}/cancel"),
    ("POST", "/jobs/{job_id}/retry"),
    ("POST", "/query"),
    ("POST", "/query/documents"),
    ("POST", "/query/sql/generate"),
    ("POST", "/query/sql/execute"),
    ("GET", "/query/sql/pending"),
    ("GET", "/query/sql/{query_id}"),
    ("GET", "/sql/audit"),
    ("GET", "/sql/schema"),
    ("POST", "/sql/schema/sync"),
    ("POST", "/sql/training"),
    ("GET", "/sql/training"),
    ("GET", "/sql/training/{training_id}"),
    ("POST", "/sql/training/{training_id}/approve"),
    ("DELETE", "/sql/training/{training_id}"),
]


# Whether bytes are a file that can be parsed, a text is DDL or a query, a time comes after another, or a token is one
# that a list gave, is nothing a schema could say: a refusal of random ones is right.
LISTS = ("/documents", "/documents/{document_id}/images", "/jobs", "/query/sql/pending", "/sql/audit", "/sql/training")
SENT = ("/upload", "/uploads", "/uploads/{upload_id}/content")  # a link is signed
QUESTIONS = ("/query", "/query/documents")  # the days of their filters
UNDECIDABLE: dict[str, list[Any]] = {path: [positive_data_acceptance] for path in (*SENT, *QUESTIONS, *LISTS)}
TAKES_NOTHING = {"/health", "/info", "/stats", "/sql/schema"}


class RunningHouse:
    """The whole house on a loop of its own, for a test tool that is not asynchronous."""

    def __init__(self) -> None:
        self.url = ""
        self._listening = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        async with open_house() as house:
            config = uvicorn.Config(house.app, port=0, lifespan="off", log_config=None, access_log=False)
            self._server = uvicorn.Server(config)
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started and not serving.done():  # noqa: ASYNC110 -- uvicorn tells by no event
                await asyncio.sleep(0.01)
            self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
            self._listening.set()
            await serving

    def __enter__(self) -> str:
        self._thread.start()
        assert self._listening.wait(30), "the house does not start"
        return self.url

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture(scope="module")
def schema() -> Iterator[schemathesis.schemas.BaseSchema]:
    with RunningHouse() as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_every_operation_is_fuzzed(schema: schemathesis.schemas.BaseSchema) -> None:
    described = {
        (method.upper(), path) for path, operations in schema.raw_schema["paths"].items() for method in operations
    }

    assert described == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_generated_requests_get_what_openapi_promises(
    schema: schemathesis.schemas.BaseSchema, method: str, path: str
) -> None:
    operation = schema[path][method]
    modes = [schemathesis.GenerationMode.POSITIVE]
    if path not in TAKES_NOTHING:
        modes.append(schemathesis.GenerationMode.NEGATIVE)
    for mode in modes:

        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(excluded_checks=UNDECIDABLE.get(path, []))

        check()
