"""The target's suite on the stand-in and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from services.sql.adapters.postgres_session import RunLimits, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.errors import DatabaseUnavailable
from services.sql.ports import TargetDatabase
from tests.contract.sql.target_contract import TargetDatabaseContract
from tests.fakes.sql import FakeTarget

LIMITS = RunLimits(5, 1, 16_384, 1e7, 1_000, 4_000_000)


class TestFakeTarget(TargetDatabaseContract):
    @pytest.fixture
    def target(self) -> TargetDatabase:
        return FakeTarget()

    @pytest.fixture
    def lost_target(self) -> TargetDatabase:
        return FakeTarget(error=DatabaseUnavailable())


class TestPostgresTarget(TargetDatabaseContract):
    @pytest.fixture
    async def target(self, shop_url: str) -> AsyncIterator[TargetDatabase]:
        async with open_target_pool(shop_url, max_connections=2, checkout_wait_seconds=5) as pool:
            yield PostgresTarget(pool, LIMITS, max_concurrent_runs=1, wait_seconds=1)

    @pytest.fixture
    async def lost_target(self) -> AsyncIterator[TargetDatabase]:
        nowhere = "postgresql://reader@127.0.0.1:1/shop"
        async with open_target_pool(nowhere, max_connections=1, checkout_wait_seconds=0.5) as pool:
            yield PostgresTarget(pool, LIMITS, max_concurrent_runs=1, wait_seconds=1)
