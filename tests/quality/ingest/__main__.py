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

import sys
from collections.abc import Sequence

from tests.quality.command_line import new_parser, show_predictions, status_of, unwind_when_terminated

COMMAND = "tests.quality.ingest"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told. Returns: the exit status."""
    from tests.quality.ingest.run import Options, evaluate

    parser = new_parser(
        COMMAND, __doc__, example="docs_messy", limit_does="read the first N files alone", counted="files"
    )
    given = parser.parse_args(arguments)
    return status_of(
        COMMAND, lambda: evaluate(Options(**vars(given))), lambda report: show_predictions(report, given.out)
    )


if __name__ == "__main__":
    unwind_when_terminated()
    sys.exit(main())
