"""How calls fail: one table from domain errors to statuses, and one reader of the statuses that come back.

    Exception
    ├── PassedOn                 a callee's failure, handed to our own caller unchanged
    └── TransportError
        ├── NoCaller             an identity was needed outside a call
        ├── SettingsRefused      variables of the environment are missing or malformed
        ├── AddressInvalid       a target or listen address is malformed
        ├── AddressInUse         another process listens there
        ├── ClaimRefused         a call came without a claim, or with one that does not hold
        ├── EnvelopeInvalid      an invoke payload is no call, or no reply
        ├── BodyDamaged          a body does not match its hash
        ├── PayloadTooLarge      a body passes a limit of the transport
        ├── ClaimCheckUnavailable  a stored body cannot be written or read back
        └── ServiceNotOpened     a function's service could not be opened

A failure travels as `google.rpc.Status` in the trailer `grpc-status-details-bin`, with `ErrorInfo` always, `BadRequest`
when the error names a `field`, and `RetryInfo` when the wait is known (AIP-193).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

TRANSPORT_DOMAIN = "transport.diglot"
STATUS_DETAILS_KEY = "grpc-status-details-bin"
MAX_MESSAGE_CHARACTERS = 1_000  # messages travel in trailers, whose total size every HTTP/2 peer limits

UNEXPECTED_MESSAGE = "The service failed unexpectedly."

# What we say when the transport, not a service, ended the call. gRPC's own texts name addresses and sockets.
_TRANSPORT_FAILURES: Mapping[grpc.StatusCode, tuple[str, str]] = {
    grpc.StatusCode.UNAVAILABLE: ("SERVICE_UNREACHABLE", "The service cannot be reached."),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("DEADLINE_EXCEEDED", "The service did not answer in the time allowed."),
    grpc.StatusCode.CANCELLED: ("CANCELLED", "The call was cancelled."),
    grpc.StatusCode.UNIMPLEMENTED: ("METHOD_UNKNOWN", "The service does not know this method."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("PAYLOAD_TOO_LARGE", "A message is larger than the transport carries."),
}

STATUS_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Failure:
    """The status of one kind of domain error.

    `reason` is UPPER_SNAKE and stable: clients branch on (domain, reason). `retry_after_seconds` is told to the
    client unless the error itself knows better (attribute of the same name).
    """

    code: grpc.StatusCode
    reason: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True)
class RemoteFailure:
    """A failed call as its caller sees it. `message` may be shown to users."""

    code: grpc.StatusCode
    reason: str
    domain: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[FieldViolation, ...] = ()
    retry_after_seconds: float | None = None
    status_bytes: bytes = field(default=b"", repr=False, compare=False)
    """The `google.rpc.Status` as it arrived, so that passing it on loses nothing; empty when built by hand."""


class TransportError(Exception):
    """Root of the transport's own errors."""


class NoCaller(TransportError):
    """An identity was needed, but this code runs neither in a served call nor inside `acting_as`."""


class SettingsRefused(TransportError):
    """Variables of the environment are missing or malformed; the text names each with an example."""

    for_operators = True


class AddressInvalid(TransportError, ValueError):
    """A target or listen address is malformed; the text shows a right one."""

    for_operators = True


class AddressInUse(TransportError):
    """Another process listens on the address."""

    for_operators = True


class ClaimRefused(TransportError):
    """A call came without a valid claim. `reason` is CLAIM_MISSING or CLAIM_INVALID."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class EnvelopeInvalid(TransportError):
    """An invoke payload is no envelope; `field` names the part at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class BodyDamaged(TransportError):
    """A body does not match the hash that came with it."""


class PayloadTooLarge(TransportError):
    """A body passes a limit of the transport; the text names the limit."""


class ClaimCheckUnavailable(TransportError):
    """A stored body cannot be written, or is gone, expired or unreadable."""


class ServiceNotOpened(TransportError):
    """A function's service could not be opened; its log says why."""


class EventFailed(TransportError):
    """What a function should have done about an event went wrong; its log says how."""


ENVELOPE_FAILURES: Mapping[type[Exception], Failure] = {
    EnvelopeInvalid: Failure(grpc.StatusCode.INVALID_ARGUMENT, "ENVELOPE_INVALID"),
    BodyDamaged: Failure(grpc.StatusCode.DATA_LOSS, "BODY_DAMAGED"),
    PayloadTooLarge: Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE"),
    ClaimCheckUnavailable: Failure(grpc.StatusCode.UNAVAILABLE, "CLAIM_CHECK_UNAVAILABLE"),
}


class PassedOn(Exception):
    """Ends the call being served with a callee's status, message and details, unchanged."""

    def __init__(self, failure: RemoteFailure) -> None:
        super().__init__(failure.message)
        self.remote = failure


