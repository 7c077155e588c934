"""Take the latest release of a stack back: `python -m deploy.aws.rollback`

Needs to know nothing: every alias `live` tells in its description which release moved it and from where. A release
that was killed in the middle is taken back too, with its shares and its lock. Running this again, or again after it was
killed, does no harm: what is back stays where it is. Versions that AWS no longer has are refused before anything moves.

Options:
  --prefix NAME            prefix of the stack's functions (diglot)
  --release-id ID          take back this release alone; nothing happens when it moved nothing, or is back already
  --forward                bring back the release that was taken back last
  --to-version PART=N ...  put functions on these versions instead; this can be taken back like a release
  --dry-run                show the table, change nothing
  --sns-topic-arn ARN      topic to tell when something was moved or could not be (nobody is told)

Environment: AWS_REGION and credentials as boto3 takes them. They need lambda:GetAlias, UpdateAlias,
GetFunctionConfiguration and ListVersionsByFunction on the functions, and sns:Publish on the topic.

stdout: a table: each function's live version before, shares of others, the release that moved it last and how far that
had come, and the version after; then what was done, or would be. stderr: what is being done.
Exit codes: 0 done, or there was nothing to do; 1 some alias could not be moved, run it again; 2 refused before anything
was changed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError

from deploy.aws.alias_note import RELEASE_ID
from deploy.aws.aliases import LiveAlias, LiveAliases
from deploy.aws.console import complain, log_to_stderr, make_client, say, stoppable, table
from deploy.aws.notices import notify
from deploy.aws.parts import ORDER, checked_prefix, named_values
from deploy.aws.release_errors import Interrupted, ReleaseError, explained
from deploy.aws.rollback_plan import Move, RollbackPlan, backward, forward, to_versions
from deploy.aws.undo import Undo
from deploy.aws.versions import Pacing, Versions

DONE, INCOMPLETE, REFUSED = 0, 1, 2


@dataclass(frozen=True)
class Options:
    """A command line that makes sense."""

    prefix: str
    release_id: str
    forward: bool
    versions: Mapping[str, str]
    dry_run: bool
    sns_topic_arn: str


def read_options(arguments: Sequence[str]) -> Options:
    """Raises ValueError naming the option; exits on --help and on unknown options."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.aws.rollback",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="python -m deploy.aws.rollback [options]",
    )
    parser.add_argument("--prefix", default="diglot", help=argparse.SUPPRESS)
    parser.add_argument("--release-id", default="", help=argparse.SUPPRESS)
    parser.add_argument("--forward", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--to-version", nargs="+", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--dry-run", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--sns-topic-arn", default="", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.to_version and (given.forward or given.release_id):
        raise ValueError("--to-version names versions itself: leave --forward and --release-id out")
    if given.release_id and not RELEASE_ID.fullmatch(given.release_id):
        raise ValueError(f"--release-id {given.release_id!r} must be up to 64 of letters, digits, '.', '_' and '-'")
    versions = named_values("--to-version", given.to_version, ORDER, "rag=7")
    for part, version in versions.items():
        if not version.isdecimal():
            raise ValueError(f"--to-version {part}={version} must be a published version's number, such as {part}=7")
    return Options(
        checked_prefix(given.prefix), given.release_id, given.forward, versions, given.dry_run, given.sns_topic_arn
    )


def main(arguments: Sequence[str], pacing: Pacing | None = None) -> int:
    """Roll back. Returns the exit code."""
    try:
        options = read_options(arguments)
    except ValueError as error:
        complain("rollback", error)
        return REFUSED
    log_to_stderr()
    try:
        client = make_client("lambda")
        aliases, versions = LiveAliases(client, options.prefix), Versions(client, options.prefix, pacing or Pacing())
        live = aliases.read_all()
        plan = _plan(options, live)
        plan.require_versions(versions, options.prefix)
        people = make_client("sns") if options.sns_topic_arn else None
    except BotoCoreError as error:
        complain("rollback", f"refused, nothing was changed: {explained(error, 'start')}")
        return REFUSED
    except ReleaseError as error:
        complain("rollback", f"refused, nothing was changed: {error}")
        return REFUSED
    if not options.dry_run and plan.anything:
        failure = _carry_out(plan, aliases, Undo(aliases, versions, options.prefix))
        if people is not None:
            subject = f"{options.prefix}: {plan.title}" + (", NOT COMPLETE" if failure else "")
            notify(people, options.sns_topic_arn, subject, f"{_table(options, live, plan)}\n{failure}\n")
        if failure:
            complain("rollback", failure)
            return INCOMPLETE
    say(_table(options, live, plan))
    verdict = "Nothing to do" if not plan.anything else "Would" if options.dry_run else "Done"
    say(f"{verdict}: {plan.title}")
    return DONE


def _plan(options: Options, live: Mapping[str, LiveAlias]) -> RollbackPlan:
    if options.versions:
        return to_versions(live, options.versions, datetime.now(UTC))
    if options.forward:
        return forward(live, options.release_id)
    return backward(live, options.release_id)


def _carry_out(plan: RollbackPlan, aliases: LiveAliases, undo: Undo) -> str:
    """Empty when all went well, else what did not."""
    with stoppable():
        try:
            if plan.undoes:
                undo.undo(plan.undoes)
            for move in plan.moves if not plan.undoes else ():
                aliases.move(move.alias, version=move.version, weights={}, note=move.note)
        except (ReleaseError, Interrupted) as error:
            return f"{error}; run it again"
    return ""


def _table(options: Options, live: Mapping[str, LiveAlias], plan: RollbackPlan) -> str:
    moves = {move.alias.part: move for move in plan.moves}
    rows = [_row(options, alias, moves.get(part)) for part, alias in live.items()]
    return table(("FUNCTION", "BEFORE", "SHARES", "RELEASE", "STATE", "AFTER"), rows)


def _row(options: Options, alias: LiveAlias, move: Move | None) -> tuple[str, ...]:
    marker = alias.note.marker
    shares = ", ".join(f"{version}: {share:.0%}" for version, share in alias.weights.items())
    return (
        f"{options.prefix}-{alias.part}",
        alias.version,
        shares or "-",
        marker.stamp.id if marker else "-",
        marker.state.value if marker else "-",
        move.version if move else alias.version,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
