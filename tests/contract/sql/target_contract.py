"""What every target database must do, as far as a stand-in without SQL can do it too."""

import pytest

from services.sql.errors import DatabaseUnavailable
from services.sql.models import ResultColumn, ResultTable
from services.sql.ports import TargetDatabase


class TargetDatabaseContract:
    """Subclasses give a `target` fixture that answers, and a `lost_target` that does not."""

    @pytest.fixture
    def target(self) -> TargetDatabase:
        raise AssertionError("a subclass gives the target")

    @pytest.fixture
    def lost_target(self) -> TargetDatabase:
        raise AssertionError("a subclass gives the target")

    async def test_a_run_gives_columns_and_rows(self, target: TargetDatabase) -> None:
        result = await target.run("SELECT 2::int8 AS count LIMIT 1001")

        assert result == ResultTable((ResultColumn("count", "int8"),), ((2,),), truncated=False)

    async def test_a_plan_tells_a_cost_and_runs_nothing(self, target: TargetDatabase) -> None:
        plan = await target.plan("SELECT 2::int8 AS count LIMIT 1001")

        assert plan.cost >= 0

    async def test_a_target_that_answers_is_reachable(self, target: TargetDatabase) -> None:
        assert await target.is_reachable()

    async def test_a_lost_target_is_unavailable_and_unreachable(self, lost_target: TargetDatabase) -> None:
        assert not await lost_target.is_reachable()
        with pytest.raises(DatabaseUnavailable):
            await lost_target.run("SELECT 2::int8 AS count LIMIT 1001")
        with pytest.raises(DatabaseUnavailable):
            await lost_target.plan("SELECT 2::int8 AS count LIMIT 1001")
