"""Spans and metrics over OTLP/HTTP, by OpenTelemetry's SDK: to a collector, to Opik, or to both.

The SDK's tracer is not used: ids are those of our own trace context, which log lines carry too, and a span is made when
its work has ended and is known whole. What the SDK does is to aggregate, to encode and to send.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from services.transport.export_queue import ExportFailed, ExportQueue
from services.transport.observing import Fact, Observation, Observer
from services.transport.settings import TransportSettings

OPIK_URL = "https://www.comet.com/opik/api"
_OPIK_OTLP_PATH = "/v1/private/otel"
_METRICS_PERIOD_SECONDS = 60.0
_FUNCTION_TIMEOUT_SECONDS = 2.0  # less than the SDK would need to try for long: the next call tries again
_INFINITE_MS = float("inf")  # the SDK's own timer stays off

_KINDS: Mapping[str, SpanKind] = {
    "rpc.server": SpanKind.SERVER,
    "http.server": SpanKind.SERVER,
    "rpc.client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}
_DURATIONS: Mapping[str, str] = {
    "rpc.server": "rpc.server.call.duration",
    "rpc.client": "rpc.client.call.duration",
    "http.server": "http.server.request.duration",
}
# As the semantic conventions advise for durations in seconds; the SDK's own bounds are made for milliseconds.
_DURATION_BOUNDS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_TOKEN_BOUNDS = tuple(4**power for power in range(14))
_MEASURED_BY = (
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "rpc.method",
    "rpc.response.status_code",
    "rpc.system.name",
    "url.scheme",
)
_TOKENS_COUNTED_BY = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
_SCOPE = InstrumentationScope("diglot")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


@dataclass(frozen=True)
class Destination:
    """Where to send, and what to say of ourselves. Without `metrics_url` it takes traces alone."""

    name: str
    traces_url: str
    metrics_url: str | None
    headers: Mapping[str, str] = field(repr=False)


def destinations(settings: TransportSettings) -> Iterator[Destination]:
    """The collector of OTEL_EXPORTER_OTLP_ENDPOINT, and Opik."""
    if settings.otlp_endpoint is not None:
        base = settings.otlp_endpoint.rstrip("/")
        headers = _read_headers(settings.otlp_headers.get_secret_value())
        yield Destination("otlp", f"{base}/v1/traces", f"{base}/v1/metrics", headers)
    if settings.opik_api_key is not None or settings.opik_url_override is not None:
        base = _opik_base(settings.opik_url_override or OPIK_URL)
        key = settings.opik_api_key.get_secret_value() if settings.opik_api_key is not None else None
        told = {
            "Authorization": key,
            "Comet-Workspace": settings.opik_workspace,
            "projectName": settings.opik_project_name,
        }
        yield Destination("opik", f"{base}/v1/traces", None, {name: value for name, value in told.items() if value})


def _opik_base(url: str) -> str:
    """Where an Opik takes OTLP; its own SDKs take the same variable, which ends in /api."""
    url = url.rstrip("/")
    if url.endswith(_OPIK_OTLP_PATH):
        return url
    return f"{url}{_OPIK_OTLP_PATH}" if url.endswith("/api") else f"{url}/api{_OPIK_OTLP_PATH}"


def _read_headers(told: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in told.split(",") if part.strip())
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


def open_otlp(service_name: str, settings: TransportSettings, *, is_function: bool) -> list[Observer]:
    """One observer for each destination, so that one that is down does not hold up another."""
    # What the SDK says of a failure goes into our one line about it.
    sdk_logger = logging.getLogger("opentelemetry")
    sdk_logger.handlers[:], sdk_logger.propagate = [_CAUSES], False
    resource = Resource.create(_describe_process(service_name, is_function=is_function))
    return [OtlpObserver(destination, resource, is_function=is_function) for destination in destinations(settings)]


def _describe_process(service_name: str, *, is_function: bool) -> dict[str, Fact]:
    # The instance keeps apart what processes of one service count.
    facts: dict[str, Fact] = {
        "service.namespace": "diglot",
        "service.name": service_name,
        "service.instance.id": str(uuid.uuid4()),
    }
    if is_function:
        # Lambda tells these to every function.
        told = {
            "cloud.region": os.environ.get("AWS_REGION"),
            "faas.name": os.environ.get("AWS_LAMBDA_FUNCTION_NAME"),
            "faas.version": os.environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
            "faas.instance": os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
        }
        facts |= {"cloud.provider": "aws", "cloud.platform": "aws_lambda"}
        facts |= {name: value for name, value in told.items() if value}
    return facts


class _Causes(logging.Handler):
    """Remembers why the last export of a thread failed: a status, or the kind of an error, whose text is left out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        for argument in record.args if isinstance(record.args, tuple) else ():
            if isinstance(argument, int):
                self._told[threading.get_ident()] = f"HTTP {argument}"
            elif isinstance(argument, Exception):
                self._told[threading.get_ident()] = type(argument).__qualname__

    def take(self) -> str:
        """The cause, which is forgotten then. None is told of a place that was silent, or asked to try again later."""
        return self._told.pop(threading.get_ident(), "not taken in time")


_CAUSES = _Causes()


class Redirected(Exception):
    """A collector leads elsewhere. The SDK neither follows, which is well, nor takes it for a failure."""


def _session() -> requests.Session:
    """What an exporter sends with, which takes a redirection for the loss that it is."""
    session = requests.Session()
    session.hooks["response"].append(_refuse_redirection)
    return session


