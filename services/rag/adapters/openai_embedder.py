"""Embeddings by OpenAI's API, or by a server that speaks the same protocol."""

import asyncio
import logging
import math
import sys
from array import array
from base64 import b64decode
from collections.abc import Iterator, Sequence
from operator import mul

import openai
from openai.types import CreateEmbeddingResponse

from services.rag.adapters.openai_client import OpenAiClient, end_of_call
from services.rag.errors import EmbedderUnavailable, ModelRefused, TextTooLong
from services.rag.models import Embedding, EmbeddingModel
from services.transport.telemetry import annotate, span

logger = logging.getLogger(__name__)

MAX_TOKENS = 8_191
# What the API takes in one request.
_MAX_REQUEST_TEXTS, _MAX_REQUEST_TOKENS = 2_048, 300_000
_MAX_PARALLEL_REQUESTS = 4
# The models that can be told how long their embeddings shall be; others refuse the parameter.
_SHORTENS = "text-embedding-3"
_NEARLY_ONE = 1e-6


class OpenAiEmbedder:
    """Embedder over a client that it shares with others.

    Tokens are counted as bytes of UTF-8: an upper bound, because every token of these models stands for one byte or
    more. Their vocabulary would have to be downloaded; the bound costs nothing but a passage longer than 8,191 bytes.
    Passages of many calls wait for one another, so that they stay within the account's limits; questions do not.
    """

    def __init__(self, client: OpenAiClient, *, model: str, dimensions: int, timeout_seconds: float) -> None:
        self._client = client
        self._model = EmbeddingModel(model, dimensions)
        self._timeout_seconds = timeout_seconds
        self._passage_turns = asyncio.Semaphore(_MAX_PARALLEL_REQUESTS)

    @property
    def model(self) -> EmbeddingModel:
        return self._model

    @property
    def max_tokens(self) -> int:
        return MAX_TOKENS

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.encode()) for text in texts]

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        for position, count in enumerate(await self.count_tokens(texts)):
            if count > MAX_TOKENS:
                raise TextTooLong(position=position, token_count=count, max_tokens=MAX_TOKENS)
        ends_at = end_of_call(self._timeout_seconds)
        return await self._embed_all(texts, ends_at, self._passage_turns)

    async def embed_queries(self, texts: Sequence[str]) -> list[Embedding]:
        pieces = [list(_pieces(text)) for text in texts]
        ends_at = end_of_call(self._timeout_seconds)
        turns = asyncio.Semaphore(_MAX_PARALLEL_REQUESTS)
        rows = iter(await self._embed_all([piece for cut in pieces for piece in cut], ends_at, turns))
        return [_mean([(next(rows), len(piece)) for piece in cut]) for cut in pieces]

    async def check(self) -> bool:
        return await self._client.reaches(self._model.name)

    async def _embed_all(self, texts: Sequence[str], ends_at: float, turns: asyncio.Semaphore) -> list[Embedding]:
        async def take_turn(batch: Sequence[str]) -> list[Embedding]:
            try:
                async with asyncio.timeout_at(ends_at):
                    await turns.acquire()
            except TimeoutError as error:
                raise EmbedderUnavailable("Too many texts are waiting to be embedded.") from error
            try:
                return await self._embed(batch, ends_at)
            finally:
                turns.release()

        tasks = [asyncio.create_task(take_turn(batch)) for batch in _batches(texts)]
        try:
            return [embedding for batch in await asyncio.gather(*tasks) for embedding in batch]
        finally:
            # When one fails or the caller goes away, the others would be paid for in vain.
            for task in tasks:
                task.cancel()

    async def _embed(self, texts: Sequence[str], ends_at: float) -> list[Embedding]:
        name = self._model.name
        facts = {"gen_ai.operation.name": "embeddings", "gen_ai.provider.name": "openai", "gen_ai.request.model": name}
        with span(f"embeddings {name}", facts, kind="client"):
            rows, tokens = await self._ask(texts, ends_at)
            annotate({"gen_ai.usage.input_tokens": tokens})
        logger.info("texts.embedded", extra={"model": name, "texts": len(texts), "tokens": tokens})
        return [_unit_length(row) for row in rows]

    async def _ask(self, texts: Sequence[str], ends_at: float) -> "tuple[list[array[float]], int]":
        """One request's embeddings as they come, one for each text, and the tokens it took."""
        name, dimension = self._model.name, self._model.dimension
        # As base64 they are a quarter of the size; asked for by name, the SDK hands them on without importing numpy.
        reply = await self._client.call(
            lambda sdk: sdk.embeddings.create(
                model=name,
                input=[text or " " for text in texts],  # the API refuses empty texts
                dimensions=dimension if name.startswith(_SHORTENS) else openai.omit,
                encoding_format="base64",
            ),
            model=name,
            ends_at=ends_at,
            away=EmbedderUnavailable,
        )
        try:
            rows, tokens = _read(reply), reply.usage.total_tokens if reply.usage else 0
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise EmbedderUnavailable(f"The reply of the model {name} cannot be read.") from error
        if len(rows) != len(texts):
            raise EmbedderUnavailable(f"The model {name} gave {len(rows)} embeddings for {len(texts)} texts.")
        for row in rows:
            if len(row) != dimension:
                raise ModelRefused(
                    f"The model {name} gives embeddings of {len(row)} dimensions, not {dimension}; "
                    f"set RAG_EMBEDDING_DIMENSIONS={len(row)}."
                )
        return rows, tokens


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in their order, as many together as one request takes."""
    start = total = 0
    for place, text in enumerate(texts):
        count = len(text.encode())
        if place > start and (place - start == _MAX_REQUEST_TEXTS or total + count > _MAX_REQUEST_TOKENS):
            yield texts[start:place]
            start, total = place, 0
        total += count
    if texts:
        yield texts[start:]


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces that the model reads, cut at a space where there is one in the last quarter."""
    content = text.encode()
    while len(content) > MAX_TOKENS:
        end = content.rfind(b" ", MAX_TOKENS * 3 // 4, MAX_TOKENS)
        if end < 0:
            end = MAX_TOKENS
            while content[end] & 0b1100_0000 == 0b1000_0000:  # in the middle of a character
                end -= 1
        yield content[:end].decode()
        content = content[end:]
    yield content.decode()


def _read(reply: CreateEmbeddingResponse) -> "list[array[float]]":
    """The embeddings in the order of the texts; some servers give numbers whatever they are asked for."""
    rows: list[array[float]] = []
    for item in sorted(reply.data, key=lambda item: item.index):
        given: str | list[float] = item.embedding
        row = array("f", given if isinstance(given, list) else b64decode(given, validate=True))
        if isinstance(given, str) and sys.byteorder == "big":
            row.byteswap()
        rows.append(row)
    return rows


def _unit_length(values: Sequence[float]) -> Embedding:
    length = math.sqrt(sum(map(mul, values, values)))
    if not math.isfinite(length) or length == 0:
        raise EmbedderUnavailable("The embedding model gave numbers that are no embedding.")
    return values if abs(length - 1) < _NEARLY_ONE else array("f", [value / length for value in values])


def _mean(parts: Sequence[tuple[Embedding, int]]) -> Embedding:
    """One embedding for the pieces of a text, the longer ones weighing more."""
    if len(parts) == 1:
        return parts[0][0]
    weighed = [[value * max(1, size) for value in row] for row, size in parts]
    return _unit_length([sum(values) for values in zip(*weighed, strict=True)])
