"""The generator's suite on the stand-in and on the grounded generator."""

import pytest

from services.sql.grounding.generator import GroundedGenerator
from services.sql.ports import SqlGenerator
from tests.contract.sql.generator_contract import SqlGeneratorContract
from tests.fakes.sql import FakeGenerator


class TestFakeGenerator(SqlGeneratorContract):
    @pytest.fixture
    def generator(self) -> SqlGenerator:
        return FakeGenerator()


class TestGroundedGenerator(SqlGeneratorContract):
    @pytest.fixture
    def generator(self) -> SqlGenerator:
        return GroundedGenerator()
