"""The folder that outlives a stop: who holds it, its generated secrets, and what has been done in it once."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.databases import READER, STORE_ROLES
from deploy.local.errors import DataFolderInUse, LocalError

_SECRET_NAMES = ("internal_key", READER, *STORE_ROLES.values())


@contextmanager
def held(folder: Path, url: str) -> Iterator[None]:
    """Hold the data folder for this process alone; the system lets go of it however the process ends.

    Raises:
        DataFolderInUse: another process holds it; the message says which and where it listens.
        LocalError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise LocalError(f"DIGLOT_DATA_DIR: the folder {folder} cannot be used: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DataFolderInUse(
                f"Diglot already runs on the data folder {folder}: {lock.read().strip() or 'just starting'}. "
                "Stop it first, or choose another folder with DIGLOT_DATA_DIR"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, {url}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        lock.flush()
        yield


def generated_secrets(folder: Path) -> Mapping[str, str]:
    """Passwords by role and the `internal_key`, made once, readable by the owner alone."""
    path = folder / "secrets.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in _SECRET_NAMES if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(36) for name in missing}
        write_whole(path, json.dumps(known, indent=2))
    return known


class DoneOnce:
    """Names of steps that are never to be taken again, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: list[str] = json.loads(path.read_text()) if path.exists() else []

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        self._names.append(name)
        write_whole(self._path, json.dumps(self._names, indent=2))


def write_whole(path: Path, content: str) -> None:
    """Replace a file so that a crash leaves the old content or the new one; readable by the owner alone."""
    draft = path.with_suffix(path.suffix + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    with draft.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
