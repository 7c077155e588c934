"""What writes queries, put together: the grounded generator, or a language model with it behind."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from services.sql.errors import ConfigurationRefused
from services.sql.grounding.generator import GroundedGenerator
from services.sql.ports import SqlGenerator
from services.sql.query_guard import QueryGuard
from services.sql.settings import SqlSettings

if TYPE_CHECKING:
    import openai

    from services.sql.adapters.vanna_model import VannaModel

OPENAI_URL = "https://api.openai.com/v1"


@asynccontextmanager
async def open_generator(
    settings: SqlSettings, grounded: GroundedGenerator, guard: QueryGuard
) -> AsyncIterator[tuple[SqlGenerator, Callable[[], str]]]:
    """What writes queries, and what statistics say of its model."""
    match settings.chosen_generator:
        case "grounded":
            yield grounded, lambda: "off"
        case "vanna":
            if importlib.util.find_spec("vanna") is None:
                raise ConfigurationRefused(
                    "SQL_GENERATOR=vanna needs packages that are not installed: "
                    "pip install -r requirements/sql.txt, or set SQL_GENERATOR=grounded"
                )
            from services.sql.adapters.vanna_generator import PromptLimits, VannaGenerator

            generator = VannaGenerator(
                lambda: _load_model(settings),
                model_name=settings.model,
                grounded=grounded,
                guard=guard,
                limits=PromptLimits(
                    max_schema_tokens=settings.prompt_schema_tokens,
                    reply_seconds=settings.model_seconds,
                    with_values=settings.prompt_values,
                ),
                max_concurrent_replies=settings.max_concurrent_replies,
            )
            try:
                yield generator, lambda: generator.standing
            finally:
                generator.close()


def _load_model(settings: SqlSettings) -> VannaModel:
    from services.sql.adapters.openai_chat import OpenAiChat
    from services.sql.adapters.vanna_model import VannaModel

    return VannaModel(OpenAiChat(model_client(settings), model=settings.model))


def model_client(settings: SqlSettings) -> openai.OpenAI:
    """What asks the model, at the address and with the key of the settings."""
    import openai

    return openai.OpenAI(
        api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else "",
        # Never left to the SDK, which would take an empty OPENAI_BASE_URL for an address.
        base_url=str(settings.openai_base_url or OPENAI_URL),
        max_retries=0,  # OpenAiChat itself tries again, within the time that is left
    )
