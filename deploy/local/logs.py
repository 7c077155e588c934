"""Log files of the children: appended to by themselves, kept small by the supervisor."""

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from services.transport.settings import REFUSED_PREFIX

MAX_LOG_BYTES = 5 * 1024 * 1024


class LogFolder:
    """One file a child, `NAME.log`, and the stretch before it, `NAME.log.1`."""

    def __init__(self, folder: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._max_bytes = max_bytes

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def rotate(self, names: Iterable[str]) -> None:
        """Move what grew too large aside. Children hold their file open, so it is copied and emptied, not renamed;
        they append, and go on at the new end.
        """
        for name in names:
            path = self.path(name)
            if path.exists() and path.stat().st_size > self._max_bytes:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                with path.open("r+b") as file:
                    file.truncate(0)

    def size(self, name: str) -> int:
        """Bytes of a log now: what `said_since` is asked with later."""
        path = self.path(name)
        return path.stat().st_size if path.exists() else 0

    def said_since(self, name: str, size: int, max_lines: int = 20) -> list[str]:
        """The last lines of a log that were written after it had that size, for a message to a person."""
        path = self.path(name)
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(min(size, path.stat().st_size))
            return file.read().decode(errors="replace").splitlines()[-max_lines:]


def refusal_in(lines: Iterable[str]) -> str | None:
    """The settings at fault, when a service says that it was refused because of some; None else."""
    refusals = [line for line in lines if line.startswith(REFUSED_PREFIX)]
    return refusals[-1].removeprefix(REFUSED_PREFIX) if refusals else None


def told_in(lines: Iterable[str]) -> str | None:
    """The last sentence that a service's log tells whoever starts it; None when it tells nothing."""
    told: str | None = None
    for line in lines:
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and isinstance(entry.get("told"), str):
                told = entry["told"]
    return told


def advice_in(lines: Iterable[str]) -> list[str]:
    """What a service's log advises whoever set it up, each once, in order."""
    advice: dict[str, None] = {}
    for line in lines:
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and isinstance(entry.get("advice"), str):
                advice[entry["advice"]] = None
    return list(advice)
