"""How well questions become SQL, on a folder of databases and questions, asked of the real service.

  python -m tests.quality.sql --data ../shared/eval/text2sql_spider_pg --part public --out build/predictions.jsonl

A part is a folder DATA/PART with databases/*.sql (dumps), questions.jsonl (id, db, question, gold_sql, ordered,
category) and, where there is one, unanswerable.jsonl. The dumps are loaded into a PostgreSQL started for the run; the
service is started on one database after the other and asked over its socket, with the settings of `make run` and
without keys. Predictions go to --out, for score_sql.py; figures to stdout, of which the last line is one JSON object.

Exit status: 0 after a run, whatever its figures; 1 when the service or the scratch server fails; 2 for bad arguments or
data that cannot be used.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.quality.command_line import Report, new_parser, show_predictions, status_of, unwind_when_terminated

COMMAND = "tests.quality.sql"

# PostgreSQL is started from this process by fork and exec, which gRPC's own handling of forks now and then kills.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told. Returns: the exit status."""
    from tests.quality.sql.errors import BadInput
    from tests.quality.sql.model_traffic import OPENAI_URL
    from tests.quality.sql.run import Options, evaluate

    given = _parser().parse_args(arguments)

    async def evaluated() -> Report:
        if given.generator == "grounded" and (given.record or given.replay):
            raise BadInput("--record and --replay go with --generator model: the grounded generator asks nobody")
        options = Options(
            **vars(given),
            key=os.environ.get("OPENAI_API_KEY", ""),
            base_url=os.environ.get("OPENAI_BASE_URL") or OPENAI_URL,
        )
        return await evaluate(options)

    return status_of(COMMAND, evaluated, lambda report: show_predictions(report, given.out))


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(
        COMMAND,
        __doc__,
        example="text2sql_defog",
        limit_does="ask the first N questions of each file alone",
        counted="questions",
    )
    add = parser.add_argument
    add(
        "--generator",
        choices=["grounded", "model"],
        default="grounded",
        help="model: OPENAI_API_KEY and OPENAI_BASE_URL lead to it, SQL_MODEL names it (default: grounded)",
    )
    traffic = parser.add_mutually_exclusive_group()
    traffic.add_argument("--record", type=Path, metavar="FILE", help="write every prompt and reply of the model here")
    traffic.add_argument("--replay", type=Path, metavar="FILE", help="hear replies from this file; no key, no network")
    add(
        "--metadata",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="make DB.metadata.json, where there is one, into comments of its columns (default: yes)",
    )
    add(
        "--instructions",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="ask with the extra rules that some questions come with (default: no)",
    )
    return parser


if __name__ == "__main__":
    unwind_when_terminated()
    sys.exit(main())
