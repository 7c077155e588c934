"""What a process tells of its work besides log lines: spans and measures, to whomever the settings name.

Nobody is told anything unless settings ask for it, and then nothing is imported for it and a call pays a comparison.
What is told are names, times, sizes and statuses; never a question, SQL, a row, a prompt or a key.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from services.transport.settings import TransportSettings
    from services.transport.telemetry import RequestContext

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 0.3  # the longest a function keeps its caller waiting for telemetry
_FLUSH_MARGIN_SECONDS = 0.1
_STOP_SECONDS = 2.0

Fact = str | bool | int | float
Kind = Literal["rpc.server", "rpc.client", "http.server", "consumer", "client", "internal"]

_SERVED: frozenset[Kind] = frozenset({"rpc.server", "http.server", "consumer"})


class Observation:
    """A piece of work from its begin to its end.

    `attributes` have the names of OpenTelemetry's semantic conventions. `error_type` is None for work that did not
    fail; a refusal of what the caller sent is no failure of whoever serves it.
    """

    __slots__ = (
        "_began_at",
        "attributes",
        "elapsed_seconds",
        "error_type",
        "kind",
        "name",
        "request",
        "request_bytes",
        "response_bytes",
        "started_ns",
    )

    def __init__(self, kind: Kind, name: str, request: RequestContext, attributes: dict[str, Fact]) -> None:
        self.kind = kind
        self.name = name
        self.request = request
        self.attributes = attributes
        self.error_type: str | None = None
        self.request_bytes = self.response_bytes = 0
        self.elapsed_seconds = 0.0
        self.started_ns = time.time_ns()
        self._began_at = time.perf_counter()

    def end(self, error_type: str | None = None) -> None:
        """Tell it. Never raises."""
        self.elapsed_seconds = time.perf_counter() - self._began_at
        self.error_type = error_type
        if error_type is not None:
            self.attributes["error.type"] = error_type
        # Observers read later and elsewhere, and somebody may still hold the request and add to its facts.
        self.attributes = self.attributes.copy()
        for observer in _state.observers:
            try:
                observer.observe(self)
            except Exception:
                logger.exception("telemetry.failed", extra={"observer": type(observer).__name__})


class Observer(Protocol):
    """Is told of work that has ended."""

    def observe(self, observation: Observation) -> None:
        """Take note of it, in some microseconds."""

    def flush(self, seconds: float) -> None:
        """Send what was noted, before this process is frozen; wait for it so long at most."""

    def stop(self, seconds: float) -> None:
        """The same, and no more is to come."""


class _State:
    """Of the process, like its logging."""

    observers: tuple[Observer, ...] = ()
    traced = False
    """Whether calls made and steps are told too, which measures of the service alone need not."""
    cold = False
    """A function's environment is cold until its first piece of work."""


_state = _State()


def is_observed() -> bool:
    """Whether anybody is told of what this process serves."""
    return bool(_state.observers)


def is_traced() -> bool:
    """Whether anybody is told of the calls that this process makes, and of the steps of its work."""
    return _state.traced


def begin(kind: Kind, name: str, request: RequestContext, attributes: dict[str, Fact]) -> Observation | None:
    """Work begins; None when nobody is told. What is annotated for the request while it runs becomes part of it."""
    if not _state.observers:
        return None
    request.facts = attributes
    if _state.cold and kind in _SERVED:
        _state.cold = False
        attributes["faas.coldstart"] = True
    return Observation(kind, name, request, attributes)


def start_telemetry(service_name: str, settings: TransportSettings, *, is_function: bool = False) -> None:
    """Tell of this process's work from now on as the settings say. Calling it again replaces what it set up.

    A function sends when it is flushed, because it is frozen between calls; a server, all the time.
    """
    stop_telemetry()
    observers: list[Observer] = []
    if settings.metrics == "emf":
        from services.transport.emf import EmfObserver

        observers.append(EmfObserver(service_name))
    if _sends_otlp(settings) or _sends_to_opik(settings):
        # Imported here: OpenTelemetry takes a tenth of a second.
        from services.transport.otlp_export import open_otlp

        observers.extend(open_otlp(service_name, settings, is_function=is_function))
        _state.traced = True
    _state.observers = tuple(observers)
    _state.cold = is_function


def flush_before_freeze(context: Any) -> None:
    """Send what was told, at the end of a function's event; `context` is Lambda's, which knows the time left.

    Waits 0.3 s at most, whatever becomes of the places it is sent to. Never raises.
    """
    if not _state.observers:
        return
    seconds = min(_FLUSH_SECONDS, context.get_remaining_time_in_millis() / 1_000 - _FLUSH_MARGIN_SECONDS)
    for observer in _state.observers:
        if seconds <= 0:
            return
        began_at = time.monotonic()
        observer.flush(seconds)
        seconds -= time.monotonic() - began_at


def stop_telemetry() -> None:
    """Send what was told, and tell nobody anything from now on."""
    observers, _state.observers, _state.traced = _state.observers, (), False
    for observer in observers:
        observer.stop(_STOP_SECONDS / len(observers))


def telemetry_parts(settings: TransportSettings) -> Mapping[str, str]:
    """Where traces and metrics go: `{"traces": "otlp, opik", "metrics": "off"}`. Logs always go to stderr."""
    otlp = ["otlp"] if _sends_otlp(settings) else []
    opik = ["opik"] if _sends_to_opik(settings) else []
    emf = ["emf"] if settings.metrics == "emf" else []
    return {"traces": ", ".join(otlp + opik) or "off", "metrics": ", ".join(otlp + emf) or "off"}


def _sends_otlp(settings: TransportSettings) -> bool:
    return settings.otlp_endpoint is not None


def _sends_to_opik(settings: TransportSettings) -> bool:
    return settings.opik_api_key is not None or settings.opik_url_override is not None
