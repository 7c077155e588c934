"""What counts as a question."""

from __future__ import annotations

import unicodedata

from services.router.errors import QuestionInvalid, TopKInvalid

MAX_QUESTION_CHARACTERS = 4_000
MAX_TOP_K = 50
_ALLOWED_CONTROLS = frozenset("\t\n\r")


def valid_question(text: str) -> str:
    """The question without surrounding white space. Raises QuestionInvalid."""
    question = text.strip()
    if not question:
        raise QuestionInvalid("The question is empty.")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise QuestionInvalid(
            f"The question has {len(question)} characters; at most {MAX_QUESTION_CHARACTERS} are allowed."
        )
    if any(unicodedata.category(character) == "Cc" and character not in _ALLOWED_CONTROLS for character in question):
        raise QuestionInvalid("The question holds control characters.")
    return question


def valid_top_k(top_k: int) -> int:
    """The number of chunks to read, lowered to the limit; 0 leaves it to the source. Raises TopKInvalid."""
    if top_k < 0:
        raise TopKInvalid("top_k is negative.")
    return min(top_k, MAX_TOP_K)
