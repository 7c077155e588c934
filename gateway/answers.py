"""The answers of the REST surface, field by field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["success", "pending_approval", "no_answer", "needs_clarification", "partial"]
Milliseconds = Annotated[float, Field(ge=0, description="Time the gateway took for the request, in milliseconds.")]
PendingReason = Annotated[
    str,
    Field(
        description="Why it waits for a person: NOT_ASKED (nobody asked for it to run at once), POLICY_NEVER, "
        "COST_ABOVE_POLICY (the limit is `features.auto_approve_sql_cost` of GET /info), PLAN_UNKNOWN or EDITED. "
        "POST /query/sql/execute takes the decision. Left out where it does not wait.",
        examples=["POLICY_NEVER"],
    ),
]
PlanCost = Annotated[
    float,
    Field(
        description="What the database's planner thinks it costs; a page read in sequence costs 1. "
        "Left out where the planner was not asked."
    ),
]
ExpiresAt = Annotated[
    str, Field(description="When it ceases to wait, ISO 8601 in UTC. Left out where it does not wait.")
]
Rows = Annotated[
    list[dict[str, Any]],
    Field(
        description="One object a row. Numbers up to 15 significant digits are numbers, longer ones, NaN and "
        "infinities strings; dates and times ISO 8601 strings; bytea base64; json the JSON it is.",
        examples=[[{"customer_count": 100}]],
    ),
]


class Answer(BaseModel):
    """Fields that are absent are left out."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class TablePlace(Answer):
    """Rows of a table in a document; tables and rows count from 0, without the header."""

    table: int = Field(ge=0)
    first_row: int = Field(ge=0)
    last_row: int = Field(ge=0)


class SourceMetadata(Answer):
    """Where a passage stands."""

    filename: str = Field(examples=["handbook.md"])
    document_id: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    chunk_index: int = Field(ge=0)
    page: int = Field(default=1, ge=1, description="Page, counted from 1; left out where the format has none.")
    heading: str = Field(default="", description="Headings above it, outermost first, joined by ` > `.")
    start: int = Field(default=0, ge=0, description="First character in the document's text, in code points.")
    end: int = Field(default=0, ge=0, description="Character after its last one.")
    table: TablePlace | None = Field(
        default=None, description="The rows it holds; left out where it holds none, or rows of more than one table."
    )


class Source(Answer):
    """A passage that was read for the answer."""

    content: str
    metadata: SourceMetadata
    similarity_score: float = Field(description="Cosine similarity of question and passage, from -1 to 1.")


class Citation(Answer):
    """The stretch of a document that backs one sentence of the answer."""

    document_id: str
    chunk_index: int = Field(ge=0)
    filename: str
    quote: str
    start: int
    end: int
    page: int = Field(default=1, ge=1)
    sentence_index: int = Field(ge=0, description="Sentence of the documents' answer, counted from 0.")
    heading: str = Field(default="", description="Headings above it, outermost first, joined by ` > `.")
    table: TablePlace | None = Field(default=None, description="The rows in the passage it is quoted from.")


class Usage(Answer):
    """What an answer cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    embedded_texts: int = 0


class ResultColumn(Answer):
    """One column of a result."""

    name: str = Field(examples=["customer_count"])
    type: str = Field(description="PostgreSQL type.", examples=["int8"])


class SubQuestion(Answer):
    """What one source was asked."""

    route: Literal["SQL", "DOCUMENTS"]
    question: str


class RoutingFacts(Answer):
    """Where the question went, and why."""

    route: Literal["SQL", "DOCUMENTS", "HYBRID", "NONE"]
    confidence: float = Field(ge=0, le=1)
    reason: str
    sub_questions: list[SubQuestion]


class SourceFailure(Answer):
    """A source that was needed and failed."""

    source: Literal["SQL", "DOCUMENTS"]
    reason: str
    detail: str


class DocumentsAnswer(Answer):
    """An answer from the documents alone."""

    status: Status
    query_type: Literal["DOCUMENTS"] = "DOCUMENTS"
    answer: str
    sources: list[Source]
    citations: list[Citation]
    cached: bool = Field(description="Whether the answer was taken from a cache.")
    usage: Usage
    execution_time_ms: Milliseconds


class Routed(Answer):
    """What every routed answer has."""

    status: Status
    answer: str = Field(description="The answer in words.")
    routing: RoutingFacts
    failures: list[SourceFailure] = Field(default=[], description="Left out where nothing failed.")
    execution_time_ms: Milliseconds


class RoutedDocumentsAnswer(Routed):
    """The documents answered."""

    query_type: Literal["DOCUMENTS"]
    sources: list[Source]
    citations: list[Citation]
    cached: bool
    usage: Usage


class RoutedSqlAnswer(Routed):
    """The database answered, or its query waits for approval: then there are no results."""

    query_type: Literal["SQL"]
    query_id: str = Field(default="", description="Left out where no query could be written.")
    sql_generated: str = ""
    sql_hash: str = ""
    pending_reason: PendingReason = ""
    plan_cost: PlanCost = 0
    expires_at: ExpiresAt = ""
    explanation: str
    results: Rows = []
    columns: list[ResultColumn] = []
    row_count: int = Field(default=0, ge=0)
    truncated: bool = False


class SqlPart(Answer):
    """What the database gave to a hybrid answer."""

    status: Literal["success", "pending_approval", "no_answer"]
    query_id: str = ""
    sql: str = ""
    sql_hash: str = ""
    pending_reason: PendingReason = ""
    plan_cost: PlanCost = 0
    expires_at: ExpiresAt = ""
    explanation: str
    results: Rows = []
    columns: list[ResultColumn] = []
    row_count: int = Field(default=0, ge=0)
    truncated: bool = False


class DocumentsPart(Answer):
    """What the documents gave to a hybrid answer."""

    status: Literal["success", "no_answer"]
    answer: str
    sources: list[Source]
    citations: list[Citation]
    usage: Usage


class RoutedHybridAnswer(Routed):
    """Both were asked. A source that failed, or that was not asked because the question is unclear, is left out."""

    query_type: Literal["HYBRID"]
    sql_results: SqlPart = Field(default=None, validate_default=False)  # type: ignore[assignment]  # left out, never null
    document_results: DocumentsPart = Field(default=None, validate_default=False)  # type: ignore[assignment]


class RoutedNoAnswer(Routed):
    """Neither source bears on the question."""

    query_type: Literal["NONE"]


RoutedAnswer = Annotated[
    RoutedSqlAnswer | RoutedDocumentsAnswer | RoutedHybridAnswer | RoutedNoAnswer, Field(discriminator="query_type")
]
