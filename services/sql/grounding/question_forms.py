"""Forms of questions that ask for an explanation rather than for data."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.words import Token

# Beginnings of questions that ask for an explanation, whatever they are about. Structure, not subject matter.
EXPLAINING = (
    "why",
    "explain",
    "describe",
    "define",
    "summarize",
    "summarise",
    "what does",
    "what is meant",
    "what do we mean",
    "how do",
    "how does",
    "how can",
    "how should",
    "how is",
    "how are",
    "how did",
    "how has",
    "how have",
    "how will",
    "what happens",
    "what should",
    "tell me about",
    "what are the rules",
    "can i",
    "may i",
    "am i",
    "should i",
    "do i",
    "what was the reason",
    "what is the difference",
    "is it",
    "under what",
    "in what way",
    "for what reason",
)


# Whoever asks so wants to know a rule: "am I entitled", "how long do customers have to return something".
_OBLIGATIONS = (
    ("am", "i"), ("can", "i"), ("may", "i"), ("must", "i"), ("should", "i"), ("could", "i"), ("do", "i", "need"),
    ("do", "i", "get"), ("i", "need", "to"), ("have", "to"), ("has", "to"), ("need", "to"), ("needs", "to"),
    ("allowed", "to"), ("required", "to"), ("supposed", "to"), ("entitled", "to"), ("eligible", "for"),
)  # fmt: skip


def asks_what_one_may_do(tokens: Sequence[Token]) -> bool:
    """Whether a question is about what someone may or must do."""
    words = tuple(token.lower for token in tokens)
    opens = not words or words[0] not in {"i", "we"}  # "I need to see all orders" is a request
    return opens and any(words[at : at + len(form)] == form for form in _OBLIGATIONS for at in range(len(words)))


def goes_on(tokens: Sequence[Token]) -> bool:
    """Whether a text goes on from a question before it, of which nothing is kept: "and for Germany?"."""
    words = [token.lower for token in tokens]
    return words[:1] in (["and"], ["but"], ["or"]) or words[:2] in (
        ["now", "only"],
        ["now", "just"],
        ["what", "about"],
        ["how", "about"],
        ["only", "the"],
        ["same", "for"],
    )


def asks_for_likeness(tokens: Sequence[Token]) -> bool:
    """Whether rows are to be like others: "in the same city as a store"."""
    words = [token.lower for token in tokens]
    return "same" in words and "as" in words[words.index("same") :]


def is_explaining(tokens: Sequence[Token]) -> bool:
    """Whether a question wants something explained, by how it begins and ends, whatever it is about."""
    words = [token.lower for token in tokens if token.kind == "word"]
    start = " ".join(words[:5])
    if start.startswith(("how many", "how much", "how often", "how old", "how long")):
        return False
    if any(start == form or start.startswith(form + " ") for form in EXPLAINING):
        return True
    ending = " ".join(words[-2:])
    return ending.endswith((" mean", " stand for", " work")) or ("mean" in words[-1:] and "does" in words)
