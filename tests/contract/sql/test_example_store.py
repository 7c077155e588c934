"""The example store's suite on the stand-in and on Pinecone."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from pinecone import AsyncPinecone

from services.sql.adapters.pinecone_examples import PineconeExamples
from services.sql.errors import ExamplesUnavailable
from services.sql.models import Example
from services.sql.ports import ExampleStore
from tests.contract.sql.example_store_contract import CUSTOMERS, ExampleStoreContract
from tests.fakes.sql import FakeExamples
from tests.openai_server import embedding_of
from tests.pinecone_data import StoredVector
from tests.pinecone_server import Fault, PineconeServer

INDEX = "vanna-sql-training"
DIMENSION = 256


class HashedWords:
    """QuestionEmbedder by hashed words: texts that share words are near."""

    async def embed(self, question: str) -> Sequence[float]:
        return embedding_of(question, DIMENSION)


@pytest.fixture
def pinecone() -> Iterator[PineconeServer]:
    with PineconeServer() as server:
        server.create_index(INDEX, dimension=DIMENSION)
        yield server


def opened(server: PineconeServer, *, database: str = "shop", api_key: str = "") -> PineconeExamples:
    client = AsyncPinecone(api_key=api_key or server.api_key, host=server.url, timeout=2)
    return PineconeExamples(client, HashedWords(), index_name=INDEX, database=database, wait_seconds=1)


@pytest.fixture
async def pinecone_examples(pinecone: PineconeServer) -> AsyncIterator[PineconeExamples]:
    examples = opened(pinecone)
    yield examples
    await examples.close()


class TestFakeExamples(ExampleStoreContract):
    @pytest.fixture
    def examples(self) -> ExampleStore:
        return FakeExamples()


class TestPineconeExamples(ExampleStoreContract):
    @pytest.fixture
    def examples(self, pinecone_examples: PineconeExamples) -> ExampleStore:
        return pinecone_examples


async def test_examples_of_one_database_are_none_of_another(pinecone: PineconeServer) -> None:
    shop, clinic = opened(pinecone), opened(pinecone, database="clinic")
    await shop.add("acme", CUSTOMERS)

    assert await clinic.similar("acme", CUSTOMERS.question, limit=5) == []
    await shop.close()
    await clinic.close()


async def test_an_example_too_large_for_a_record_is_not_kept(
    pinecone: PineconeServer, pinecone_examples: PineconeExamples
) -> None:
    await pinecone_examples.add("acme", Example("How large?", "SELECT 1 -- " + "x" * 40_000))

    assert await pinecone_examples.similar("acme", "How large?", limit=1) == []
    assert not any(request.path == "/vectors/upsert" for request in pinecone.requests)


@pytest.mark.parametrize("metadata", [{}, {"question": "Which?"}, {"question": 7, "sql": ["SELECT 1"]}])
async def test_a_record_that_is_no_example_is_passed_over(
    pinecone: PineconeServer, pinecone_examples: PineconeExamples, metadata: dict[str, Any]
) -> None:
    await pinecone_examples.add("acme", CUSTOMERS)
    [namespace] = pinecone.indexes[INDEX].namespaces.values()
    [kept] = namespace.values()
    namespace["stranger"] = StoredVector("stranger", kept.values, {}, metadata)

    assert await pinecone_examples.similar("acme", CUSTOMERS.question, limit=5) == [CUSTOMERS]


async def test_many_first_calls_look_the_index_up_once(
    pinecone: PineconeServer, pinecone_examples: PineconeExamples
) -> None:
    await asyncio.gather(*(pinecone_examples.similar("acme", "anything", limit=1) for _ in range(10)))

    assert sum(request.path == f"/indexes/{INDEX}" for request in pinecone.requests) == 1


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(cut=True), Fault(delay_seconds=3), Fault(status=429)])
async def test_an_index_that_is_away_is_told_as_such_and_found_again(
    pinecone: PineconeServer, pinecone_examples: PineconeExamples, fault: Fault
) -> None:
    pinecone.fail(fault)
    with pytest.raises(ExamplesUnavailable):
        await pinecone_examples.similar("acme", "anything", limit=1)
    pinecone.heal()

    await pinecone_examples.add("acme", CUSTOMERS)

    assert await pinecone_examples.similar("acme", CUSTOMERS.question, limit=1) == [CUSTOMERS]


async def test_a_wrong_key_or_a_missing_index_is_told_as_unavailable(pinecone: PineconeServer) -> None:
    stranger = opened(pinecone, api_key="wrong")
    with pytest.raises(ExamplesUnavailable):
        await stranger.add("acme", CUSTOMERS)
    await stranger.close()

    del pinecone.indexes[INDEX]
    examples = opened(pinecone)
    with pytest.raises(ExamplesUnavailable):
        await examples.similar("acme", "anything", limit=1)
    await examples.close()
