"""What callers send in words, read and checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.sql.errors import QueryNameInvalid, QuestionInvalid, RequestIdInvalid, TimeInvalid
from services.sql.shown_text import without_unseen

MAX_QUESTION_CHARACTERS = 4_000
MAX_PARTS = 8

_QUERY_NAME = re.compile(r"queries/([0-9a-z]{1,64})")
# Control characters but tab, line feed and carriage return.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def read_question(text: str, *, field: str = "question") -> str:
    """The question, trimmed and without signs that nobody sees. Raises QuestionInvalid, which names `field`."""
    question = without_unseen(text).strip() or text.strip()
    if not question:
        raise QuestionInvalid(f"{field} must not be blank", field=field)
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise QuestionInvalid(f"{field} must not be longer than {MAX_QUESTION_CHARACTERS} characters", field=field)
    if holds_control_characters(question):
        raise QuestionInvalid(f"{field} must not hold control characters", field=field)
    return question


def holds_control_characters(text: str) -> bool:
    """Whether there is one besides tab, line feed and carriage return."""
    return _CONTROL.search(text) is not None


def read_parts(texts: Sequence[str]) -> list[str]:
    """The parts of a question, trimmed. Raises QuestionInvalid, which names the part."""
    if len(texts) > MAX_PARTS:
        raise QuestionInvalid(f"parts must not be more than {MAX_PARTS}", field="parts")
    return [read_question(text, field=f"parts[{place}]") for place, text in enumerate(texts)]


def read_request_id(text: str) -> str:
    """The id in its canonical form, empty when none was given. Raises RequestIdInvalid."""
    if not text:
        return ""
    try:
        return str(UUID(text))
    except ValueError:
        raise RequestIdInvalid from None


def read_query_name(name: str, *, field: str = "name") -> str:
    """The id in `queries/{query}`. Raises QueryNameInvalid, which names `field`."""
    match = _QUERY_NAME.fullmatch(name)
    if match is None:
        raise QueryNameInvalid(field)
    return match[1]


def read_time_range(start_time: datetime | None, end_time: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Both, where the end does not lie before the start. Raises TimeInvalid."""
    if start_time is not None and end_time is not None and end_time < start_time:
        raise TimeInvalid("end_time must not lie before start_time", field="end_time")
    return start_time, end_time
