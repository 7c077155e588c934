"""A local server that speaks OpenAI's wire format, for tests that run the real SDK.

    async def test_something(openai_server: OpenAiServer) -> None:
        openai_server.answer({"sql": "SELECT 1"}, "a second answer")     # a queue: text, or an object told as JSON
        openai_server.answer_by(lambda request: request["messages"][-1]["content"].upper())   # or a function
        openai_server.fail(rate_limited(retry_after_seconds=7))          # the next request fails in this way
        client = AsyncOpenAI(api_key=openai_server.api_key, base_url=openai_server.base_url, max_retries=0)
        ...
        [request] = openai_server.asked("/chat/completions")             # what came in: body and headers

It serves /v1/models, /v1/embeddings (float and base64) and /v1/chat/completions (whole and as server-sent events,
`response_format`, `stream_options.include_usage`) on a loopback port from threads of its own, and refuses what the API
refuses: a wrong key, an unknown model, too many or too long inputs, a schema that is not strict. Tokens are counted as
four characters each. Embeddings are hashed words of length 1: texts that share words are near.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps, loads
from struct import pack
from typing import Any, cast

import pytest

from tests.openai_replies import Fault, Reply, access_denied, bad_request

MAX_INPUTS, MAX_INPUT_TOKENS, MAX_REQUEST_TOKENS = 2_048, 8_192, 300_000
_CHARACTERS_PER_TOKEN, _CHARACTERS_PER_EVENT = 4, 7
_STOP_WORDS = frozenset(
    "a an and are as at be by can did do does for from had has have how in is it its many no not of on or that the "
    "their they this to was were what when where which who why with".split()
)

_PARAMETERS = {"json_schema": "response_format", "json_object": "response_format", "system": "system role"}

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    path: str
    """Without /v1."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: dict[str, Any]
    content: bytes = b""
    """The body as it was sent."""


class OpenAiServer:
    """The server and its script. `start` and `stop` it, or ask for the fixture `openai_server`."""

    def __init__(self) -> None:
        self.api_key = "sk-only-for-tests"
        self.models = ["text-embedding-3-small", "text-embedding-3-large", "gpt-4o-mini", "gpt-4o"]
        self.requests: list[Asked] = []
        self.refuses: set[str] = set()
        """What chat requests must not hold: "temperature", "json_schema", "json_object", "system"; says so, or not."""
        self.says_what_it_refuses = True
        self.embedding_scale = 1.0
        """Length of the embeddings; other servers than OpenAI's give any."""
        self.hung_up = threading.Event()
        """Set once a client went away before its reply was complete."""
        self._replies: deque[Reply] = deque()
        self._answer_by: Callable[[dict[str, Any]], Reply | str | Json] | None = None
        self._faults: deque[tuple[Fault, str]] = deque()
        self._lock = threading.Lock()
        self._came_in = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="openai-server")

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def environment(self) -> dict[str, str]:
        """Environment variables by which a process speaks to this server."""
        return {"OPENAI_API_KEY": self.api_key, "OPENAI_BASE_URL": self.base_url}

    def answer(self, *replies: Reply | str | Json) -> None:
        """Say these to the next chat requests, one each; before what `answer_by` would say."""
        self._replies.extend(_as_reply(reply) for reply in replies)

    def answer_by(self, make: Callable[[dict[str, Any]], Reply | str | Json]) -> None:
        """Say to a chat request what this function makes of its body. It runs in a thread of the server."""
        self._answer_by = make

    def answer_always(self, reply: Reply | str | Json) -> None:
        """Say the same to every chat request."""
        self._answer_by = lambda _: reply

    def fail(self, *faults: Fault, path: str = "") -> None:
        """Fail the next requests in these ways, one each; only those to `path` ("/embeddings") when it is given."""
        self._faults.extend((fault, path) for fault in faults)

    def asked(self, path: str) -> list[Asked]:
        """The requests to a path so far, refused ones too."""
        return [request for request in self.requests if request.path == path]

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come in; 30 s at most."""
        with self._came_in:
            assert self._came_in.wait_for(lambda: len(self.requests) >= count, 30)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; replies under way end early."""
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def is_stopping(self) -> bool:
        """Whether the test is over."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, but not past the end of the test."""
        self._stopping.wait(seconds)

    def note(self, asked: Asked) -> Fault | None:
        """Remember a request; how it is to fail, if it is."""
        with self._came_in:
            self.requests.append(asked)
            self._came_in.notify_all()
            for place, (fault, path) in enumerate(self._faults):
                if path in ("", asked.path):
                    del self._faults[place]
                    return fault
        return None

    def reply_to(self, body: dict[str, Any]) -> Reply | None:
        """What the script says next; None when it holds nothing more."""
        with self._lock:
            if self._replies:
                return self._replies.popleft()
        return _as_reply(self._answer_by(body)) if self._answer_by is not None else None


