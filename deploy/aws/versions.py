"""Versions of the functions: building one from an image, and which there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws.parts import function_name
from deploy.aws.release_errors import VersionUnfit, code_of, explained

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

logger = logging.getLogger(__name__)

UPDATE_TIMEOUT_SECONDS = 300.0
_POLL_SECONDS = 2.0
_LATEST = "$LATEST"

Reply = TypeVar("Reply")


@dataclass(frozen=True)
class Pacing:
    """How time passes, so that tests need not wait. `sleep` and `monotonic` count seconds; `now` is UTC."""

    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Versions:
    """The versions of one stack's functions."""

    def __init__(self, client: LambdaClient, prefix: str, pacing: Pacing) -> None:
        self._client = client
        self._prefix = prefix
        self._pacing = pacing

    def publish(self, part: str, image_uri: str, description: str) -> str:
        """Give the function an image and publish what that makes; returns the version's number.

        When neither image nor configuration differ from the last version, that one is returned.
        Raises VersionUnfit, AwsRefused.
        """
        function = function_name(self._prefix, part)
        self._when_free(
            function,
            f"give {function} the image {image_uri}",
            lambda: self._client.update_function_code(FunctionName=function, ImageUri=image_uri),
        )
        built = self._settled(function, _LATEST)
        # The hash ties the version to the image given above, should somebody else update the function in between.
        published = self._when_free(
            function,
            f"publish a version of {function}",
            lambda: self._client.publish_version(
                FunctionName=function, CodeSha256=built["CodeSha256"], Description=description
            ),
        )
        version = published["Version"]
        self._settled(function, version)
        logger.info("%s version %s published", function, version)
        return version

    def exists(self, part: str, version: str) -> bool:
        """Raises AwsRefused."""
        function = function_name(self._prefix, part)
        try:
            self._client.get_function_configuration(FunctionName=function, Qualifier=version)
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return False
            raise explained(error, f"look at {function} version {version}") from error
        except BotoCoreError as error:
            raise explained(error, f"look at {function} version {version}") from error
        return True

    def published(self, part: str) -> list[str]:
        """Numbers of the published versions, newest first. Raises AwsRefused."""
        function = function_name(self._prefix, part)
        try:
            pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
            found = [version["Version"] for page in pages for version in page["Versions"]]
        except (ClientError, BotoCoreError) as error:
            raise explained(error, f"list the versions of {function}") from error
        return sorted((version for version in found if version != _LATEST), key=int, reverse=True)

    def _settled(self, function: str, qualifier: str) -> FunctionConfigurationResponseTypeDef:
        """Wait until the function can be used or published. Raises VersionUnfit, AwsRefused."""
        give_up = self._pacing.monotonic() + UPDATE_TIMEOUT_SECONDS
        while True:
            try:
                found = self._client.get_function_configuration(FunctionName=function, Qualifier=qualifier)
            except (ClientError, BotoCoreError) as error:
                raise explained(error, f"look at {function} version {qualifier}") from error
            states = (found.get("State", "Active"), found.get("LastUpdateStatus", "Successful"))
            if "Failed" in states:
                reason = found.get("LastUpdateStatusReason") or found.get("StateReason") or "AWS gives no reason"
                raise VersionUnfit(f"{function} version {qualifier} cannot be set up: {reason}")
            if "Pending" not in states and "InProgress" not in states:
                return found
            if self._pacing.monotonic() > give_up:
                raise VersionUnfit(
                    f"{function} version {qualifier} is still being set up after {UPDATE_TIMEOUT_SECONDS:.0f} s: "
                    "look at it in the Lambda console, then release again"
                )
            self._pacing.sleep(_POLL_SECONDS)

    def _when_free(self, function: str, doing: str, change: Callable[[], Reply]) -> Reply:
        """Make a change once no other update of the function is in progress. Raises VersionUnfit, AwsRefused."""
        give_up = self._pacing.monotonic() + UPDATE_TIMEOUT_SECONDS
        while True:
            try:
                return change()
            except ClientError as error:
                if code_of(error) != "ResourceConflictException" or self._pacing.monotonic() > give_up:
                    raise explained(error, doing) from error
            except BotoCoreError as error:
                raise explained(error, doing) from error
            logger.info("%s is being updated; waiting", function)
            self._pacing.sleep(_POLL_SECONDS)
