"""What the programs of this folder share at the console: logs, tables, signals, clients."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any

from deploy.aws.release_errors import Interrupted

if TYPE_CHECKING:
    from botocore.config import Config

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def log_to_stderr() -> None:
    """Lines with a time on stderr, so that stdout holds the result alone."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("deploy.aws")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def say(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(program: str, text: object) -> None:
    """A line about what went wrong."""
    sys.stderr.write(f"{program}: {text}\n")
    sys.stderr.flush()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def ignore_signals() -> None:
    """From now on nothing but SIGKILL cuts this short."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into Interrupted; ignore later ones, which would cut a rollback short."""

    def stop(number: int, frame: FrameType | None) -> None:
        ignore_signals()
        raise Interrupted(f"stopped by {signal.Signals(number).name}")

    former = [signal.signal(each, stop) for each in _SIGNALS]
    try:
        yield
    finally:
        for each, handler in zip(_SIGNALS, former, strict=True):
            signal.signal(each, handler)


def client_config() -> Config:
    """Bounded waits; throttling and lost answers are tried again, which every call made here allows."""
    from botocore.config import Config

    return Config(
        connect_timeout=5,
        read_timeout=90,
        retries={"total_max_attempts": 6, "mode": "standard"},
        user_agent_extra="diglot-deploy",
    )


def make_client(service: Any) -> Any:
    """A boto3 client by the environment's credentials and region. Raises BotoCoreError: no region, for one."""
    return _session().client(service, config=client_config())


@cache
def _session() -> Any:
    """One for all clients of a program: each session reads botocore's descriptions of AWS anew."""
    from services.transport.aws_clients import aws_session

    return aws_session()
