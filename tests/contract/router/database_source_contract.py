"""What every DatabaseSource must do."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

import pytest

from services.router.errors import SourceRefused, SourceTimeout, SourceUnavailable
from services.router.models import Column
from services.router.ports import DatabaseSource

ASKED = "number of customers"
UNKNOWN = "quarterly zebra census"


class DatabaseBench(Protocol):
    """A source that answers ASKED with one row, customer_count = 100, and ways to break it."""

    @property
    def source(self) -> DatabaseSource: ...

    async def stop(self) -> None: ...

    def refuse(self, reason: str) -> None: ...

    def stall(self) -> None: ...


class DatabaseSourceContract:
    @pytest.fixture
    @abstractmethod
    def bench(self) -> object: ...

    async def test_assesses_the_question_and_each_part_in_order(self, bench: DatabaseBench) -> None:
        evidence = await bench.source.assess(ASKED, [UNKNOWN, ASKED])

        assert [part.score > 0.5 for part in evidence.parts] == [False, True]
        assert 0 < evidence.question.score <= 1
        assert "Table" in evidence.question.reason

    async def test_an_approved_question_gives_rows(self, bench: DatabaseBench) -> None:
        answer = await bench.source.answer(ASKED, auto_approve=True)

        assert answer.answered
        assert not answer.pending
        assert (answer.pending_reason, answer.plan_cost, answer.expire_time) == ("", None, None)
        assert answer.columns == (Column("customer_count", "int8"),)
        assert answer.rows == ((100,),)
        assert answer.query.startswith("queries/")

    async def test_without_approval_the_query_waits_and_gives_no_rows(self, bench: DatabaseBench) -> None:
        answer = await bench.source.answer(ASKED, auto_approve=False)

        assert answer.answered
        assert answer.pending
        assert answer.pending_reason == "NOT_ASKED"
        assert answer.plan_cost is not None
        assert answer.plan_cost > 0
        assert answer.expire_time is not None
        assert answer.expire_time.tzinfo is not None
        assert (answer.columns, answer.rows) == ((), ())
        assert answer.sql
        assert len(answer.sql_hash) == 64

    async def test_says_when_no_query_can_be_written(self, bench: DatabaseBench) -> None:
        answer = await bench.source.answer(UNKNOWN, auto_approve=True)

        assert not answer.answered
        assert answer.explanation
        assert (answer.query, answer.sql) == ("", "")

    async def test_a_stopped_source_is_unavailable(self, bench: DatabaseBench) -> None:
        await bench.stop()

        with pytest.raises(SourceUnavailable):
            await bench.source.assess(ASKED, [])
        with pytest.raises(SourceUnavailable):
            await bench.source.answer(ASKED, auto_approve=True)

    async def test_a_source_that_does_not_say_how_it_fits_in_time_times_out(self, bench: DatabaseBench) -> None:
        bench.stall()

        with pytest.raises(SourceTimeout):
            await bench.source.assess(ASKED, [])

    async def test_its_own_error_keeps_its_reason(self, bench: DatabaseBench) -> None:
        bench.refuse("DATABASE_UNAVAILABLE")

        with pytest.raises(SourceRefused) as raised:
            await bench.source.answer(ASKED, auto_approve=True)

        assert (raised.value.source, raised.value.reason) == ("sql", "DATABASE_UNAVAILABLE")
        assert raised.value.remote is not None
