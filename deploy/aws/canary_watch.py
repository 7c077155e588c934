"""How often callers saw the new versions fail, as CloudWatch counts it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws.parts import LIVE, function_name
from deploy.aws.release_errors import ErrorRateTooHigh, explained
from deploy.aws.version_probe import VersionProbe
from deploy.aws.versions import Pacing

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

logger = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 15.0
_PERIOD_SECONDS = 60  # Lambda's metrics are minutes


@dataclass(frozen=True)
class Calls:
    """Calls of a version through the alias, and how many of them failed."""

    count: int
    failed: int

    @property
    def error_rate(self) -> float:
        """0 to 1. A failure is counted now and then before its call is."""
        return self.failed / max(self.count, self.failed) if self.failed else 0.0


class CanaryWatch:
    """Looks at new versions while a share of the callers reaches them.

    An error rate of callers above `max_error_rate` (0 to 1) ends it, and so does a version that no longer answers when
    asked directly: a stack that nobody calls just now would otherwise tell nothing.
    """

    def __init__(
        self, client: CloudWatchClient, probe: VersionProbe, prefix: str, max_error_rate: float, pacing: Pacing
    ) -> None:
        self._client = client
        self._probe = probe
        self._prefix = prefix
        self._max_error_rate = max_error_rate
        self._pacing = pacing

    def watch(self, versions: Mapping[str, str], seconds: float) -> dict[str, Calls]:
        """Look for so long, once at least. Raises ErrorRateTooHigh, VersionUnfit, AwsRefused."""
        began = datetime.now(UTC).replace(second=0, microsecond=0)
        ends_at = self._pacing.monotonic() + seconds
        while True:
            calls = self._calls(versions, began)
            for part, counted in calls.items():
                if counted.error_rate > self._max_error_rate:
                    function = function_name(self._prefix, part)
                    raise ErrorRateTooHigh(
                        f"{counted.failed} of {counted.count} calls to {function} version {versions[part]} failed "
                        f"({counted.error_rate:.1%}, allowed {self._max_error_rate:.1%}): see /aws/lambda/{function}"
                    )
            for part, version in versions.items():
                self._probe.check(part, version)
            left = ends_at - self._pacing.monotonic()
            if left <= 0:
                break
            self._pacing.sleep(min(_LOOK_EVERY_SECONDS, left))
        logger.info("canary: %s", ", ".join(f"{part} {c.failed}/{c.count} failed" for part, c in calls.items()))
        if not any(counted.count for counted in calls.values()):
            logger.warning("nobody called the canary: only the direct questions speak for it")
        return calls

    def _calls(self, versions: Mapping[str, str], since: datetime) -> dict[str, Calls]:
        parts = list(versions)
        queries: list[MetricDataQueryTypeDef] = [
            _query(f"{metric.lower()}_{number}", metric, function_name(self._prefix, part), versions[part])
            for number, part in enumerate(parts)
            for metric in ("Invocations", "Errors")
        ]
        try:
            # At most twelve sums over minutes: one page.
            reply = self._client.get_metric_data(
                MetricDataQueries=queries,
                StartTime=since,
                EndTime=datetime.now(UTC) + timedelta(seconds=_PERIOD_SECONDS),
            )
        except (ClientError, BotoCoreError) as error:
            raise explained(error, "read the canary's metrics") from error
        sums = {result["Id"]: int(sum(result["Values"])) for result in reply["MetricDataResults"]}
        return {
            part: Calls(sums.get(f"invocations_{number}", 0), sums.get(f"errors_{number}", 0))
            for number, part in enumerate(parts)
        }


def _query(query_id: str, metric: str, function: str, version: str) -> MetricDataQueryTypeDef:
    """The dimensions under which Lambda reports one version reached through a weighted alias."""
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/Lambda",
                "MetricName": metric,
                "Dimensions": [
                    {"Name": "FunctionName", "Value": function},
                    {"Name": "Resource", "Value": f"{function}:{LIVE}"},
                    {"Name": "ExecutedVersion", "Value": version},
                ],
            },
            "Period": _PERIOD_SECONDS,
            "Stat": "Sum",
        },
    }
