"""Who asks: nobody in particular, or the holder of an API key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.docs import DOCS_PATH, SCRIPT_PATH, STYLE_PATH
from gateway.problems import problem_response
from gateway.settings import ApiKey, GatewaySettings
from services.transport.identity import Caller, acting_as

LOCAL_CALLER = Caller("default", "local", frozenset({"user", "admin"}))
# Read by load balancers and by people who do not have a key yet. They reveal nothing of a tenant.
OPEN_PATHS = frozenset({"/health", DOCS_PATH, SCRIPT_PATH, STYLE_PATH, "/openapi.json"})
OPEN_CALLER = Caller("default", "gateway", frozenset())

_CHALLENGE = 'Bearer realm="diglot"'


def caller_for(headers: Mapping[str, str], settings: GatewaySettings) -> Caller | None:
    """Whom a request speaks for; None when it brings no key or an unknown one."""
    if settings.identity == "none":
        return LOCAL_CALLER
    key = _key_in(headers)
    return _holder(key, settings.api_keys) if key else None


def _key_in(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip()


def _holder(key: str, keys: Mapping[str, ApiKey]) -> Caller | None:
    """Compares with every hash, so that the time tells nothing about which one came near."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    found: ApiKey | None = None
    for known, holder in keys.items():
        if hmac.compare_digest(digest, known):
            found = holder
    return Caller(found.tenant, found.subject, found.roles) if found else None


class IdentityMiddleware:
    """Runs every request as its caller; refuses strangers before their body is read."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = caller_for(Headers(scope=scope), self._settings)
        if caller is None and scope["path"] in OPEN_PATHS:
            caller = OPEN_CALLER
        if caller is None:
            detail = "Send an API key as `Authorization: Bearer <key>` or `X-API-Key: <key>`."
            refusal = problem_response(
                scope["path"], 401, "API_KEY_INVALID", detail, headers={"WWW-Authenticate": _CHALLENGE}
            )
            await refusal(scope, receive, send)
            return
        with acting_as(caller):
            await self._app(scope, receive, send)
