"""One OpenAI client for the process, or for any server that speaks the same protocol.

The SDK would try twice more, sleep for as long as the server says and wait ten minutes for a reply. Here no call
outlives the time its caller has, and a pause of a second or more is the caller's to decide on.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import openai

from services.rag.errors import ModelRefused, RagError, Unavailable
from services.transport.deadlines import call_timeout_seconds

logger = logging.getLogger(__name__)

T = TypeVar("T")

OPENAI_URL = "https://api.openai.com/v1"

_MAX_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 1.0
_CONNECT_SECONDS = 3.0
# How long it is believed that the provider is there, and that it is not.
_TRUST_SECONDS, _DOUBT_SECONDS, _CHECK_SECONDS = 30.0, 5.0, 2.0
_FAILS_FOR_NOW = (408, 409, 429)
# A body that is no JSON, too deep, or with numbers too large comes through the SDK as Python's own error.
_FAILURES = (openai.OpenAIError, TimeoutError, ValueError, RecursionError, OverflowError)


class RequestFiltered(ModelRefused):
    """The provider's content filter does not let the request through."""


class OpenAiClient:
    """Calls with a time limit, a few quick tries, and errors in rag's words."""

    def __init__(self, *, api_key: str, base_url: str) -> None:
        # Only connecting has a limit of its own: every call ends at a time.
        timeout = openai.Timeout(None, connect=_CONNECT_SECONDS)
        self._sdk = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, timeout=timeout)
        self._without_idle: openai.AsyncOpenAI | None = None
        self._reachable = False
        self._believed_until = float("-inf")

    async def call(
        self, send: Callable[[openai.AsyncOpenAI], Awaitable[T]], *, model: str, ends_at: float, away: type[Unavailable]
    ) -> T:
        """What `send` makes of the SDK. `ends_at` is a time of the event loop, see `end_of_call`.

        Tried again on a lost connection, on 5xx and on 429 while there is time and the server asks for less than a
        second; a call that timed out is not.

        Raises: `away`, with the wait the server asks for; ModelRefused.
        """
        loop = asyncio.get_running_loop()
        attempt, sdk = 1, self._sdk
        while True:
            try:
                async with asyncio.timeout_at(ends_at):
                    reply = await send(sdk)
            except _FAILURES as error:
                pause = _pause_seconds(error, attempt)
                if pause is None or attempt == _MAX_ATTEMPTS or loop.time() + pause >= ends_at:
                    raise self._told(error, model, away) from error
                if isinstance(error, openai.APIConnectionError):
                    sdk = self._with_new_connections()
            else:
                self._believe(True)
                return reply
            await asyncio.sleep(pause)
            attempt += 1

    async def read(
        self, stream: openai.AsyncStream[T], *, model: str, ends_at: float, away: type[Unavailable]
    ) -> AsyncGenerator[T, None]:
        """The events of a reply as they come; closes it in the end. Raises as `call` does."""
        try:
            while True:
                try:
                    async with asyncio.timeout_at(ends_at):
                        event = await anext(stream)
                except StopAsyncIteration:
                    return
                except _FAILURES as error:
                    raise self._told(error, model, away) from error
                yield event
        finally:
            await stream.close()

    async def reaches(self, model: str) -> bool:
        """Whether the provider is there and knows us and the model, as far as that can be told at no cost.

        Any recent call tells it; else the model's entry is asked for. A key that may use models but not list them, and
        a server that has no such list, count as there.
        """
        if asyncio.get_running_loop().time() < self._believed_until:
            return self._reachable
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._sdk.models.retrieve(model)
        except openai.APIStatusError as error:
            useless = error.code in ("model_not_found", "insufficient_quota") or error.status_code == 401
            self._believe(not useless and error.status_code < 500)
        except _FAILURES:
            self._believe(False)
        else:
            self._believe(True)
        return self._reachable

    async def close(self) -> None:
        """Give the connections back."""
        await self._sdk.close()
        if self._without_idle is not None:
            await self._without_idle.close()

    def _with_new_connections(self) -> openai.AsyncOpenAI:
        """The client without idle connections: where one was dead, the others are, as after a function was frozen."""
        if self._without_idle is None:
            http = openai.DefaultAsyncHttpxClient(headers={"Connection": "close"})
            self._without_idle = self._sdk.with_options(http_client=http)
        return self._without_idle

    def _believe(self, reachable: bool) -> None:
        self._reachable = reachable
        seconds = _TRUST_SECONDS if reachable else _DOUBT_SECONDS
        self._believed_until = asyncio.get_running_loop().time() + seconds

    def _told(self, error: Exception, model: str, away: type[Unavailable]) -> RagError:
        """A failure in our own words. The provider's text stays out: it may repeat the key or the question."""
        told = _translate(error, model, away)
        facts: dict[str, object] = {"model": model, "error": type(error).__name__}
        if isinstance(error, openai.APIStatusError):
            facts |= {"status": error.status_code, "code": error.code, "provider_request_id": error.request_id}
        logger.warning("model.failed", extra=facts)
        # It may be the call's fault, a short deadline for one: the next check asks anew.
        self._believed_until = float("-inf")
        return told


