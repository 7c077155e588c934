"""The time left: a call made while serving another never outlives it."""

from __future__ import annotations

import math
import time
from contextvars import ContextVar

# Monotonic second at which the call being served ends (inf: it has no deadline); None outside a served call.
_ends_at: ContextVar[float | None] = ContextVar("diglot_served_call_ends_at", default=None)

_MARGIN_SHARE = 0.05
_MAX_MARGIN_SECONDS = 0.1
_ONE_YEAR_SECONDS = 365 * 24 * 60 * 60  # gRPC says "no deadline" by a date far away


def enter_served_call(remaining_seconds: float | None) -> None:
    """Mark this context as serving a call that ends in so many seconds; None when it has no deadline."""
    if remaining_seconds is None or remaining_seconds > _ONE_YEAR_SECONDS:
        _ends_at.set(math.inf)
    else:
        _ends_at.set(time.monotonic() + remaining_seconds)


def swap_served_call(ends_at: float | None) -> float | None:
    """Replace the mark and return the one before; None means: this context serves no call."""
    before = _ends_at.get()
    _ends_at.set(ends_at)
    return before


def inside_served_call() -> bool:
    """Whether this code runs on behalf of a call that another process made."""
    return _ends_at.get() is not None


def call_timeout_seconds(requested: float | None, default: float) -> float:
    """How long a call made now may take: what was asked for, else the default, never past the served call's end.

    A little of the served call's time is kept back, so that our own error wins over the caller's deadline. Negative
    when no time is left: gRPC may still send a call with a timeout of zero, but not one with less.
    """
    timeout = default if requested is None else requested
    ends_at = _ends_at.get()
    if ends_at is not None and ends_at != math.inf:
        remaining = ends_at - time.monotonic()
        timeout = min(timeout, remaining - min(_MAX_MARGIN_SECONDS, remaining * _MARGIN_SHARE))
    return timeout if timeout > 0 else -1.0
