"""Embedding texts for others, and counting what is embedded."""

from collections.abc import Sequence

from services.rag.errors import TextsInvalid, TextTooLong
from services.rag.models import Embedding, EmbeddingModel
from services.rag.ports import Embedder
from services.rag.requests import read_texts


class MeteredEmbedder:
    """An embedder that counts the texts it embedded since it was made."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.embedded_text_count = 0

    @property
    def model(self) -> EmbeddingModel:
        return self._embedder.model

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return await self._embedder.count_tokens(texts)

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        embeddings = await self._embedder.embed_passages(texts)
        self.embedded_text_count += len(texts)
        return embeddings

    async def embed_queries(self, texts: Sequence[str]) -> list[Embedding]:
        embeddings = await self._embedder.embed_queries(texts)
        self.embedded_text_count += len(texts)
        return embeddings

    async def check(self) -> bool:
        return await self._embedder.check()


class TextEmbedding:
    """Embeds texts with the model of the index, for callers that compare texts of their own."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def model(self) -> EmbeddingModel:
        return self._embedder.model

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """One embedding for each text, in the same order.

        Raises: TextsInvalid: no text or too many, a blank one, or one longer than the model reads.
        """
        checked = read_texts(texts)
        try:
            return await self._embedder.embed_passages(checked)
        except TextTooLong as error:
            raise TextsInvalid(str(error), field=f"texts[{error.position}]") from error