def end_of_call(timeout_seconds: float) -> float:
    """The event loop's time at which a call made now ends: not past the end of the call that is being served."""
    return asyncio.get_running_loop().time() + call_timeout_seconds(None, timeout_seconds)


def _translate(error: Exception, model: str, away: type[Unavailable]) -> RagError:
    match error:
        case TimeoutError() | openai.APITimeoutError():
            return away(f"The model {model} did not answer in time.")
        case openai.APIConnectionError():
            return away(f"The model {model} cannot be reached, or the connection broke off.")
        case openai.RateLimitError(code="insufficient_quota"):
            return ModelRefused("The account behind OPENAI_API_KEY has no quota left at the model's provider.")
        case openai.RateLimitError():
            wait = retry_after_seconds(error)
            return away(f"The model {model} takes no more requests for now.", retry_after_seconds=wait)
        case openai.AuthenticationError():
            return ModelRefused(
                "The model's provider does not accept this service's key; "
                "set OPENAI_API_KEY to a valid one (for example OPENAI_API_KEY=sk-…)."
            )
        case openai.PermissionDeniedError():
            return ModelRefused(f"The key in OPENAI_API_KEY may not use the model {model}.")
        case openai.NotFoundError():
            return ModelRefused(f"The provider at OPENAI_BASE_URL does not know the model {model}.")
        case openai.BadRequestError(code="content_filter" | "content_policy_violation"):
            return RequestFiltered("The model's provider does not let this request through its content filter.")
        case openai.APIStatusError() if error.status_code >= 500 or error.status_code in _FAILS_FOR_NOW:
            wait = retry_after_seconds(error)
            return away(f"The provider of the model {model} fails for the moment.", retry_after_seconds=wait)
        case openai.APIStatusError():
            return ModelRefused(f"The provider of the model {model} does not take the request ({error.status_code}).")
        case _:
            return away(f"The reply of the model {model} cannot be read.")


def _pause_seconds(error: Exception, attempt: int) -> float | None:
    """How long to wait before the next try; None when there shall be none."""
    if isinstance(error, openai.APITimeoutError) or not isinstance(error, openai.APIError):
        return None
    pause = random.random() * _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)  # noqa: S311 -- spreads load, guards nothing
    if isinstance(error, openai.APIStatusError):
        worthwhile = error.status_code >= 500 or error.status_code in _FAILS_FOR_NOW
        if not worthwhile or error.code == "insufficient_quota":
            return None
        pause = max(pause, retry_after_seconds(error) or 0)
    elif not isinstance(error, openai.APIConnectionError):
        return None
    return pause if pause < _LONGEST_PAUSE_SECONDS else None


def retry_after_seconds(error: openai.APIStatusError) -> float | None:
    """The pause that a reply asks for; None when it asks for none, or by a date."""
    headers = error.response.headers
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(ValueError):
            seconds = float(headers.get(name, "")) * unit
            if 0 <= seconds < float("inf"):
                return seconds
    return None
