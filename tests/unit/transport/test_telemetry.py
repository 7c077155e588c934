from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from services.transport.telemetry import (
    BufferedHandler,
    JsonFormatter,
    configure_logging,
    current_request_id,
    make_request,
    new_request,
)
from tests.logging_state import logging_as_it_was

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_request_continues_its_trace_with_a_span_of_its_own() -> None:
    request = make_request("request-1", f"00-{TRACE_ID}-{SPAN_ID}-00")

    assert (request.request_id, request.trace_id, request.flags) == ("request-1", TRACE_ID, "00")
    assert request.span_id != SPAN_ID
    assert request.traceparent == f"00-{TRACE_ID}-{request.span_id}-00"


def test_a_later_version_may_bring_more_parts() -> None:
    assert make_request(None, f"01-{TRACE_ID}-{SPAN_ID}-01-more").trace_id == TRACE_ID


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{TRACE_ID}-{SPAN_ID}-01-more",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-01\n",
    ],
)
def test_a_missing_or_malformed_trace_begins_a_new_one(header: str | None) -> None:
    request = make_request(None, header)

    assert request.trace_id != TRACE_ID
    assert len(request.trace_id) == 32
    assert len(request.span_id) == 16


@pytest.mark.parametrize("request_id", [None, "", "a b", "x" * 129, 'evil"}\n{"level":"INFO"'])
def test_a_missing_or_malformed_request_id_is_replaced(request_id: str | None) -> None:
    assert len(make_request(request_id, None).request_id) == 32


def test_requests_nest_and_end() -> None:
    with new_request("outer", None):
        with new_request("inner", None):
            assert current_request_id() == "inner"
        assert current_request_id() == "outer"
    assert current_request_id() == ""


def _line(record: logging.LogRecord) -> dict[str, object]:
    line: dict[str, object] = json.loads(JsonFormatter("rag").format(record))
    return line


def test_a_line_holds_event_service_request_and_extras() -> None:
    record = logging.makeLogRecord({"name": "rag.search", "levelname": "INFO", "msg": "chunks.found", "found": 3})

    with new_request("request-1", f"00-{TRACE_ID}-{SPAN_ID}-01"):
        line = _line(record)

    assert line["event"] == "chunks.found"
    assert line["service"] == "rag"
    assert line["found"] == 3
    assert (line["request_id"], line["trace_id"]) == ("request-1", TRACE_ID)
    assert str(line["time"]).endswith("Z")


def test_an_exception_shows_types_and_frames_but_no_messages() -> None:
    secret = "row: " + "4711"
    try:
        try:
            raise KeyError(secret)
        except KeyError as cause:
            raise ValueError(secret) from cause
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, error.__traceback__)})

    line = _line(record)

    assert line["error"] == "ValueError"
    assert "test_telemetry.py" in str(line["stack"])
    assert "KeyError" in str(line["stack"])
    assert secret not in json.dumps(line)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    with logging_as_it_was() as root:
        yield root


def test_configuring_twice_logs_once(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("rag")
    configure_logging("sql")

    logging.getLogger("anything").info("service.started")

    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["service"] for line in lines] == ["sql"]


def _buffered() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = BufferedHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.Logger("buffered")
    logger.addHandler(handler)
    return logger, stream


async def test_a_buffered_line_tells_the_request_it_was_logged_in() -> None:
    logger, stream = _buffered()
    logger.handlers[0].setFormatter(JsonFormatter("rag"))

    with new_request("first", None):
        logger.info("one")
    with new_request("second", None):
        logger.info("two")
    logger.warning("three")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line.get("request_id") for line in lines] == ["first", "second", None]


async def test_buffered_lines_are_written_together_and_before_any_warning() -> None:
    logger, stream = _buffered()

    logger.info("one")
    logger.info("two")
    held_back = stream.getvalue()
    logger.warning("three")

    assert held_back == ""
    assert stream.getvalue() == "one\ntwo\nthree\n"


def test_lines_are_written_at_once_where_no_event_loop_runs() -> None:
    logger, stream = _buffered()

    logger.info("one")

    assert stream.getvalue() == "one\n"
