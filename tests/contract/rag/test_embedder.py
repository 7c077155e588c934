"""The behaviour of an embedder: on the fake, on the shipped sentence model, and by OpenAI's API."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from services.rag.adapters import minilm_embedder
from services.rag.adapters.minilm_embedder import MiniLmEmbedder
from services.rag.adapters.openai_client import OpenAiClient
from services.rag.adapters.openai_embedder import OpenAiEmbedder
from services.rag.errors import EmbedderUnavailable, ModelRefused
from services.rag.ports import Embedder
from services.transport.deadlines import enter_served_call, swap_served_call
from tests.contract.rag.embedder_contract import EmbedderContract, cosine
from tests.dying_connections import way_to
from tests.fakes.rag import FakeEmbedder
from tests.openai_replies import (
    Fault,
    access_denied,
    bad_request,
    broken,
    rate_limited,
    server_error,
    slow,
    truncated_json,
)
from tests.openai_server import MAX_REQUEST_TOKENS, OpenAiServer, embedding_of


class TestFakeEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return FakeEmbedder()


@pytest.fixture(scope="module")
def shared() -> Iterator[MiniLmEmbedder]:
    embedder = MiniLmEmbedder()
    yield embedder
    embedder.close()


class TestMiniLmEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self, shared: MiniLmEmbedder) -> Embedder:
        return shared

    async def test_a_question_does_not_wait_for_passages(self, shared: MiniLmEmbedder) -> None:
        indexing = asyncio.create_task(shared.embed_passages(["ferry moss kettle " * 80] * 20))
        await asyncio.sleep(0)

        await shared.embed_queries(["When does the ferry sail?"])

        assert not indexing.done()
        assert len(await indexing) == 20

    async def test_it_is_not_ready_before_the_model_is_loaded(self) -> None:
        embedder = MiniLmEmbedder()

        before = await embedder.check()
        embedder.load_in_background()
        await embedder.embed_queries(["anything"])

        assert (before, await embedder.check()) == (False, True)
        embedder.close()

    async def test_a_model_that_is_not_installed_is_told_and_health_sees_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(minilm_embedder, "_WEIGHTS", ("no_such_package", "model.onnx"))
        embedder = MiniLmEmbedder()
        embedder.load_in_background()

        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_queries(["anything"])

        assert await embedder.check() is False
        embedder.close()


@pytest.fixture
async def openai_client(openai_server: OpenAiServer) -> AsyncIterator[OpenAiClient]:
    client = OpenAiClient(api_key=openai_server.api_key, base_url=openai_server.base_url)
    yield client
    await client.close()


def embedder_over(
    client: OpenAiClient, *, model: str = "text-embedding-3-small", dimensions: int = 1_536, timeout_seconds: float = 10
) -> OpenAiEmbedder:
    return OpenAiEmbedder(client, model=model, dimensions=dimensions, timeout_seconds=timeout_seconds)


class TestOpenAiEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self, openai_client: OpenAiClient) -> Embedder:
        return embedder_over(openai_client)

    async def test_embeddings_are_what_the_api_gave(self, embedder: Embedder) -> None:
        [embedding] = await embedder.embed_passages(["The ferry sails at nine."])

        assert list(embedding) == pytest.approx(embedding_of("The ferry sails at nine.", 1_536), abs=1e-6)

    async def test_embeddings_of_another_length_are_brought_to_one(
        self, embedder: Embedder, openai_server: OpenAiServer
    ) -> None:
        openai_server.embedding_scale = 3.5

        [embedding] = await embedder.embed_passages(["The ferry sails at nine."])

        assert cosine(embedding, embedding) == pytest.approx(1, abs=1e-5)

    async def test_shorter_embeddings_are_asked_for(
        self, openai_client: OpenAiClient, openai_server: OpenAiServer
    ) -> None:
        [embedding] = await embedder_over(openai_client, dimensions=256).embed_queries(["ferry"])

        assert len(embedding) == 256
        assert openai_server.asked("/embeddings")[0].body["dimensions"] == 256

    async def test_a_model_of_another_dimension_is_told_with_the_setting(
        self, openai_client: OpenAiClient, openai_server: OpenAiServer
    ) -> None:
        openai_server.models.append("other-model")
        embedder = embedder_over(openai_client, model="other-model", dimensions=768)

        with pytest.raises(ModelRefused, match="RAG_EMBEDDING_DIMENSIONS=1536"):
            await embedder.embed_queries(["ferry"])

        assert "dimensions" not in openai_server.asked("/embeddings")[0].body

    async def test_embeddings_that_come_out_of_order_as_numbers_are_put_in_order(
        self, openai_client: OpenAiClient, openai_server: OpenAiServer
    ) -> None:
        rows = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]
        openai_server.fail(Fault(200, body=json.dumps({"data": rows}).encode()))

        embeddings = await embedder_over(openai_client, dimensions=2).embed_passages(["first", "second"])

        assert [list(embedding) for embedding in embeddings] == [[1, 0], [0, 1]]

    async def test_many_texts_go_in_requests_that_the_api_takes(
        self, embedder: Embedder, openai_server: OpenAiServer
    ) -> None:
        texts = [f"word{place}" for place in range(2_100)]

        embeddings = await embedder.embed_passages(texts)

        assert sorted(len(request.body["input"]) for request in openai_server.asked("/embeddings")) == [52, 2_048]
        for place in (0, 2_047, 2_048, 2_099):
            assert list(embeddings[place]) == pytest.approx(embedding_of(texts[place], 1_536), abs=1e-6)

    async def test_long_texts_go_in_requests_that_the_api_takes(
        self, embedder: Embedder, openai_server: OpenAiServer
    ) -> None:
        texts = [f"{place} " + "x" * 8_000 for place in range(100)]

        embeddings = await embedder.embed_passages(texts)

        requests = openai_server.asked("/embeddings")
        assert len(embeddings) == 100
        assert len(requests) == 3
        assert max(sum(map(len, request.body["input"])) for request in requests) <= MAX_REQUEST_TOKENS

    async def test_a_text_of_wide_characters_is_never_counted_too_short_and_cut_between_them(
        self, embedder: Embedder, openai_server: OpenAiServer
    ) -> None:
        question = "渡船" * 2_000

        counts = await embedder.count_tokens([question])
        [embedding] = await embedder.embed_queries([question])

        sent = [text for request in openai_server.asked("/embeddings") for text in request.body["input"]]
        assert counts == [12_000]
        assert "".join(sent) == question
        assert max(len(text.encode()) for text in sent) <= embedder.max_tokens
        assert math.isclose(cosine(embedding, embedding), 1, abs_tol=1e-5)

    @pytest.mark.parametrize("fault", [broken(), server_error(503), rate_limited(0)])
    async def test_a_passing_fault_is_got_over(
        self, embedder: Embedder, openai_server: OpenAiServer, fault: Fault
    ) -> None:
        openai_server.fail(fault)

        assert len(await embedder.embed_queries(["ferry"])) == 1
        assert len(openai_server.asked("/embeddings")) == 2

    async def test_a_lasting_fault_is_told_after_three_tries(
        self, embedder: Embedder, openai_server: OpenAiServer
    ) -> None:
        openai_server.fail(*[server_error()] * 9)

        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_queries(["ferry"])

        assert len(openai_server.asked("/embeddings")) == 3

    async def test_a_server_that_asks_for_a_pause_is_not_asked_again_but_quoted(
        self, embedder: Embedder, openai_server: OpenAiServer
    ) -> None:
        openai_server.fail(rate_limited(retry_after_seconds=1.5))

        with pytest.raises(EmbedderUnavailable) as caught:
            await embedder.embed_queries(["ferry"])

        assert caught.value.retry_after_seconds == 1.5
        assert len(openai_server.asked("/embeddings")) == 1

    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            (access_denied(401), "OPENAI_API_KEY=sk-"),
            (access_denied(403), "may not use the model"),
            (rate_limited(code="insufficient_quota"), "no quota left"),
            (Fault(404, "model_not_found"), "does not know the model text-embedding-3-small"),
            (bad_request(), "does not take the request"),
        ],
    )
    async def test_what_only_the_operator_can_mend_is_told_to_them_at_once_and_without_secrets(
        self,
        embedder: Embedder,
        openai_server: OpenAiServer,
        fault: Fault,
        told: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        openai_server.fail(fault)

        with caplog.at_level(logging.INFO), pytest.raises(ModelRefused, match=told) as caught:
            await embedder.embed_queries(["ferry"])

        assert len(openai_server.asked("/embeddings")) == 1
        assert "cret" not in str(caught.value) + caplog.text
        [record] = [record for record in caplog.records if record.getMessage() == "model.failed"]
        assert record.__dict__["status"] == fault.status

    async def test_a_slow_server_is_given_up(self, openai_client: OpenAiClient, openai_server: OpenAiServer) -> None:
        openai_server.fail(slow(30))

        with pytest.raises(EmbedderUnavailable, match="in time"):
            await embedder_over(openai_client, timeout_seconds=0.2).embed_queries(["ferry"])

    async def test_a_call_never_outlives_the_one_it_serves(
        self, embedder: Embedder, openai_server: OpenAiServer
    ) -> None:
        openai_server.fail(slow(30))
        outside = swap_served_call(None)
        enter_served_call(0.3)

        with pytest.raises(EmbedderUnavailable, match="in time"):
            await embedder.embed_passages(["ferry"])

        swap_served_call(outside)

    async def test_idle_connections_that_died_together_cost_no_call_its_embeddings(
        self, openai_server: OpenAiServer
    ) -> None:
        async with way_to(urlsplit(openai_server.base_url).port or 0) as way:
            client = OpenAiClient(api_key=openai_server.api_key, base_url=f"http://127.0.0.1:{way.port}/v1")
            embedder = embedder_over(client)
            await asyncio.gather(*(embedder.embed_queries([str(place)]) for place in range(5)))
            opened = way.opened
            way.let_die()

            embedded = await embedder.embed_queries(["ferry"])
            await client.close()

        assert opened > 3
        assert len(embedded) == 1

    @pytest.mark.parametrize(
        "fault",
        [
            truncated_json(),
            Fault(200, body=b"<html>"),
            Fault(200, body=b"{}"),
            Fault(200, body=b'{"data":[]}'),
            Fault(200, body=b"[" * 100_000),
            Fault(200, body=b'{"data":[{"index":0,"embedding":[%s]}]}' % (b"9" * 400)),
        ],
        ids=["truncated", "html", "empty", "none", "nested", "huge number"],
    )
    async def test_a_reply_that_is_none_is_told_as_such(
        self, embedder: Embedder, openai_server: OpenAiServer, fault: Fault
    ) -> None:
        openai_server.fail(fault)

        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_queries(["ferry"])

    async def test_a_server_that_is_not_there_is_told_as_such(self) -> None:
        client = OpenAiClient(api_key="sk-none", base_url="http://127.0.0.1:9/v1")
        embedder = embedder_over(client)

        with pytest.raises(EmbedderUnavailable, match="cannot be reached"):
            await embedder.embed_queries(["ferry"])
        assert await embedder.check() is False

        await client.close()

    async def test_what_was_spent_is_logged_and_no_text(
        self, embedder: Embedder, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            await embedder.embed_passages(["The ferry sails", "Moss has no roots."])

        [record] = [record for record in caplog.records if record.getMessage() == "texts.embedded"]
        assert (record.__dict__["texts"], record.__dict__["tokens"]) == (2, 9)
        assert "ferry" not in str(record.__dict__)

    async def test_health_asks_for_the_model_and_not_again_for_a_while(
        self, embedder: Embedder, openai_server: OpenAiServer
    ) -> None:
        assert [await embedder.check() for _ in range(3)] == [True] * 3

        assert [request.path for request in openai_server.requests] == ["/models/text-embedding-3-small"]

    async def test_health_asks_anew_after_a_failure(self, embedder: Embedder, openai_server: OpenAiServer) -> None:
        before = await embedder.check()
        openai_server.fail(access_denied(), access_denied())
        with pytest.raises(ModelRefused):
            await embedder.embed_queries(["ferry"])

        assert (before, await embedder.check()) == (True, False)

    @pytest.mark.parametrize(
        ("fault", "there"),
        [
            (access_denied(401), False),
            (server_error(), False),
            (broken(), False),
            (Fault(404, "model_not_found"), False),
            (access_denied(403), True),  # a key that may use models, but not list them
            (Fault(404, None), True),  # a server that keeps no list
        ],
    )
    async def test_health_tells_an_api_that_is_away_from_one_that_lists_nothing(
        self, embedder: Embedder, openai_server: OpenAiServer, fault: Fault, there: bool
    ) -> None:
        openai_server.fail(fault)

        assert await embedder.check() is there
