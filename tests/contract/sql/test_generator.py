"""The generator's suite on the stand-in, on the grounded generator, and on Vanna before a scripted model."""

from collections.abc import Iterator

import pytest

from services.sql.adapters.vanna_generator import VannaGenerator
from services.sql.grounding.generator import GroundedGenerator
from services.sql.ports import SqlGenerator
from tests.contract.sql.generator_contract import SqlGeneratorContract
from tests.contract.sql.vanna_generators import reply, vanna_generator
from tests.fakes.sql import FakeGenerator
from tests.openai_server import OpenAiServer


class TestFakeGenerator(SqlGeneratorContract):
    @pytest.fixture
    def generator(self) -> SqlGenerator:
        return FakeGenerator()


class TestGroundedGenerator(SqlGeneratorContract):
    @pytest.fixture
    def generator(self) -> SqlGenerator:
        return GroundedGenerator()


class TestVannaGenerator(SqlGeneratorContract):
    @pytest.fixture
    def generator(self, openai_server: OpenAiServer) -> Iterator[VannaGenerator]:
        openai_server.answer_by(lambda _: reply("SELECT count(*) FROM customers", "Counts all customers."))
        with vanna_generator(openai_server) as generator:
            yield generator
