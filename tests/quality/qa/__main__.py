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

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.quality.command_line import new_parser, show_predictions, status_of, unwind_when_terminated

COMMAND = "tests.quality.qa"

# PostgreSQL is started from this process by fork and exec, which gRPC's own handling of forks now and then kills.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told. Returns: the exit status."""
    from tests.quality.qa.run import Options, evaluate

    parser = new_parser(
        COMMAND,
        __doc__,
        example="qa_xquad",
        limit_does="ask the first N questions of each file alone",
        counted="questions",
    )
    add = parser.add_argument
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
    given = parser.parse_args(arguments)
    return status_of(
        COMMAND, lambda: evaluate(Options(**vars(given))), lambda report: show_predictions(report, given.out)
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


if __name__ == "__main__":
    unwind_when_terminated()
    sys.exit(main())
