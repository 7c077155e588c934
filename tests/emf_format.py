"""CloudWatch's embedded metric format, read as strictly as its specification is written.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

_UNITS = frozenset(
    "Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits "
    "Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second "
    "Bits/Second Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None".split()
)
_TWO_WEEKS_MS, _TWO_HOURS_MS = 14 * 24 * 3_600_000, 2 * 3_600_000
_MAX_EVENT_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Metric:
    """A value as CloudWatch takes it, under one set of dimensions."""

    namespace: str
    name: str
    unit: str
    dimensions: dict[str, str]
    value: float


def read_emf(line: str) -> list[Metric]:
    """The metrics that CloudWatch makes of a line. AssertionError: it would make none, and not say why."""
    assert "\n" not in line
    assert len(line.encode()) <= _MAX_EVENT_BYTES
    root = json.loads(line, parse_constant=_refuse_constant)
    assert isinstance(root, dict)
    metadata = root["_aws"]
    assert set(metadata) == {"Timestamp", "CloudWatchMetrics"}
    now_ms = time.time() * 1_000
    assert isinstance(metadata["Timestamp"], int)
    assert not isinstance(metadata["Timestamp"], bool)
    assert now_ms - _TWO_WEEKS_MS < metadata["Timestamp"] < now_ms + _TWO_HOURS_MS
    assert isinstance(metadata["CloudWatchMetrics"], list)
    return [metric for directive in metadata["CloudWatchMetrics"] for metric in _read_directive(root, directive)]


def _read_directive(root: dict[str, Any], directive: dict[str, Any]) -> list[Metric]:
    assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
    namespace = directive["Namespace"]
    _check_text(namespace, 255)
    assert not namespace.startswith(("AWS/", ":"))
    assert 1 <= len(directive["Metrics"]) <= 100
    assert directive["Dimensions"]
    sets = [_read_dimensions(root, names) for names in directive["Dimensions"]]
    found = []
    for definition in directive["Metrics"]:
        assert {"Name"} <= set(definition) <= {"Name", "Unit", "StorageResolution"}
        _check_text(definition["Name"], 255)
        assert definition.get("Unit", "None") in _UNITS
        assert definition.get("StorageResolution", 60) in (1, 60)
        value = root[definition["Name"]]
        assert isinstance(value, int | float)
        assert not isinstance(value, bool)
        unit = definition.get("Unit", "None")
        found += [Metric(namespace, definition["Name"], unit, dimensions, value) for dimensions in sets]
    return found


def _read_dimensions(root: dict[str, Any], names: list[str]) -> dict[str, str]:
    assert isinstance(names, list)
    assert len(names) <= 30
    assert len(set(names)) == len(names)
    for name in names:
        _check_text(name, 250)
        assert not name.startswith(":")
        _check_text(root[name], 1_024)
    return {name: root[name] for name in names}


def _check_text(text: object, max_characters: int) -> None:
    assert isinstance(text, str)
    assert text.strip()
    assert len(text) <= max_characters
    assert text.isascii()
    assert text.isprintable()


def _refuse_constant(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")
