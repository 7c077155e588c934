"""A service that does what its environment tells it: `python -m tests.integration.local.stand_in`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    print(f"up {os.environ['NAME']}", flush=True)
    if os.environ.get("FAIL"):
        sys.exit(3)
    if os.environ.get("SAY"):
        sys.exit(os.environ["SAY"])
    if os.environ.get("STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pids = Path(os.environ["PIDS"])
    child = subprocess.Popen(["sleep", "600"])
    with pids.open("a") as file:
        file.write(f"{os.getpid()}\n{child.pid}\n")

    def end(*_: object) -> None:
        with pids.with_suffix(".ends").open("a") as file:
            file.write(f"{os.environ['NAME']}\n")
        sys.exit(0)

    if not os.environ.get("STUBBORN"):
        signal.signal(signal.SIGTERM, end)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