@pytest.fixture
def openai_server() -> Iterator[OpenAiServer]:
    """A fresh server with an empty script."""
    server = OpenAiServer()
    server.start()
    yield server
    server.stop()


def embedding_of(text: str, dimensions: int, *, length: float = 1.0) -> list[float]:
    """The embedding that the server gives to a text: one hashed place a word."""
    values = [0.0] * dimensions
    words = [word for word in re.findall(r"\w+", text.lower()) if word not in _STOP_WORDS]
    for word in words or [text]:
        stem = re.sub(r"(?<=\w{3})(?:s|ed|ing)$", "", word)
        values[int.from_bytes(hashlib.sha256(stem.encode()).digest()[:8], "big") % dimensions] += 1
    norm = math.sqrt(math.fsum(value * value for value in values))
    return [length * value / norm for value in values]


def tokens_in(text: str) -> int:
    """Tokens as the server counts them."""
    return max(1, math.ceil(len(text) / _CHARACTERS_PER_TOKEN))


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    owner: OpenAiServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of many a test: nothing to print."""
        self.owner.hung_up.set()


class _Refused(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _owner(self) -> OpenAiServer:
        return cast(_Http, self.server).owner

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        self._serve(loads(content), content)

    def _serve(self, body: dict[str, Any], content: bytes = b"") -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.path.removeprefix("/v1"), headers, body, content)
        fault = self._owner.note(asked)
        try:
            if fault is not None:
                self._meet(fault)
            self._answer(asked)
        except _Refused as refused:
            self._refuse(refused.fault)

    def _meet(self, fault: Fault) -> None:
        self._owner.pause(fault.delay_seconds)
        if fault.breaks or fault.drips or fault.body is not None or fault.status != 200:
            raise _Refused(fault)

    def _refuse(self, fault: Fault) -> None:
        if fault.breaks:
            self.close_connection = True
            return
        if fault.drips:
            self._drip()
            return
        error = {"message": fault.message, "type": "error", "param": None, "code": fault.code}
        self._send(fault.status, fault.body or dumps({"error": error}).encode(), fault.headers)

    def _drip(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        with suppress(OSError):  # nobody listens any more
            while not self._owner.is_stopping:
                self.wfile.write(b" ")
                self._owner.pause(0.02)

    def _answer(self, asked: Asked) -> None:
        if asked.headers.get("authorization") != f"Bearer {self._owner.api_key}":
            raise _Refused(access_denied())
        if asked.path == "/models":
            self._send_json({"object": "list", "data": [_model(name) for name in self._owner.models]})
            return
        model = asked.path.removeprefix("/models/") if self.command == "GET" else asked.body.get("model")
        if model not in self._owner.models:
            raise _Refused(Fault(404, "model_not_found", f"The model `{model}` does not exist."))
        if self.command == "GET":
            self._send_json(_model(model))
        elif asked.path == "/embeddings":
            self._send_json(_embed(asked.body, self._owner.embedding_scale))
        elif asked.path == "/chat/completions":
            self._chat(asked.body)
        else:
            raise _Refused(Fault(404, None, f"Invalid URL ({self.command} {self.path})"))

    def _chat(self, body: dict[str, Any]) -> None:
        held = {"temperature"} & body.keys() | {body.get("response_format", {}).get("type")}
        held |= {message["role"] for message in body["messages"]}
        for name in sorted(self._owner.refuses & held):
            why = f"Unsupported value: '{_PARAMETERS.get(name, name)}' is not supported with this model."
            raise _Refused(bad_request(message=why if self._owner.says_what_it_refuses else "Bad request."))
        form = body.get("response_format", {}).get("json_schema", {})
        if form.get("strict") and (fault := _lax(form["schema"], "schema")):
            raise _Refused(bad_request("invalid_json_schema", f"Invalid schema for response_format: {fault}"))
        reply = self._owner.reply_to(body)
        if reply is None:
            raise _Refused(Fault(500, None, "The script of the test holds no further reply."))
        prompt_tokens = sum(tokens_in(dumps(message)) for message in body["messages"])
        said = tokens_in(reply.content or reply.refusal or "")
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": said, "total_tokens": prompt_tokens + said}
        head = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if body.get("stream"):
            include_usage = (body.get("stream_options") or {}).get("include_usage", False)
            self._stream(reply, {**head, "object": "chat.completion.chunk"}, usage if include_usage else None)
            return
        message = {"role": "assistant", "content": reply.content or None, "refusal": reply.refusal}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}
        self._send_json({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def _stream(self, reply: Reply, head: Json, usage: Json | None) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

        def event(delta: Json, finish_reason: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
            self._send_event(dumps({**head, "choices": [choice], "usage": None}))

        event({"role": "assistant", "content": "", "refusal": None})
        if reply.refusal is not None:
            event({"refusal": reply.refusal})
        for start in range(0, len(reply.content), _CHARACTERS_PER_EVENT):
            if reply.cut_after_characters is not None and start >= reply.cut_after_characters:
                self.close_connection = True
                return
            event({"content": reply.content[start : start + _CHARACTERS_PER_EVENT]})
            if start == 0:
                self._owner.pause(reply.pause_seconds)
        event({}, reply.finish_reason)
        if usage is not None:
            self._send_event(dumps({**head, "choices": [], "usage": usage}))
        self._send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _send_event(self, data: str) -> None:
        content = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def _send_json(self, reply: Json) -> None:
        self._send(200, dumps(reply).encode())

    def _send(self, status: int, content: bytes, headers: Json | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", "x-request-id": "req-1", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Tests read `requests` instead."""


