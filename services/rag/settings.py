"""Settings of the rag service, from the environment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.transport.addresses import ListenAddress, PostgresUrl
from services.transport.settings import TransportSettings


def _check_key(key: SecretStr) -> SecretStr:
    """The key without blanks around it: it travels in a header."""
    value = key.get_secret_value().strip()
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("holds blanks or signs that no key has")
    return SecretStr(value)


OpenAiKey = Annotated[SecretStr, AfterValidator(_check_key)]


class RagSettings(BaseSettings):
    """Read from RAG_<FIELD NAME>, but for the names that all services share."""

    # Values stay out of error texts: the store's address holds a password.
    model_config = SettingsConfigDict(env_prefix="RAG_", frozen=True, extra="ignore", hide_input_in_errors=True)

    transport: TransportSettings = Field(default_factory=TransportSettings)
    listen: ListenAddress = "127.0.0.1:50051"
    store_url: PostgresUrl = Field(validation_alias="DIGLOT_STORE_URL")
    max_store_connections: int = Field(default=4, ge=1, le=100, description="Most connections to the store at a time.")
    store_wait_seconds: float = Field(
        default=2, gt=0, le=60, description="How long a call waits for a connection to the store before it fails."
    )
    chunk_index: Literal["pgvector"] = Field(default="pgvector", description="Where chunks are kept and searched.")

    openai_api_key: OpenAiKey | None = Field(
        default=None, validation_alias="OPENAI_API_KEY", description="Key of the models' API.", examples=["sk-..."]
    )
    openai_base_url: HttpUrl | None = Field(
        default=None,
        validation_alias="OPENAI_BASE_URL",
        description="Another API that speaks as OpenAI's does.",
        examples=["https://api.openai.com/v1"],
    )
    embedder: Literal["minilm", "openai"] | None = Field(
        default=None,
        description="What turns texts into embeddings; unset: openai where there is an OPENAI_API_KEY, else minilm.",
        examples=["openai"],
    )
    embedder_threads: int = Field(default=2, ge=1, le=64, description="Processor threads of one run of minilm.")
    embedding_model: str = Field(default="text-embedding-3-small", min_length=1, description="Model of openai.")
    embedding_dimensions: int = Field(default=1_536, ge=1, le=16_000, description="Length of openai's embeddings.")
    embedding_timeout_seconds: float = Field(
        default=15, gt=0, le=600, description="Longest that openai may take for the texts of one call."
    )
    answer_writer: Literal["extractive", "openai"] | None = Field(
        default=None,
        description="What writes answers; unset: openai where there is an OPENAI_API_KEY, else extractive.",
        examples=["openai"],
    )
    answer_model: str = Field(default="gpt-4o-mini", min_length=1, description="Model of openai that writes answers.")
    answer_timeout_seconds: float = Field(
        default=25, gt=0, le=600, description="Longest that the model may write. Below the callers' own 30 seconds."
    )
    answer_passage_tokens: int = Field(
        default=32_000,
        ge=1_000,
        description="Most tokens of passages that the model reads, counted as bytes: about four times what they are.",
    )
    min_certainty: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How sure the extractive writer must be of a sentence to answer at all.",
    )

    @field_validator("openai_api_key", "openai_base_url", "embedder", "answer_writer", mode="before")
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        # A compose file or a template hands on a variable that nobody set as an empty one.
        return None if isinstance(value, str) and not value.strip() else value

    @model_validator(mode="after")
    def _models_have_a_key(self) -> RagSettings:
        wanting = [
            f"RAG_{name}=openai" for name in ("EMBEDDER", "ANSWER_WRITER") if getattr(self, name.lower()) == "openai"
        ]
        if wanting and self.openai_api_key is None:
            raise ValueError(
                f"OPENAI_API_KEY: is not set, but {wanting[0]} needs it, for example OPENAI_API_KEY=sk-..."
            )
        return self

    @property
    def chosen_embedder(self) -> Literal["minilm", "openai"]:
        """What turns texts into embeddings."""
        return self.embedder or ("openai" if self.openai_api_key is not None else "minilm")

    @property
    def chosen_answer_writer(self) -> Literal["extractive", "openai"]:
        """What writes answers."""
        return self.answer_writer or ("openai" if self.openai_api_key is not None else "extractive")
