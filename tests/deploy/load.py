"""A little load on the REST API while parts of the system die: several callers, and what each of them was answered."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import uuid4

import httpx

_PAUSE_SECONDS = 0.1
# Longer than any deadline of the system's own: who waits this long was forgotten.
_FORGOTTEN_SECONDS = 45
_SUCCESS_SECONDS = 90


@dataclass(frozen=True)
class Outcome:
    """One call: what was asked for, and the reply, or the error when there was none."""

    kind: str
    status: int
    reason: str = ""
    retry_after: str = ""
    content_type: str = ""
    error: str = ""

    @property
    def refused_for_now(self) -> bool:
        """A 503 as the contract has it."""
        return (
            self.status == 503
            and self.content_type.startswith("application/problem+json")
            and bool(self.reason)
            and int(self.retry_after or 0) >= 1
        )


@dataclass
class Upload:
    """A file, and whether the system said that it has it."""

    name: str
    content: bytes
    taken: bool = False


@dataclass
class Load:
    """Callers that go on until the context is left; each makes one call at a time."""

    url: str
    query_ids: list[str]
    outcomes: list[Outcome] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    runs: dict[str, list[int]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        callers = (self._ask_documents, self._ask_database, self._upload, self._approve)
        self._threads = [threading.Thread(target=self._repeat, args=(caller,), daemon=True) for caller in callers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_successes(self, kinds: set[str]) -> None:
        """Wait until a call of each kind that began from now on has been granted."""
        done = len(self.outcomes) + len(self._threads)  # those under way began before
        give_up = time.monotonic() + _SUCCESS_SECONDS
        while kinds - {outcome.kind for outcome in self.outcomes[done:] if outcome.status in (200, 201)}:
            assert time.monotonic() < give_up, f"not granted again: {self.outcomes[-8:]}"
            time.sleep(0.1)

    def _repeat(self, caller: Callable[[httpx.Client], None]) -> None:
        with httpx.Client(base_url=self.url, timeout=_FORGOTTEN_SECONDS, trust_env=False) as client:
            while not self._over.wait(_PAUSE_SECONDS):
                caller(client)

    def _ask_documents(self, client: httpx.Client) -> None:
        body = {"query": "How many vacation days do full-time employees get?"}
        self._note("documents", lambda: client.post("/query/documents", json=body))

    def _ask_database(self, client: httpx.Client) -> None:
        body = {"query": "How many customers do we have?", "auto_approve_sql": True}
        self._note("query", lambda: client.post("/query", json=body))

    def _upload(self, client: httpx.Client) -> None:
        word = uuid4().hex
        upload = Upload(f"{word}.txt", f"The keeper of lighthouse {word} is called Maud Finlay.".encode())
        self.uploads.append(upload)
        files = {"file": (upload.name, upload.content)}
        reply = self._note("upload", lambda: client.post("/upload", files=files))
        upload.taken = reply is not None and reply.status_code in (201, 202)

    def _approve(self, client: httpx.Client) -> None:
        """Try to run each query again and again: one of the tries may succeed, and no other."""
        for query_id in self.query_ids:
            body = {"query_id": query_id, "approved": True}
            reply = self._note("execute", lambda body=body: client.post("/query/sql/execute", json=body))  # type: ignore[misc]
            if reply is not None:
                self.runs.setdefault(query_id, []).append(reply.status_code)

    def _note(self, kind: str, call: Callable[[], httpx.Response]) -> httpx.Response | None:
        try:
            reply = call()
        except httpx.HTTPError as error:
            self.outcomes.append(Outcome(kind, 0, error=type(error).__name__))
            return None
        refused = reply.status_code >= 400 and "json" in reply.headers.get("content-type", "")
        self.outcomes.append(
            Outcome(
                kind,
                reply.status_code,
                reason=str(reply.json().get("reason", "")) if refused else "",
                retry_after=reply.headers.get("retry-after", ""),
                content_type=reply.headers.get("content-type", ""),
            )
        )
        return reply