def _refuse_redirection(response: requests.Response, **_: Any) -> None:
    if 300 <= response.status_code < 400:
        raise Redirected


class _MetricExporter(OTLPMetricExporter):
    """Remembers whether the last export arrived: the reader between it and us keeps that to itself."""

    arrived = True

    def export(self, *args: Any, **kwargs: Any) -> MetricExportResult:
        result = super().export(*args, **kwargs)
        self.arrived = result is MetricExportResult.SUCCESS
        return result


class OtlpObserver:
    """Sends spans, and metrics where they are wanted, to one destination."""

    def __init__(self, destination: Destination, resource: Resource, *, is_function: bool) -> None:
        self._resource = resource
        # None: OTEL_EXPORTER_OTLP_TIMEOUT, or else the SDK's own ten seconds, in which it tries some times.
        is_default = "OTEL_EXPORTER_OTLP_TIMEOUT" not in os.environ
        timeout = _FUNCTION_TIMEOUT_SECONDS if is_function and is_default else None
        headers = dict(destination.headers)
        with _own_headers_alone():
            self._spans = OTLPSpanExporter(
                endpoint=destination.traces_url, headers=headers, timeout=timeout, session=_session()
            )
            self._metrics = (
                None
                if destination.metrics_url is None
                else _Metrics(
                    _MetricExporter(
                        endpoint=destination.metrics_url, headers=headers, timeout=timeout, session=_session()
                    ),
                    resource,
                )
            )
        self._queue = ExportQueue[Observation](destination.name, self._export, ticks=not is_function)

    def observe(self, observation: Observation) -> None:
        self._queue.put(observation)

    def flush(self, seconds: float) -> None:
        self._queue.flush(seconds)

    def stop(self, seconds: float) -> None:
        self._queue.stop(seconds)

    def _export(self, batch: Sequence[Observation], is_flushed: bool) -> None:
        if self._metrics is not None:
            self._metrics.record(batch)
        spans = [self._span(each) for each in batch if int(each.request.flags, 16) & TraceFlags.SAMPLED]
        if spans and self._spans.export(spans) is not SpanExportResult.SUCCESS:
            raise ExportFailed(_CAUSES.take())
        if self._metrics is not None:
            self._metrics.export(is_flushed=is_flushed)

    def _span(self, observation: Observation) -> ReadableSpan:
        request = observation.request
        trace_id = int(request.trace_id, 16)
        parent_id = request.parent_span_id
        return ReadableSpan(
            observation.name,
            context=SpanContext(trace_id, int(request.span_id, 16), is_remote=False, trace_flags=_SAMPLED),
            parent=SpanContext(trace_id, int(parent_id, 16), is_remote=True, trace_flags=_SAMPLED)
            if parent_id
            else None,
            resource=self._resource,
            attributes={**observation.attributes, "diglot.request_id": request.request_id},
            kind=_KINDS[observation.kind],
            status=Status(StatusCode.UNSET if observation.error_type is None else StatusCode.ERROR),
            start_time=observation.started_ns,
            end_time=observation.started_ns + int(observation.elapsed_seconds * 1e9),
            instrumentation_scope=_SCOPE,
        )


class _Metrics:
    """Durations of calls and counts of tokens, gathered by the SDK."""

    def __init__(self, exporter: _MetricExporter, resource: Resource) -> None:
        self._exporter = exporter
        self._reader = PeriodicExportingMetricReader(exporter, export_interval_millis=_INFINITE_MS)
        meter = MeterProvider([self._reader], resource, shutdown_on_exit=False).get_meter(_SCOPE.name)
        self._durations = {
            kind: meter.create_histogram(name, "s", explicit_bucket_boundaries_advisory=_DURATION_BOUNDS_SECONDS)
            for kind, name in _DURATIONS.items()
        }
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", explicit_bucket_boundaries_advisory=_TOKEN_BOUNDS
        )
        self._sent_at = time.monotonic()
        self._is_new = False

    def record(self, batch: Sequence[Observation]) -> None:
        for observation in batch:
            facts = observation.attributes
            duration = self._durations.get(observation.kind)
            if duration is not None:
                measured_by = {name: facts[name] for name in _MEASURED_BY if name in facts}
                duration.record(observation.elapsed_seconds, measured_by)
            for way in ("input", "output"):
                count = facts.get(f"gen_ai.usage.{way}_tokens")
                if isinstance(count, int):
                    counted_by = {name: facts[name] for name in _TOKENS_COUNTED_BY if name in facts}
                    self._tokens.record(count, {**counted_by, "gen_ai.token.type": way})
        self._is_new = self._is_new or bool(batch)

    def export(self, *, is_flushed: bool) -> None:
        """Send what is new: at once when flushed, else once a minute. Raises ExportFailed."""
        is_due = is_flushed or time.monotonic() - self._sent_at >= _METRICS_PERIOD_SECONDS
        if not (self._is_new and is_due):
            return
        self._sent_at, self._is_new = time.monotonic(), False
        self._reader.collect()
        if not self._exporter.arrived:
            raise ExportFailed(_CAUSES.take())


@contextmanager
def _own_headers_alone() -> Iterator[None]:
    """Hide the headers of the environment from exporters that are made meanwhile.

    The SDK would add them to ours: the collector's key would go to Opik too, and a reference to a secret to both.
    """
    names = [name for name in os.environ if name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("HEADERS")]
    hidden = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(hidden)
