"""Settings of the ingest service, from the environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.transport.addresses import ListenAddress, PostgresUrl, Target
from services.transport.settings import TransportSettings


class IngestSettings(BaseSettings):
    """Read from INGEST_<FIELD NAME>, but for the names that all services share."""

    # Values stay out of error texts: addresses hold passwords.
    model_config = SettingsConfigDict(env_prefix="INGEST_", frozen=True, extra="ignore", hide_input_in_errors=True)

    transport: TransportSettings = Field(default_factory=TransportSettings)
    listen: ListenAddress = "127.0.0.1:50053"
    rag_target: Target = Field(default=..., description="Where the rag service listens.")
    store_url: PostgresUrl = Field(validation_alias="DIGLOT_STORE_URL")
    data_dir: Path = Field(
        default=Path(".diglot"),
        validation_alias="DIGLOT_DATA_DIR",
        description="Files lie in its subfolder `files`.",
    )

    max_file_bytes: int = Field(default=50 * 1024 * 1024, ge=1, le=60 * 1024 * 1024, description="Largest file taken.")
    chunk_tokens: int = Field(
        default=200,
        ge=16,
        le=254,
        description="Tokens a chunk has at most; the embedding model reads 256 with its two marks.",
    )
    chunk_overlap_tokens: int = Field(
        default=0, ge=0, le=100, description="Tokens a chunk may repeat from the one before it."
    )

    parsing_timeout_seconds: float = Field(
        default=120, gt=0, le=840, description="Longest that parsing one file takes."
    )
    parsing_memory_bytes: int = Field(
        default=1536 * 1024 * 1024, ge=128 * 1024 * 1024, description="Most address space a parsing process may have."
    )
    max_parallel_parsings: int = Field(default=2, ge=1, le=32, description="Most parsing processes at a time.")

    lease_seconds: float = Field(
        default=20, ge=0.3, le=600, description="How long a job stays its worker's without a sign of life."
    )
    retry_pause_seconds: float = Field(
        default=1,
        gt=0,
        le=60,
        description="How long a job rests after a part it needs was away; doubled each time, up to a minute.",
    )
    worker_count: int = Field(default=2, ge=1, le=32, description="Jobs taken up from elsewhere at a time.")
    worker_poll_seconds: float = Field(default=2, gt=0, le=60, description="How often to look for such jobs.")
    background_work: bool = Field(
        default=True,
        description="Whether work goes on between calls. Off where the process is frozen then, as on Lambda.",
    )
    index_batch_chunks: int = Field(default=64, ge=1, le=256, description="Chunks sent to the index in one call.")
    index_timeout_seconds: float = Field(default=120, gt=0, le=840, description="Longest that one such call takes.")
