"""What every cache of embeddings does, wherever it keeps them."""

from hashlib import sha256

import pytest

from services.rag.models import EmbeddingModel
from services.rag.ports import EmbeddingCache

MODEL = EmbeddingModel("three-axes", 3)


class EmbeddingCacheContract:
    @pytest.fixture
    def cache(self) -> EmbeddingCache:
        """An empty cache; overridden per adapter."""
        raise AssertionError("a subclass gives the cache")

    async def test_embeddings_come_back_in_the_order_of_the_texts(self, cache: EmbeddingCache) -> None:
        await cache.set_many(MODEL, "passage", {"ferry": (0.6, -0.8, 0.0), "moss": (0.0, 0.0, 1.0)})

        moss, absent, ferry = await cache.get_many(MODEL, "passage", ["moss", "kettle", "ferry"])

        assert absent is None
        assert moss == pytest.approx((0, 0, 1))
        assert ferry == pytest.approx((0.6, -0.8, 0), abs=1e-7)

    @pytest.mark.parametrize(
        ("model", "side", "text"),
        [
            (EmbeddingModel("other-axes", 3), "passage", "ferry"),
            (EmbeddingModel("three-axes", 2), "passage", "ferry"),
            (MODEL, "query", "ferry"),
            (MODEL, "passage", "Ferry"),
            (MODEL, "passage", "ferry "),
        ],
    )
    async def test_another_model_side_or_text_has_an_embedding_of_its_own(
        self, cache: EmbeddingCache, model: EmbeddingModel, side: str, text: str
    ) -> None:
        await cache.set_many(MODEL, "passage", {"ferry": (0.6, -0.8, 0.0)})

        assert await cache.get_many(model, side, [text]) == [None]

    async def test_what_is_forgotten_by_its_fingerprint_is_gone_on_its_side_alone(self, cache: EmbeddingCache) -> None:
        for side in ("passage", "query"):
            await cache.set_many(MODEL, side, {"Fähre": (0.6, -0.8, 0.0), "moss": (0.0, 0.0, 1.0)})
        fingerprints = [sha256(text.encode()).hexdigest() for text in ("Fähre", "kettle")]

        assert await cache.forget_many(MODEL, "passage", fingerprints) == 1

        ferry, moss = await cache.get_many(MODEL, "passage", ["Fähre", "moss"])
        assert ferry is None
        assert moss is not None
        assert (await cache.get_many(MODEL, "query", ["Fähre"]))[0] is not None

    async def test_nothing_is_known_of_nothing(self, cache: EmbeddingCache) -> None:
        await cache.set_many(MODEL, "passage", {})

        assert await cache.get_many(MODEL, "passage", []) == []
