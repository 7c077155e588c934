"""What a model is given, what it is asked to reply, and how its reply is read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.prompting.told_schema import ToldTables

REPLY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sql": {"type": ["string", "null"], "description": "One PostgreSQL SELECT; null when there is none."},
        "explanation": {"type": "string", "description": "What it does, in one or two plain sentences."},
        "refusal": {"type": ["string", "null"], "description": "Why the schema cannot answer; null when it can."},
        "confidence": {"type": "number", "description": "0 to 1."},
        "terms": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Numbers of the terms from documents that the query relies on; empty when there are none.",
        },
    },
    "required": ["sql", "explanation", "refusal", "confidence", "terms"],
    "additionalProperties": False,
}
_MAX_TEXT_CHARACTERS = 1_000
_MAX_READ_CHARACTERS = 400_000
_MAX_NUMBERS = 50
# Control characters, and halves of characters, which JSON can spell and no store keeps.
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_DOUBTED_CONFIDENCE = 0.5  # of a reply that says nothing about it
_NO_TEXT = frozenset({"", "null", "none", "n/a", "-"})
_FENCED = re.compile(r"```[ \t]*(?P<language>[A-Za-z]*)[^\S\n]*\n(?P<text>.*?)\n?[ \t]*```", re.DOTALL)
_STATEMENT = re.compile(r"\s*(?:SELECT|WITH)\b", re.IGNORECASE)


@dataclass
class Spent:
    """Tokens, added up over the replies to one question."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass
class PromptParts:
    """What one question's prompt is made of, and what the model spent on it."""

    tables: ToldTables
    guidance: Guidance = NO_GUIDANCE
    unreadable: str | None = None
    """The former reply, where it was none of what was asked for."""
    ends_at: float = float("inf")
    """Time of the monotonic clock at which nobody waits for the reply any more."""
    spent: Spent = field(default_factory=Spent)


@dataclass(frozen=True)
class ModelReply:
    """A model's reply. One that has a refusal has no `sql`; both are empty when it says nothing."""

    sql: str
    explanation: str = ""
    refusal: str = ""
    confidence: float = _DOUBTED_CONFIDENCE
    terms: tuple[int, ...] = ()


def read_reply(text: str) -> ModelReply | None:
    """The reply in a model's text; None when it is not one. Nothing in it is trusted: the guard decides.

    Models that are not held to a form wrap their JSON in prose or in a fence, or give the bare query.
    """
    said = text[:_MAX_READ_CHARACTERS].rpartition("</think>")[2].strip()
    whole = _object(said)
    if whole is not None:
        return _reply(whole)
    fenced = [(found["language"].lower(), found["text"].strip()) for found in _FENCED.finditer(said)]
    for _, inside in fenced:
        told = _object(inside)
        if told is not None:
            return _reply(told)
    queries = [inside for language, inside in fenced if language == "sql" or _STATEMENT.match(inside)]
    if len(queries) == 1:
        return ModelReply(queries[0])
    told = None if fenced else _first_object(said)
    if told is not None:
        return _reply(told)
    return ModelReply(said) if _STATEMENT.match(said) else None


def _object(text: str) -> dict[str, Any] | None:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or nested without end
        return None
    return told if isinstance(told, dict) and ("sql" in told or "refusal" in told) else None


def _first_object(text: str) -> dict[str, Any] | None:
    place = text.find("{")
    if place < 0:
        return None
    try:
        told, _ = json.JSONDecoder().raw_decode(text, place)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and ("sql" in told or "refusal" in told) else None


def _reply(told: dict[str, Any]) -> ModelReply:
    sql, confidence, refusal = told.get("sql"), told.get("confidence"), _text(told.get("refusal"))
    if refusal.lower().rstrip(".") in _NO_TEXT:
        refusal = ""
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        confidence = _DOUBTED_CONFIDENCE
    return ModelReply(
        # Who refuses and writes a query all the same has guessed.
        sql=_query(sql) if isinstance(sql, str) and not refusal else "",
        explanation=_text(told.get("explanation")),
        refusal=refusal,
        confidence=float(confidence),
        terms=_numbers(told.get("terms")),
    )


def _query(sql: str) -> str:
    fenced = _FENCED.fullmatch(sql.strip())
    query = (fenced["text"] if fenced else sql).strip()
    return "" if query.lower().rstrip(";.") in _NO_TEXT else query


def _numbers(value: object) -> tuple[int, ...]:
    numbers = value[:_MAX_NUMBERS] if isinstance(value, list) else []
    return tuple(sorted({one for one in numbers if isinstance(one, int) and not isinstance(one, bool)}))


def _text(value: object) -> str:
    return " ".join(_UNREADABLE.sub(" ", value).split())[:_MAX_TEXT_CHARACTERS] if isinstance(value, str) else ""
