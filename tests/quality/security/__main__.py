"""How hostile files, documents and statements fare, on a folder of them, put to the real services.

  python -m tests.quality.security --data ../shared/eval/security --part public --out build/predictions.jsonl

A part is a folder DATA/PART with any of: bad_files.jsonl (file) and bad_files/, which are uploaded to the ingest
service; poisoned_documents.jsonl (id, document, trigger), which are uploaded and then asked about;
prompt_injections.jsonl (id, text, trigger), which are asked; sql_guard.jsonl (id, sql, expect), which the guard judges
over a schema of the names in them. Services run as in `make run`, without keys, over a PostgreSQL started for the run.
Predictions go to --out; the last line of stdout is one JSON object, of which `bad_files` is the share of files that
were dealt with as they should be, and the others count what went wrong.

Exit status: 0 after a run, whatever its figures; 1 when a service or the scratch server fails; 2 for bad arguments or
data that cannot be used.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

# PostgreSQL is started from this process by fork and exec, which gRPC's own handling of forks now and then kills.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told. Returns: the exit status."""
    from tests.quality.security.run import Options, evaluate
    from tests.quality.sql.errors import HarnessError

    given = _parser().parse_args(arguments)
    try:
        report = asyncio.run(evaluate(Options(**vars(given))))
    except HarnessError as error:
        print(f"tests.quality.security: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(report.as_text())
    print(f"Predictions: {given.out}")
    print(json.dumps(report.as_figures(), allow_nan=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.quality.security",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of evaluation data, such as ../shared/eval/security")
    add("--part", required=True, metavar="NAME", help="folder in it, such as public")
    add("--out", type=Path, required=True, metavar="FILE", help="where predictions go, one JSON object a line")
    add("--limit", type=_positive, metavar="N", help="take the first N of each kind alone")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of files, such as 20")
    return number


if __name__ == "__main__":
    # A termination unwinds as Ctrl-C does, so that servers are stopped and folders removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
