from __future__ import annotations

from typing import ClassVar

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from services.transport.errors import (
    STATUS_DETAILS_KEY,
    Failure,
    FieldViolation,
    PassedOn,
    RemoteFailure,
    describe_error,
    find_failure,
    read_failure,
    status_details,
    why_not_started,
)


class Missing(Exception):
    pass


class MissingChunk(Missing):
    field = "name"
    metadata: ClassVar[dict[str, str]] = {"chunk": "7"}
    retry_after_seconds = 2.5


FAILURE = Failure(grpc.StatusCode.NOT_FOUND, "MISSING", retry_after_seconds=9)


def error_with(trailers: tuple[tuple[str, bytes], ...], code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details="ipv4:10.0.0.1 said no"
    )


def test_an_error_finds_the_entry_of_its_own_class_before_its_ancestors() -> None:
    own = Failure(grpc.StatusCode.ABORTED, "OWN")

    assert find_failure({Missing: FAILURE, MissingChunk: own}, MissingChunk()) is own
    assert find_failure({Missing: FAILURE}, MissingChunk()) is FAILURE
    assert find_failure({MissingChunk: own}, Missing()) is None


def test_an_error_tells_what_it_knows_about_itself() -> None:
    described = describe_error(MissingChunk("no such chunk"), FAILURE, "rag.diglot")

    assert described == RemoteFailure(
        grpc.StatusCode.NOT_FOUND,
        "MISSING",
        "rag.diglot",
        "no such chunk",
        {"chunk": "7"},
        (FieldViolation("name", "no such chunk"),),
        2.5,
    )


def test_the_table_knows_the_wait_when_the_error_does_not() -> None:
    assert describe_error(Missing(), FAILURE, "rag.diglot").retry_after_seconds == 9


def test_a_long_message_is_cut_because_trailers_are_limited() -> None:
    assert len(describe_error(Missing("x" * 5_000), FAILURE, "rag.diglot").message) == 1_000


def test_a_failure_survives_the_trailers() -> None:
    failure = describe_error(MissingChunk("no such chunk – 塊"), FAILURE, "rag.diglot")

    read = read_failure(error_with(((STATUS_DETAILS_KEY, status_details(failure)),), failure.code))

    assert read == failure


def test_a_failure_passed_on_keeps_details_this_version_does_not_know() -> None:
    status = status_pb2.Status(code=5, message="gone")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="GONE", domain="beyond.diglot"))
    status.details.add().Pack(error_details_pb2.Help(links=[{"url": "https://example.org"}]))
    error = error_with(((STATUS_DETAILS_KEY, status.SerializeToString()),), grpc.StatusCode.NOT_FOUND)

    passed_on = PassedOn(read_failure(error))

    assert status_details(passed_on.remote) == status.SerializeToString()
    assert str(passed_on) == "gone"


@pytest.mark.parametrize("details", [b"\xff\xff no status", b"", status_pb2.Status(code=14).SerializeToString()])
def test_a_status_without_error_info_is_the_transports_own(details: bytes) -> None:
    failure = read_failure(error_with(((STATUS_DETAILS_KEY, details),), grpc.StatusCode.UNAVAILABLE))

    assert (failure.domain, failure.reason) == ("transport.diglot", "SERVICE_UNREACHABLE")
    assert "10.0.0.1" not in failure.message


def test_a_code_the_transport_has_no_text_for_is_its_own_reason() -> None:
    assert read_failure(error_with((), grpc.StatusCode.DATA_LOSS)).reason == "DATA_LOSS"


def test_a_failed_start_is_told_in_words_only_by_errors_written_for_operators() -> None:
    class StoreMissing(Exception):
        for_operators = True

    driver_error = ConnectionError("password=hunter2")

    assert why_not_started(StoreMissing("set X=1")) == {
        "extra": {"error": StoreMissing.__qualname__, "told": "set X=1"}
    }
    assert why_not_started(driver_error) == {"exc_info": driver_error}
