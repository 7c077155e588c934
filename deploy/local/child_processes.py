"""Starting child processes that do not outlive the process that started them."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child calls between fork and exec so that the kernel signals it when its parent is gone.

    None where the system has no such promise; there the watchdog (`deploy.local.watchdog`) does it alone.
    The kernel means the parent *thread*, so children are started from the main thread.
    """
    if _LIBC is None:
        return None
    parent = os.getpid()

    def bind() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # The parent died before the promise was made.
            os._exit(1)

    return bind


def start_child(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    output: int | IO[bytes],
    directory: Path,
    death_signal: signal.Signals,
    user: int | None = None,
    group: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that a Ctrl-C at the terminal reaches only the parent.

    Args:
        output: where both of its output streams go.
        death_signal: what the kernel sends it when this process dies.
        user: user id to run as; needs root.
        group: group id to run as; needs root.
    """
    return subprocess.Popen(
        list(arguments),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=directory,
        start_new_session=True,
        preexec_fn=die_with_parent(death_signal),
        user=user,
        group=group,
        extra_groups=None if user is None else [],
    )


def command_line(pid: int) -> str:
    """The command line of a running process; empty when it ended, collected or not, or never was."""
    if Path("/proc/self").exists():  # Minimal containers have no `ps`.
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    command = ["ps", "-ww", "-o", "stat=", "-o", "args=", "-p", str(pid)]
    state, _, line = subprocess.run(command, capture_output=True, text=True).stdout.strip().partition(" ")
    return "" if state.startswith("Z") else f"{line} "