def _as_reply(reply: Reply | str | Json) -> Reply:
    if isinstance(reply, Reply):
        return reply
    return Reply(reply if isinstance(reply, str) else dumps(reply, ensure_ascii=False))


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 1, "owned_by": "tests"}


def _embed(body: dict[str, Any], length: float) -> Json:
    given = body["input"]
    texts = [given] if isinstance(given, str) else given
    counts = [tokens_in(text) for text in texts]
    if not 1 <= len(texts) <= MAX_INPUTS or not all(texts):
        raise _Refused(bad_request(message=f"Between 1 and {MAX_INPUTS} inputs, none of them empty."))
    if max(counts) > MAX_INPUT_TOKENS:
        raise _Refused(bad_request(message=f"This model's maximum context length is {MAX_INPUT_TOKENS} tokens."))
    if sum(counts) > MAX_REQUEST_TOKENS:
        raise _Refused(bad_request("max_tokens_per_request", f"Requested {sum(counts)} tokens."))
    dimensions = body.get("dimensions", 3_072 if body["model"].endswith("large") else 1_536)
    data = []
    for index, text in enumerate(texts):
        values: list[float] | str = embedding_of(text, dimensions, length=length)
        if body.get("encoding_format") == "base64":
            values = b64encode(pack(f"<{dimensions}f", *values)).decode()
        data.append({"object": "embedding", "index": index, "embedding": values})
    usage = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def _lax(schema: Any, place: str) -> str:
    """What keeps a schema from being strict, as the API would say; empty when nothing does."""
    if not isinstance(schema, dict):
        return ""
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return f"'additionalProperties' is required to be false in {place}"
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            return f"'required' must name every property of {place}"
    parts = {**schema.get("properties", {}), **schema.get("$defs", {}), "items": schema.get("items")}
    return next((fault for name, part in parts.items() if (fault := _lax(part, f"{place}.{name}"))), "")
