"""Folders for files that are fetched to be read, named after the process that made them.

A process that is killed leaves its folders behind; the next one on the machine removes them when it starts.
"""

import logging
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

logger = logging.getLogger(__name__)

_PREFIX = "diglot-fetched-"
_NAME = re.compile(re.escape(_PREFIX) + r"(\d{1,9})-.+")
_OLD_AFTER_SECONDS = 24 * 3600.0  # by then its number is another process's
_made_here: set[str] = set()


def make_folder() -> Path:
    """A new folder that only this user reads. Raises OSError."""
    folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    _made_here.add(folder)
    return Path(folder)


def sweep_left_behind() -> int:
    """Remove the folders of processes that are gone; how many.

    Another user's, and what cannot be removed, stays.
    """
    count = 0
    try:
        entries = list(os.scandir(tempfile.gettempdir()))
    except OSError:
        return 0
    for entry in entries:
        match = _NAME.fullmatch(entry.name)
        if match is None or entry.path in _made_here or entry.is_symlink() or not entry.is_dir(follow_symlinks=False):
            continue
        try:
            made = entry.stat(follow_symlinks=False)
        except OSError:  # its owner removes it at the moment
            continue
        if made.st_uid != os.getuid():
            continue
        if _is_gone(int(match[1])) or time.time() - made.st_mtime > _OLD_AFTER_SECONDS:
            shutil.rmtree(entry.path, ignore_errors=True)
            count += 1
    if count:
        logger.info("temporary_folders.swept", extra={"count": count})
    return count


def _is_gone(pid: int) -> bool:
    if pid == os.getpid():  # in a container that starts anew, numbers start anew too
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
