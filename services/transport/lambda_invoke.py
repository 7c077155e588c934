"""The one place that calls AWS: a synchronous `lambda.invoke` on a thread, its failures told as statuses."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from services.transport.errors import TRANSPORT_DOMAIN, RemoteFailure, TransportError, transport_failure
from services.transport.invoke_threads import InvokeThreads
from services.transport.lambda_clients import MAX_CONCURRENT_INVOKES, SHARED_CLIENTS, LambdaClients

logger = logging.getLogger(__name__)

_THROTTLED_RETRY_SECONDS = 1.0

_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling", "EC2ThrottledException"})
_FORBIDDEN = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "KMSAccessDeniedException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
_TOO_LARGE = frozenset({"RequestTooLargeException", "RequestEntityTooLargeException"})

_TIMED_OUT = re.compile(r"Task timed out after [0-9.]+ seconds")


@dataclass(frozen=True)
class InvokeReply:
    """What an invoke returned; `failed` when the function itself failed, and then the payload tells how."""

    payload: bytes
    failed: bool = False


class InvokeFailed(TransportError):
    """The invoke did not run the function, or its reply did not arrive; `failure` says which."""

    def __init__(self, failure: RemoteFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Invoker(Protocol):
    """Invokes a function and waits for its reply."""

    async def invoke(self, function: str, payload: bytes, timeout_seconds: float) -> InvokeReply:
        """Run the function once. It need not stop waiting at the timeout, the caller does. Raises InvokeFailed."""

    async def close(self) -> None:
        """Release what it holds. Invokes still running are left to end by themselves."""


class BotoInvoker:
    """Invokes through boto3, by the clients that all invokers of this process share."""

    def __init__(self, clients: LambdaClients = SHARED_CLIENTS) -> None:
        self._threads = InvokeThreads(MAX_CONCURRENT_INVOKES)
        self._clients = clients
        clients.enter(self)

    async def invoke(self, function: str, payload: bytes, timeout_seconds: float) -> InvokeReply:
        reply: InvokeReply = await self._threads.run(lambda: self._invoke(function, payload, timeout_seconds))
        return reply

    async def close(self) -> None:
        self._threads.stop()
        self._clients.leave(self)

    def _invoke(self, function: str, payload: bytes, timeout_seconds: float) -> InvokeReply:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            response = self._clients.client(timeout_seconds).invoke(FunctionName=function, Payload=payload)
            return InvokeReply(response["Payload"].read(), failed="FunctionError" in response)
        except ClientError as error:
            failure = _read_client_error(error.response)
            cause = str(error.response.get("Error", {}).get("Code", ""))
        except BotoCoreError as error:
            cause = type(error).__name__
            failure = _read_boto_error(cause)
        logger.warning("invoke.failed", extra={"function": function, "cause": cause, "reason": failure.reason})
        raise InvokeFailed(failure)


def read_function_error(payload: bytes) -> RemoteFailure:
    """The status of a function that failed outside our own code: timed out, crashed, ran out of memory.

    What it says of itself may hold a stack with anything in it: only its kind is kept.
    """
    try:
        document = json.loads(payload)
    except ValueError:
        document = {}
    told = document if isinstance(document, dict) else {}
    kind, message = str(told.get("errorType", "")), str(told.get("errorMessage", ""))
    logger.warning("function.failed", extra={"error_type": kind[:100]})
    if kind == "Sandbox.Timedout" or _TIMED_OUT.search(message):
        return transport_failure(grpc.StatusCode.DEADLINE_EXCEEDED, "FUNCTION_TIMED_OUT")
    if kind == "Function.ResponseSizeTooLarge":
        return transport_failure(grpc.StatusCode.RESOURCE_EXHAUSTED)
    return _failure(grpc.StatusCode.UNAVAILABLE, "FUNCTION_ERROR", "The function failed.")


def _read_client_error(response: Any) -> RemoteFailure:
    code = str(response.get("Error", {}).get("Code", ""))
    if code in _THROTTLED:
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return _failure(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "FUNCTION_THROTTLED",
            "Too many calls of the function at once.",
            retry_after_seconds=_seconds(headers.get("retry-after")),
        )
    if code in _TOO_LARGE:
        return transport_failure(grpc.StatusCode.RESOURCE_EXHAUSTED)
    if code == "ResourceNotFoundException":
        return _failure(grpc.StatusCode.UNAVAILABLE, "FUNCTION_UNKNOWN", "There is no such function.")
    if code in _FORBIDDEN:
        return _failure(grpc.StatusCode.PERMISSION_DENIED, "FUNCTION_FORBIDDEN", "The function may not be invoked.")
    return _failure(grpc.StatusCode.UNAVAILABLE, "FUNCTION_UNAVAILABLE", "The function cannot be invoked now.")


def _read_boto_error(kind: str) -> RemoteFailure:
    if kind == "ReadTimeoutError":
        return transport_failure(grpc.StatusCode.DEADLINE_EXCEEDED)
    if kind in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "NoRegionError"):
        return _failure(
            grpc.StatusCode.PERMISSION_DENIED, "AWS_CONFIGURATION_MISSING", "AWS credentials or a region are missing."
        )
    return _failure(grpc.StatusCode.UNAVAILABLE, "FUNCTION_UNREACHABLE", "The function cannot be reached.")


def _failure(
    code: grpc.StatusCode, reason: str, message: str, *, retry_after_seconds: float | None = None
) -> RemoteFailure:
    return RemoteFailure(
        code=code, reason=reason, domain=TRANSPORT_DOMAIN, message=message, retry_after_seconds=retry_after_seconds
    )


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or _THROTTLED_RETRY_SECONDS))
    except ValueError:
        return _THROTTLED_RETRY_SECONDS
