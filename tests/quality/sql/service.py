"""The real sql service, as `make run` starts it, on one database after the other, and what it answers."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from pydantic import SecretStr

from deploy.local.plan import Addresses, ServiceProcess, plan
from deploy.local.run_folder import RunFolder
from deploy.local.settings import LocalSettings
from protos.sql.v1 import sql_service_pb2
from protos.sql.v1.sql_service_pb2_grpc import SqlServiceStub
from services.transport.channels import open_channel
from services.transport.errors import read_failure
from services.transport.identity import Caller, acting_as
from services.transport.settings import TransportSettings
from tests.quality.sql.child import Child, running
from tests.quality.sql.scratch import ScratchPostgres, short_folder

if TYPE_CHECKING:
    from protos.sql.v1.sql_service_pb2_grpc import SqlServiceAsyncStub

CALLER = Caller("evaluation", "evaluation", frozenset({"user"}))
GROUNDED: Mapping[str, str] = {"SQL_GENERATOR": "grounded"}
_SCHEMA_SECONDS = 120.0  # a schema of many tables is read with the first question
_QUESTION_SECONDS = 60.0
_WARM_UP = "How many rows are there?"
# What a person's environment may hold and a reproducible run leaves out: keys, production parts, collectors.
LEFT_OUT = (
    *("OPENAI_", "PINECONE_", "VANNA_", "REDIS_", "UPSTASH_", "CACHE_", "AWS_", "OTEL_", "OPIK_"),
    *("RAG_EMBEDDER", "RAG_ANSWER_WRITER", "RAG_CHUNK_INDEX", "SQL_GENERATOR"),
)


@dataclass(frozen=True)
class Answer:
    """What came back for one question: a query that has passed the guard, or a refusal, or neither after a failure."""

    sql: str | None = None
    refusal: str = ""
    failure: str = ""
    """Reason of a call that failed."""
    elapsed_ms: float = 0.0
    """From the question sent to the answer received."""

    @property
    def refused(self) -> bool:
        return self.sql is None and not self.failure


class Asker:
    """Puts questions to one running service."""

    def __init__(self, stub: SqlServiceAsyncStub, child: Child) -> None:
        self._stub = stub
        self._child = child

    async def warm_up(self, *, writes_query: bool) -> None:
        """Have the schema read and everything loaded. A query is written too where that costs nothing.

        Raises: RunFailed: it cannot be asked.
        """
        with acting_as(CALLER):
            try:
                request = sql_service_pb2.AssessQuestionRequest(question=_WARM_UP)
                await self._stub.AssessQuestion(request, timeout=_SCHEMA_SECONDS)
            except grpc.aio.AioRpcError as error:
                self._child.check()
                raise self._child.failed(f"it does not answer ({_told(error)})") from error
        if writes_query:
            await self.ask(_WARM_UP)

    async def ask(self, question: str) -> Answer:
        """Have a query written. Raises: RunFailed: the service, its store or its database is gone."""
        request = sql_service_pb2.GenerateSqlRequest(question=question)
        began = time.perf_counter()
        with acting_as(CALLER):
            try:
                response = await self._stub.GenerateSql(request, timeout=_QUESTION_SECONDS)
            except grpc.aio.AioRpcError as error:
                return self._without_answer(error, (time.perf_counter() - began) * 1000)
        elapsed_ms = (time.perf_counter() - began) * 1000
        if response.WhichOneof("outcome") == "query":
            return Answer(sql=response.query.sql, elapsed_ms=elapsed_ms)
        return Answer(refusal=response.no_answer.reason or "no reason is given", elapsed_ms=elapsed_ms)

    def _without_answer(self, error: grpc.aio.AioRpcError, elapsed_ms: float) -> Answer:
        self._child.check()
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                raise self._child.failed(f"it cannot answer any more ({_told(error)})") from error
            case grpc.StatusCode.INVALID_ARGUMENT:  # a question that is too long, for one
                return Answer(refusal=_told(error), elapsed_ms=elapsed_ms)
        return Answer(failure=_told(error), elapsed_ms=elapsed_ms)


class Services:
    """Starts the sql service for one database at a time, on a run's own PostgreSQL and beside a rag service."""

    def __init__(self, postgres: ScratchPostgres, folder: Path, generator: Mapping[str, str]) -> None:
        self._postgres = postgres
        self._folder = folder
        self._generator = generator
        self._internal_key = secrets.token_hex(32)
        self._rag: Child | None = None

    @asynccontextmanager
    async def asking(self, database: str) -> AsyncIterator[Asker]:
        """The service on a database, warm; it has ended when the context is left. Raises RunFailed."""
        planned = self._planned(database)["sql"]
        address = planned.environment["SQL_LISTEN"]
        # Its defaults: what this machine's environment says is the services' business.
        transport = TransportSettings.model_construct(internal_key=SecretStr(self._internal_key))
        environment = {**planned.environment, **self._generator}
        async with (
            running(planned, environment, address, self._folder) as child,
            open_channel(address, transport) as channel,
        ):
            if self._rag is not None:
                await self._rag.wait_until_healthy()
            await child.wait_until_healthy()
            asker = Asker(SqlServiceStub(channel), child)
            await asker.warm_up(writes_query=self._generator == GROUNDED)
            yield asker

    @asynccontextmanager
    async def rag(self) -> AsyncIterator[None]:
        """The rag service, which the sql service knows. It comes up meanwhile; who asks waits for it."""
        planned = self._planned("postgres")["rag"]
        async with running(planned, planned.environment, planned.environment["RAG_LISTEN"], self._folder) as child:
            self._rag = child
            yield

    def _planned(self, database: str) -> dict[str, ServiceProcess]:
        """The processes as `make run` plans them, without what only this machine's environment says."""
        local = LocalSettings(host="127.0.0.1", port=1, data_dir=self._folder, sample=False)
        addresses = Addresses(self._internal_key, self._postgres.reader_url(database), self._postgres.store_urls())
        planned = plan(local, RunFolder(self._folder, self._folder), addresses)
        return {each.name: _reproducible(each) for each in planned}


@asynccontextmanager
async def open_services(postgres: ScratchPostgres, generator: Mapping[str, str]) -> AsyncIterator[Services]:
    """With rag coming up. `generator` is what the environment of the sql service says of it."""
    with short_folder() as folder:
        services = Services(postgres, folder, generator)
        async with services.rag():
            yield services


def _reproducible(planned: ServiceProcess) -> ServiceProcess:
    kept = {name: value for name, value in planned.environment.items() if not name.startswith(LEFT_OUT)}
    return ServiceProcess(planned.name, planned.module, {**kept, "ENVIRONMENT": "local"})


def _told(error: grpc.aio.AioRpcError) -> str:
    return read_failure(error).reason
