"""What the service is taught about a database: structure, words about it, and questions with their queries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Vector = Sequence[float]


class TrainingKind(StrEnum):
    """What an item is."""

    DDL = "DDL"
    DOCUMENTATION = "DOCUMENTATION"
    EXAMPLE = "EXAMPLE"  # a question with its query


class TrainingState(StrEnum):
    """Only what is APPROVED is ever used."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"


class TrainingSource(StrEnum):
    """How an item came about."""

    API = "API"
    APPROVED_QUERY = "APPROVED_QUERY"  # a person approved the query as it was generated, and it ran


@dataclass(frozen=True)
class TrainingScope:
    """Whose training, for which database (the key of its address): nothing is ever seen outside."""

    tenant: str
    database: str


@dataclass(frozen=True)
class TrainingContent:
    """What is taught. `text` is DDL, documentation, or the question of an example; `sql` is the query of an example."""

    kind: TrainingKind
    text: str
    sql: str = ""

    def id_in(self, scope: TrainingScope) -> str:
        """64 lower-case hexadecimal digits, of exactly this content: a space within quotes makes another query."""
        parts = [scope.tenant, scope.database, self.kind.value, self.text, self.sql]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class TrainingItem:
    """One thing taught and its provenance.

    `query_id` names the query it was learned from, and `explanation` is what that query said of itself; `author` is who
    gave it and `decided_by` who approved it, empty while nobody has.
    """

    id: str
    content: TrainingContent
    state: TrainingState
    source: TrainingSource
    author: str
    create_time: datetime
    query_id: str = ""
    decided_by: str = ""
    decide_time: datetime | None = None
    explanation: str = ""


@dataclass(frozen=True)
class TrainingPosition:
    """The place of one item in the order newest first."""

    create_time: datetime
    id: str


@dataclass(frozen=True)
class TrainingPage:
    """Items newest first, and where the next page begins; None when this is the last."""

    items: tuple[TrainingItem, ...]
    next_after: TrainingPosition | None


@dataclass(frozen=True)
class TrainingCensus:
    """How many approved items a scope has, and a text that is another one after every change of them."""

    approved: Mapping[TrainingKind, int]
    revision: str

    @property
    def total(self) -> int:
        """Approved items of all kinds."""
        return sum(self.approved.values())


class Embeddings(list[Vector]):
    """One vector of length 1 for each text, in order, and the model that made them, "name/dimension"."""

    def __init__(self, vectors: Iterable[Vector], model: str) -> None:
        super().__init__(vectors)
        self.model = model


@dataclass(frozen=True)
class HeldVector:
    """That an index holds a vector for an item, and by which model it was made."""

    id: str
    model: str


@dataclass(frozen=True)
class TrainingVector:
    """The vector of one item, to be held."""

    id: str
    kind: TrainingKind
    vector: Vector


@dataclass(frozen=True)
class Nearness:
    """An item and how near its meaning is: cosine similarity, at most 1."""

    id: str
    similarity: float


@dataclass(frozen=True)
class Passage:
    """A piece of an uploaded document, as a search found it. `page` counts from 1, 0 where there are none."""

    text: str
    document: str
    page: int = 0
    headings: tuple[str, ...] = ()
