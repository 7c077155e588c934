"""How near two texts are by the words they share: what stands in where texts cannot be embedded."""

from __future__ import annotations

import re
from functools import lru_cache

from services.sql.grounding.wording import FUNCTION_WORDS, LIGHT_WORDS
from services.sql.grounding.words import stem

_MAX_CHARACTERS = 4_000
_WORD = re.compile(r"[^\W_]+")


def content_stems(text: str) -> frozenset[str]:
    """Stems of the words that carry meaning; all of them where none does. Names fall into their words."""
    return _content_stems(text[:_MAX_CHARACTERS])


@lru_cache(maxsize=4_000)
def _content_stems(text: str) -> frozenset[str]:
    words = _WORD.findall(text.lower())
    telling = {stem(word) for word in words if word not in FUNCTION_WORDS}
    return frozenset(telling - LIGHT_WORDS or telling or {stem(word) for word in words})


def likeness(one: str, other: str) -> float:
    """Words shared, of all that either has: 0 to 1, and 1 for texts of the same words."""
    first, second = content_stems(one), content_stems(other)
    return len(first & second) / len(first | second) if first or second else 0.0


def coverage(question: str, text: str) -> float:
    """The share of the question's words that the text holds too: 0 to 1."""
    asked = content_stems(question)
    return len(asked & content_stems(text)) / len(asked) if asked else 0.0
