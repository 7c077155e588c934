"""A collector on this machine that decodes OTLP over HTTP as it comes: real protobuf, nothing else."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.lambda_runtime import QuietHandler, QuietServer

Found = TypeVar("Found")
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True)
class Span:
    """One span as it arrived; ids are hexadecimal, `parent_id` is empty for the first of a trace."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    is_error: bool
    status_message: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    started_ns: int
    ended_ns: int


@dataclass(frozen=True)
class Point:
    """One point of a histogram."""

    service: str
    name: str
    unit: str
    count: int
    total: float
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Export:
    """One request of an exporter."""

    path: str
    headers: Mapping[str, str]


class OtlpCollector:
    """Collects while it is entered.

    `status` is what it answers; `delay_seconds` is how long it takes for that; `prefix` is the path it serves below.
    """

    def __init__(self, prefix: str = "") -> None:
        self.spans: list[Span] = []
        self.points: list[Point] = []
        self.exports: list[Export] = []
        self.status = 200
        self.delay_seconds = 0.0
        self.is_asked = False
        self._prefix = prefix
        self._arrived = threading.Condition()
        self._server: QuietServer | None = None

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to."""
        if self._server is None:
            raise RuntimeError("the collector is not running")
        return f"http://{self._server.address}{self._prefix}"

    def wait_for(self, look: Callable[[OtlpCollector], Found]) -> Found:
        """What `look` finds, as soon as it finds something."""
        with self._arrived:
            self._arrived.wait_for(lambda: look(self), _PATIENCE_SECONDS)
            return look(self)

    def named(self, name: str) -> list[Span]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Decode what an exporter sent; the status to answer."""
        if not path.startswith(self._prefix):
            return 404
        with self._arrived:
            self.is_asked = True
            self._arrived.notify_all()
            self._arrived.wait_for(lambda: self._server is None, self.delay_seconds)
        body = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        with self._arrived:
            self.exports.append(Export(path, headers))
            if self.status == 200:
                self._decode(path.removeprefix(self._prefix), body)
            self._arrived.notify_all()
        return self.status

    def _decode(self, path: str, body: bytes) -> None:
        match path:
            case "/v1/traces":
                self.spans += _spans(ExportTraceServiceRequest.FromString(body))
            case "/v1/metrics":
                self.points += _points(ExportMetricsServiceRequest.FromString(body))
            case _:
                raise AssertionError(f"nothing is served at {path}")

    def __enter__(self) -> Self:
        collector = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.reply(collector.take(self.path, headers, self.body()))

        self._server = QuietServer(Handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        with self._arrived:
            self._arrived.notify_all()
        if server is not None:
            server.stop()


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _spans(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        Span(
            service=_values(of_resource.resource.attributes)["service.name"],
            name=span.name,
            kind=span.kind,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            is_error=span.status.code == span.status.STATUS_CODE_ERROR,
            status_message=span.status.message,
            attributes=_values(span.attributes),
            resource=_values(of_resource.resource.attributes),
            started_ns=span.start_time_unix_nano,
            ended_ns=span.end_time_unix_nano,
        )
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _points(request: ExportMetricsServiceRequest) -> list[Point]:
    return [
        Point(
            service=_values(of_resource.resource.attributes)["service.name"],
            name=metric.name,
            unit=metric.unit,
            count=point.count,
            total=point.sum,
            attributes=_values(point.attributes),
        )
        for of_resource in request.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        for point in metric.histogram.data_points
    ]
