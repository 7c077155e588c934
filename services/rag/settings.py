"""Settings of the rag service, from the environment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.transport.addresses import ListenAddress, PostgresUrl
from services.transport.settings import TransportSettings


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
    embedder: Literal["minilm"] = Field(default="minilm", description="What turns texts into embeddings.")
    embedder_threads: int = Field(default=2, ge=1, le=64, description="Processor threads of one embedding run.")
    answer_writer: Literal["extractive"] = Field(default="extractive", description="What writes answers.")
    min_certainty: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How sure the extractive writer must be of a sentence to answer at all.",
    )
