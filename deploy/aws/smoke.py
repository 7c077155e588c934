"""Try a deployed system as its users would: `python -m deploy.aws.smoke --url URL`

Asks for health and information, uploads a small file twice (the second time nothing may be worked on again), asks the
documents for what the file says and expects it cited, has SQL written for a question and rejects it unrun, looks into
the bucket, and deletes the file again. Data of others is neither read nor changed.

Options:
  --url URL                the gateway, such as the stack's output Url (required)
  --api-key-env NAME       environment variable with an API key, sent as X-API-Key
  --token-env NAME         environment variable with a token, sent as Authorization: Bearer
  --aws-iam                sign requests, for a Function URL with auth AWS_IAM, with the credentials boto3 finds
  --bucket NAME            look there for {extension}/{hash}/original, metadata.json and chunks.json too
  --tenant NAME            tenant of the key, whose files lie under tenants/NAME/ (default)
  --sql-question TEXT      a question that the connected database can answer ("How many orders are there?")
  --timeout-seconds N      for everything, 1 to 900; cleaning up may take 30 more (300)

stdout: a table of checks, their results and times. stderr: which failed, and why.
Exit codes: 0 all passed; 1 some failed; 2 the command line cannot be used.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

from deploy.aws.console import complain, make_client, say, table
from deploy.aws.smoke_checks import Result, SmokeChecks, TimeUp
from deploy.aws.smoke_client import SmokeClient, make_signer
from deploy.aws.versions import Pacing

PASSED, FAILED, REFUSED = 0, 1, 2

_CLEAN_UP_SECONDS = 30.0


@dataclass(frozen=True)
class Options:
    """A command line that makes sense, with the values of the variables it names."""

    url: str
    api_key: str
    token: str
    aws_iam: bool
    bucket: str
    tenant: str
    sql_question: str
    timeout_seconds: float


def read_options(arguments: Sequence[str]) -> Options:
    """Raises ValueError naming the option or variable; exits on --help and on unknown options."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.aws.smoke",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="python -m deploy.aws.smoke --url URL [options]",
    )
    parser.add_argument("--url", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--api-key-env", default="", help=argparse.SUPPRESS)
    parser.add_argument("--token-env", default="", help=argparse.SUPPRESS)
    parser.add_argument("--aws-iam", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--bucket", default="", help=argparse.SUPPRESS)
    parser.add_argument("--tenant", default="default", help=argparse.SUPPRESS)
    parser.add_argument("--sql-question", default="How many orders are there?", help=argparse.SUPPRESS)
    parser.add_argument("--timeout-seconds", type=float, default=300, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    address = urlsplit(given.url)
    if address.scheme not in ("http", "https") or not address.hostname or address.query:
        raise ValueError(f"--url {given.url!r} must be a URL such as https://abc.lambda-url.us-east-1.on.aws")
    if not 1 <= given.timeout_seconds <= 900:
        raise ValueError(f"--timeout-seconds {given.timeout_seconds:g} must be 1 to 900, such as 300")
    if given.token_env and given.aws_iam:
        raise ValueError("--token-env and --aws-iam both need the Authorization header: choose one")
    return Options(
        url=given.url,
        api_key=_variable("--api-key-env", given.api_key_env),
        token=_variable("--token-env", given.token_env),
        aws_iam=given.aws_iam,
        bucket=given.bucket,
        tenant=given.tenant,
        sql_question=given.sql_question,
        timeout_seconds=given.timeout_seconds,
    )


def main(arguments: Sequence[str], pacing: Pacing | None = None) -> int:
    """Try the system. Returns the exit code."""
    try:
        options = read_options(arguments)
        signer = make_signer(options.url, os.environ.get("AWS_REGION", "")) if options.aws_iam else None
        bucket = (make_client("s3"), options.bucket, options.tenant) if options.bucket else None
    except (ValueError, BotoCoreError) as error:
        complain("smoke", error)
        return REFUSED
    headers = {"Accept": "application/json"}
    headers |= {"X-API-Key": options.api_key} if options.api_key else {}
    headers |= {"Authorization": f"Bearer {options.token}"} if options.token else {}
    checks = SmokeChecks(SmokeClient(options.url, headers, signer), options.sql_question, pacing or Pacing())
    with _time_limit(options.timeout_seconds):
        results = checks.run(bucket)
    with _time_limit(_CLEAN_UP_SECONDS):
        cleaned = checks.clean_up()
    results += [cleaned] if cleaned else []
    say(table(("CHECK", "RESULT", "MS"), [_row(result) for result in results]))
    failed = [result for result in results if result.failure]
    for result in failed:
        complain("smoke", f"{result.check} failed: {result.failure}")
    return FAILED if failed else PASSED


def _variable(option: str, name: str) -> str:
    if not name:
        return ""
    value = os.environ.get(name, "").strip()
    if not value:
        raise ValueError(f"{option} names the environment variable {name}, which is not set")
    return value


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeUp wherever the time runs out, a server that drips its answer included."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeUp

    former = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _row(result: Result) -> tuple[str, str, str]:
    verdict = "left out" if result.left_out else "FAILED" if result.failure else "ok"
    return result.check, verdict, "-" if result.left_out else f"{result.milliseconds:.0f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
