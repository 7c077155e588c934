"""How well questions are answered from documents, on a folder of both, asked of the real rag service's parts.

  python -m tests.quality.qa --data ../shared/eval/qa_xquad --part public --out build/predictions.jsonl

A part is a folder DATA/PART with questions.jsonl (id, question, answers or answer; evidence, doc, fakeanswer where
known), where there is one unanswerable.jsonl, and documents: files in articles/, documents/ or pdfs/, tables with
paragraphs in contexts.jsonl, passages in corpus.jsonl, or lists of passages beside the questions. Documents are parsed,
cut and indexed as uploads are, in a PostgreSQL started for the run; answers are quoted, without keys. Predictions go to
--out, for score_qa.py; figures to stdout, of which the last line is one JSON object.

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
    from tests.quality.qa.run import Options, evaluate
    from tests.quality.sql.errors import HarnessError

    given = _parser().parse_args(arguments)
    try:
        report = asyncio.run(evaluate(Options(**vars(given))))
    except HarnessError as error:
        print(f"tests.quality.qa: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(report.as_text())
    print(f"Predictions: {given.out}")
    print(json.dumps(report.as_figures(), allow_nan=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.quality.qa", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of evaluation data, such as ../shared/eval/qa_xquad")
    add("--part", required=True, metavar="NAME", help="folder in it, such as public")
    add("--out", type=Path, required=True, metavar="FILE", help="where predictions go, one JSON object a line")
    add("--limit", type=_positive, metavar="N", help="ask the first N questions of each file alone")
    add(
        "--store",
        type=Path,
        metavar="FOLDER",
        help="keep the index there: a second run of the same data embeds nothing",
    )
    add(
        "--passages",
        type=_names,
        metavar="LISTS",
        help="which lists of passages beside the questions are shown, such as positive,negative (default: all)",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of questions, such as 20")
    return number


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


if __name__ == "__main__":
    # A termination unwinds as Ctrl-C does, so that servers are stopped and folders removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
