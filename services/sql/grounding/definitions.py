"""Definitions in passages of documents: "VIP means segment = Premium", "Net revenue: total amount minus discount".

Passages are anybody's text. What is read out of them is a term and a short phrase, both bounded; whether the phrase
means anything is decided by reading it as part of a question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.sql.grounding.words import split_question
from services.sql.guidance import Term

MOST_TERMS = 8
MOST_PASSAGE_CHARACTERS = 4_000
MOST_SENTENCES = 60
MOST_SENTENCE_CHARACTERS = 300
MOST_TERM_WORDS = 4
MOST_MEANING_WORDS = 25

_SENTENCES = re.compile(r"[\r\n]+|(?<=[.!?;])\s+")
_DECORATION = re.compile(r"[*_`#>]+|^\s*(?:[-•·]|\d{1,3}[.)])\s+")
_QUOTES = "\"'“”‘’«» "
_NOUN = r"[^\W_][\w/&-]*(?: [^\W_][\w/&-]*){0,3}?"
_TERM = rf"[\"“‘«']?(?P<term>{_NOUN})[\"”’»']?"
_ARTICLE = r"(?:(?:an?|the|our|each|every)\s+)?"
_DEFINES = (
    r"means|mean|is defined as|are defined as|is short for|stands for|refers to|denotes|is calculated as|equals|"
    r"is computed as|are those|are all|is an?|is any|are|is"
)
_CALLED = r"is|are|counts as|count as|is called|are called|is considered|are considered"
_FORMS = (
    # A customer is active if they have an order in the last 90 days.
    re.compile(
        rf"{_ARTICLE}(?P<noun>[^\W_][\w-]*) (?:{_CALLED}) (?:an? )?[\"“']?(?P<word>[^\W_][\w-]*)[\"”']?"
        r",? (?:if|when|whenever|once) (?P<condition>.+)",
        re.IGNORECASE,
    ),
    # By VIP we mean customers whose segment is Premium.
    re.compile(rf"(?:by|with) {_ARTICLE}{_TERM},? (?:we|i) mean (?P<meaning>.+)", re.IGNORECASE),
    # VIP: a customer whose segment is Premium.  VIP | segment = Premium
    re.compile(rf"\|?\s*{_ARTICLE}{_TERM}\s*(?::=?|=|\||—|–|\s-)\s*(?P<meaning>[^|]+)\|?\s*", re.IGNORECASE),
    re.compile(rf"{_ARTICLE}{_TERM},? (?:{_DEFINES}) (?P<meaning>.+)", re.IGNORECASE),
)
_LEADING = re.compile(
    r"(?:(?:an?|the|any|all|every|each|those|our|someone|anyone|one) |"
    r"(?:defined as|calculated as|computed as|equal to|means|refers to) )+",
    re.IGNORECASE,
)
_PRONOUNS = (
    (re.compile(r"\b(?:they|it|he|she) (?:have|has|had)\b", re.IGNORECASE), "with"),
    (re.compile(r"\b(?:their|its|his|her) ", re.IGNORECASE), "whose "),
    (re.compile(r"\b(?:they|it|he|she) (?:are|is|was|were) ", re.IGNORECASE), "that are "),
    (re.compile(r"\b(?:they|it|he|she) ", re.IGNORECASE), "who "),
)


@dataclass(frozen=True)
class Definition:
    """A term and what a document says it is. `source` names the document and the place in it."""

    term: str
    meaning: str
    source: str


def read_definitions(terms: Sequence[Term]) -> list[Definition]:
    """What the passages define, in order; each term once for each meaning."""
    found: dict[tuple[str, str], Definition] = {}
    for term in terms[:MOST_TERMS]:
        source = f"{term.document[:120]} ({term.place[:120]})" if term.place else term.document[:120]
        sentences = _SENTENCES.split(term.text[:MOST_PASSAGE_CHARACTERS])
        for sentence in sentences[:MOST_SENTENCES]:
            for name, meaning in _read_sentence(sentence):
                key = (name.lower(), meaning.lower())
                found.setdefault(key, Definition(name, meaning, source))
    return list(found.values())


def _read_sentence(sentence: str) -> list[tuple[str, str]]:
    text = " ".join(_DECORATION.sub(" ", sentence).split())
    if not 5 <= len(text) <= MOST_SENTENCE_CHARACTERS:
        return []
    readings = []
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is None:
            continue
        parts = match.groupdict()
        if parts.get("condition"):
            name = f"{parts['word']} {parts['noun']}"
            meaning = f"{parts['noun']} {_said_of(parts['condition'])}"
        else:
            name, meaning = parts["term"], parts["meaning"]
        name, meaning = name.strip(_QUOTES), _plain(meaning)
        if name and meaning and _is_short(name, MOST_TERM_WORDS) and _is_short(meaning, MOST_MEANING_WORDS):
            readings.append((name, meaning))
    return readings


def _said_of(condition: str) -> str:
    """A condition behind its noun: "they have an order" → "with an order", "its stock is 0" → "whose stock is 0"."""
    text = condition
    for pattern, other in _PRONOUNS:
        text = pattern.sub(other, text)
    begins = text.split(" ", 1)[0].lower()
    return text if begins in {"with", "whose", "that", "who", "which", "having"} else f"whose {text}"


def _plain(meaning: str) -> str:
    text = re.sub(r"\([^)]*\)", " ", meaning).strip(_QUOTES + ".!;,")
    return " ".join(_LEADING.sub("", text, count=1).split()) if _LEADING.match(text) else " ".join(text.split())


def _is_short(text: str, most: int) -> bool:
    return len(split_question(text)) <= most
