"""Settings of the sql service, from the environment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.sql.answering import AutoApprovePolicy
from services.sql.visibility import Visibility
from services.transport.addresses import ListenAddress, PostgresUrl, StoreUrl, Target
from services.transport.setting_types import ApiKey, BareUrl, Stripped, none_when_blank
from services.transport.settings import TransportSettings

_MAX_APPROVAL_SECONDS = 30 * 24 * 60 * 60  # 30 days


class SqlSettings(BaseSettings):
    """Read from SQL_<FIELD NAME>, but for the names that all services share."""

    # Values stay out of error texts: addresses hold passwords.
    model_config = SettingsConfigDict(env_prefix="SQL_", frozen=True, extra="ignore", hide_input_in_errors=True)

    transport: TransportSettings = Field(default_factory=TransportSettings)
    listen: ListenAddress = "127.0.0.1:50052"
    environment: Stripped = Field(default="local", validation_alias="ENVIRONMENT")

    database_url: PostgresUrl = Field(
        validation_alias="DATABASE_URL", examples=["postgresql://reader:password@host:5432/shop"]
    )
    store_url: StoreUrl = Field(validation_alias="DIGLOT_STORE_URL")
    query_retention_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description="How long DynamoDB keeps a query and its audit log after its expiry; PostgreSQL keeps all.",
    )

    auto_approve: AutoApprovePolicy = Field(
        default=AutoApprovePolicy.NEVER,
        description="Whether a caller may ask for a query to run without a person's decision: never, allowed, or"
        " cost_below SQL_AUTO_APPROVE_COST.",
        examples=["never"],
    )
    auto_approve_cost: float = Field(
        default=10_000,
        gt=0,
        allow_inf_nan=False,
        description="Cost of a plan below which SQL_AUTO_APPROVE=cost_below lets a query run; a page read costs 1.",
        examples=["10000"],
    )
    approval_seconds: float = Field(
        default=3600, gt=0, le=_MAX_APPROVAL_SECONDS, description="How long a query waits for a decision and its run."
    )

    statement_seconds: float = Field(
        default=15, gt=0, le=600, description="Longest that one run may take in the database."
    )
    lock_seconds: float = Field(default=2, gt=0, le=60, description="Longest that a run may wait for a lock.")
    work_memory_kilobytes: int = Field(
        default=16 * 1024, ge=64, le=1024 * 1024, description="Memory of one sort or hash."
    )
    max_plan_cost: float = Field(
        default=10_000_000, gt=0, description="Highest plan cost that is run; a sequential page read costs 1."
    )
    max_concurrent_runs: int = Field(
        default=4, ge=1, le=100, description="Most connections to the user's database at a time."
    )
    checkout_wait_seconds: float = Field(
        default=5, gt=0, le=60, description="Longest that a run waits for a connection."
    )

    schema_check_seconds: float = Field(
        default=60, ge=0, description="How often the structure is compared with the database."
    )
    schema_max_age_seconds: float = Field(default=900, ge=0, description="Age at which values are read again.")
    tables: str = Field(
        default="*",
        description="Tables that can be asked: patterns for schema.table, separated by commas.",
        examples=["public.*,sales.orders"],
    )
    hidden_columns: str = Field(
        default="",
        description="Columns that are never shown, sampled or queried: patterns for schema.table.column.",
        examples=["*.password_hash,public.employees.salary"],
    )
    sample_rows: int = Field(
        default=50_000, ge=0, le=1_000_000, description="Rows of a table whose values are looked at."
    )
    sample_seconds: float = Field(default=30, ge=0, le=600, description="Longest that sampling all tables may take.")
    sample_table_seconds: float = Field(default=3, gt=0, le=60, description="Longest that sampling one table may take.")

    generator: Literal["grounded", "vanna"] | None = Field(
        default=None,
        description="What writes queries; unset: vanna where there is an OPENAI_API_KEY, else grounded.",
        examples=["grounded"],
    )
    openai_api_key: ApiKey | None = Field(
        default=None, validation_alias="OPENAI_API_KEY", description="Key of the model's API.", examples=["sk-..."]
    )
    openai_base_url: BareUrl | None = Field(
        default=None,
        validation_alias="OPENAI_BASE_URL",
        description="Another API that speaks as OpenAI's does.",
        examples=["https://api.openai.com/v1"],
    )
    pinecone_api_key: ApiKey | None = Field(
        default=None,
        validation_alias="PINECONE_API_KEY",
        description="With it and a rag service, what the service is taught is found by a Pinecone index.",
        examples=["pcsk_..."],
    )
    pinecone_host: BareUrl | None = Field(
        default=None,
        validation_alias="PINECONE_CONTROLLER_HOST",
        description="Another control plane than Pinecone's own.",
        examples=["https://api.pinecone.io"],
    )
    training_index: str = Field(
        default="vanna-sql-training",
        validation_alias="VANNA_PINECONE_INDEX",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?$",
        description="Pinecone index of what the service is taught: the dimensions of rag's embedding model, cosine.",
    )
    rag_target: Target | None = Field(
        default=None,
        description="Where the rag service listens, which embeds what is taught and searches documents for terms.",
        examples=["dns:///rag:50051"],
    )
    learn_from_approved: bool = Field(
        default=True, description="Whether queries that a person approved, and that ran, become examples."
    )
    document_terms: bool = Field(
        default=True, description="Whether definitions in uploaded documents explain words; needs SQL_RAG_TARGET."
    )
    training_max_items: int = Field(
        default=1_000,
        ge=1,
        le=10_000,
        description="Most that a tenant may teach the service, learned queries included.",
    )
    model: Stripped = Field(default="gpt-4o-mini", description="The model that writes queries.")
    model_seconds: float = Field(default=20, gt=0, le=600, description="Longest that one reply of the model may take.")
    max_concurrent_replies: int = Field(default=4, ge=1, le=64, description="Most replies waited for at a time.")
    prompt_schema_tokens: int = Field(
        default=14_000,
        ge=1_000,
        le=500_000,
        description="Most tokens of tables that a prompt holds; of a larger schema the likeliest tables are told.",
    )
    prompt_values: bool = Field(
        default=True, description="Whether the model is told the values of columns that have few; never any row."
    )

    _blank_is_unset = field_validator(
        "openai_api_key",
        "openai_base_url",
        "pinecone_api_key",
        "pinecone_host",
        "generator",
        "rag_target",
        mode="before",
    )(none_when_blank)

    @field_validator("environment", "auto_approve", "auto_approve_cost", "training_index", mode="before")
    @classmethod
    def _blank_is_default(cls, value: object, info: ValidationInfo) -> object:
        given = value.strip() if isinstance(value, str) else value
        return cls.model_fields[info.field_name or ""].default if given == "" else given

    @model_validator(mode="after")
    def _model_has_key(self) -> SqlSettings:
        if self.generator == "vanna" and self.openai_api_key is None:
            raise ValueError("SQL_GENERATOR=vanna needs OPENAI_API_KEY, for example OPENAI_API_KEY=sk-...")
        return self

    @field_validator("tables")
    @classmethod
    def _tables_are_patterns(cls, value: str) -> str:
        return _readable(value, "", "SQL_TABLES takes patterns for schema.table, for example public.*,sales.orders")

    @field_validator("hidden_columns")
    @classmethod
    def _hidden_columns_are_patterns(cls, value: str) -> str:
        return _readable(
            "", value, "SQL_HIDDEN_COLUMNS takes patterns for schema.table.column, for example *.password_hash"
        )

    @property
    def visibility(self) -> Visibility:
        """Which tables and columns are spoken of at all."""
        return Visibility.parse(self.tables, self.hidden_columns)

    @property
    def chosen_generator(self) -> Literal["grounded", "vanna"]:
        """What writes queries."""
        return self.generator or ("vanna" if self.openai_api_key is not None else "grounded")

    @property
    def reads_documents(self) -> bool:
        """Whether uploaded documents are searched for the meaning of words."""
        return self.document_terms and self.rag_target is not None

    @property
    def is_production(self) -> bool:
        """Whether doubts about the set-up refuse the start instead of being logged."""
        return self.environment.lower() == "production"


def _readable(tables: str, hidden_columns: str, promise: str) -> str:
    try:
        Visibility.parse(tables, hidden_columns)
    except ValueError as error:
        raise ValueError(f"{promise}; {error}") from error
    return tables or hidden_columns
