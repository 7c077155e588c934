"""A reranker behind HTTP, as Cohere, Jina, LiteLLM, vLLM and Infinity serve one: `POST …/rerank`.

Request `{"model", "query", "documents": [texts], "top_n"}`; reply `{"results": [{"index", "relevance_score"}]}`.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from services.rag.errors import RerankerUnavailable

_MOST_REPLY_BYTES = 1_000_000
# What a status says to whoever reads GET /info; anything else is told as its number.
_TROUBLES: Final = {
    401: "it refuses RAG_RERANK_API_KEY",
    403: "it refuses RAG_RERANK_API_KEY",
    402: "its account is used up",
    404: "there is nothing at RAG_RERANK_URL, or no such model",
    429: "it takes no more calls just now",
}


class HttpReranker:
    """Reranker over one address. It tries once: whoever asks has the order of the search to fall back on."""

    def __init__(self, client: httpx.AsyncClient, *, url: str, model: str) -> None:
        self._client = client
        self._url = url
        self._model = model

    @property
    def name(self) -> str:
        return self._model or "http"

    async def score(self, question: str, texts: Sequence[str]) -> list[float]:
        body: dict[str, Any] = {"query": question, "documents": list(texts), "top_n": len(texts)}
        if self._model:
            body["model"] = self._model
        try:
            async with self._client.stream("POST", self._url, json=body) as response:
                if response.status_code != 200:
                    status = response.status_code
                    raise RerankerUnavailable(_TROUBLES.get(status, f"it answers with status {status}"))
                content = bytearray()
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > _MOST_REPLY_BYTES:
                        raise RerankerUnavailable("its reply is too long")
        except httpx.TimeoutException as error:
            raise RerankerUnavailable("it takes too long") from error
        except httpx.HTTPError as error:
            raise RerankerUnavailable("it cannot be reached") from error
        return _scores(httpx.Response(200, content=bytes(content)), len(texts))


@asynccontextmanager
async def open_http_reranker(*, url: str, api_key: str, model: str, wait_seconds: float) -> AsyncIterator[HttpReranker]:
    """The reranker while the context is open; nothing is sent before it is asked.

    Args:
        api_key: sent as a bearer's token; empty: none is.
        wait_seconds: how long a connection, and each piece of a reply, may take.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with httpx.AsyncClient(headers=headers, timeout=wait_seconds, follow_redirects=False) as client:
        yield HttpReranker(client, url=url, model=model)


def _scores(response: httpx.Response, count: int) -> list[float]:
    """A score for each text. Raises RerankerUnavailable for a reply that is not one for these texts."""
    try:
        told = {int(each["index"]): float(each["relevance_score"]) for each in response.json()["results"]}
    except (ValueError, TypeError, KeyError) as error:
        raise RerankerUnavailable("its reply cannot be read") from error
    if sorted(told) != list(range(count)) or not all(map(math.isfinite, told.values())):
        raise RerankerUnavailable("its reply is not about the passages it was given")
    return [told[place] for place in range(count)]
