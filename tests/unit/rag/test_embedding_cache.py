"""Embedding only what is not known yet."""

import pytest

from services.rag.embedding import MeteredEmbedder
from services.rag.embedding_cache import CachedEmbedder
from services.rag.errors import EmbedderUnavailable, TextTooLong
from tests.fakes.cache import FakeEmbeddingCache
from tests.fakes.rag import FakeEmbedder


async def test_a_text_is_embedded_once_and_known_afterwards() -> None:
    fake = FakeEmbedder()
    metered = MeteredEmbedder(fake)
    embedder = CachedEmbedder(metered, FakeEmbeddingCache())

    first = await embedder.embed_queries(["ferry", "moss"])
    second = await embedder.embed_queries(["moss", "kettle", "ferry", "moss"])

    assert second == [first[1], second[1], first[0], first[1]]
    assert fake.embedded == ["ferry", "moss", "kettle"]
    assert metered.embedded_text_count == 3


async def test_what_another_process_embedded_is_known_too() -> None:
    shared, here, there = FakeEmbeddingCache(), FakeEmbedder(), FakeEmbedder()

    [first] = await CachedEmbedder(there, shared).embed_passages(["ferry"])
    [second] = await CachedEmbedder(here, shared).embed_passages(["ferry"])

    assert (first, here.embedded) == (second, [])


async def test_a_passage_and_a_question_of_the_same_words_are_embedded_apart() -> None:
    fake = FakeEmbedder()
    embedder = CachedEmbedder(fake, FakeEmbeddingCache())

    await embedder.embed_passages(["ferry"])
    await embedder.embed_queries(["ferry"])

    assert fake.embedded == ["ferry", "ferry"]


async def test_a_text_that_is_too_long_is_named_by_its_place_among_all() -> None:
    embedder = CachedEmbedder(FakeEmbedder(max_tokens=2), FakeEmbeddingCache())
    await embedder.embed_passages(["ferry", "moss"])

    with pytest.raises(TextTooLong) as caught:
        await embedder.embed_passages(["ferry", "moss", "kettle", "a b c"])

    assert caught.value.position == 3


async def test_known_texts_need_no_model() -> None:
    fake = FakeEmbedder()
    embedder = CachedEmbedder(fake, FakeEmbeddingCache())
    known = await embedder.embed_queries(["ferry"])
    fake.failing = True

    assert await embedder.embed_queries(["ferry"]) == known
    with pytest.raises(EmbedderUnavailable):
        await embedder.embed_queries(["moss"])
