"""Whose web pages may make a browser ask a gateway that wants no key.

Whoever opens a page lets it send requests from his machine, to what only his machine reaches too. A key would stop
them; without one, two things tell such a request: what the browser says about where it comes from, and the name it was
sent to, for a name in the page's own hands can be made to point here (DNS rebinding).
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.problems import problem_response
from gateway.settings import GatewaySettings

_READING = frozenset({"GET", "HEAD", "OPTIONS"})  # a foreign page may send these and never sees what comes back
_FOREIGN_DETAIL = "A page of another origin sent this. ALLOWED_ORIGINS names the origins that may."
_HOST_DETAIL = (
    "This gateway wants no key and answers to names it knows alone: reach it by an IP address or as localhost, name "
    "others by GATEWAY_ALLOWED_HOSTS, or set ALLOW_ANONYMOUS=1 where something in front of it checks who asks."
)


def serves_own_machine_alone(settings: GatewaySettings) -> bool:
    """Whether it listens where only this machine reaches it, and nothing in front of it lets others in."""
    name = _name_in(settings.listen)
    return not settings.allow_anonymous and (name == "localhost" or _is_address(name, loopback=True))


class OriginMiddleware:
    """Refuses, where no key is wanted, what a foreign web page makes a browser send.

    Where the settings name hosts, or with `own_machine_alone`, which means localhost, it refuses other names too; an
    address in numbers cannot be rebound.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings, *, own_machine_alone: bool) -> None:
        self._app = app
        self._guards = settings.identity == "none"
        names = settings.allowed_hosts or (("localhost",) if own_machine_alone else ())
        self._names = frozenset() if settings.allow_anonymous else frozenset(names)
        self._allowed = frozenset(settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._guards:
            headers = Headers(scope=scope)
            refusal = None
            if self._names and not self._knows(headers.get("host", "")):
                refusal = problem_response(scope["path"], 403, "HOST_NOT_ALLOWED", _HOST_DETAIL)
            elif scope["method"] not in _READING and self._is_foreign(headers):
                refusal = problem_response(scope["path"], 403, "ORIGIN_NOT_ALLOWED", _FOREIGN_DETAIL)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        name = _name_in(host)
        return not name or name in self._names or _is_address(name)

    def _is_foreign(self, headers: Headers) -> bool:
        """Browsers send Sec-Fetch-Site, older ones Origin alone; who sends neither is no browser."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin in self._allowed:
            return False
        if site is not None:
            return site not in ("same-origin", "none")
        return origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()


def _name_in(address: str) -> str:
    """The host of `host:port`, where the port may be missing."""
    name = address[1:].partition("]")[0] if address.startswith("[") else address.partition(":")[0]
    return name.lower()


def _is_address(name: str, *, loopback: bool = False) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not loopback
