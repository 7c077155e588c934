"""What the stand-ins for the rag, sql and ingest services share; they are served on real sockets.

They keep what they are given, judge a question by the words it shares with what they hold, and fail when told to. They
keep the promises of the contracts as far as their callers depend on them.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc

from services.transport.errors import FieldViolation, PassedOn, RemoteFailure
from services.transport.serving import ServiceDefinition, serving
from services.transport.settings import TransportSettings

INTERNAL_KEY = "a key that only the tests of this repository know"
_STOP_WORDS = frozenset(
    re.findall("[a-z]+", "a an and are do does have how is me many of our show the to we what explain tell")
)


def transport_settings() -> TransportSettings:
    """Settings under which the fakes are served and must be called."""
    return TransportSettings(internal_key=INTERNAL_KEY)


def failure(
    code: grpc.StatusCode,
    reason: str,
    message: str = "It went wrong.",
    *,
    domain: str,
    fields: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    retry_after_seconds: float | None = None,
) -> RemoteFailure:
    """A failed call as a service would describe it."""
    violations = tuple(FieldViolation(name, text) for name, text in (fields or {}).items())
    return RemoteFailure(code, reason, domain, message, metadata or {}, violations, retry_after_seconds)


def unknown_method(domain: str) -> RemoteFailure:
    """How a fake ends a call that none of its callers makes."""
    return failure(grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN", domain=domain)


def terms(text: str) -> frozenset[str]:
    """The words of a text that say something."""
    return frozenset(re.findall(r"[a-z0-9]+", text.lower())) - _STOP_WORDS


def overlap(question: str, held: frozenset[str]) -> float:
    """Share of the question's words that are held."""
    asked = terms(question)
    return len(asked & held) / len(asked) if asked else 0.0


@dataclass
class Faults:
    """What goes wrong in a fake: `failure` ends every call, `stall_seconds` delays it; `unhealthy` names its checks."""

    failure: RemoteFailure | None = None
    failures: dict[str, RemoteFailure] = field(default_factory=dict)
    stall_seconds: float = 0.0
    unhealthy: set[str] = field(default_factory=set)

    async def strike(self, method: str) -> None:
        await asyncio.sleep(self.stall_seconds)
        if found := self.failures.get(method, self.failure):
            raise PassedOn(found)

    def check(self, name: str) -> Callable[[], Awaitable[bool]]:
        async def is_healthy() -> bool:
            return name not in self.unhealthy

        return is_healthy


def document_name(content: str | bytes) -> str:
    """Resource name of a document with this content."""
    raw = content.encode() if isinstance(content, str) else content
    return f"documents/{hashlib.sha256(raw).hexdigest()}"


def check_name(name: str, pattern: str, domain: str) -> None:
    """Refuse a resource name that is none."""
    if not re.fullmatch(pattern, name):
        text = f"name must look like {pattern}"
        raise PassedOn(
            failure(grpc.StatusCode.INVALID_ARGUMENT, "NAME_INVALID", text, domain=domain, fields={"name": text})
        )


class Servable(Protocol):
    """A fake that can be served."""

    def definition(self) -> ServiceDefinition: ...


@asynccontextmanager
async def served(servicer: Servable) -> AsyncIterator[str]:
    """Serve a fake on a free port; yields the target to dial."""
    async with serving(servicer.definition(), listen="127.0.0.1:0", settings=transport_settings()) as target:
        yield target


def page_of(items: list[Any], page_size: int, page_token: str, domain: str) -> tuple[list[Any], str]:
    """One page of a list and the token of the next."""
    if page_token and not re.fullmatch(r"p[0-9]{1,6}", page_token):
        text = "page_token is not from this list"
        raise PassedOn(
            failure(
                grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID", text, domain=domain, fields={"page_token": text}
            )
        )
    start = int(page_token[1:]) if page_token else 0
    end = start + (page_size or 50)
    return items[start:end], f"p{end}" if end < len(items) else ""
