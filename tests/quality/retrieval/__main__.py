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

import os
import sys
from collections.abc import Sequence

from tests.quality.command_line import new_parser, status_of, unwind_when_terminated

COMMAND = "tests.quality.retrieval"

# PostgreSQL is started from this process by fork and exec, which gRPC's own handling of forks now and then kills.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told. Returns: the exit status."""
    from tests.quality.retrieval.run import Options, evaluate

    parser = new_parser(
        COMMAND,
        __doc__,
        example="retrieval_cranfield",
        limit_does="search for the first N queries alone",
        counted="queries",
        written="rankings",
    )
    given = parser.parse_args(arguments)
    return status_of(
        COMMAND,
        lambda: evaluate(Options(**vars(given))),
        lambda report: print(report.as_text(), file=sys.stderr),
    )


if __name__ == "__main__":
    unwind_when_terminated()
    sys.exit(main())
