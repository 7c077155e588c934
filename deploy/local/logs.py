"""Log files of the children: appended to by themselves, kept small by the supervisor."""

import shutil
from collections.abc import Iterable
from pathlib import Path

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

    def end_of(self, name: str, max_lines: int = 20) -> str:
        """The last lines of a log, for a message to a person."""
        path = self.path(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-max_lines:]) if path.exists() else ""
