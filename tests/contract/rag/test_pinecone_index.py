"""The behaviour of an index of chunks in Pinecone: the real SDK against a server that speaks its wire format."""

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from pinecone import AsyncPinecone

from services.rag.adapters.pinecone_index import PineconeIndex
from services.rag.models import EmbeddingModel
from services.rag.ports import ChunkIndex
from tests.contract.rag.chunk_index_contract import ChunkIndexContract, OpenIndex
from tests.pinecone_server import PineconeServer


class PineconeIndexContract(ChunkIndexContract):
    counts_words: ClassVar[bool] = False
    takes_any_dimension: ClassVar[bool] = False
    metric: ClassVar[str]

    @pytest.fixture
    async def open_index(self, pinecone_server: PineconeServer) -> AsyncIterator[OpenIndex]:
        pinecone_server.create_index("chunks", dimension=3, metric=self.metric)
        client = AsyncPinecone(api_key=pinecone_server.api_key, host=pinecone_server.url)
        async with client, await client.index("chunks") as index:

            def open_for(model: EmbeddingModel) -> ChunkIndex:
                return PineconeIndex(index, model, hybrid=self.metric == "dotproduct")

            yield open_for


class TestPineconeIndexOfMeanings(PineconeIndexContract):
    metric: ClassVar[str] = "cosine"
    finds_by_words: ClassVar[bool] = False


class TestPineconeIndexOfMeaningsAndWords(PineconeIndexContract):
    metric: ClassVar[str] = "dotproduct"
