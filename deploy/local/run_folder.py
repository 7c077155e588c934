"""A short-lived private folder for sockets: short because a socket's path may have 103 bytes at most."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.data_folder import write_whole

_PREFIX = "diglot-"
_LONGEST = len("/diglot-abcdefgh/services/gateway.sock")


@dataclass(frozen=True)
class RunFolder:
    """`services` holds the sockets of the services, `postgres` that of PostgreSQL, which may run as another user."""

    services: Path
    postgres: Path

    def address(self, service: str) -> str:
        """Where a service listens and is dialled."""
        return f"unix:{self.services / service}.sock"


@contextmanager
def run_folder(data_folder: Path) -> Iterator[RunFolder]:
    """Make the folder, and remove it afterwards; one that a killed run left behind is removed too."""
    memory = data_folder / "run-folder"
    if memory.exists():
        left_over = Path(memory.read_text().strip())
        if left_over.name.startswith(_PREFIX):
            shutil.rmtree(left_over, ignore_errors=True)
    parent = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent if len(parent) + _LONGEST <= 100 else "/tmp"))  # noqa: S108
    write_whole(memory, f"{folder}\n")
    run = RunFolder(folder / "services", folder / "postgres")
    run.services.mkdir(mode=0o700)
    run.postgres.mkdir(mode=0o700)
    try:
        yield run
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        memory.unlink(missing_ok=True)
