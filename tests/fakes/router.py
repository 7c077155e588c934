"""In-memory stand-ins for the router's two sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.router.errors import SourceFailed
from services.router.models import (
    NO_FILTERS,
    Assessment,
    Citation,
    Column,
    DocumentAnswer,
    DocumentFilters,
    Evidence,
    Source,
    SqlAnswer,
)

NOTHING = Assessment(0.0, "Nothing bears on it.")


def document_answer(text: str, filename: str = "handbook.md", page: int | None = None) -> DocumentAnswer:
    """An answer of one sentence, backed by one chunk."""
    source = Source(text, filename, f"documents/{'a' * 64}", 0, 0.8, page, ("Hours",), 0, len(text))
    citation = Citation(f"documents/{'a' * 64}/chunks/0", filename, text, 0, len(text), page, 0)
    return DocumentAnswer(answer=text, answered=True, sources=(source,), citations=(citation,))


def sql_answer(
    *rows: Sequence[object], columns: Sequence[str] = ("customer_count",), pending: bool = False
) -> SqlAnswer:
    """An executed query with these rows, or a pending one."""
    return SqlAnswer(
        answered=True,
        explanation="Counts customers.",
        query="queries/q1",
        sql="SELECT count(*) FROM public.customers",
        sql_hash="0" * 64,
        pending=pending,
        pending_reason="NOT_ASKED" if pending else "",
        plan_cost=12.5 if pending else None,
        expire_time=datetime(2026, 1, 2, 3, 4, tzinfo=UTC) if pending else None,
        columns=() if pending else tuple(Column(name, "int8") for name in columns),
        rows=() if pending else tuple(tuple(row) for row in rows),  # type: ignore[arg-type]
    )


@dataclass
class FakeDocumentSource:
    """Scores and answers are given by text; `failure` is raised by every method, `answer_failure` by `answer` only."""

    scores: Mapping[str, float] = field(default_factory=dict)
    reply: DocumentAnswer = field(default_factory=lambda: DocumentAnswer("The documents do not say.", answered=False))
    failure: Exception | None = None
    answer_failure: SourceFailed | None = None
    asked: list[str] = field(default_factory=list)
    top_ks: list[int] = field(default_factory=list)
    filters: list[DocumentFilters] = field(default_factory=list)
    """Those of every call, assessments too."""
    reason: str = "handbook.md speaks of it."

    async def assess(self, question: str, parts: Sequence[str], filters: DocumentFilters = NO_FILTERS) -> Evidence:
        if self.failure:
            raise self.failure
        self.filters.append(filters)
        return Evidence(self._assessment(question), tuple(self._assessment(part) for part in parts))

    async def answer(self, question: str, *, top_k: int, filters: DocumentFilters = NO_FILTERS) -> DocumentAnswer:
        if error := self.failure or self.answer_failure:
            raise error
        self.filters.append(filters)
        self.asked.append(question)
        self.top_ks.append(top_k)
        return self.reply

    def _assessment(self, text: str) -> Assessment:
        return Assessment(self.scores[text], self.reason) if text in self.scores else NOTHING


@dataclass
class FakeDatabaseSource:
    """Scores and answers are given by text; `failure` is raised by every method, `answer_failure` by `answer` only."""

    scores: Mapping[str, float] = field(default_factory=dict)
    reply: SqlAnswer = field(default_factory=lambda: SqlAnswer(answered=False, explanation="No table holds it."))
    failure: Exception | None = None
    answer_failure: SourceFailed | None = None
    asked: list[str] = field(default_factory=list)
    approvals: list[bool] = field(default_factory=list)
    reason: str = "Table public.customers holds it."

    async def assess(self, question: str, parts: Sequence[str]) -> Evidence:
        if self.failure:
            raise self.failure
        return Evidence(self._assessment(question), tuple(self._assessment(part) for part in parts))

    async def answer(self, question: str, *, auto_approve: bool) -> SqlAnswer:
        if error := self.failure or self.answer_failure:
            raise error
        self.asked.append(question)
        self.approvals.append(auto_approve)
        return self.reply

    def _assessment(self, text: str) -> Assessment:
        return Assessment(self.scores[text], self.reason) if text in self.scores else NOTHING
