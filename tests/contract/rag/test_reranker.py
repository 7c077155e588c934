"""The behaviour of a reranker, on the fake and over HTTP; and what a search makes of one that is away."""

from collections.abc import AsyncIterator

import pytest

from services.rag.adapters.http_reranker import HttpReranker, open_http_reranker
from services.rag.errors import RerankerUnavailable
from services.rag.indexing import Indexing
from services.rag.models import Chunk
from services.rag.ports import Reranker
from services.rag.reranking import Reranking
from services.rag.searching import Searching
from tests.contract.rag.reranker_contract import RerankerContract
from tests.fakes.rag import FakeChunkIndex, FakeEmbedder, FakeReranker
from tests.rerank_server import API_KEY, RerankFault, RerankServer

GUIDE = "documents/" + "a" * 64
MODEL = "rerank-for-tests"
TEXTS = ("ferry ferry ferry", "the ferry fare", "a child fare on the ferry is 3 euros", "moss")
QUESTION = "what is a child fare on the ferry"


class TestFakeReranker(RerankerContract):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return FakeReranker()


class TestHttpReranker(RerankerContract):
    @pytest.fixture
    async def reranker(self, rerank_server: RerankServer) -> AsyncIterator[HttpReranker]:
        async with open_http_reranker(
            url=rerank_server.url, api_key=API_KEY, model=MODEL, wait_seconds=0.5
        ) as reranker:
            yield reranker

    async def test_it_asks_for_all_passages_with_the_model_that_is_set(
        self, reranker: HttpReranker, rerank_server: RerankServer
    ) -> None:
        await reranker.score("ferry", ["one", "two"])

        assert rerank_server.requests == [{"model": MODEL, "query": "ferry", "documents": ["one", "two"], "top_n": 2}]

    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            (RerankFault(status=401), "RAG_RERANK_API_KEY"),
            (RerankFault(status=404), "RAG_RERANK_URL"),
            (RerankFault(status=429), "no more calls"),
            (RerankFault(status=307), "status 307"),
            (RerankFault(status=503), "status 503"),
            (RerankFault(stalls=True), "too long"),
            (RerankFault(cut=True), "cannot be reached"),
            (RerankFault(body=b"<html>"), "cannot be read"),
            (RerankFault(body=b"[]"), "cannot be read"),
            (RerankFault(body=b'{"results": [{"index": 0}]}'), "cannot be read"),
            (RerankFault(body=b'{"results": [{"index": 0, "relevance_score": 1}]}'), "not about the passages"),
            (
                RerankFault(
                    body=b'{"results": [{"index": 0, "relevance_score": NaN}, {"index": 1, "relevance_score": 1}]}'
                ),
                "not about the passages",
            ),
            (RerankFault(body=b" " * 1_000_001), "too long"),
        ],
        ids=str,
    )
    async def test_a_reply_that_is_none_is_told_in_its_own_words(
        self, reranker: HttpReranker, rerank_server: RerankServer, fault: RerankFault, told: str
    ) -> None:
        rerank_server.fault = fault

        with pytest.raises(RerankerUnavailable, match=told):
            await reranker.score("ferry", ["one", "two"])

        rerank_server.fault = RerankFault()
        assert len(await reranker.score("ferry", ["one", "two"])) == 2

    async def test_one_that_nobody_serves_is_away(self) -> None:
        async with open_http_reranker(url="http://127.0.0.1:9/rerank", api_key="", model="", wait_seconds=0.5) as away:
            with pytest.raises(RerankerUnavailable, match="cannot be reached"):
                await away.score("ferry", ["one"])
            assert away.name == "http"

    async def test_a_search_gives_the_order_of_the_reranker(
        self, reranker: HttpReranker, rerank_server: RerankServer
    ) -> None:
        searching = await filled(Reranking(reranker, candidates=3, wait_seconds=2))

        found = await searching.search("red", QUESTION)

        assert found[0].found.chunk.text == TEXTS[2]
        assert [len(request["documents"]) for request in rerank_server.requests] == [3]
        assert len(found) == len(TEXTS)
        assert searching.reranker == MODEL

    async def test_while_it_is_away_the_order_of_the_search_stands_and_it_is_told_why(
        self, reranker: HttpReranker, rerank_server: RerankServer
    ) -> None:
        clock = [0.0]
        alone = await (await filled(None)).search("red", QUESTION)
        searching = await filled(Reranking(reranker, candidates=3, wait_seconds=0.2, clock=lambda: clock[0]))
        rerank_server.fault = RerankFault(stalls=True)

        while_away = await searching.search("red", QUESTION)
        state = searching.reranker
        rerank_server.fault = RerankFault()
        left_alone = await searching.search("red", QUESTION)
        asked_meanwhile = len(rerank_server.requests)
        clock[0] += 31
        again = await searching.search("red", QUESTION)

        assert while_away == left_alone == alone
        assert state == f"{MODEL} (not used now, it takes too long)"
        assert asked_meanwhile == 0
        assert again[0].found.chunk.text == TEXTS[2]
        assert searching.reranker == MODEL


async def filled(reranking: Reranking | None) -> Searching:
    index, embedder = FakeChunkIndex(), FakeEmbedder()
    chunks = [Chunk(place, text, 0, len(text), None) for place, text in enumerate(TEXTS)]
    await Indexing(index, embedder).index("red", GUIDE, "guide.md", chunks, len(chunks))
    return Searching(index, embedder, reranking)


async def test_without_a_reranker_a_search_says_that_it_is_off() -> None:
    assert (await filled(None)).reranker == "off"


async def test_passages_are_read_below_their_headings_and_equal_ones_keep_their_order() -> None:
    index, embedder, reranker = FakeChunkIndex(), FakeEmbedder(), FakeReranker()
    chunks = [Chunk(place, text, 0, 5, None, ("Fares", "Ferry")) for place, text in enumerate(["Ferry", "boats"])]
    await Indexing(index, embedder).index("red", GUIDE, "guide.md", chunks, len(chunks))

    await Searching(index, embedder, Reranking(reranker, candidates=9, wait_seconds=1)).search("red", "ferry")

    assert sorted(reranker.read) == ["Fares\nFerry", "Fares\nFerry\nboats"]
