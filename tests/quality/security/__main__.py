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

import os
import sys
from collections.abc import Sequence

from tests.quality.command_line import new_parser, show_predictions, status_of, unwind_when_terminated

COMMAND = "tests.quality.security"

# PostgreSQL is started from this process by fork and exec, which gRPC's own handling of forks now and then kills.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told. Returns: the exit status."""
    from tests.quality.security.run import Options, evaluate

    parser = new_parser(
        COMMAND, __doc__, example="security", limit_does="take the first N of each kind alone", counted="files"
    )
    given = parser.parse_args(arguments)
    return status_of(
        COMMAND, lambda: evaluate(Options(**vars(given))), lambda report: show_predictions(report, given.out)
    )


if __name__ == "__main__":
    unwind_when_terminated()
    sys.exit(main())
