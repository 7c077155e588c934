"""What the harnesses' commands share: their first arguments, how a run ends, and what a termination does."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.quality.sql.errors import HarnessError


class Report(Protocol):
    """What a run has found."""

    def as_text(self) -> str: ...

    def as_figures(self) -> Mapping[str, object]: ...


def new_parser(
    command: str, description: str | None, *, example: str, limit_does: str, counted: str, written: str = "predictions"
) -> argparse.ArgumentParser:
    """A parser of --data, --part, --out and --limit. `counted` is what --limit counts, in the plural."""

    def positive(text: str) -> int:
        number = int(text) if text.isdecimal() else 0
        if number < 1:
            raise argparse.ArgumentTypeError(f"{text} is no number of {counted}, such as 20")
        return number

    parser = argparse.ArgumentParser(
        prog=f"python -m {command}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help=f"folder of evaluation data, such as ../shared/eval/{example}")
    add("--part", required=True, metavar="NAME", help="folder in it, such as public")
    add("--out", type=Path, required=True, metavar="FILE", help=f"where {written} go, one JSON object a line")
    add("--limit", type=positive, metavar="N", help=limit_does)
    return parser


def status_of(command: str, evaluate: Callable[[], Coroutine[Any, Any, Report]], show: Callable[[Report], None]) -> int:
    """Run to the end, show the report, and print its figures as the last line. Returns: the exit status."""
    try:
        report = asyncio.run(evaluate())
    except HarnessError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    show(report)
    print(json.dumps(report.as_figures(), allow_nan=False))
    return 0


def show_predictions(report: Report, out: Path) -> None:
    """The report, and where the predictions are."""
    print(report.as_text())
    print(f"Predictions: {out}")


def unwind_when_terminated() -> None:
    """Have a termination unwind as Ctrl-C does, so that servers and children are ended and folders removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
