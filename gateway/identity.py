"""Who asks: nobody in particular, the holder of an API key, or whom a signed token names."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.docs import DOCS_PATH, SCRIPT_PATH, STYLE_PATH
from gateway.problems import problem_response
from gateway.settings import ApiKey, GatewaySettings
from gateway.tokens import TokenRefused, caller_of_token
from gateway.upload_links import LinkRefused, is_link_path, link_in
from services.transport.identity import Caller, acting_as

LOCAL_CALLER = Caller("default", "local", frozenset({"user", "admin", "sql_trainer"}))
# Where everybody is let in, nobody decides what the service is taught.
ANYBODY = Caller("default", "local", frozenset({"user", "admin"}))
# Read by load balancers and by people who do not have a key yet. They reveal nothing of a tenant.
OPEN_PATHS = frozenset({"/health", DOCS_PATH, SCRIPT_PATH, STYLE_PATH, "/openapi.json"})
OPEN_CALLER = Caller("default", "gateway", frozenset())

_CHALLENGE = 'Bearer realm="diglot"'


class StrangerRefused(Exception):
    """Nobody is known by what a request brings; the text tells its sender what to bring instead."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def caller_for(headers: Mapping[str, str], settings: GatewaySettings) -> Caller:
    """Whom a request speaks for. Raises StrangerRefused."""
    match settings.identity:
        case "none":
            return ANYBODY if settings.environment.lower() == "production" else LOCAL_CALLER
        case "api_key":
            key = _bearer_in(headers) or headers.get("x-api-key", "").strip()
            holder = _holder(key, settings.api_keys) if key else None
            if holder is None:
                how = "Send an API key as `Authorization: Bearer <key>` or `X-API-Key: <key>`."
                raise StrangerRefused("API_KEY_INVALID", f"The API key is unknown. {how}" if key else how)
            return holder
        case "jwt":
            token = _bearer_in(headers)
            if not token:
                raise StrangerRefused("TOKEN_INVALID", "Send a token as `Authorization: Bearer <token>`.")
            try:
                return caller_of_token(token, settings)
            except TokenRefused as error:
                raise StrangerRefused("TOKEN_INVALID", str(error)) from None


def _bearer_in(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


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
        if is_link_path(scope["method"], scope["path"]):
            with acting_as(self._holder_of_link(scope)):
                await self._app(scope, receive, send)
            return
        try:
            caller = caller_for(Headers(scope=scope), self._settings)
        except StrangerRefused as error:
            if scope["path"] not in OPEN_PATHS:
                refusal = problem_response(
                    scope["path"], 401, error.reason, str(error), headers={"WWW-Authenticate": _CHALLENGE}
                )
                await refusal(scope, receive, send)
                return
            caller = OPEN_CALLER
        with acting_as(caller):
            await self._app(scope, receive, send)

    def _holder_of_link(self, scope: Scope) -> Caller:
        """Whom a link speaks for; one that does not hold for nobody, and its route says what is wrong with it."""
        try:
            return link_in(scope["path"], QueryParams(scope["query_string"]), self._settings).caller
        except LinkRefused:
            return OPEN_CALLER
