"""Makes moto's DynamoDB answer one call at a time.

Its server works on calls in parallel, and its transactions take a copy of the table and put that back when a condition
fails: whatever another call wrote meanwhile is lost, which DynamoDB never does. One at a time, they keep their word.
"""

from __future__ import annotations

import threading
from typing import Any


def serve_dynamodb_serially() -> None:
    """Can be repeated. Affects moto in this process alone."""
    from moto.dynamodb.responses import DynamoHandler

    work: Any = DynamoHandler.call_action
    if getattr(work, "is_serial", False):
        return
    lock = threading.Lock()

    def call_action(handler: Any) -> Any:
        with lock:
            return work(handler)

    call_action.is_serial = True  # type: ignore[attr-defined]
    DynamoHandler.call_action = call_action  # type: ignore[method-assign]
