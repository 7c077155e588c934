"""Logging is the process's own: whoever configures it in a test puts it back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_GATHERED = ("logThreads", "logProcesses", "logMultiprocessing")


@contextmanager
def logging_as_it_was() -> Iterator[logging.Logger]:
    """Lend the root logger; afterwards every handler, level and switch of logging is what it was before."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in ("", *root.manager.loggerDict)}
    gathered = {name: getattr(logging, name) for name in _GATHERED}
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        for name in ("", *root.manager.loggerDict):
            logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))
        for name, value in gathered.items():
            setattr(logging, name, value)
