"""Choosing the source or sources of a question by the evidence they gave.

Every source says, for the whole question and for each piece, how much of it its content bears on, from 0 to 1, and why.
The decision compares these numbers; it never looks at the words of the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from services.router.models import Assessment, Decision, Evidence, Part, Route, SubQuestion
from services.router.splitting import join_parts


@dataclass(frozen=True)
class Thresholds:
    """Where evidence begins to count; all are differences or values of scores from 0 to 1."""

    floor: float = 0.3  # below it a source holds nothing on the question
    clear_lead: float = 0.15  # by which a piece prefers one source
    guess_lead: float = (
        0.35  # the same for a piece cut out of a phrase: it needs stronger proof that the cut means anything
    )
    tie: float = 0.04  # leads below it are no preference
    strong: float = 0.75  # from here on a source answers by itself


@dataclass(frozen=True)
class _Scored:
    part: Part
    sql: Assessment
    documents: Assessment

    @property
    def lead(self) -> float:
        """By how much the database fits this piece better than the documents do."""
        return self.sql.score - self.documents.score


def decide(
    question: str, parts: Sequence[Part], *, sql: Evidence, documents: Evidence, thresholds: Thresholds
) -> Decision:
    """The decision for a question that both sources have assessed."""
    scored = [_Scored(*each) for each in zip(parts, sql.parts, documents.parts, strict=True)]
    return _hybrid_by_parts(scored, thresholds) or _by_whole(question, scored, sql, documents, thresholds)


def decide_alone(
    question: str, parts: Sequence[Part], route: Route, evidence: Evidence, *, thresholds: Thresholds
) -> Decision | None:
    """The decision when only one source could be asked; None where that source holds nothing on the question.

    Of a question in pieces the source is asked those it bears on: the rest may be for the source that is away, and
    asked along it would spoil the answer to them.
    """
    fitting = [
        (part.text, assessed)
        for part, assessed in zip(parts, evidence.parts, strict=True)
        if part.stands_alone and assessed.score >= thresholds.floor
    ]
    if fitting and len(fitting) < len(parts) and all(part.stands_alone for part in parts):
        asked = join_parts([text for text, _ in fitting])
        best = max((assessed for _, assessed in fitting), key=lambda assessed: assessed.score)
        score = best.score
    else:
        asked, best, score = question, evidence.question, _overall(evidence)
    if score < thresholds.floor:
        return None
    reason = f"{_subject(route)} bear{'s' if route is Route.SQL else ''} on it ({score:.2f}): {_sentence(best)}"
    return Decision(route, _bounded(score / 2), reason, (SubQuestion(route, asked),))


def _hybrid_by_parts(scored: Sequence[_Scored], thresholds: Thresholds) -> Decision | None:
    """HYBRID where one piece clearly prefers the database and another the documents."""

    def is_clear(piece: _Scored) -> bool:
        lead = thresholds.clear_lead if piece.part.stands_alone else thresholds.guess_lead
        return abs(piece.lead) >= lead and max(piece.sql.score, piece.documents.score) >= thresholds.floor

    clear = [piece for piece in scored if is_clear(piece)]
    for_sql = [piece for piece in clear if piece.lead > 0]
    for_documents = [piece for piece in clear if piece.lead < 0]
    if not for_sql or not for_documents:
        return None
    texts: dict[Route, list[str]] = {Route.SQL: [], Route.DOCUMENTS: []}
    previous: Route | None = None
    for piece in scored:
        # A piece that says little by itself ("sorted by name") belongs to the piece before it.
        weak = piece not in clear and max(piece.sql.score, piece.documents.score) < thresholds.floor
        preferred = Route.SQL if piece.lead >= 0 else Route.DOCUMENTS
        previous = previous if weak and previous else preferred
        texts[previous].append(piece.part.text)
    strongest_sql = max(for_sql, key=lambda piece: piece.lead)
    strongest_documents = min(for_documents, key=lambda piece: piece.lead)
    confidence = 0.5 + min(strongest_sql.lead, -strongest_documents.lead) / 2
    reason = (
        f"One part is for the database ({strongest_sql.sql.score:.2f}): {_sentence(strongest_sql.sql)} "
        f"Another is for the documents ({strongest_documents.documents.score:.2f}): "
        f"{_sentence(strongest_documents.documents)}"
    )
    return Decision(
        Route.HYBRID,
        _bounded(confidence),
        reason,
        tuple(SubQuestion(route, join_parts(pieces)) for route, pieces in texts.items()),
        other_fits=True,
    )


def _by_whole(
    question: str, scored: Sequence[_Scored], sql: Evidence, documents: Evidence, thresholds: Thresholds
) -> Decision:
    sql_score, documents_score = _overall(sql), _overall(documents)
    best, other = max(sql_score, documents_score), min(sql_score, documents_score)
    if best < thresholds.floor:
        confidence = 1 - best / thresholds.floor / 2
        reason = (
            f"Neither source bears on it. Database ({sql_score:.2f}): {_sentence(sql.question)} "
            f"Documents ({documents_score:.2f}): {_sentence(documents.question)}"
        )
        return Decision(Route.NONE, _bounded(confidence), reason, why_not_sql=sql.question.reason)
    lead = best - other
    both = (SubQuestion(Route.SQL, question), SubQuestion(Route.DOCUMENTS, question))
    part_lead = _common_lead(scored)
    if lead < thresholds.tie and abs(part_lead) < thresholds.clear_lead:
        evidence = (
            f"Database ({sql_score:.2f}): {_sentence(sql.question)} "
            f"Documents ({documents_score:.2f}): {_sentence(documents.question)}"
        )
        if other >= thresholds.strong:
            reason = f"Both sources bear on the whole question alike. {evidence}"
            return Decision(Route.HYBRID, _bounded(best / 2), reason, both, other_fits=True)
        if best < thresholds.strong:
            return Decision(
                Route.HYBRID,
                _bounded(best / 4),
                f"Both sources bear on it a little, and neither more than the other. {evidence}",
                both,
                ask_back=_ask_back(sql.question, documents.question),
                other_fits=True,
            )
    # On the whole they may be alike where the pieces are not: "How many customers and how many orders do we have?"
    prefers_sql = sql_score >= documents_score if lead >= thresholds.tie else part_lead > 0
    route, other_route = (Route.SQL, Route.DOCUMENTS) if prefers_sql else (Route.DOCUMENTS, Route.SQL)
    chosen, left = (sql, documents) if route is Route.SQL else (documents, sql)
    reason = (
        f"{_subject(route)} fit{'s' if route is Route.SQL else ''} best ({_overall(chosen):.2f}): "
        f"{_sentence(chosen.question)} "
        f"{_subject(other_route)} fit{'s' if other_route is Route.SQL else ''} less ({_overall(left):.2f}): "
        f"{_sentence(left.question)}"
    )
    lead = max(lead, abs(part_lead)) if lead < thresholds.tie else lead
    confidence = best * (0.5 + min(1.0, lead / thresholds.guess_lead) / 2)
    return Decision(
        route,
        _bounded(confidence),
        reason,
        (SubQuestion(route, question),),
        other_fits=other >= thresholds.floor,
    )


def _common_lead(scored: Sequence[_Scored]) -> float:
    """The smallest lead where all pieces prefer the same source, positive for the database; otherwise 0."""
    leads = [piece.lead for piece in scored]
    if not leads or min(leads) < 0 < max(leads):
        return 0.0
    return min(leads, key=abs)


def _overall(evidence: Evidence) -> float:
    """The score of the question; its pieces lift it where small talk around them waters the whole down."""
    pieces = [assessment.score for assessment in evidence.parts]
    return max(evidence.question.score, fmean(pieces)) if pieces else evidence.question.score


def _ask_back(sql: Assessment, documents: Assessment) -> str:
    return (
        "Do you mean the figures in the database or what the documents say? "
        f"Database: {_sentence(sql)} Documents: {_sentence(documents)}"
    )


def _subject(route: Route) -> str:
    return "The database" if route is Route.SQL else "The documents"


def _sentence(assessment: Assessment) -> str:
    reason = assessment.reason.strip() or "no reason given"
    return reason if reason[-1] in ".!?" else f"{reason}."


def _bounded(confidence: float) -> float:
    return round(min(1.0, max(0.0, confidence)), 2)