def transport_failure(code: grpc.StatusCode, reason: str | None = None, message: str | None = None) -> RemoteFailure:
    """A failure of the transport's own; reason and text are the usual ones of the code unless given."""
    usual_reason, usual_message = _TRANSPORT_FAILURES.get(code, (code.name, UNEXPECTED_MESSAGE))
    return RemoteFailure(
        code=code, reason=reason or usual_reason, domain=TRANSPORT_DOMAIN, message=message or usual_message
    )


def streaming_unsupported() -> RemoteFailure:
    """What a method with a stream of requests meets on a transport that carries one document."""
    message = "A stream of requests cannot be sent to a function."
    return transport_failure(grpc.StatusCode.UNIMPLEMENTED, "STREAMING_UNSUPPORTED", message)


def why_not_started(error: Exception) -> dict[str, Any]:
    """What a log tells of an error that ends a start, as keyword arguments of a logger's method.

    An error that says of itself, by `for_operators`, that its text is for whoever starts the process is told in its
    own words. Any other may quote a secret: only its kind and its frames are told.
    """
    if getattr(error, "for_operators", False):
        return {"extra": {"error": type(error).__qualname__, "told": str(error)}}
    return {"exc_info": error}


def describe_error(error: Exception, failure: Failure, domain: str) -> RemoteFailure:
    """Tell a domain error in the terms of its table entry.

    Reads by duck typing what the error knows about itself: `field`, `metadata`, `retry_after_seconds`.
    """
    message = str(error)[:MAX_MESSAGE_CHARACTERS]
    field_name = getattr(error, "field", None)
    metadata = getattr(error, "metadata", None) or {}
    retry_after_seconds = getattr(error, "retry_after_seconds", None)
    return RemoteFailure(
        code=failure.code,
        reason=failure.reason,
        domain=domain,
        message=message,
        metadata={str(key): str(value)[:MAX_MESSAGE_CHARACTERS] for key, value in metadata.items()},
        fields=(FieldViolation(field_name, message),) if isinstance(field_name, str) and field_name else (),
        retry_after_seconds=failure.retry_after_seconds if retry_after_seconds is None else float(retry_after_seconds),
    )


def find_failure(failures: Mapping[type[Exception], Failure], error: Exception) -> Failure | None:
    """The entry of the error's own class, else of its nearest listed ancestor."""
    for kind in type(error).__mro__:
        if (failure := failures.get(kind)) is not None:
            return failure
    return None


def status_details(failure: RemoteFailure) -> bytes:
    """The serialized `google.rpc.Status` of a failure."""
    if failure.status_bytes:
        return failure.status_bytes
    status = status_pb2.Status(code=failure.code.value[0], message=failure.message)
    info = error_details_pb2.ErrorInfo(reason=failure.reason, domain=failure.domain, metadata=failure.metadata)
    status.details.add().Pack(info)
    if failure.fields:
        bad_request = error_details_pb2.BadRequest()
        for violation in failure.fields:
            bad_request.field_violations.add(field=violation.field, description=violation.description)
        status.details.add().Pack(bad_request)
    if failure.retry_after_seconds is not None:
        retry_info = error_details_pb2.RetryInfo()
        retry_info.retry_delay.FromNanoseconds(max(0, round(failure.retry_after_seconds * 1_000_000_000)))
        status.details.add().Pack(retry_info)
    serialized: bytes = status.SerializeToString()
    return serialized


def read_failure(error: grpc.aio.AioRpcError) -> RemoteFailure:
    """What a failed call says about itself.

    A call that the transport ended (connection refused, deadline passed …) carries no ErrorInfo: then the domain is
    "transport.diglot" and the reason is one of ours, SERVICE_UNREACHABLE for one.
    """
    code = error.code()
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS_KEY and isinstance(value, bytes):
            failure = _read_status(code, value)
            if failure is not None:
                return failure
    return transport_failure(code)


def _read_status(code: grpc.StatusCode, serialized: bytes) -> RemoteFailure | None:
    try:
        status = status_pb2.Status.FromString(serialized)
    except DecodeError:
        return None
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry_info = error_details_pb2.RetryInfo()
    retry_after_seconds: float | None = None
    informed = False
    try:
        for detail in status.details:
            if detail.Unpack(info):
                informed = True
            elif detail.Unpack(retry_info):
                retry_after_seconds = retry_info.retry_delay.ToNanoseconds() / 1_000_000_000
            else:
                detail.Unpack(bad_request)
    except DecodeError:
        return None
    if not informed:
        return None
    return RemoteFailure(
        code=code,
        reason=info.reason,
        domain=info.domain,
        message=status.message,
        metadata=dict(info.metadata),
        fields=tuple(FieldViolation(item.field, item.description) for item in bad_request.field_violations),
        retry_after_seconds=retry_after_seconds,
        status_bytes=serialized,
    )
