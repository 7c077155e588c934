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
    from tests.quality.sql.errors import BadInput, HarnessError
    from tests.quality.sql.model_traffic import OPENAI_URL
    from tests.quality.sql.run import Options, evaluate

    given = _parser().parse_args(arguments)
    try:
        if given.generator == "grounded" and (given.record or given.replay):
            raise BadInput("--record and --replay go with --generator model: the grounded generator asks nobody")
        options = Options(
            **vars(given),
            key=os.environ.get("OPENAI_API_KEY", ""),
            base_url=os.environ.get("OPENAI_BASE_URL") or OPENAI_URL,
        )
        report = asyncio.run(evaluate(options))
    except HarnessError as error:
        print(f"tests.quality.sql: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(report.as_text())
    print(f"Predictions: {given.out}")
    print(json.dumps(report.as_figures(), allow_nan=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.quality.sql", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of evaluation data, such as ../shared/eval/text2sql_defog")
    add("--part", required=True, metavar="NAME", help="folder in it, such as public")
    add("--out", type=Path, required=True, metavar="FILE", help="where predictions go, one JSON object a line")
    add(
        "--generator",
        choices=["grounded", "model"],
        default="grounded",
        help="model: OPENAI_API_KEY and OPENAI_BASE_URL lead to it, SQL_MODEL names it (default: grounded)",
    )
    traffic = parser.add_mutually_exclusive_group()
    traffic.add_argument("--record", type=Path, metavar="FILE", help="write every prompt and reply of the model here")
    traffic.add_argument("--replay", type=Path, metavar="FILE", help="hear replies from this file; no key, no network")
    add("--limit", type=_positive, metavar="N", help="ask the first N questions of each file alone")
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


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of questions, such as 20")
    return number


if __name__ == "__main__":
    # A termination unwinds as Ctrl-C does, so that servers are stopped and folders removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
