"""A chat model behind any address that speaks OpenAI's protocol. Importing this module is expensive: do it when chosen.

Requests are the same bytes for the same messages: no time, no id, no number that is not fixed. What a server does not
take (a temperature, a form of the reply, a system message) is left out from then on. Neither prompts nor replies are
logged, nor the provider's own words, which may repeat them or the key.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import openai

from services.sql.prompting.drafts import REPLY_SCHEMA, Spent
from services.sql.prompting.model_faults import LASTING, ModelFailed, ModelFault

logger = logging.getLogger(__name__)

Message = dict[str, str]
Form = Literal["json_schema", "json_object", "text"]

_LESS: dict[Form, Form] = {"json_schema": "json_object", "json_object": "text"}
_FORMS: dict[Form, dict[str, Any]] = {
    "json_schema": {
        "type": "json_schema",
        "json_schema": {"name": "query", "schema": REPLY_SCHEMA, "strict": True},
    },
    "json_object": {"type": "json_object"},
}
# Models that think first take no temperature.
_WITHOUT_TEMPERATURE = re.compile(r"(?:.*/)?(?:o\d|gpt-[5-9])")
_TOO_LONG = re.compile(r"context|too (?:long|large|many tokens)|token limit|maximum.{0,20}tokens|exceeds.{0,40}tokens")
_ABOUT_FORM = re.compile(r"response_format|json_schema|json_object|json schema|structured|guided|grammar")
_ABOUT_SYSTEM = re.compile(r"system.{0,30}(?:role|message)|role.{0,30}system")
_FILTERED = frozenset({"content_filter", "content_policy_violation"})
_CONNECT_SECONDS = 3.0
_LEAST_SECONDS = 0.01
_LEAST_REPLY_SECONDS = 1.0  # a pause that leaves less is not worth its wait
_FIRST_PAUSE_SECONDS = 0.5
_MOST_BUSY_PAUSES = 3
_MAX_REPLY_BYTES = 2_000_000
# The SDK lets through what it is sent, of whatever shape, and a body that cannot be read as Python's own error.
_FAILURES = (openai.OpenAIError, ValueError, TypeError, AttributeError, LookupError, RecursionError, OverflowError)


@dataclass(frozen=True)
class _Manner:
    """What a request asks for besides a reply. Not every server that speaks the protocol takes all of it."""

    form: Form = "json_schema"
    with_temperature: bool = True
    with_system: bool = True


class OpenAiChat:
    """Synchronous: run it in a thread. `fault` is what the last request came to; None after a reply."""

    def __init__(self, client: openai.OpenAI, *, model: str) -> None:
        # With OPENAI_LOG=debug, the SDK would log every prompt.
        logging.getLogger("openai").setLevel(logging.WARNING)
        self._client = client
        self._model = model
        self._manner = _Manner(with_temperature=not _WITHOUT_TEMPERATURE.match(model))
        self._is_proven = False
        self._closing = threading.Event()
        self.fault: ModelFault | None = None

    def complete(self, messages: Sequence[Message], *, ends_at: float, spent: Spent) -> str:
        """The text of the reply, and what it took. `ends_at` is a time of the monotonic clock.

        Raises: ModelFailed.
        """
        try:
            content = self._in_some_manner(messages, ends_at, spent)
        except _FAILURES as error:
            self.fault = fault = _fault_of(error)
            status = getattr(error, "status_code", None)
            facts = {"error_kind": type(error).__name__, "fault": fault.value, "status": status, "model": self._model}
            logger.log(logging.ERROR if fault in LASTING else logging.WARNING, "model.failed", extra=facts)
            raise ModelFailed(fault) from error
        self.fault = None
        return content

    def close(self) -> None:
        """End every pause."""
        self._closing.set()

    def _in_some_manner(self, messages: Sequence[Message], ends_at: float, spent: Spent) -> str:
        """A reply, asked for with less besides where the server refuses what is asked for."""
        manner = self._manner
        while True:
            try:
                content = self._when_free(messages, manner, ends_at, spent)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                less = self._with_less(manner, error)
                if less is None:
                    raise
                manner = less
            else:
                if manner != self._manner:
                    facts = {"form": manner.form, "temperature": manner.with_temperature, "system": manner.with_system}
                    logger.warning("model.takes_less", extra={"model": self._model, **facts})
                    self._manner = manner
                self._is_proven = True
                return content

    def _with_less(self, manner: _Manner, error: openai.APIStatusError) -> _Manner | None:
        if _fault_of(error) is not ModelFault.REQUEST_REFUSED:
            return None
        said = _words_of(error)
        if "temperature" in said and manner.with_temperature:
            return replace(manner, with_temperature=False)
        if _ABOUT_SYSTEM.search(said) and manner.with_system:
            return replace(manner, with_system=False)
        # Some only say that the request is wrong. What has worked before is not it.
        if manner.form in _LESS and (_ABOUT_FORM.search(said) or not self._is_proven):
            return replace(manner, form=_LESS[manner.form])
        return None

    def _when_free(self, messages: Sequence[Message], manner: _Manner, ends_at: float, spent: Spent) -> str:
        """A reply, waited for while the provider says it is busy and there is time."""
        for pauses in range(_MOST_BUSY_PAUSES + 1):
            try:
                return self._over_a_live_connection(messages, manner, ends_at, spent)
            except openai.RateLimitError as error:
                pause = _pause_seconds(error, pauses)
                if error.code == "insufficient_quota" or pauses == _MOST_BUSY_PAUSES:
                    raise
                if time.monotonic() + pause + _LEAST_REPLY_SECONDS > ends_at or self._closing.wait(pause):
                    raise
        raise AssertionError("the last of the tries returns or raises")

    def _over_a_live_connection(
        self, messages: Sequence[Message], manner: _Manner, ends_at: float, spent: Spent
    ) -> str:
        """One reply, asked for once more where the connection broke off, as idle ones do, or the provider failed."""
        try:
            return self._once(self._client, messages, manner, ends_at, spent)
        except openai.APITimeoutError:
            raise
        except (openai.APIConnectionError, openai.InternalServerError):
            if time.monotonic() >= ends_at:
                raise
            # On a new connection: where an idle one was dead, the others are, as after a function was frozen.
            with openai.DefaultHttpxClient() as http:
                return self._once(self._client.with_options(http_client=http), messages, manner, ends_at, spent)

    def _once(
        self, client: openai.OpenAI, messages: Sequence[Message], manner: _Manner, ends_at: float, spent: Spent
    ) -> str:
        seconds = max(_LEAST_SECONDS, ends_at - time.monotonic())
        more: dict[str, Any] = {"temperature": 0} if manner.with_temperature else {}
        if manner.form in _FORMS:
            more["response_format"] = _FORMS[manner.form]
        sent: Any = list(messages) if manner.with_system else _without_system(messages)
        with client.chat.completions.with_streaming_response.create(
            model=self._model,
            messages=sent,
            timeout=openai.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds)),
            **more,
        ) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > ends_at:  # the SDK's limit holds for each piece: a slow drip would pass it
                    raise openai.APITimeoutError(response.http_request)
                if len(body) > _MAX_REPLY_BYTES:
                    raise ValueError("the reply is too long")
        return _content(json.loads(bytes(body)), spent)


def _content(completion: Any, spent: Spent) -> str:
    """The text of a completion, whose tokens are noted. Raises LookupError, TypeError and ValueError for none."""
    message = completion["choices"][0]["message"]
    content = message.get("content") or ""
    if not isinstance(content, str):
        raise TypeError("the content is no text")
    usage = completion.get("usage") or {}
    spent.input_tokens += int(usage.get("prompt_tokens") or 0)
    spent.output_tokens += int(usage.get("completion_tokens") or 0)
    spent.cached_tokens += int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
    return content


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The same, the rules told by the user: still what every prompt begins with."""
    rules, first, *rest = messages
    return [{"role": "user", "content": f"{rules['content']}\n{first['content']}"}, *rest]


