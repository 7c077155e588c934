"""The training index's suite on the stand-in, on pgvector and on Pinecone."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from pinecone import AsyncPinecone

from services.sql.adapters.pgvector_training_index import PgvectorTrainingIndex, compares_vectors
from services.sql.adapters.pinecone_training_index import PineconeTrainingIndex
from services.sql.errors import KnowledgeUnavailable
from services.sql.ports import TrainingIndex
from services.sql.training_models import HeldVector
from services.sql.wiring_stores import MIGRATIONS
from services.storage.postgres import open_store
from tests.contract.sql.training_index_contract import (
    CUSTOMERS,
    DIMENSION,
    MODEL,
    SHOP,
    TrainingIndexContract,
    ids_near,
    vector_of,
)
from tests.fakes.sql_training import FakeTrainingIndex
from tests.pinecone_data import StoredVector
from tests.pinecone_server import Fault, PineconeServer

INDEX = "vanna-sql-training"


class TestFakeTrainingIndex(TrainingIndexContract):
    @pytest.fixture
    def index(self) -> TrainingIndex:
        return FakeTrainingIndex()


class TestPgvectorTrainingIndex(TrainingIndexContract):
    @pytest.fixture
    async def index(self, store_url: str) -> AsyncIterator[TrainingIndex]:
        async with open_store(store_url, schema="sql", migrations=MIGRATIONS) as pool:
            assert await compares_vectors(pool)
            yield PgvectorTrainingIndex(pool)


@pytest.fixture
def pinecone() -> Iterator[PineconeServer]:
    with PineconeServer() as server:
        server.create_index(INDEX, dimension=DIMENSION)
        yield server


def opened(server: PineconeServer, *, api_key: str = "", wait_seconds: float = 10) -> PineconeTrainingIndex:
    client = AsyncPinecone(api_key=api_key or server.api_key, host=server.url, timeout=2)
    return PineconeTrainingIndex(client, index_name=INDEX, wait_seconds=wait_seconds)


@pytest.fixture
async def pinecone_index(pinecone: PineconeServer) -> AsyncIterator[PineconeTrainingIndex]:
    index = opened(pinecone)
    yield index
    await index.close()


class TestPineconeTrainingIndex(TrainingIndexContract):
    @pytest.fixture
    def index(self, pinecone_index: PineconeTrainingIndex) -> TrainingIndex:
        return pinecone_index


async def test_a_record_that_is_not_of_our_making_is_told_and_can_be_removed(
    pinecone: PineconeServer, pinecone_index: PineconeTrainingIndex
) -> None:
    await pinecone_index.put(SHOP, [CUSTOMERS], model=MODEL)
    [namespace] = pinecone.indexes[INDEX].namespaces.values()
    namespace["stranger"] = StoredVector(
        "stranger", vector_of("customers"), {}, {"question": "Which?", "sql": "SELECT 1"}
    )

    assert await ids_near(pinecone_index, "customers") == ["a"]
    strangers = [each for each in await pinecone_index.held(SHOP) if each.id != CUSTOMERS.id]
    assert strangers == [HeldVector("stranger", "")]
    await pinecone_index.remove(SHOP, strangers)
    assert await pinecone_index.held(SHOP) == [HeldVector(CUSTOMERS.id, MODEL)]


async def test_many_first_calls_look_the_index_up_once(
    pinecone: PineconeServer, pinecone_index: PineconeTrainingIndex
) -> None:
    await asyncio.gather(*(ids_near(pinecone_index, "anything") for _ in range(10)))

    assert sum(request.path == f"/indexes/{INDEX}" for request in pinecone.requests) == 1


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(cut=True), Fault(delay_seconds=2), Fault(status=429)])
async def test_an_index_that_is_away_is_told_as_such_and_found_again(pinecone: PineconeServer, fault: Fault) -> None:
    index = opened(pinecone, wait_seconds=0.5)
    pinecone.fail(fault)
    with pytest.raises(KnowledgeUnavailable):
        await ids_near(index, "anything")
    pinecone.heal()

    for tries_left in range(19, -1, -1):  # a look-up that has begun is waited for, however often it takes
        try:
            await index.put(SHOP, [CUSTOMERS], model=MODEL)
            found = await ids_near(index, "customers")
            break
        except KnowledgeUnavailable:
            assert tries_left

    assert found == ["a"]
    await index.close()


async def test_a_wrong_key_a_missing_index_or_other_dimensions_are_told_as_unavailable(
    pinecone: PineconeServer, pinecone_index: PineconeTrainingIndex
) -> None:
    stranger = opened(pinecone, api_key="wrong")
    with pytest.raises(KnowledgeUnavailable):
        await stranger.put(SHOP, [CUSTOMERS], model=MODEL)
    await stranger.close()
    with pytest.raises(KnowledgeUnavailable):
        await pinecone_index.nearest(SHOP, [1.0] * 3, model="other/3", kinds=[CUSTOMERS.kind], limit=1)

    del pinecone.indexes[INDEX]
    index = opened(pinecone)
    with pytest.raises(KnowledgeUnavailable):
        await ids_near(index, "anything")
    await index.close()
