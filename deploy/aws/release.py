"""Release images to the functions of a stack: `python -m deploy.aws.release --images rag=URI gateway=URI ...`

Every function gets its image, by digest, and publishes a version. Each new version is asked directly whether it
answers; then a share of the calls to alias `live` goes to it, CloudWatch and direct questions are watched for a
while, and then all calls go to it. Functions that are called come before those that call them. Either all functions
shift or none: after any failure, and after SIGINT or SIGTERM, every alias goes back to the version that answered
before, without shares, and the SNS topic is told. If this program is killed, `python -m deploy.aws.rollback` does
that from what it left in the aliases' descriptions. Two releases at once: the second is refused.

Options:
  --prefix NAME            prefix of the stack's functions (diglot)
  --images PART=URI ...    images in ECR by tag or digest; PART of rag, sql, ingest, router, gateway. The function
                           `images` runs the ingest image. Parts that are not named stay as they are
  --release-id ID          up to 64 of letters, digits, '.', '_', '-', such as a commit (a time)
  --canary-percent N       share of the calls during the canary, 1 to 99; 0 leaves it out, as AWS wants it when
                           versions differ in their role or dead-letter queue (10)
  --watch-seconds N        how long the canary is watched, 0 to 3600; metrics come about a minute late (120)
  --max-error-rate R       failed calls of a new version that are borne, 0 to 1; the URL's answers may be 5xx by as much
                           more often than in the hour before (0.01)
  --sns-topic-arn ARN      topic to tell when the release failed (nobody is told)

Environment: AWS_REGION and credentials as boto3 takes them. They need lambda:GetAlias, UpdateAlias,
GetFunctionConfiguration, UpdateFunctionCode, PublishVersion, ListVersionsByFunction and InvokeFunction on the
functions, ecr:DescribeImages and what Lambda asks of who gives it an image (ecr:BatchGetImage,
ecr:GetDownloadUrlForLayer), cloudwatch:GetMetricData, and sns:Publish on the topic.

stdout: a table of functions, the version before and the version now. stderr: what is being done.
Exit codes: 0 released; 1 failed, and everything is back as it was; 2 refused before anything was changed;
3 failed, and not everything is back: run the rollback that the last line names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from deploy.aws.alias_note import Stamp, stamp_of
from deploy.aws.aliases import LiveAliases
from deploy.aws.canary_watch import CanaryWatch
from deploy.aws.console import complain, ignore_signals, log_to_stderr, make_client, say, stoppable, table
from deploy.aws.image_digests import by_digest, checked_uri
from deploy.aws.notices import notify
from deploy.aws.parts import IMAGES, checked_prefix, named_values
from deploy.aws.release_errors import Interrupted, ReleaseError, RollbackIncomplete, explained
from deploy.aws.release_steps import Outcome, Plan, Release, with_shared_images
from deploy.aws.undo import Undo
from deploy.aws.version_probe import VersionProbe
from deploy.aws.versions import Pacing, Versions

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

DONE, FAILED, REFUSED, STUCK = 0, 1, 2, 3

_EXAMPLE = "rag=123456789012.dkr.ecr.us-east-1.amazonaws.com/diglot-rag:4f2c1e"


@dataclass(frozen=True)
class Options:
    """A command line that makes sense."""

    prefix: str
    images: Mapping[str, str]
    stamp: Stamp
    canary_share: float
    watch_seconds: float
    max_error_rate: float
    sns_topic_arn: str


def read_options(arguments: Sequence[str]) -> Options:
    """Raises ValueError naming the option; exits on --help and on unknown options."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.aws.release",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="python -m deploy.aws.release [options] --images PART=URI ...",
    )
    parser.add_argument("--prefix", default="diglot", help=argparse.SUPPRESS)
    parser.add_argument("--images", nargs="+", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--release-id", default=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}", help=argparse.SUPPRESS)
    parser.add_argument("--canary-percent", type=float, default=10, help=argparse.SUPPRESS)
    parser.add_argument("--watch-seconds", type=float, default=120, help=argparse.SUPPRESS)
    parser.add_argument("--max-error-rate", type=float, default=0.01, help=argparse.SUPPRESS)
    parser.add_argument("--sns-topic-arn", default="", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    images = named_values("--images", given.images, IMAGES, _EXAMPLE)
    for uri in images.values():
        checked_uri(uri)
    if not (given.canary_percent == 0 or 1 <= given.canary_percent <= 99):
        raise ValueError(f"--canary-percent {given.canary_percent:g} must be 1 to 99, or 0 for no canary, such as 10")
    if not 0 <= given.watch_seconds <= 3600:
        raise ValueError(f"--watch-seconds {given.watch_seconds:g} must be 0 to 3600, such as 120")
    if not 0 <= given.max_error_rate <= 1:
        raise ValueError(f"--max-error-rate {given.max_error_rate:g} must be 0 to 1, such as 0.01 for one in a hundred")
    return Options(
        prefix=checked_prefix(given.prefix),
        images=images,
        stamp=stamp_of(given.release_id, datetime.now(UTC)),
        canary_share=given.canary_percent / 100,
        watch_seconds=given.watch_seconds,
        max_error_rate=given.max_error_rate,
        sns_topic_arn=given.sns_topic_arn,
    )


def main(arguments: Sequence[str], pacing: Pacing | None = None) -> int:
    """Release. Returns the exit code."""
    try:
        options = read_options(arguments)
    except ValueError as error:
        complain("release", error)
        return REFUSED
    log_to_stderr()
    pacing = pacing or Pacing()
    try:
        client = make_client("lambda")
        aliases, versions = LiveAliases(client, options.prefix), Versions(client, options.prefix, pacing)
        probe = VersionProbe(client, options.prefix, pacing)
        canary = CanaryWatch(make_client("cloudwatch"), probe, options.prefix, options.max_error_rate, pacing)
        release = Release(aliases, versions, probe, canary, options.prefix)
        registry = make_client("ecr")
        people = make_client("sns") if options.sns_topic_arn else None
        wanted = with_shared_images({part: by_digest(registry, uri) for part, uri in options.images.items()})
        images = {part: wanted[part] for part in release.prepare(wanted)}
        stamp = release.stamped(options.stamp)
    except BotoCoreError as error:
        complain("release", f"refused, nothing was changed: {explained(error, 'start')}")
        return REFUSED
    except ReleaseError as error:
        complain("release", f"refused, nothing was changed: {error}")
        return REFUSED
    plan = Plan(stamp, images, options.canary_share, options.watch_seconds)
    return _run(release, plan, Undo(aliases, versions, options.prefix), people, options)


def _run(release: Release, plan: Plan, undo: Undo, people: SNSClient | None, options: Options) -> int:
    with stoppable():
        try:
            outcomes = release.run(plan)
        except (Exception, Interrupted) as error:  # Whatever it was: callers get back what they had.
            ignore_signals()
            complain("release", f"failed: {error}")
            return _take_back(undo, people, options, error)
    say(table(("FUNCTION", "BEFORE", "NOW"), [_row(options.prefix, outcome) for outcome in outcomes]))
    return DONE


def _take_back(undo: Undo, people: SNSClient | None, options: Options, cause: BaseException) -> int:
    """Undo the release, tell people, and return the exit code."""
    try:
        undone = undo.undo(options.stamp.id)
    except RollbackIncomplete as error:
        ending, code = str(error), STUCK
    else:
        moved = ", ".join(undone) or "no function had been shifted"
        ending, code = f"every alias is back at the version before ({moved})", FAILED
    complain("release", ending)
    if people is not None:
        subject = f"{options.prefix}: release {options.stamp.id} failed"
        subject += ", rolled back" if code == FAILED else ", ROLLBACK INCOMPLETE"
        notify(people, options.sns_topic_arn, subject, f"{cause}\n\n{ending}\n")
    return code


def _row(prefix: str, outcome: Outcome) -> tuple[str, str, str]:
    unchanged = " (unchanged)" if outcome.before == outcome.after else ""
    return f"{prefix}-{outcome.part}", outcome.before, f"{outcome.after}{unchanged}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
