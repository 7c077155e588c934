"""Metrics as lines of CloudWatch's embedded metric format: CloudWatch Logs makes metrics of what it finds on stdout.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Names are OpenTelemetry's where it has one with the unit that CloudWatch's graphs are read in, milliseconds.

    namespace Diglot, by service and method (of the gateway: route), and by service alone
    rpc.server.duration        http.server.duration              Milliseconds
    rpc.server.request.size    http.server.request.body.size     Bytes
    rpc.server.response.size   http.server.response.body.size    Bytes
    errors                                                       Count, 0 or 1: the service failed, not its caller
    faas.coldstarts                                              Count, 1 with the first call of an environment
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from services.transport.observing import Observation

NAMESPACE = "Diglot"


@dataclass(frozen=True)
class _Family:
    """The names one kind of work is told by."""

    detail: str
    duration: str
    request_size: str
    response_size: str


_FAMILIES: Mapping[str, _Family] = {
    "rpc.server": _Family("method", "rpc.server.duration", "rpc.server.request.size", "rpc.server.response.size"),
    "http.server": _Family(
        "route", "http.server.duration", "http.server.request.body.size", "http.server.response.body.size"
    ),
}


class EmfObserver:
    """Writes one line for each call or request served."""

    def __init__(self, service_name: str) -> None:
        self._service_name = service_name
        self._encode = json.JSONEncoder(separators=(",", ":")).encode
        # What never changes is encoded once.
        self._directives = {
            (kind, is_cold): self._encode(_directive(family, is_cold=is_cold))
            for kind, family in _FAMILIES.items()
            for is_cold in (False, True)
        }

    def observe(self, observation: Observation) -> None:
        family = _FAMILIES.get(observation.kind)
        if family is None:
            return
        is_cold = "faas.coldstart" in observation.attributes
        values: dict[str, object] = {
            "service": self._service_name,
            family.detail: _detail(observation),
            family.duration: round(observation.elapsed_seconds * 1_000, 3),
            "errors": 0 if observation.error_type is None else 1,
            family.request_size: observation.request_bytes,
            family.response_size: observation.response_bytes,
            "request_id": observation.request.request_id,
            "trace_id": observation.request.trace_id,
        }
        if is_cold:
            values["faas.coldstarts"] = 1
        ended_ms = observation.started_ns // 1_000_000 + int(observation.elapsed_seconds * 1_000)
        directive = self._directives[observation.kind, is_cold]
        sys.stdout.write(
            f'{{"_aws":{{"Timestamp":{ended_ms},"CloudWatchMetrics":[{directive}]}},{self._encode(values)[1:]}\n'
        )
        sys.stdout.flush()

    def flush(self, seconds: float) -> None:
        """Every line is written at once."""

    def stop(self, seconds: float) -> None:
        """Every line is written at once."""


def _detail(observation: Observation) -> str:
    """ "AnswerQuestion" of "diglot.rag.v1.RagService/AnswerQuestion"; "POST /query" as it is."""
    if observation.kind == "rpc.server":
        return observation.name.rpartition("/")[2]
    return observation.name


def _directive(family: _Family, *, is_cold: bool) -> dict[str, object]:
    metrics = [
        {"Name": family.duration, "Unit": "Milliseconds"},
        {"Name": "errors", "Unit": "Count"},
        {"Name": family.request_size, "Unit": "Bytes"},
        {"Name": family.response_size, "Unit": "Bytes"},
    ]
    if is_cold:
        metrics.append({"Name": "faas.coldstarts", "Unit": "Count"})
    return {"Namespace": NAMESPACE, "Dimensions": [["service", family.detail], ["service"]], "Metrics": metrics}
