from __future__ import annotations

import json

import pytest

from services.transport.emf import EmfObserver
from services.transport.observing import Fact, Kind, Observation
from services.transport.telemetry import make_request
from tests.emf_format import Metric, read_emf


def _ended(kind: Kind, name: str, error_type: str | None = None, **facts: Fact) -> Observation:
    request = make_request("request-1", None)
    observation = Observation(kind, name, request, {key.replace("_", "."): value for key, value in facts.items()})
    observation.request_bytes, observation.response_bytes = 17, 4_711
    observation.end(error_type)
    observation.elapsed_seconds = 0.0123456
    return observation


def _lines(capsys: pytest.CaptureFixture[str], *observations: Observation) -> list[str]:
    observer = EmfObserver("rag")
    for observation in observations:
        observer.observe(observation)
    return capsys.readouterr().out.splitlines()


def _told(line: str, *dimensions: str) -> dict[str, tuple[str, float]]:
    return {each.name: (each.unit, each.value) for each in read_emf(line) if tuple(each.dimensions) == dimensions}


def test_a_served_call_is_told_by_service_and_method_and_by_service_alone(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = _lines(capsys, _ended("rpc.server", "diglot.rag.v1.RagService/AnswerQuestion"))

    told = {
        "rpc.server.duration": ("Milliseconds", 12.346),
        "errors": ("Count", 0),
        "rpc.server.request.size": ("Bytes", 17),
        "rpc.server.response.size": ("Bytes", 4_711),
    }
    assert _told(line, "service", "method") == told
    assert _told(line, "service") == told
    metric = read_emf(line)[0]
    both = {"service": "rag", "method": "AnswerQuestion"}
    assert metric == Metric("Diglot", "rpc.server.duration", "Milliseconds", both, 12.346)


def test_a_request_of_the_gateway_is_told_by_its_route(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = _lines(capsys, _ended("http.server", "GET /documents/{document_id}", "500"))

    assert _told(line, "service", "route") == {
        "http.server.duration": ("Milliseconds", 12.346),
        "errors": ("Count", 1),
        "http.server.request.body.size": ("Bytes", 17),
        "http.server.response.body.size": ("Bytes", 4_711),
    }
    assert json.loads(line)["route"] == "GET /documents/{document_id}"


def test_a_cold_start_is_counted_with_the_call_that_met_it(capsys: pytest.CaptureFixture[str]) -> None:
    cold, warm = _lines(capsys, _ended("rpc.server", "x.Y/Z", faas_coldstart=True), _ended("rpc.server", "x.Y/Z"))

    assert _told(cold, "service")["faas.coldstarts"] == ("Count", 1)
    assert "faas.coldstarts" not in _told(warm, "service")


def test_a_line_tells_the_request_it_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    observation = _ended("rpc.server", "x.Y/Z")

    (line,) = _lines(capsys, observation)

    told = json.loads(line)
    assert (told["request_id"], told["trace_id"]) == ("request-1", observation.request.trace_id)


def test_calls_made_and_steps_are_no_measures_of_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    assert _lines(capsys, _ended("rpc.client", "x.Y/Z"), _ended("internal", "step"), _ended("client", "chat")) == []
