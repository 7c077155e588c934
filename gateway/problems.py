"""Every error of the REST surface, as application/problem+json (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from grpc import StatusCode
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from gateway.callees import CalleeFailed
from services.transport.errors import TRANSPORT_DOMAIN
from services.transport.telemetry import current_request_id

MEDIA_TYPE = "application/problem+json"
PROBLEM_BASE = "urn:diglot:problem"
DEFAULT_RETRY_AFTER_SECONDS = 2

# google/rpc/code.proto names the HTTP status of each code.
HTTP_STATUS: Mapping[StatusCode, int] = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.ABORTED: 409,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.CANCELLED: 499,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}
# Reasons for which HTTP has a truer word than the code's.
_STATUS_BY_REASON: Mapping[str, int] = {
    "FILE_TOO_LARGE": 413,
    "PAYLOAD_TOO_LARGE": 413,
    "JOB_FILE_GONE": 410,
    "RANGE_INVALID": 416,
    "UPLOAD_EXPIRED": 410,
}
_REASONS_BY_STATUS: Mapping[int, str] = {400: "BODY_INVALID", 404: "PATH_UNKNOWN", 405: "METHOD_NOT_ALLOWED"}
_HASH_PATTERN = "^[0-9a-f]{64}$"
_TITLES: Mapping[str, str] = {
    "PATH_UNKNOWN": "There is nothing at this path",
    "METHOD_NOT_ALLOWED": "This path does not know the method",
    "REQUEST_INVALID": "The request is not as described",
    "UNEXPECTED": "Unexpected failure",
}


class FieldProblem(BaseModel):
    """One field of a request and what is wrong with it."""

    field: str = Field(description="Name of the field, parameter or header.", examples=["query"])
    detail: str = Field(examples=["The question is empty."])


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:diglot:problem:request-invalid",
                    "title": "The request is not as described",
                    "status": 422,
                    "detail": "query: The question is empty.",
                    "instance": "/query",
                    "reason": "REQUEST_INVALID",
                    "request_id": "3f2b6c1a9d7e4f0b8a5c2d1e0f9b8a7c",
                    "errors": [{"field": "query", "detail": "The question is empty."}],
                }
            ]
        }
    )

    type: str = Field(description="URN of this kind of error; ends with its reason.")
    title: str = Field(description="The kind of error in words; the same every time.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What went wrong this time.")
    instance: str = Field(description="Path of the request.")
    reason: str = Field(description="Machine-readable and stable.", pattern="^[A-Z][A-Z0-9_]*$")
    request_id: str = Field(description="Id of the request, as in the header X-Request-ID and in the logs.")
    errors: list[FieldProblem] = Field(default_factory=list, description="The fields at fault, where fields are.")
    metadata: dict[str, str] = Field(default_factory=dict, description="Further facts, for instance max_bytes.")


class ProblemRaised(Exception):
    """Ends a request with a problem of the gateway's own."""

    def __init__(
        self, status: int, reason: str, detail: str, *, field: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.fields = [(field, detail)] if field else []
        self.headers = headers


def problem_response(
    instance: str,
    status: int,
    reason: str,
    detail: str,
    *,
    fields: Sequence[tuple[str, str]] = (),
    metadata: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response for a problem; 429 and 503 always say when to come back."""
    body: dict[str, Any] = {
        "type": f"{PROBLEM_BASE}:{reason.lower().replace('_', '-')}",
        "title": _TITLES.get(reason) or reason.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": instance,
        "reason": reason,
        "request_id": current_request_id(),
    }
    if fields:
        body["errors"] = [{"field": field, "detail": text} for field, text in fields]
    if metadata:
        body["metadata"] = dict(metadata)
    sent = dict(headers or {})
    if status in (429, 503):
        sent.setdefault("Retry-After", str(DEFAULT_RETRY_AFTER_SECONDS))
    return JSONResponse(body, status_code=status, headers=sent, media_type=MEDIA_TYPE)


def problem_docs(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Entries for `responses=` of a route; 500 can always happen."""
    words = {
        400: "The body cannot be read, or a service refuses a value.",
        403: "The caller lacks a role that this takes.",
        404: "There is no such thing, or it belongs to another.",
        409: "It is not in a state that allows this.",
        410: "Its time is over, or what it needs is not kept any more.",
        413: "The body is too large.",
        415: "The media type is not served here.",
        416: "There is no such part of the file.",
        422: "A field is missing or not as described.",
        429: "Too much at once; come back after `Retry-After` seconds.",
        500: "Unexpected failure.",
        503: "A part this needs cannot be reached; come back after `Retry-After` seconds.",
        504: "A part this needs did not answer in time.",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": words[status], "content": content} for status in (*statuses, 500)}


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    app.add_exception_handler(ProblemRaised, _own_problem)
    app.add_exception_handler(CalleeFailed, _callee_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_exception_handler(HTTPException, _http_problem)


async def _own_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemRaised)
    return problem_response(
        request.url.path, error.status, error.reason, str(error), fields=error.fields, headers=error.headers
    )


async def _callee_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CalleeFailed)
    failure = error.failure
    status = _STATUS_BY_REASON.get(failure.reason) or HTTP_STATUS.get(failure.code, 500)
    reason, detail = failure.reason, failure.message
    if failure.domain == TRANSPORT_DOMAIN:
        # The call never reached the service, or it never answered: the reason says which service that is.
        name = error.service.value
        if failure.code is StatusCode.UNAVAILABLE:
            reason, detail = f"{name.upper()}_UNAVAILABLE", f"The {name.replace('_', ' ')} cannot be reached."
        elif failure.code is StatusCode.DEADLINE_EXCEEDED:
            reason, detail = f"{name.upper()}_TIMEOUT", f"The {name.replace('_', ' ')} did not answer in time."
    if failure.reason == "NAME_INVALID" and error.unknown:
        # What cannot be an id is as unknown as any other.
        status, reason, detail = 404, error.unknown, "There is nothing of this id."
        return problem_response(request.url.path, status, reason, detail, fields=[(error.fields[""], detail)])
    if failure.code is StatusCode.UNAUTHENTICATED:
        # Our own claim was refused: a fault in the set-up of the services, nothing the client could mend.
        status = 500
    fields = [
        (error.fields.get(violation.field, violation.field), violation.description) for violation in failure.fields
    ]
    if not fields and status in (400, 404, 410, 413) and (field := error.fields.get("")):
        fields = [(field, detail)]
    headers = {}
    if status in (429, 503) and failure.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, math.ceil(failure.retry_after_seconds)))
    return problem_response(
        request.url.path, status, reason, detail, fields=fields, metadata=failure.metadata, headers=headers
    )


