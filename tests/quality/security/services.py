"""The real ingest and rag services, as `make run` starts them, and what hostile input makes of them."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from pydantic import SecretStr

from deploy.local.plan import Addresses, ServiceProcess, plan
from deploy.local.run_folder import RunFolder
from deploy.local.settings import LocalSettings
from protos.ingest.v1.ingest_service_pb2 import IngestDocumentRequest
from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from protos.rag.v1.rag_service_pb2 import AnswerQuestionRequest
from protos.rag.v1.rag_service_pb2_grpc import RagServiceStub
from services.transport.channels import open_channel
from services.transport.errors import read_failure
from services.transport.identity import Caller, acting_as
from services.transport.settings import TransportSettings
from tests.quality.sql.child import Child, running
from tests.quality.sql.scratch import ScratchPostgres, short_folder
from tests.quality.sql.service import LEFT_OUT

if TYPE_CHECKING:
    from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceAsyncStub
    from protos.rag.v1.rag_service_pb2_grpc import RagServiceAsyncStub

CALLER = Caller("evaluation", "evaluation", frozenset({"user"}))
_UPLOAD_SECONDS = 300.0
_QUESTION_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.02
_CRASHED = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "DATA_LOSS"})


@dataclass(frozen=True)
class Outcome:
    """What became of an upload. `status` is ok, rejected, timeout or crashed; `error` is what the caller was told.

    `peak_mb` is how much the service and the processes it starts grew meanwhile, at most.
    """

    status: str
    document: str = ""
    text: str = ""
    error: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0


class Services:
    """Both services, running."""

    def __init__(
        self, ingest: IngestServiceAsyncStub, rag: RagServiceAsyncStub, child: Child, rag_child: Child, files: Path
    ) -> None:
        self._ingest = ingest
        self._rag = rag
        self._child = child
        self._rag_child = rag_child
        self._files = files

    @property
    def memory_mb(self) -> float:
        """What the ingest service and its processes hold now."""
        return _memory_mb(self._child.process.pid)

    async def upload(self, filename: str, content: bytes) -> Outcome:
        """Upload a file. Raises: RunFailed: the service has ended."""
        request = IngestDocumentRequest(filename=filename, content=content)
        began, before = time.perf_counter(), self.memory_mb
        watching = asyncio.create_task(self._watch())
        try:
            with acting_as(CALLER):
                response = await self._ingest.IngestDocument(request, timeout=_UPLOAD_SECONDS)
            document = response.document.name
            outcome = Outcome("ok", document, self._text_of(document))
        except grpc.aio.AioRpcError as error:
            outcome = Outcome(_status(error), error=error.details() or "")
        finally:
            watching.cancel()
            peaks = await asyncio.gather(watching, return_exceptions=True)
        self._child.check()
        peak = peaks[0] if isinstance(peaks[0], float) else before
        seconds = round(time.perf_counter() - began, 2)
        return Outcome(
            outcome.status, outcome.document, outcome.text, outcome.error, seconds, round(max(peak - before, 0.0), 1)
        )

    async def ask(self, question: str, document: str = "") -> str:
        """The answer to a question, of one document or all. Raises: RunFailed: the service has ended."""
        request = AnswerQuestionRequest(question=question, documents=[document] if document else [])
        try:
            with acting_as(CALLER):
                response = await self._rag.AnswerQuestion(request, timeout=_QUESTION_SECONDS)
        except grpc.aio.AioRpcError as error:
            self._rag_child.check()
            return error.details() or ""
        return str(response.answer)

    async def _watch(self) -> float:
        peak = 0.0
        try:
            while True:
                peak = max(peak, await asyncio.to_thread(_memory_mb, self._child.process.pid))
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
        except asyncio.CancelledError:
            return peak

    def _text_of(self, document: str) -> str:
        """What was stored of a document, from the record beside it."""
        for path in self._files.rglob(f"{document.rpartition('/')[2]}/chunks.json"):
            return "\n".join(chunk["text"] for chunk in json.loads(path.read_bytes())["chunks"])
        return ""


def _status(error: grpc.aio.AioRpcError) -> str:
    if error.code().name in _CRASHED:
        return "crashed"
    # Parsing that takes too long is ended and told as such; only a call without an end is none of ours.
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and read_failure(error).reason != "PARSING_TIMEOUT":
        return "timeout"
    return "rejected"


def _memory_mb(pid: int) -> float:
    """What a process and its children hold, in megabytes of 2**20 bytes; 0 for one that is gone."""
    pages = 0
    for each in (pid, *_children(pid)):
        try:
            pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * 4096 / 2**20


def _children(pid: int) -> list[int]:
    try:
        tasks = [path / "children" for path in Path(f"/proc/{pid}/task").iterdir()]
        return [int(child) for path in tasks for child in path.read_text().split()]
    except OSError:
        return []


@asynccontextmanager
async def open_services(postgres: ScratchPostgres) -> AsyncIterator[Services]:
    """Both services, healthy. Raises: RunFailed."""
    with short_folder() as folder:
        internal_key = secrets.token_hex(32)
        local = LocalSettings(host="127.0.0.1", port=1, data_dir=folder, sample=False)
        addresses = Addresses(internal_key, postgres.reader_url("postgres"), postgres.store_urls())
        planned = {each.name: each for each in plan(local, RunFolder(folder, folder), addresses)}
        rag, ingest = (_reproducible(planned[name]) for name in ("rag", "ingest"))
        transport = TransportSettings.model_construct(internal_key=SecretStr(internal_key))
        rag_address, ingest_address = rag.environment["RAG_LISTEN"], ingest.environment["INGEST_LISTEN"]
        async with (
            running(rag, rag.environment, rag_address, folder) as rag_child,
            running(ingest, ingest.environment, ingest_address, folder) as child,
            open_channel(rag_address, transport) as rag_channel,
            open_channel(ingest_address, transport) as ingest_channel,
        ):
            await rag_child.wait_until_healthy()
            await child.wait_until_healthy()
            stubs = IngestServiceStub(ingest_channel), RagServiceStub(rag_channel)
            yield Services(*stubs, child, rag_child, folder / "files")


def _reproducible(planned: ServiceProcess) -> ServiceProcess:
    kept = {name: value for name, value in planned.environment.items() if not name.startswith(LEFT_OUT)}
    return ServiceProcess(planned.name, planned.module, {**kept, "ENVIRONMENT": "local"})
