"""Functions that misbehave, for the transport's tests: what AWS runs need not be ours, or well."""

from __future__ import annotations

import os
import time
from typing import Any

from tests.echo.servicer import SECRET_TEXT


def sleep(event: Any, context: Any) -> None:
    """Runs past every timeout."""
    time.sleep(3_600)


def crash(event: Any, context: Any) -> None:
    """Ends its process in the middle of a call."""
    os._exit(3)


def fail(event: Any, context: Any) -> None:
    """Raises, with something secret in its text."""
    raise ValueError(SECRET_TEXT)


def greet(event: Any, context: Any) -> dict[str, str]:
    """Answers, but with no envelope."""
    return {"message": "hello"}


def flood(event: Any, context: Any) -> dict[str, str]:
    """Answers more than an invoke carries."""
    return {"message": "x" * (7 * 1024 * 1024)}


def return_event(event: Any, context: Any) -> Any:
    """Hands back its event: the least a function can do."""
    return event
