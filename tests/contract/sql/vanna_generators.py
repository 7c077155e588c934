"""Vanna before a scripted model, put together as the service does it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import openai

from services.sql.adapters.vanna_generator import PromptLimits, VannaGenerator
from services.sql.grounding.generator import GroundedGenerator
from services.sql.query_guard import QueryGuard
from tests.openai_server import OpenAiServer

MODEL = "gpt-4o-mini"
BY = f" Written by {MODEL}."


def reply(
    sql: str | None, explanation: str = "", *, refusal: str | None = None, terms: Sequence[int] = ()
) -> dict[str, Any]:
    """What the model is asked to say."""
    return {"sql": sql, "explanation": explanation, "refusal": refusal, "confidence": 0.9, "terms": list(terms)}


@contextmanager
def vanna_generator(
    server: OpenAiServer,
    *,
    limits: PromptLimits | None = None,
    api_key: str | None = None,
    base_url: str = "",
    model: str = MODEL,
) -> Iterator[VannaGenerator]:
    """A generator; the SDK does not repeat requests."""

    # Here, so that a test's limits of time are not spent on an import; and not before, which takes most of a second.
    from services.sql.adapters.openai_chat import OpenAiChat
    from services.sql.adapters.vanna_model import VannaModel

    with openai.OpenAI(
        api_key=api_key or server.api_key, base_url=base_url or server.base_url, max_retries=0
    ) as client:
        generator = VannaGenerator(
            lambda: VannaModel(OpenAiChat(client, model=model)),
            model_name=model,
            grounded=GroundedGenerator(),
            guard=QueryGuard(max_rows=1_000),
            limits=limits or PromptLimits(),
            max_concurrent_replies=2,
        )
        try:
            yield generator
        finally:
            generator.close()
            # A reply that nobody waits for any more is still read; it must not outlive its client.
            for thread in threading.enumerate():
                if thread.name.startswith("model_"):
                    thread.join(10)
