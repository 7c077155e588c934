"""Ends the children of a supervisor that died without ending them. Standard library only: `python -S watchdog.py`.

It reads lines from its standard input: "+PID SIGNAL SECONDS" remembers a process group and how to end it, "-PID"
forgets it. When the input ends, the supervisor is gone: each group left gets its signal, and SIGKILL when its seconds
are over. On Linux the kernel signals the direct children as well; this covers their own children, and other systems.
"""

import contextlib
import os
import signal
import sys
import time


def main() -> None:
    """Listen until the input ends, then end what is left."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    left: dict[int, tuple[int, float]] = {}
    for line in sys.stdin:
        words = line[1:].split()
        if line.startswith("+"):
            left[int(words[0])] = (int(words[1]), float(words[2]))
        else:
            left.pop(int(words[0]), None)
    began = time.monotonic()
    for group, (gently, _) in left.items():
        _signal(group, gently)
    while left:
        for group, (_, patience_seconds) in list(left.items()):
            if not _alive(group):
                del left[group]
            elif time.monotonic() - began > patience_seconds:
                _signal(group, signal.SIGKILL)
                del left[group]
        time.sleep(0.05)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
