"""What every embedder does, whatever model it runs."""

import math
from collections.abc import Sequence

import pytest

from services.rag.errors import TextTooLong
from services.rag.ports import Embedder


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


async def filled(embedder: Embedder, word: str = "ferry") -> str:
    """A word repeated as often as the model reads it, but once: a shorter word still fits behind it."""
    [ten, twenty] = await embedder.count_tokens([" ".join([word] * times) for times in (10, 20)])
    each = (twenty - ten) / 10
    return " ".join([word] * int((embedder.max_tokens - each) / each))


class EmbedderContract:
    @pytest.fixture
    def embedder(self) -> Embedder:
        """The embedder under test; overridden per adapter."""
        raise AssertionError("a subclass gives the embedder")

    async def test_embeddings_have_the_models_dimension_and_length_one(self, embedder: Embedder) -> None:
        [passage] = await embedder.embed_passages(["The ferry sails at nine."])
        [query] = await embedder.embed_queries(["When does the ferry sail?"])

        assert len(passage) == len(query) == embedder.model.dimension
        assert cosine(passage, passage) == pytest.approx(1, abs=1e-5)
        assert cosine(query, query) == pytest.approx(1, abs=1e-5)

    async def test_embeddings_come_in_the_order_of_the_texts_whatever_their_lengths(self, embedder: Embedder) -> None:
        texts = [" ".join([word] * (1 + place % 7)) for place, word in enumerate(["ferry", "moss", "kettle"] * 8)]

        together = await embedder.embed_passages(texts)
        alone = [(await embedder.embed_passages([text]))[0] for text in texts]

        assert [cosine(a, b) > 0.99 for a, b in zip(together, alone, strict=True)] == [True] * len(texts)

    async def test_a_text_is_nearer_to_one_that_shares_its_meaning(self, embedder: Embedder) -> None:
        near, far = await embedder.embed_passages(["The ferry sails in summer.", "Moss has no roots."])
        [question] = await embedder.embed_queries(["When does the ferry sail?"])

        assert cosine(question, near) > cosine(question, far)

    async def test_nothing_embeds_to_nothing(self, embedder: Embedder) -> None:
        assert await embedder.embed_passages([]) == []
        assert await embedder.embed_queries([]) == []
        assert await embedder.count_tokens([]) == []

    async def test_a_passage_of_the_longest_length_is_embedded_whole(self, embedder: Embedder) -> None:
        begin = await filled(embedder)
        longest = f"{begin} moss"
        [count] = await embedder.count_tokens([longest])
        assert 0.99 * embedder.max_tokens - 1 <= count <= embedder.max_tokens

        [whole] = await embedder.embed_passages([longest])
        [without_its_end] = await embedder.embed_passages([begin])

        assert cosine(whole, without_its_end) < 0.999999999

    async def test_a_longer_passage_is_refused_with_its_place_and_length(self, embedder: Embedder) -> None:
        too_long = await filled(embedder) + " ferry" * 3
        [count] = await embedder.count_tokens([too_long])

        with pytest.raises(TextTooLong) as caught:
            await embedder.embed_passages(["short", too_long])

        assert (caught.value.position, caught.value.token_count) == (1, count)
        assert caught.value.max_tokens == embedder.max_tokens < count

    async def test_a_longer_query_is_read_to_its_end(self, embedder: Embedder) -> None:
        begin = await filled(embedder)

        [short, long] = await embedder.embed_queries([begin, begin + await filled(embedder, " moss kettle")])

        assert cosine(long, long) == pytest.approx(1, abs=1e-5)
        assert cosine(short, long) < 0.99

    async def test_check_says_that_the_model_is_there(self, embedder: Embedder) -> None:
        await embedder.embed_queries(["anything"])

        assert await embedder.check() is True
