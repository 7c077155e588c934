"""The behaviour of an embedder, on the fake and on the shipped sentence model."""

import asyncio
from collections.abc import Iterator

import pytest

from services.rag.adapters import minilm_embedder
from services.rag.adapters.minilm_embedder import MiniLmEmbedder
from services.rag.errors import EmbedderUnavailable
from services.rag.ports import Embedder
from tests.contract.rag.embedder_contract import EmbedderContract
from tests.fakes.rag import FakeEmbedder


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
