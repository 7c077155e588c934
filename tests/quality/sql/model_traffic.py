"""What the service says to its model and what it hears: recorded from a real one, or replayed from a file.

A file of traffic has one JSON object a line: `key` (a hash of model and messages), `model`, `messages`, and `reply`,
the completion as the model's API gave it. A replayed run needs neither key nor network and hears the same again. A
prompt that the file does not hold is answered with a refusal and counted.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

import httpx

from tests.quality.sql.errors import BadInput

OPENAI_URL = "https://api.openai.com/v1"
UPSTREAM_SECONDS = 60.0
_REFUSAL = {
    "sql": None,
    "explanation": "",
    "refusal": "No reply to this prompt is recorded.",
    "confidence": 0,
}

Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What an API answered: its status and its body."""

    status: int
    body: bytes


class Model(Protocol):
    """Whoever answers a prompt."""

    def reply_to(self, key: str, request: Json) -> Reply:
        """The answer to the body of a chat request."""
        ...


@dataclass
class Traffic:
    """The prompts that came in, in their order, and how it went."""

    prompts: list[list[Json]] = field(default_factory=list)
    unknown: int = 0
    """Prompts that the replayed file does not hold."""
    failed: int = 0
    """Answers other than 200: the service went on without the model."""


def key_of(request: Mapping[str, Any]) -> str:
    """What a prompt is known by."""
    told = {"model": request.get("model"), "messages": request.get("messages")}
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


class ReplayedModel:
    """Answers from a file of traffic."""

    def __init__(self, replies: Mapping[str, Json], traffic: Traffic) -> None:
        self._replies = replies
        self._traffic = traffic

    def reply_to(self, key: str, request: Json) -> Reply:
        known = self._replies.get(key)
        if known is None:
            self._traffic.unknown += 1
        return Reply(200, json.dumps(known or _refusal(str(request.get("model")))).encode())


class RealModel:
    """Passes prompts on to an API that speaks as OpenAI's does, and writes down what it answers."""

    def __init__(self, base_url: str, api_key: str, record: TextIO | None) -> None:
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._client = httpx.Client(headers={"authorization": f"Bearer {api_key}"}, timeout=UPSTREAM_SECONDS)
        self._record = record
        self._lock = threading.Lock()

    def reply_to(self, key: str, request: Json) -> Reply:
        try:
            heard = self._client.post(self._url, json=request)
        except httpx.HTTPError as error:
            return Reply(502, json.dumps({"error": {"message": type(error).__name__, "type": "error"}}).encode())
        if heard.status_code == 200 and self._record is not None:
            line = {"key": key, "model": request.get("model"), "messages": request.get("messages")}
            with self._lock:
                self._record.write(json.dumps({**line, "reply": heard.json()}) + "\n")
                self._record.flush()
        return Reply(heard.status_code, heard.content)

    def close(self) -> None:
        self._client.close()


def read_traffic(path: Path) -> dict[str, Json]:
    """Replies by key; the first where a prompt was answered twice. Raises BadInput."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--replay {path}: cannot be read ({error})") from error
    replies: dict[str, Json] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            replies.setdefault(row["key"], dict(row["reply"]))
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(f'--replay {path}, line {number}: no object with "key" and "reply"') from error
    return replies


@contextmanager
def open_record(path: Path) -> Iterator[TextIO]:
    """A new file to record into. Replies cost money: one that holds some is not written over. Raises BadInput."""
    if path.is_file() and path.stat().st_size:
        raise BadInput(f"--record {path}: it holds replies already; replay it, remove it, or name another file")
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--record {path}: cannot be written ({error.strerror})") from error
    with file:
        yield file


@contextmanager
def serving_model(model: Model, traffic: Traffic) -> Iterator[str]:
    """Speak for a model on a loopback port; yields the base URL."""
    server = _Http(("127.0.0.1", 0), _Handler)
    server.model, server.traffic = model, traffic
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="model-traffic")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    model: Model
    traffic: Traffic

    def handle_error(self, request: object, client_address: object) -> None:
        """A service that stops in the middle of a reply: nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        server = cast(_Http, self.server)
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != "/v1/chat/completions":
            self._send(Reply(404, b'{"error": {"message": "only /v1/chat/completions is served", "type": "error"}}'))
            return
        request = json.loads(content)
        server.traffic.prompts.append(request["messages"])
        reply = server.model.reply_to(key_of(request), request)
        server.traffic.failed += reply.status != 200
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        """The figures tell of it."""


def _refusal(model: str) -> Json:
    message = {"role": "assistant", "content": json.dumps(_REFUSAL), "refusal": None}
    return {
        "id": "chatcmpl-unrecorded",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
