"""What a model is given, what it is asked to reply, and how its reply is read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

REPLY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sql": {"type": ["string", "null"], "description": "One PostgreSQL SELECT; null when there is none."},
        "explanation": {"type": "string", "description": "What it does, in one or two plain sentences."},
        "refusal": {"type": ["string", "null"], "description": "Why the schema cannot answer; null when it can."},
        "confidence": {"type": "number", "description": "0 to 1."},
    },
    "required": ["sql", "explanation", "refusal", "confidence"],
    "additionalProperties": False,
}
_MAX_TEXT_CHARACTERS = 1_000
# Control characters, and halves of characters, which JSON can spell and no store keeps.
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_DOUBTED_CONFIDENCE = 0.5  # of a reply that says nothing about it


@dataclass
class PromptParts:
    """What one question's prompt is made of, and what the model spent on it."""

    tables: list[str]
    examples: list[dict[str, str]]
    ends_at: float = float("inf")
    """Time of the monotonic clock at which nobody waits for the reply any more."""
    objection: str = ""
    """Why the former reply was refused, for another try."""
    former_sql: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True)
class ModelReply:
    """A model's reply. `sql` is empty when it gave none."""

    sql: str
    explanation: str
    refusal: str
    confidence: float


def read_reply(text: str) -> ModelReply | None:
    """The reply in a model's text; None when it is not one. Nothing in it is trusted: the guard decides."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or nested without end
        return None
    if not isinstance(told, dict):
        return None
    sql, confidence = told.get("sql"), told.get("confidence")
    if not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        confidence = _DOUBTED_CONFIDENCE
    return ModelReply(
        sql=sql.strip() if isinstance(sql, str) else "",
        explanation=_text(told.get("explanation")),
        refusal=_text(told.get("refusal")),
        confidence=float(confidence),
    )


def _text(value: object) -> str:
    return " ".join(_UNREADABLE.sub(" ", value).split())[:_MAX_TEXT_CHARACTERS] if isinstance(value, str) else ""