def _fault_of(error: Exception) -> ModelFault:
    match error:
        case openai.APITimeoutError():
            return ModelFault.SLOW
        case openai.RateLimitError(code="insufficient_quota"):
            return ModelFault.NO_QUOTA
        case openai.RateLimitError():
            return ModelFault.BUSY
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return ModelFault.KEY_REFUSED
        case openai.NotFoundError():
            return ModelFault.UNKNOWN_MODEL
        case openai.APIStatusError() if error.status_code in (400, 413, 422):
            if error.code in _FILTERED:
                return ModelFault.FILTERED
            too_long = error.status_code == 413 or error.code == "context_length_exceeded"
            too_long = too_long or _TOO_LONG.search(_words_of(error)) is not None
            return ModelFault.TOO_LONG if too_long else ModelFault.REQUEST_REFUSED
        case openai.APIStatusError() if error.status_code < 500:
            return ModelFault.REQUEST_REFUSED
        case openai.APIStatusError() | openai.APIConnectionError():
            return ModelFault.AWAY
        case _:
            return ModelFault.UNREADABLE


def _words_of(error: openai.APIStatusError) -> str:
    return f"{error.param or ''} {error.code or ''} {error.message}".lower()


def _pause_seconds(error: openai.APIStatusError, pauses: int) -> float:
    """As long as the provider asks for, else longer each time; and a little more, so that not all come back at once."""
    asked = 0.0
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(error.response.headers.get(name, "")) * unit
        except ValueError:  # none, or a date
            continue
        if 0 < seconds < float("inf"):
            asked = seconds
            break
    spread = random.random()  # noqa: S311 -- spreads load, guards nothing
    longest = asked or _FIRST_PAUSE_SECONDS * 2**pauses
    return float(longest + min(1.0, 0.25 * longest) * spread)
