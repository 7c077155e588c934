"""Import a Lambda handler and hand it one event, timed: `… -m tests.performance.first_event MODULE < event.json`."""

import importlib
import json
import sys
import time


class Context:
    """As much of Lambda's context as handlers read."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"
    function_name = "bench"
    memory_limit_in_mb = "1024"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def main() -> None:
    event = json.load(sys.stdin)
    started = time.perf_counter()
    handler = importlib.import_module(sys.argv[1]).handler
    imported = time.perf_counter()
    reply = handler(event, Context())
    handled = time.perf_counter()
    outcome = reply.get("status") or reply.get("statusCode")
    figures = {"import_ms": (imported - started) * 1000, "total_ms": (handled - started) * 1000, "outcome": outcome}
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
