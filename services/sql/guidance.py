"""What is known for one question besides the schema: approved training, terms from documents, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.sql.training_ddl import DeclaredKey


@dataclass(frozen=True)
class SimilarExample:
    """An approved question with its query, and how near its meaning is: cosine similarity, at most 1.

    `explanation` is what the query said of itself when it was approved, empty where it came without one.
    """

    question: str
    sql: str
    similarity: float
    explanation: str = ""
    approved_by: str = ""
    approve_time: datetime | None = None


@dataclass(frozen=True)
class Term:
    """What an uploaded document, or documentation that was approved, says of a word of the question.

    `text` is the passage, `document` the file's name or what stands for one, `place` where in it ("page 3,
    Definitions"), possibly empty.
    """

    text: str
    document: str
    place: str = ""


@dataclass(frozen=True)
class Objection:
    """A draft that cannot be run, and why, in one line that holds no data of the database."""

    sql: str
    reason: str


@dataclass(frozen=True)
class Guidance:
    """All of it is data, never orders.

    `examples` nearest first; `documentation` are approved texts, DDL among them; `keys` are foreign keys that only
    approved DDL tells of; `objections` in the order of the tries.
    """

    examples: tuple[SimilarExample, ...] = ()
    documentation: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    objections: tuple[Objection, ...] = ()
    keys: tuple[DeclaredKey, ...] = ()


NO_GUIDANCE = Guidance()
