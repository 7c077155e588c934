"""What a process tells of its work, and that it tells nothing unless it is asked to."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from services.transport import observing
from services.transport.observing import Observation, begin, flush_before_freeze, start_telemetry, stop_telemetry
from services.transport.otlp_export import destinations
from services.transport.settings import TransportSettings
from services.transport.telemetry import annotate, current_request, make_request, new_request, span

KEY = "k" * 32
OFF = TransportSettings(internal_key=KEY)


class Notes:
    """An observer that remembers, and that raises when it is told to."""

    def __init__(self) -> None:
        self.told: list[Observation] = []
        self.flushed_for: list[float] = []
        self.fails = False

    def observe(self, observation: Observation) -> None:
        if self.fails:
            raise RuntimeError("full")
        self.told.append(observation)

    def flush(self, seconds: float) -> None:
        self.flushed_for.append(seconds)

    def stop(self, seconds: float) -> None:
        """Nothing to stop."""


class LambdaTime:
    """As much of Lambda's context as is read."""

    def __init__(self, remaining_ms: int) -> None:
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._remaining_ms


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    notes = Notes()
    monkeypatch.setattr(observing._state, "observers", (notes,))
    monkeypatch.setattr(observing._state, "traced", True)
    return notes


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ({}, {"traces": "off", "metrics": "off"}),
        ({"metrics": "emf"}, {"traces": "off", "metrics": "emf"}),
        ({"otlp_endpoint": "http://c:4318"}, {"traces": "otlp", "metrics": "otlp"}),
        ({"opik_api_key": "key"}, {"traces": "opik", "metrics": "off"}),
        ({"opik_url_override": "http://opik:5173/api"}, {"traces": "opik", "metrics": "off"}),
        (
            {"otlp_endpoint": "http://c:4318", "opik_api_key": "key", "metrics": "emf"},
            {"traces": "otlp, opik", "metrics": "otlp, emf"},
        ),
    ],
)
def test_settings_say_which_parts_are_on(more: dict[str, Any], parts: dict[str, str]) -> None:
    assert observing.telemetry_parts(TransportSettings(internal_key=KEY, **more)) == parts


@pytest.mark.parametrize(
    ("url", "traces_url"),
    [
        (None, "https://www.comet.com/opik/api/v1/private/otel/v1/traces"),
        ("https://www.comet.com/opik/api/", "https://www.comet.com/opik/api/v1/private/otel/v1/traces"),
        ("http://localhost:5173/api", "http://localhost:5173/api/v1/private/otel/v1/traces"),
        ("http://localhost:5173", "http://localhost:5173/api/v1/private/otel/v1/traces"),
        ("http://opik/api/v1/private/otel", "http://opik/api/v1/private/otel/v1/traces"),
    ],
)
def test_opik_is_addressed_as_its_own_sdks_are(url: str | None, traces_url: str) -> None:
    (opik,) = destinations(TransportSettings(internal_key=KEY, opik_api_key="key", opik_url_override=url))

    assert (opik.name, opik.traces_url, opik.metrics_url) == ("opik", traces_url, None)
    assert opik.headers == {"Authorization": "key"}


def test_headers_are_read_as_opentelemetry_writes_them() -> None:
    told = "Authorization=Bearer%20abc, x-team = search ,,x-plain=two words"

    (otlp,) = destinations(TransportSettings(internal_key=KEY, otlp_endpoint="http://c:4318/", otlp_headers=told))
    assert not any(value in repr(otlp) for value in otlp.headers.values())

    assert otlp.headers == {"Authorization": "Bearer abc", "x-team": "search", "x-plain": "two words"}
    assert (otlp.traces_url, otlp.metrics_url) == ("http://c:4318/v1/traces", "http://c:4318/v1/metrics")


def test_nothing_is_begun_annotated_or_flushed_while_nobody_is_told() -> None:
    start_telemetry("rag", OFF)
    with new_request("request-1", None) as request:
        observation = begin("rpc.server", "x.Y/Z", request, {})
        annotate({"diglot.sources": 3})
        with span("step"):
            inside = current_request()
    flush_before_freeze(None)  # not even the time left is asked for

    assert observation is None
    assert request.facts is None
    assert inside is request


def test_an_observer_that_fails_does_not_fail_the_work(notes: Notes, caplog: pytest.LogCaptureFixture) -> None:
    notes.fails = True

    with caplog.at_level(logging.ERROR), new_request("request-1", None), span("step"):
        pass

    assert [record.getMessage() for record in caplog.records] == ["telemetry.failed"]


def test_logs_of_a_step_carry_the_ids_of_its_span(notes: Notes) -> None:
    with new_request("request-1", None) as request:
        with span("step"):
            inside = current_request()
        after = current_request()

    assert inside is not None
    (told,) = notes.told
    assert (told.request.trace_id, told.request.span_id) == (inside.trace_id, inside.span_id)
    assert told.request.parent_span_id == request.span_id
    assert after is request


def test_what_is_annotated_after_the_end_does_not_change_what_was_told(notes: Notes) -> None:
    request = make_request(None, None)
    observation = begin("rpc.server", "x.Y/Z", request, {"rpc.method": "x.Y/Z"})
    assert observation is not None
    observation.end()

    assert request.facts is not None
    request.facts["diglot.late"] = True

    assert notes.told[0].attributes == {"rpc.method": "x.Y/Z"}


@pytest.mark.parametrize(("remaining_ms", "waits"), [(30_000, [0.3]), (200, [pytest.approx(0.1)]), (50, [])])
def test_a_function_never_waits_longer_than_its_event_has_time(
    notes: Notes, remaining_ms: int, waits: list[float]
) -> None:
    flush_before_freeze(LambdaTime(remaining_ms))

    assert notes.flushed_for == waits


def test_only_the_first_work_served_is_cold(capsys: pytest.CaptureFixture[str]) -> None:
    start_telemetry("rag", OFF.model_copy(update={"metrics": "emf"}), is_function=True)
    for _ in range(2):
        observation = begin("rpc.server", "x.Y/Z", make_request(None, None), {})
        assert observation is not None
        observation.end()
    stop_telemetry()

    first, second = capsys.readouterr().out.splitlines()
    assert "faas.coldstarts" in first
    assert "faas.coldstarts" not in second
