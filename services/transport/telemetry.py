"""Request ids, W3C trace context, JSON logs that carry both, and what services add to the span of their work.

Logs never hold questions, SQL, rows, prompts or keys. For the same reason a logged exception shows its types and its
frames but not its messages: a driver's text may quote a row.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import random
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, TextIO

from services.transport.observing import Fact, begin, is_traced

REQUEST_ID_KEY = "diglot-request-id"
TRACEPARENT_KEY = "traceparent"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = "01"
_LOG_DELAY_SECONDS = 0.02
# Tell in passing where credentials were found; tell of each connection lent and given back, or each path asked for.
_TALKATIVE = ("boto3", "botocore", "urllib3", "psycopg.pool", "httpx", "httpx2", "mangum", "pinecone")


@dataclass(slots=True)  # not frozen: that would triple the cost of making one, and one is made for each call
class RequestContext:
    """One request and this process's span of its trace (https://www.w3.org/TR/trace-context/)."""

    request_id: str
    trace_id: str
    span_id: str
    flags: str
    parent_span_id: str = ""
    """Of the hop before, or of the step around this one; empty where the trace begins."""
    facts: dict[str, Fact] | None = None
    """What is told of this span; None while nobody is told."""

    def child(self) -> RequestContext:
        """The same request in a span below this one."""
        return RequestContext(self.request_id, self.trace_id, _random_hex(64), self.flags, self.span_id)

    @property
    def traceparent(self) -> str:
        """The header that makes the next hop a child of this span."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_request: ContextVar[RequestContext | None] = ContextVar("diglot_request", default=None)


def current_request() -> RequestContext | None:
    """The request this code runs for, if any."""
    return _request.get()


def current_request_id() -> str:
    """Id of the request this code runs for; empty outside one."""
    request = _request.get()
    return request.request_id if request is not None else ""


def _random_hex(bits: int) -> str:
    # Ids need to be unlike each other, not unguessable; asking the system costs a switch of threads each time.
    return f"{random.getrandbits(bits) or 1:0{bits // 4}x}"


def make_request(request_id: str | None, traceparent: str | None) -> RequestContext:
    """Continue a request with a span of our own. A missing or malformed id or header begins a new one."""
    if not isinstance(request_id, str) or not _REQUEST_ID.fullmatch(request_id):
        request_id = _random_hex(128)
    match = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    # Version 00 has exactly four parts; only later versions may bring more.
    if match is None or (match.string.startswith("00") and len(match.string) != len("00-") + 32 + 1 + 16 + 1 + 2):
        return RequestContext(request_id, _random_hex(128), _random_hex(64), _SAMPLED)
    return RequestContext(request_id, match[1], _random_hex(64), match[3], match[2])


def enter_request(request: RequestContext) -> None:
    """Make this the request for the rest of the served call's own context."""
    _request.set(request)


@contextmanager
def new_request(request_id: str | None, traceparent: str | None) -> Iterator[RequestContext]:
    """Run for a request: its id and trace go into logs and into every call made inside."""
    before = _request.get()
    request = make_request(request_id, traceparent)
    _request.set(request)
    try:
        yield request
    finally:
        # Not reset(token): a generator may be closed in another context than the one it was started in.
        _request.set(before)


def annotate(facts: Mapping[str, Fact]) -> None:
    """Add facts to the span of the work under way, `{"gen_ai.usage.input_tokens": 17}` for one.

    Names are OpenTelemetry's where it has one, else begin with "diglot."; never a question, SQL, row, prompt or key.
    A name told twice keeps its last value. Costs next to nothing while nobody is told.
    """
    request = _request.get()
    if request is not None and request.facts is not None:
        request.facts.update(facts)


@contextmanager
def span(
    name: str, facts: Mapping[str, Fact] | None = None, *, kind: Literal["internal", "client"] = "internal"
) -> Iterator[None]:
    """Tell a step of the current request as a span of its own, as in `with span("chat gpt-4o-mini", kind="client"):`.

    `client` is for steps that another system does: a model, an index. What is annotated and logged inside belongs to
    the step, and calls made inside are its children. An error that leaves it is told by its kind alone. Only the body
    runs while nobody is told, or outside a request.
    """
    parent = _request.get()
    if parent is None or not is_traced():
        yield
        return
    inner = parent.child()
    observation = begin(kind, name, inner, dict(facts or {}))
    _request.set(inner)
    failed: str | None = None
    try:
        yield
    except BaseException as error:
        failed = None if isinstance(error, GeneratorExit) else type(error).__qualname__
        raise
    finally:
        _request.set(parent)
        if observation is not None:
            observation.end(failed)


_REQUEST_FIELD = "diglot_request"
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", _REQUEST_FIELD}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, event, service, logger, request and trace ids, then the record's extras."""

    def __init__(self, service_name: str) -> None:
        super().__init__()
        self._service_name = service_name
        self._encode = json.JSONEncoder(default=str).encode
        self._second, self._told_second = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": f"{self._tell(int(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "event": record.getMessage(),
            "service": self._service_name,
            "logger": record.name,
        }
        request = getattr(record, _REQUEST_FIELD, None) or _request.get()
        if request is not None:
            line["request_id"] = request.request_id
            line["trace_id"] = request.trace_id
            line["span_id"] = request.span_id
        for key, value in vars(record).items():
            if key not in _STANDARD_FIELDS:
                line[key] = value
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = type(record.exc_info[1]).__qualname__
            line["stack"] = _frames(record.exc_info)
        return self._encode(line)

    def _tell(self, second: int) -> str:
        if second != self._second:
            self._second, self._told_second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._told_second


def _frames(exc_info: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]) -> str:
    parts: list[str] = []
    error, seen = exc_info[1], set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncaused by:\n".join(parts)


class BufferedHandler(logging.StreamHandler[TextIO]):
    """Formats and writes a server's lines some milliseconds late and together.

    A write lets other threads run, which costs a call several times what its log line does. Warnings and errors are
    written at once, with all that precedes them, and so is everything logged outside an event loop.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._records: list[logging.LogRecord] = []
        self._scheduled = False
        atexit.register(self.flush)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            setattr(record, _REQUEST_FIELD, _request.get())  # it will be another one when the line is formatted
            self._records.append(record)
            if record.levelno >= logging.WARNING:
                self.flush()
            elif not self._scheduled:
                asyncio.get_running_loop().call_later(_LOG_DELAY_SECONDS, self.flush)
                self._scheduled = True
        except RuntimeError:
            self.flush()  # no event loop runs here
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        with self.lock:  # type: ignore[union-attr]  # Handler.createLock has made it
            records, self._records = self._records, []
            self._scheduled = False
            if records and not self.stream.closed:
                self.stream.write("".join(map(self._line, records)))
                self.stream.flush()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self.format(record)}\n"
        except Exception:
            self.handleError(record)
            return ""


def configure_logging(service_name: str, *, buffered: bool = False) -> None:
    """Log JSON lines to stderr, from the root logger down. Calling it again replaces what it set up.

    `buffered` is for servers under load, not for functions, which are frozen between calls.
    """
    handler = BufferedHandler(sys.stderr) if buffered else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service_name))
    # Not gathered for each record, because no line tells them (as the logging HOWTO suggests).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
