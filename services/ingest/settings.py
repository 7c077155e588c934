"""Settings of the ingest service, from the environment."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.transport.addresses import ListenAddress, StoreUrl, Target
from services.transport.settings import TransportSettings

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BUCKET_EXAMPLE = "rag-cache-123456789012-us-east-1"
_QUEUE_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9_-]+)+")


def check_bucket_name(name: str) -> str:
    """The name itself. Raises ValueError when no bucket can have it."""
    if not _BUCKET.fullmatch(name):
        raise ValueError("is no bucket name")
    return name


def check_queue_url(url: str) -> str:
    """The URL itself. Raises ValueError when no queue has such a one, or a queue of a kind that is not served."""
    if url.endswith(".fifo"):
        raise ValueError("names a FIFO queue; a standard one is needed")
    if not _QUEUE_URL.fullmatch(url):
        raise ValueError("is no address of a queue")
    return url


BucketName = Annotated[str, AfterValidator(check_bucket_name)]
QueueUrl = Annotated[str, AfterValidator(check_queue_url)]


class IngestSettings(BaseSettings):
    """Read from INGEST_<FIELD NAME>, but for the names that all services share."""

    # Values stay out of error texts: addresses hold passwords.
    model_config = SettingsConfigDict(env_prefix="INGEST_", frozen=True, extra="ignore", hide_input_in_errors=True)

    transport: TransportSettings = Field(default_factory=TransportSettings)
    listen: ListenAddress = "127.0.0.1:50053"
    rag_target: Target = Field(default=..., description="Where the rag service listens.")
    store_url: StoreUrl = Field(validation_alias="DIGLOT_STORE_URL")
    job_retention_days: int = Field(
        default=90, ge=1, le=3650, description="How long DynamoDB keeps a job after its end; PostgreSQL keeps all."
    )
    data_dir: Path = Field(
        default=Path(".diglot"),
        validation_alias="DIGLOT_DATA_DIR",
        description="Files lie in its subfolder `files`; unused when they are kept in a bucket.",
    )
    storage_backend: Literal["local", "s3"] = Field(
        default="local", validation_alias="STORAGE_BACKEND", description="Where files are kept."
    )
    s3_cache_bucket: BucketName | None = Field(
        default=None,
        validation_alias="S3_CACHE_BUCKET",
        description="The bucket they are kept in with STORAGE_BACKEND=s3.",
        examples=[_BUCKET_EXAMPLE],
    )

    max_file_bytes: int = Field(default=50 * 1024 * 1024, ge=1, le=60 * 1024 * 1024, description="Largest file taken.")
    max_content_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1024 * 1024,
        description="What files that come whole in one call may take of the memory together.",
    )
    max_open_upload_bytes: int = Field(
        default=2 * 1024**3,
        ge=1024 * 1024,
        description="What uploads that are open may take of the disk together; unused with a bucket.",
    )
    upload_minutes: int = Field(
        default=60, ge=1, le=720, description="How long an upload stays open, to be sent and completed."
    )
    chunk_tokens: int = Field(
        default=512,
        ge=16,
        le=2048,
        description="Tokens a chunk has at most, and never more than three quarters of what the embedding model reads.",
    )
    chunk_merge_tokens: int = Field(
        default=256, ge=0, le=2048, description="A section of fewer tokens shares its chunk with the next one."
    )
    chunk_overlap_tokens: int = Field(
        default=50,
        ge=0,
        le=512,
        description="Tokens a chunk may repeat from the one before it, and never more than an eighth of its length.",
    )

    parsing_timeout_seconds: float = Field(
        default=120, gt=0, le=840, description="Longest that parsing one file takes."
    )
    parsing_quiet_seconds: float = Field(
        default=25,
        gt=0,
        le=840,
        description="Longest that parsing goes without a page done; formats without pages are done or refused by then.",
    )
    parsing_memory_bytes: int = Field(
        default=416 * 1024 * 1024,
        ge=128 * 1024 * 1024,
        le=1024**4,
        description="Most memory that a parsing process may fill.",
    )
    docling_memory_bytes: int = Field(
        default=1536 * 1024 * 1024,
        ge=512 * 1024 * 1024,
        le=1024**4,
        description="The same where docling or text recognition may read: their models take several hundred megabytes.",
    )
    docling_timeout_seconds: float = Field(
        default=600,
        gt=0,
        le=840,
        description="Longest that parsing a file takes there, where a page can take seconds.",
    )
    max_parallel_parsings: int = Field(default=2, ge=1, le=32, description="Most parsing processes at a time.")

    use_docling: Literal["true", "false", "auto"] | None = Field(
        default=None,
        validation_alias="USE_DOCLING",
        description="Whether docling reads: what it can, nothing, or (unset too) pages that our own parser cannot.",
        examples=["auto"],
    )
    use_dockling: Literal["true", "false", "auto"] | None = Field(
        default=None,
        validation_alias="USE_DOCKLING",
        description="The same under the name that earlier guides gave it.",
        examples=["auto"],
    )
    docling_artifacts_path: Path | None = Field(
        default=None,
        validation_alias="DOCLING_ARTIFACTS_PATH",
        description="Folder of docling's layout models; without them it reads no PDF.",
        examples=["/opt/docling"],
    )

    docling_allow_download: bool = Field(
        default=False,
        validation_alias="DOCLING_ALLOW_DOWNLOAD",
        description="Whether docling may fill that folder from its model hub when the service starts and it is empty.",
    )
    ocr_engine: Literal["auto", "rapidocr", "docling", "none"] = Field(
        default="auto",
        description="What recognises text on scanned pages; unset, whatever is installed.",
        examples=["rapidocr"],
    )

    lease_seconds: float = Field(
        default=20, ge=0.3, le=600, description="How long a job stays its worker's without a sign of life."
    )
    retry_pause_seconds: float = Field(
        default=1,
        gt=0,
        le=60,
        description="How long a job rests after a part it needs was away; doubled each time, up to a minute.",
    )
    max_lost_workers: int = Field(
        default=3, ge=1, le=20, description="Workers that may end over a file before its job is given up."
    )
    max_attempts: int = Field(
        default=100, ge=1, le=10_000, description="How often a job is taken up, also after rests, until it is given up."
    )
    failed_file_hours: float = Field(
        default=24,
        ge=0,
        le=720,
        description="How long the file of a job that failed through no fault of the file is kept to be retried.",
    )
    worker_count: int = Field(default=2, ge=1, le=32, description="Jobs taken up from elsewhere at a time.")
    worker_poll_seconds: float = Field(default=2, gt=0, le=60, description="How often to look for such jobs.")
    background_work: bool = Field(
        default=True,
        description="Whether work goes on between calls. Off where the process is frozen then, as on Lambda.",
    )
    index_batch_chunks: int = Field(default=64, ge=1, le=256, description="Chunks sent to the index in one call.")
    index_timeout_seconds: float = Field(default=120, gt=0, le=840, description="Longest that one such call takes.")

    images_target: Target | None = Field(
        default=None,
        description="Another process of this service that takes images out of PDFs; none: they are taken out here.",
        examples=["lambda:diglot-images:live"],
    )

    queue_url: QueueUrl | None = Field(
        default=None,
        description="SQS queue that tells of waiting jobs; none: workers look for them in the store.",
        examples=["https://sqs.us-east-1.amazonaws.com/123456789012/diglot-ingest"],
    )
    queue_visibility_seconds: int = Field(
        default=60, ge=3, le=36_000, description="How long a message stays its server's without a sign of life."
    )
    sweep_seconds: float = Field(
        default=60, gt=0, le=3600, description="How often a server that listens to a queue looks into the store too."
    )
    hand_over_seconds: float = Field(
        default=3,
        ge=0.05,
        le=60,
        description="How long before its end a call that nothing outlives gives work back; at most a fifth of it.",
    )

    @field_validator(
        "data_dir",
        "storage_backend",
        "s3_cache_bucket",
        "docling_artifacts_path",
        "docling_allow_download",
        "ocr_engine",
        "queue_url",
        "images_target",
        mode="before",
    )
    @classmethod
    def _absent_when_empty(cls, value: object, info: ValidationInfo) -> object:
        # Templates pass on what is not set as nothing.
        is_empty = isinstance(value, str) and not value.strip()
        return cls.model_fields[info.field_name].default if is_empty and info.field_name else value

    @field_validator("use_docling", "use_dockling", mode="before")
    @classmethod
    def _as_a_switch(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return {"": None, "1": "true", "0": "false"}.get(value.strip().lower(), value.strip().lower())

    @model_validator(mode="after")
    def _says_one_thing_about_docling(self) -> Self:
        if None not in (self.use_docling, self.use_dockling) and self.use_docling != self.use_dockling:
            raise ValueError("USE_DOCLING and USE_DOCKLING differ: set one of them, for example USE_DOCLING=auto")
        return self

    @model_validator(mode="after")
    def _names_a_bucket(self) -> Self:
        if self.storage_backend == "s3" and self.s3_cache_bucket is None:
            raise ValueError(
                f"S3_CACHE_BUCKET: is not set, and STORAGE_BACKEND=s3 keeps files there"
                f" (for example S3_CACHE_BUCKET={_BUCKET_EXAMPLE})"
            )
        return self

    @model_validator(mode="after")
    def _has_room_for_the_largest_file(self) -> Self:
        if self.max_open_upload_bytes < self.max_file_bytes:
            raise ValueError(
                "INGEST_MAX_OPEN_UPLOAD_BYTES is less than INGEST_MAX_FILE_BYTES, and the largest file could never be "
                f"sent (for example INGEST_MAX_OPEN_UPLOAD_BYTES={8 * self.max_file_bytes})"
            )
        return self

    @property
    def docling(self) -> Literal["true", "false", "auto"]:
        """Whether docling reads, under whichever name it was set."""
        return self.use_docling or self.use_dockling or "auto"
