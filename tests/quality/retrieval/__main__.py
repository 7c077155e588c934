"""How well questions find what bears on them, in a folder of documents and judgements.

  python -m tests.quality.retrieval --data ../shared/eval/retrieval_cranfield --part public --out build/rankings.jsonl

A part is a folder DATA/PART with corpus.jsonl (_id, title, text), queries.jsonl (_id, text) and qrels/*.tsv; or with
pdfs/*.pdf, questions.jsonl (id, question) and qrels_pages.tsv, of which pages are ranked, named DOC#pN. Everything is
indexed and searched as the services do it, with the embedded model, over a PostgreSQL started for the run. Rankings go
to --out, for score_retrieval.py; a table that tells both legs of the search apart to stderr; the last line of stdout is
one JSON object.

Exit status: 0 after a run, whatever its figures; 1 when the scratch server fails; 2 for bad arguments or data that
cannot be used.
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
    from tests.quality.retrieval.run import Options, evaluate
    from tests.quality.sql.errors import HarnessError

    given = _parser().parse_args(arguments)
    try:
        report = asyncio.run(evaluate(Options(**vars(given))))
    except HarnessError as error:
        print(f"tests.quality.retrieval: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(report.as_text(), file=sys.stderr)
    print(json.dumps(report.as_figures(), allow_nan=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.quality.retrieval",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--data", type=Path, required=True, help="folder of evaluation data, such as ../shared/eval/retrieval_cranfield"
    )
    add("--part", required=True, metavar="NAME", help="folder in it, such as public")
    add("--out", type=Path, required=True, metavar="FILE", help="where rankings go, one JSON object a line")
    add("--limit", type=_positive, metavar="N", help="search for the first N queries alone")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of queries, such as 20")
    return number


if __name__ == "__main__":
    # A termination unwinds as Ctrl-C does, so that the server is stopped and its folder removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