async def _validation_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        fields = [("body", f"The body is no JSON: {fault['ctx']['error']}.") for fault in faults[:1]]
        return problem_response(request.url.path, 400, "JSON_INVALID", fields[0][1], fields=fields)
    fields = [(_field_of(fault), _said(fault, request)) for fault in faults[:20]]
    detail = "; ".join(f"{field}: {text}" for field, text in fields)
    return problem_response(request.url.path, 422, "REQUEST_INVALID", detail, fields=fields)


def _said(fault: Mapping[str, Any], request: Request) -> str:
    """What is wrong, for somebody who knows HTTP and JSON, and neither Python nor our patterns."""
    match fault["type"]:
        case "extra_forbidden" if len(fault["loc"]) == 2:
            known = _fields_of_body(request)
            return (
                f"There is no such field; those of this call are {', '.join(known)}." if known else "Takes no fields."
            )
        case "extra_forbidden":
            return "There is no such field."
        case "model_attributes_type" | "model_type" | "dict_type":
            return "Send a JSON object, like {}."
        case "string_pattern_mismatch" if fault["ctx"]["pattern"] == _HASH_PATTERN:
            return "Should be 64 lower-case hexadecimal digits."
        case "string_too_short" if fault["ctx"]["min_length"] == 1:
            return "The text is empty."
        case _:
            return str(fault["msg"])


def _fields_of_body(request: Request) -> list[str]:
    """Names of what the body of a call may hold."""
    body = getattr(request.scope.get("route"), "body_field", None)
    kind = body.field_info.annotation if body is not None else None
    models = [each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, BaseModel)]
    return [name for model in models for name in model.model_fields]


def _field_of(fault: Mapping[str, Any]) -> str:
    """Where a fault lies, as the client wrote it: `top_k`, `filters.document_ids.0`, `body` for the whole."""
    named = (fault.get("ctx") or {}).get("field")
    place = [str(step) for step in fault["loc"][1:]]
    return str(named) if named else ".".join(place) or str(fault["loc"][0])


async def _http_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path, status = request.url.path, error.status_code
    reason = _REASONS_BY_STATUS.get(status, "REQUEST_INVALID" if status < 500 else "UNEXPECTED")
    if status == 404:
        return problem_response(path, 404, reason, f"There is nothing at {path}.")
    if status == 405:
        allowed = ", ".join(sorted(request.app.state.methods_at(path)))
        return problem_response(
            path, 405, reason, f"{request.method} is not served here, only {allowed}.", headers={"Allow": allowed}
        )
    return problem_response(path, status, reason, str(error.detail), fields=[("body", str(error.detail))])
