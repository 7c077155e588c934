from collections.abc import AsyncIterator

import pytest

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from services.router.adapters.sql_client import SqlClient
from services.router.errors import SourceRefused, SourceTimeout, SourceUnavailable
from services.router.models import SqlAnswer
from tests.contract.router.database_source_contract import ASKED, DatabaseBench, DatabaseSourceContract
from tests.fakes.router import FakeDatabaseSource, sql_answer
from tests.fakes.served_sources import PATIENCE_SECONDS, served_source
from tests.fakes.sql_servicer import FakeSql

COUNT = sql_service_pb2.RunQueryResponse(
    result=sql_query_pb2.ResultTable(
        columns=[sql_query_pb2.Column(name="customer_count", type="int8")],
        rows=[sql_query_pb2.Row(values=[sql_query_pb2.Value(integer_value=100)])],
    )
)


class InMemoryBench:
    """The fake, scripted to hold what the contract asks for."""

    def __init__(self) -> None:
        self.source = ScriptedDatabase({ASKED: 0.9})

    async def stop(self) -> None:
        self.source.failure = SourceUnavailable("sql")

    def refuse(self, reason: str) -> None:
        self.source.failure = SourceRefused("sql", reason, "It went wrong.", remote=object())

    def stall(self) -> None:
        self.source.failure = SourceTimeout("sql")


class ScriptedDatabase(FakeDatabaseSource):
    async def answer(self, question: str, *, auto_approve: bool) -> SqlAnswer:
        if question in self.scores:
            self.reply = sql_answer([100], pending=not auto_approve)
        return await super().answer(question, auto_approve=auto_approve)


class TestFakeDatabaseSource(DatabaseSourceContract):
    @pytest.fixture
    def bench(self) -> DatabaseBench:
        return InMemoryBench()


class TestSqlClient(DatabaseSourceContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[DatabaseBench]:
        sql = FakeSql({ASKED: COUNT})
        async with served_source(
            sql, sql.faults, lambda channel: SqlClient(channel, assess_timeout_seconds=PATIENCE_SECONDS)
        ) as bench:
            yield bench
