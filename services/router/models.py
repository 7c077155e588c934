"""What the router speaks about: questions, evidence, decisions and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, TypeAlias

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None


class Route(Enum):
    """Where a question can go."""

    SQL = "sql"
    DOCUMENTS = "documents"
    HYBRID = "hybrid"
    NONE = "none"


class Status(Enum):
    """How a question went."""

    SUCCESS = "success"
    PENDING_APPROVAL = "pending_approval"
    NO_ANSWER = "no_answer"
    NEEDS_CLARIFICATION = "needs_clarification"
    PARTIAL = "partial"


@dataclass(frozen=True)
class Assessment:
    """How well a source can answer one text: `score` from 0 (nothing bears on it) to 1; `reason` is one sentence."""

    score: float
    reason: str


@dataclass(frozen=True)
class DocumentFilters:
    """What documents have to be like that are read; what is empty lets all pass. The documents' side checks it."""

    documents: tuple[str, ...] = ()
    filenames: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    create_time_from: datetime | None = None
    create_time_before: datetime | None = None


NO_FILTERS: Final = DocumentFilters()


@dataclass(frozen=True)
class Evidence:
    """What one source says of a question as a whole and of each of its parts, in their order."""

    question: Assessment
    parts: tuple[Assessment, ...] = ()


@dataclass(frozen=True)
class Part:
    """A piece of a question that could be asked by itself.

    `stands_alone` is False where the piece is a bare phrase that only asks something with the words carried over from
    the piece before it ("Show me sales and prices" → "Show me prices"): such a cut is a guess.
    """

    text: str
    stands_alone: bool


@dataclass(frozen=True)
class SubQuestion:
    """What one source (SQL or DOCUMENTS) is asked."""

    route: Route
    question: str


@dataclass(frozen=True)
class Decision:
    """Where a question goes; `confidence` from 0 to 1."""

    route: Route
    confidence: float
    reason: str
    sub_questions: tuple[SubQuestion, ...] = ()
    ask_back: str = ""
    other_fits: bool = False
    why_not_sql: str = ""  # where neither source bears on it: what the database's side says of that

    def question_for(self, route: Route, otherwise: str) -> str:
        """The words `route` is asked; `otherwise` where the decision does not name it."""
        return next((sub.question for sub in self.sub_questions if sub.route is route), otherwise)


@dataclass(frozen=True)
class Column:
    """A column of a result: its unique name and PostgreSQL type."""

    name: str
    type: str


@dataclass(frozen=True)
class SqlAnswer:
    """What the database gave: a result, a query that waits (`pending`), or why there is no query (`answered` False)."""

    answered: bool
    explanation: str
    query: str = ""
    sql: str = ""
    sql_hash: str = ""
    pending: bool = False
    pending_reason: str = ""
    plan_cost: float | None = None
    expire_time: datetime | None = None
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[JsonValue, ...], ...] = ()
    truncated: bool = False


@dataclass(frozen=True)
class TableRange:
    """Rows of one table of a document, all counted from 0 and without the header; `last_row` is included."""

    table: int
    first_row: int
    last_row: int


@dataclass(frozen=True)
class Source:
    """A chunk that was read for an answer; `start` and `end` count Unicode code points of the document's text."""

    content: str
    filename: str
    document: str
    chunk_index: int
    similarity_score: float
    page: int | None
    headings: tuple[str, ...]
    start: int
    end: int
    table: TableRange | None = None


@dataclass(frozen=True)
class Citation:
    """The stretch of a document that backs sentence number `sentence_index` of the documents' answer."""

    chunk: str
    filename: str
    quote: str
    start: int
    end: int
    page: int | None
    sentence_index: int
    table: TableRange | None = None
    headings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What an answer cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    embedded_texts: int = 0


@dataclass(frozen=True)
class DocumentAnswer:
    """What the documents gave; `answered` is False where they hold no answer."""

    answer: str
    answered: bool
    sources: tuple[Source, ...] = ()
    citations: tuple[Citation, ...] = ()
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Failure:
    """A source that was needed and failed."""

    route: Route
    reason: str
    detail: str


@dataclass(frozen=True)
class Reply:
    """The answer to a question."""

    status: Status
    decision: Decision
    answer: str
    sql: SqlAnswer | None = None
    documents: DocumentAnswer | None = None
    failures: Sequence[Failure] = ()
