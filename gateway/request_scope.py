"""What surrounds every request: its id and trace, security headers, a log line, a span, and the last word on errors."""

from __future__ import annotations

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.docs import DOCS_PATH, DOCS_POLICY
from gateway.problems import ProblemRaised, problem_response
from services.transport.observing import Fact, Observation, begin, is_observed
from services.transport.telemetry import RequestContext, new_request

logger = logging.getLogger(__name__)

CLIENT_GONE = 499
REQUEST_ID_HEADER = "X-Request-ID"
UNEXPECTED_DETAIL = "The gateway failed unexpectedly. The request id finds the reason in the logs."
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_CLOSED_POLICY = "default-src 'none'; frame-ancestors 'none'"
_NO_ROUTE = "unknown"
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})


class RequestScopeMiddleware:
    """Outermost but for CORS: everything inside runs with a request id and cannot end without an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        headers = Headers(scope=scope)
        status = 0
        with new_request(headers.get(REQUEST_ID_HEADER), headers.get("traceparent")) as request:
            observation = _begin(scope, headers, request) if is_observed() else None

            async def send_dressed(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    sent = MutableHeaders(scope=message)
                    sent[REQUEST_ID_HEADER] = request.request_id
                    for name, value in _SECURITY_HEADERS.items():
                        sent.setdefault(name, value)
                    policy = DOCS_POLICY if scope["path"] == DOCS_PATH else _CLOSED_POLICY
                    sent.setdefault("Content-Security-Policy", policy)
                elif observation is not None:
                    observation.response_bytes += len(message.get("body", b""))
                await send(message)

            try:
                await self._app(scope, receive, send_dressed)
            except ClientDisconnect:
                status = CLIENT_GONE  # nobody is left to read an answer
            except ProblemRaised as error:
                if status:
                    raise
                response = problem_response(
                    scope["path"], error.status, error.reason, str(error), fields=error.fields, headers=error.headers
                )
                await response(scope, receive, send_dressed)
            except Exception:
                logger.exception("http.failed", extra={"method": scope["method"]})
                if status:
                    raise
                response = problem_response(scope["path"], 500, "UNEXPECTED", UNEXPECTED_DETAIL)
                await response(scope, receive, send_dressed)
            finally:
                elapsed_ms = round((time.perf_counter() - started_at) * 1_000, 3)
                # The template, never the path: a path can hold anything a client likes to write.
                template = getattr(scope.get("route"), "path", _NO_ROUTE)
                facts = {"method": scope["method"], "route": template, "status": status, "elapsed_ms": elapsed_ms}
                logger.info("http.served", extra=facts)
                if observation is not None:
                    _end(observation, scope["method"], template, status)


def _begin(scope: Scope, headers: Headers, request: RequestContext) -> Observation | None:
    # No path and no query: a client can write anything there, its question for one.
    facts: dict[str, Fact] = {
        "http.request.method": scope["method"] if scope["method"] in _METHODS else "_OTHER",
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope.get("http_version", ""),
    }
    observation = begin("http.server", "HTTP", request, facts)
    length = headers.get("content-length", "")
    if observation is not None and length.isascii() and length.isdigit():
        observation.request_bytes = int(length)
    return observation


def _end(observation: Observation, method: str, template: str, status: int) -> None:
    method = method if method in _METHODS else "HTTP"
    if template == _NO_ROUTE:
        observation.name = method
    else:
        observation.name = f"{method} {template}"
        observation.attributes["http.route"] = template
    if status:
        observation.attributes["http.response.status_code"] = status
    # Status 0: the connection broke before an answer began.
    observation.end(str(status) if status >= 500 or not status else None)
