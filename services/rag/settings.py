"""Settings of the rag service, from the environment."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.transport.addresses import ListenAddress
from services.transport.settings import TransportSettings

_STORE_EXAMPLE = "DIGLOT_STORE_URL=postgresql://diglot:password@host:5432/diglot_store"


class RagSettings(BaseSettings):
    """Read from RAG_<FIELD NAME>, but for the names that all services share."""

    # Values stay out of error texts: the store's address holds a password.
    model_config = SettingsConfigDict(
        env_prefix="RAG_", frozen=True, extra="ignore", hide_input_in_errors=True, populate_by_name=True
    )

    transport: TransportSettings = Field(default_factory=TransportSettings)
    listen: ListenAddress = "127.0.0.1:50051"
    store_url: SecretStr = Field(
        default=SecretStr(""), validate_default=True, validation_alias=AliasChoices("DIGLOT_STORE_URL", "RAG_STORE_URL")
    )
    max_store_connections: int = Field(default=4, ge=1, le=100, description="Most connections to the store at a time.")
    store_wait_seconds: float = Field(
        default=2, gt=0, le=60, description="How long a call waits for a connection to the store before it fails."
    )
    chunk_index: Literal["pgvector"] = Field(default="pgvector", description="Where chunks are kept and searched.")
    embedder: Literal["minilm"] = Field(default="minilm", description="What turns texts into embeddings.")
    embedder_threads: int = Field(default=2, ge=1, le=64, description="Processor threads of one embedding run.")
    answer_writer: Literal["extractive"] = Field(default="extractive", description="What writes answers.")
    min_certainty: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How sure the extractive writer must be of a sentence to answer at all.",
    )

    @field_validator("store_url")
    @classmethod
    def _is_postgres_address(cls, value: SecretStr) -> SecretStr:
        address = value.get_secret_value().strip()
        if not address:
            raise ValueError(
                f"DIGLOT_STORE_URL is not set; set it to a PostgreSQL address, for example {_STORE_EXAMPLE}"
            )
        if not address.startswith(("postgresql://", "postgres://")):
            raise ValueError(
                f"DIGLOT_STORE_URL is no PostgreSQL address; a right one is, for example, {_STORE_EXAMPLE}"
            )
        return SecretStr(address)
