"""The alias `live` of each function: which version answers, read and moved by compare-and-set."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws.alias_note import AliasNote, read_note
from deploy.aws.parts import LIVE, OPTIONAL, ORDER, function_name
from deploy.aws.release_errors import AliasMoved, FunctionMissing, code_of, explained

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import AliasConfigurationResponseTypeDef

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveAlias:
    """An alias as it was read; `weights` are the shares (0 to 1) of further versions."""

    part: str
    version: str
    weights: Mapping[str, float]
    note: AliasNote
    revision_id: str


class LiveAliases:
    """The aliases of one stack."""

    def __init__(self, client: LambdaClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def read(self, part: str) -> LiveAlias:
        """Raises FunctionMissing, AwsRefused."""
        function = function_name(self._prefix, part)
        try:
            return _alias(part, self._client.get_alias(FunctionName=function, Name=LIVE))
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                raise FunctionMissing(
                    f"function {function} with an alias {LIVE!r} does not exist here: check --prefix and AWS_REGION; "
                    "a new account needs the stack first (deploy/README.md)"
                ) from error
            raise explained(error, f"read alias {function}:{LIVE}") from error
        except BotoCoreError as error:
            raise explained(error, f"read alias {function}:{LIVE}") from error

    def read_all(self) -> dict[str, LiveAlias]:
        """By part, callees first; optional functions may be absent. Raises FunctionMissing, AwsRefused."""
        found: dict[str, LiveAlias] = {}
        for part in ORDER:
            try:
                found[part] = self.read(part)
            except FunctionMissing:
                if part not in OPTIONAL:
                    raise
        return found

    def move(self, alias: LiveAlias, *, version: str, weights: Mapping[str, float], note: AliasNote) -> LiveAlias:
        """Change an alias that is still as it was read, and return it as it is now.

        Raises AliasMoved: somebody else changed it meanwhile. AwsRefused.
        """
        function = function_name(self._prefix, alias.part)
        try:
            reply = self._client.update_alias(
                FunctionName=function,
                Name=LIVE,
                FunctionVersion=version,
                RoutingConfig={"AdditionalVersionWeights": dict(weights)},
                Description=str(note),
                RevisionId=alias.revision_id,
            )
        except ClientError as error:
            if code_of(error) != "PreconditionFailedException":
                raise explained(error, f"move alias {function}:{LIVE} to version {version}") from error
            now = self.read(alias.part)
            # The call may have been made already, and only its answer lost: the SDK then makes it a second time.
            if (now.version, dict(now.weights), now.note) != (version, dict(weights), note):
                raise AliasMoved(
                    f"alias {function}:{LIVE} was changed by somebody else (it is at version {now.version}): "
                    "another release or rollback is at work; see `python -m deploy.aws.rollback --dry-run`"
                ) from error
            return now
        except BotoCoreError as error:
            raise explained(error, f"move alias {function}:{LIVE} to version {version}") from error
        state = f" ({note.marker.state.value})" if note.marker else ""
        logger.info("%s:%s is at version %s%s%s", function, LIVE, version, _shares(weights), state)
        return _alias(alias.part, reply)


def _alias(part: str, reply: AliasConfigurationResponseTypeDef) -> LiveAlias:
    return LiveAlias(
        part=part,
        version=reply["FunctionVersion"],
        weights=dict(reply.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})),
        note=read_note(reply.get("Description", "")),
        revision_id=reply["RevisionId"],
    )


def _shares(weights: Mapping[str, float]) -> str:
    return "".join(f", {share:.0%} of the calls to version {version}" for version, share in weights.items())
