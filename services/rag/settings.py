"""Settings of the rag service, from the environment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.rag.regions import read_region
from services.storage.cache_settings import CacheSettings
from services.transport.addresses import ListenAddress, check_postgres_url
from services.transport.errors import AddressInvalid
from services.transport.setting_types import ApiKey, BareUrl, Stripped, none_when_blank
from services.transport.settings import TransportSettings

_STORE_EXAMPLE = "postgresql://diglot:password@host:5432/diglot_store"


def _check_region(environment: str) -> str:
    if environment:
        read_region(environment)
    return environment


class RagSettings(CacheSettings):
    """Read from RAG_<FIELD NAME>, but for the names that all services share."""

    # Values stay out of error texts: the store's address holds a password.
    model_config = SettingsConfigDict(env_prefix="RAG_", frozen=True, extra="ignore", hide_input_in_errors=True)

    transport: TransportSettings = Field(default_factory=TransportSettings)
    listen: ListenAddress = "127.0.0.1:50051"
    store_url: SecretStr | None = Field(
        default=None,
        validation_alias="DIGLOT_STORE_URL",
        description="PostgreSQL that keeps the chunks; read with RAG_CHUNK_INDEX=pgvector alone.",
        examples=[_STORE_EXAMPLE],
    )
    max_store_connections: int = Field(default=4, ge=1, le=100, description="Most connections to the store at a time.")
    store_wait_seconds: float = Field(
        default=2, gt=0, le=60, description="How long a call waits for a connection to the store before it fails."
    )
    chunk_index: Literal["pgvector", "pinecone"] | None = Field(
        default=None,
        description="What keeps and searches chunks; unset: pinecone where there is a PINECONE_API_KEY, else pgvector.",
        examples=["pinecone"],
    )
    pinecone_api_key: ApiKey | None = Field(
        default=None, validation_alias="PINECONE_API_KEY", description="Key of the index.", examples=["pcsk_..."]
    )
    pinecone_index_name: str = Field(
        default="rag-documents",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?$",
        validation_alias="PINECONE_INDEX_NAME",
        description="Index that keeps the chunks, of every tenant in a namespace of its own.",
    )
    pinecone_environment: Annotated[str, AfterValidator(_check_region)] = Field(
        default="",
        validation_alias="PINECONE_ENVIRONMENT",
        description="Region in which a missing index is made; unset: a missing index ends the start.",
        examples=["us-east-1"],
    )
    pinecone_metric: Literal["cosine", "dotproduct"] = Field(
        default="cosine",
        validation_alias="PINECONE_METRIC",
        description="Metric of an index that is made. With dotproduct chunks are found by their words too.",
    )
    pinecone_host: str = Field(
        default="https://api.pinecone.io",
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        validation_alias="PINECONE_CONTROLLER_HOST",
        description="Where indexes are asked for.",
    )
    pinecone_wait_seconds: float = Field(
        default=10, gt=0, le=60, description="How long one request to Pinecone may take, its retries included."
    )

    openai_api_key: ApiKey | None = Field(
        default=None, validation_alias="OPENAI_API_KEY", description="Key of the models' API.", examples=["sk-..."]
    )
    openai_base_url: BareUrl | None = Field(
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
    embedding_model: Stripped = Field(default="text-embedding-3-small", description="Model of openai.")
    embedding_dimensions: int = Field(default=1_536, ge=1, le=16_000, description="Length of openai's embeddings.")
    embedding_timeout_seconds: float = Field(
        default=15, gt=0, le=600, description="Longest that openai may take for the texts of one call."
    )
    answer_writer: Literal["extractive", "openai"] | None = Field(
        default=None,
        description="What writes answers; unset: openai where there is an OPENAI_API_KEY, else extractive.",
        examples=["openai"],
    )
    answer_model: Stripped = Field(default="gpt-4o-mini", description="Model of openai that writes answers.")
    answer_timeout_seconds: float = Field(
        default=25, gt=0, le=600, description="Longest that the model may write. Below the callers' own 30 seconds."
    )
    answer_passage_tokens: int = Field(
        default=32_000,
        ge=1_000,
        description="Most tokens of passages that the model reads, counted as bytes: about four times what they are.",
    )
    rerank_url: BareUrl | None = Field(
        default=None,
        description="Address of a reranker that speaks as Cohere's does; unset: passages keep the order of the search.",
        examples=["https://api.cohere.com/v2/rerank"],
    )
    rerank_api_key: ApiKey | None = Field(default=None, description="Key of the reranker.", examples=["co-..."])
    rerank_model: str = Field(
        default="", description="Model of the reranker; unset: its own choice.", examples=["rerank-v3.5"]
    )
    rerank_candidates: int = Field(
        default=25, ge=2, le=200, description="How many passages of a search the reranker reads."
    )
    rerank_wait_seconds: float = Field(
        default=1.5,
        gt=0,
        le=20,
        description="Longest that a question waits for it; then the order of the search stands.",
    )
    min_certainty: float = Field(
        # Refuses one in ten answerable questions that the weights were not fitted to (tests/quality/fit_weights.py).
        default=0.37,
        ge=0,
        le=1,
        description="How sure the extractive writer must be of a sentence to answer at all.",
    )

    _blank_is_unset = field_validator(
        "openai_api_key",
        "openai_base_url",
        "embedder",
        "answer_writer",
        "chunk_index",
        "pinecone_api_key",
        "rerank_url",
        "rerank_api_key",
        "store_url",
        mode="before",
    )(none_when_blank)

    @field_validator("pinecone_index_name", "pinecone_environment", "pinecone_metric", "pinecone_host", mode="before")
    @classmethod
    def _blank_is_default(cls, value: object, info: ValidationInfo) -> object:
        given = value.strip() if isinstance(value, str) else value
        return cls.model_fields[info.field_name or ""].default if given == "" else given

    @model_validator(mode="after")
    def _index_can_be_opened(self) -> RagSettings:
        if self.chosen_chunk_index == "pinecone":
            if self.pinecone_api_key is None:
                raise ValueError(
                    "PINECONE_API_KEY: is not set, but RAG_CHUNK_INDEX=pinecone needs it, for example "
                    "PINECONE_API_KEY=pcsk_..."
                )
            return self
        try:
            check_postgres_url(self.store_url or SecretStr(""))
        except AddressInvalid as error:
            raise ValueError(f"DIGLOT_STORE_URL: {error} (for example DIGLOT_STORE_URL={_STORE_EXAMPLE})") from None
        return self

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

    @model_validator(mode="after")
    def _reranker_has_an_address(self) -> RagSettings:
        given = "RAG_RERANK_API_KEY" if self.rerank_api_key else "RAG_RERANK_MODEL" if self.rerank_model.strip() else ""
        if given and self.rerank_url is None:
            raise ValueError(
                f"RAG_RERANK_URL: is not set, but {given} is, for example "
                "RAG_RERANK_URL=https://api.cohere.com/v2/rerank"
            )
        return self

    @property
    def chosen_chunk_index(self) -> Literal["pgvector", "pinecone"]:
        """Where chunks are kept and searched."""
        return self.chunk_index or ("pinecone" if self.pinecone_api_key is not None else "pgvector")

    @property
    def chosen_embedder(self) -> Literal["minilm", "openai"]:
        """What turns texts into embeddings."""
        return self.embedder or ("openai" if self.openai_api_key is not None else "minilm")

    @property
    def chosen_answer_writer(self) -> Literal["extractive", "openai"]:
        """What writes answers."""
        return self.answer_writer or ("openai" if self.openai_api_key is not None else "extractive")
