"""How well files are read, on a folder of them with what a right reading holds, by the real parsing processes.

  python -m tests.quality.ingest --data ../shared/eval/docs_messy --part public --out build/predictions.jsonl

A part is a folder DATA/PART with expect.jsonl (file, must_contain, rows, order, must_not_contain, needs, expect) and
files/. Files are checked and parsed as uploads are, within the bounds of `make run`; USE_DOCLING,
DOCLING_ARTIFACTS_PATH and INGEST_OCR_ENGINE choose who helps, as for the service. Predictions go to --out, for
score_ingest.py; figures to stdout, of which the last line is one JSON object: `all` is the mean share of checks that
hold over all files, `no_ocr` the same over those that need no text recognition.

Exit status: 0 after a run, whatever its figures; 1 when the scorer fails; 2 for bad arguments or data that cannot be
used.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told. Returns: the exit status."""
    from tests.quality.ingest.run import Options, evaluate
    from tests.quality.sql.errors import HarnessError

    given = _parser().parse_args(arguments)
    try:
        report = asyncio.run(evaluate(Options(**vars(given))))
    except HarnessError as error:
        print(f"tests.quality.ingest: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(report.as_text())
    print(f"Predictions: {given.out}")
    print(json.dumps(report.as_figures(), allow_nan=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.quality.ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of evaluation data, such as ../shared/eval/docs_messy")
    add("--part", required=True, metavar="NAME", help="folder in it, such as public")
    add("--out", type=Path, required=True, metavar="FILE", help="where predictions go, one JSON object a line")
    add("--limit", type=_positive, metavar="N", help="read the first N files alone")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of files, such as 20")
    return number


if __name__ == "__main__":
    # A termination unwinds as Ctrl-C does, so that parsing processes are ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
