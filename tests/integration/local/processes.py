"""What the system says about processes."""

import subprocess


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet collected does not."""
    listing = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(listing.stdout.strip()) and not listing.stdout.strip().startswith("Z")


def children_of(pid: int) -> list[int]:
    """Process ids of the direct children."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=", "-o", "ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()]
    return [child for child, parent in pairs if parent == pid]
