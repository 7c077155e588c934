"""What "it" and "them" stand for, when a piece of a question is asked without the piece before it.

"How is the enterprise segment defined and how many customers are in it?" must not become the question how many
customers there are. The rules know forms of questions and closed classes of words, no subject matter; where they find
nothing to put in place of a pronoun they say so, and the question is not cut.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_SINGULAR = re.compile(r"\b(it|its)\b", re.IGNORECASE)
_PLURAL = re.compile(r"\b(they|them|their)\b", re.IGNORECASE)
_EXPLETIVE = re.compile(
    r"\bis it (?:possible|allowed|necessary|true|ok|okay)\b|\bit is (?:possible|allowed)\b", re.IGNORECASE
)
_POINTING = re.compile(r"\b(?:that|this|those|these)\s+([^\W_]{3,})", re.IGNORECASE)

_DETERMINERS = frozenset("the a an our my your his her their each every any all".split(" "))
_PERSONS = frozenset("i we you he she they".split(" "))
_DO = frozenset("do does did".split(" "))
_BE = frozenset("is are was were".split(" "))
_AUXILIARIES = _DO | _BE | frozenset("can could should will would may must has have had".split(" "))
_ADVERBS = frozenset("how why when where".split(" "))
_PREPOSITIONS = frozenset("in of for from with at on by to under over between".split(" "))
_AMOUNTS = frozenset("many much".split(" "))


def resolved(text: str, before: str) -> str | None:
    """The text with its pronouns replaced by what they stand for in `before`; None where that cannot be told.

    >>> resolved("how many customers are in it", "How is the enterprise segment defined")
    'how many customers are in the enterprise segment'
    """
    text = _POINTING.sub(lambda match: _named(match, before), text)
    for pattern, find in ((_PLURAL, _things_of), (_SINGULAR, _thing_of)):
        if not pattern.search(text) or (pattern is _SINGULAR and _EXPLETIVE.search(text)):
            continue
        phrase = find(_WORD.findall(before))
        if not phrase:
            return None
        text = pattern.sub(lambda match, phrase=phrase: _put(match.group(), phrase), text)  # type: ignore[misc]
    return text


def _put(pronoun: str, phrase: str) -> str:
    if pronoun.lower() in {"its", "their"}:
        return f"{phrase}'" if phrase.endswith("s") else f"{phrase}'s"
    return phrase


def _named(match: re.Match[str], before: str) -> str:
    """ "that segment" as "the enterprise segment", where the words before have one."""
    noun = match[1]
    longer = re.search(rf"\b(?:the|our|a|an|each)\s+((?:[^\W_]+\s+){{1,3}}?{re.escape(noun)})\b", before, re.IGNORECASE)
    return f"the {longer[1]}" if longer else match.group()


def _thing_of(words: list[str]) -> str:
    """What "it" stands for: the last phrase with an article or the like."""
    lower = [word.lower() for word in words]
    starts = [place for place, word in enumerate(lower) if word in _DETERMINERS]
    if not starts:
        return ""
    start = starts[-1]
    end = next((place for place in range(start, len(words)) if lower[place] in _AUXILIARIES), len(words))
    if end == len(words) and end - start > 2 and _ends_in_its_verb(lower, start):
        end -= 1
    return " ".join(words[start:end]) if end - start > 1 else ""


def _things_of(words: list[str]) -> str:
    """What "they" stands for: what is asked for, or talked of, first."""
    lower = [word.lower() for word in words]
    if not words:
        return ""
    verb = next((place for place, word in enumerate(lower) if word in _AUXILIARIES), None)
    if verb is None:  # a request: "List our Premium customers"
        start = 2 if len(lower) > 1 and lower[1] in {"me", "us"} else 1
        return " ".join(words[start:])
    if lower[0] in _ADVERBS and (len(lower) < 2 or lower[1] not in _AMOUNTS):  # "How are complaints handled"
        subject = lower[verb + 1 :]
        if not subject or subject[0] in _PERSONS:
            return _thing_of(words)
        return " ".join(words[verb + 1 : -1])
    start = 2 if len(lower) > 1 and lower[1] in _AMOUNTS else 1
    after = verb + 1
    if after < len(lower) and lower[verb] in _BE and (lower[after] in _PREPOSITIONS or lower[after].endswith("ed")):
        return " ".join([*words[start:verb], *words[after:]])  # "orders (that were) returned", "customers in Berlin"
    return " ".join(words[start:verb]) or _thing_of(words)


def _ends_in_its_verb(lower: list[str], start: int) -> bool:
    """Whether the words from `start` end with the verb of the question: "How is the segment *defined*"."""
    opened = lower[:start]
    asks_how = bool(opened) and any(
        word in _ADVERBS and (place + 1 >= len(lower) or lower[place + 1] not in _AMOUNTS)
        for place, word in enumerate(opened)
    )
    return (asks_how or bool(_DO & set(opened))) and not _PERSONS & set(opened)
