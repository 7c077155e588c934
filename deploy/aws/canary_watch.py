"""How often callers saw the new versions fail, as CloudWatch counts it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
_COMPARED_WITH = timedelta(hours=1)


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

    Three things end it: calls of a new version that fail more often than `max_error_rate` (0 to 1); answers of the
    gateway's URL that are 5xx more often than before the canary by as much, since a service that answers badly does not
    fail for Lambda; a version that no longer answers when asked directly, for nobody may be calling just now.
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
        began = self._pacing.now().replace(second=0, microsecond=0)
        ends_at = self._pacing.monotonic() + seconds
        requests_before = self._requests(began - _COMPARED_WITH, began)
        while True:
            calls = self._calls(versions, began)
            for part, counted in calls.items():
                if counted.error_rate > self._max_error_rate:
                    function = function_name(self._prefix, part)
                    raise ErrorRateTooHigh(
                        f"{counted.failed} of {counted.count} calls to {function} version {versions[part]} failed "
                        f"({counted.error_rate:.1%}, allowed {self._max_error_rate:.1%}): see /aws/lambda/{function}"
                    )
            requests = self._requests(began, self._pacing.now())
            if requests.error_rate > requests_before.error_rate + self._max_error_rate:
                raise ErrorRateTooHigh(
                    f"{requests.failed} of {requests.count} requests to the URL were answered with 5xx in the canary "
                    f"({requests.error_rate:.1%}, {requests_before.error_rate:.1%} in the hour before, allowed "
                    f"{self._max_error_rate:.1%} more): see the functions' logs"
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
        """By part, the calls of its new version through the alias."""
        queries: list[MetricDataQueryTypeDef] = []
        for part, version in versions.items():
            dimensions = {**self._alias_dimensions(part), "ExecutedVersion": version}
            queries.append(_query(f"{part}_count", "Invocations", dimensions))
            queries.append(_query(f"{part}_failed", "Errors", dimensions))
        sums = self._sums(queries, since, self._pacing.now())
        return {part: Calls(sums.get(f"{part}_count", 0), sums.get(f"{part}_failed", 0)) for part in versions}

    def _requests(self, since: datetime, until: datetime) -> Calls:
        """The requests to the gateway's URL, whichever versions answered them."""
        dimensions = self._alias_dimensions("gateway")
        queries = [_query("count", "UrlRequestCount", dimensions), _query("failed", "Url5xxCount", dimensions)]
        sums = self._sums(queries, since, until)
        return Calls(sums.get("count", 0), sums.get("failed", 0))

    def _alias_dimensions(self, part: str) -> dict[str, str]:
        function = function_name(self._prefix, part)
        return {"FunctionName": function, "Resource": f"{function}:{LIVE}"}

    def _sums(self, queries: Sequence[MetricDataQueryTypeDef], since: datetime, until: datetime) -> dict[str, int]:
        try:
            # A dozen metrics over an hour of minutes at most: one page.
            reply = self._client.get_metric_data(
                MetricDataQueries=queries, StartTime=since, EndTime=_next_minute(until), ScanBy="TimestampAscending"
            )
        except (ClientError, BotoCoreError) as error:
            raise explained(error, "read the canary's metrics") from error
        return {result["Id"]: int(sum(result["Values"])) for result in reply["MetricDataResults"]}


def _next_minute(moment: datetime) -> datetime:
    """The end of the minute that has begun; a full minute stays as it is."""
    full = moment.replace(second=0, microsecond=0)
    return full if full == moment else full + timedelta(seconds=_PERIOD_SECONDS)


def _query(query_id: str, metric: str, dimensions: Mapping[str, str]) -> MetricDataQueryTypeDef:
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/Lambda",
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": _PERIOD_SECONDS,
            "Stat": "Sum",
        },
    }
