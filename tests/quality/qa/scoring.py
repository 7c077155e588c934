"""What makes an answer right, in the manner of score_qa.py beside the evaluation data."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from tests.quality.qa.parts import Evidence, Question

_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " ") | {"\u2019": " "})
_ARTICLES = frozenset({"a", "an", "the"})
_SCALES = {
    **dict.fromkeys(("k", "thousand"), 1e3),
    **dict.fromkeys(("m", "mn", "million"), 1e6),
    **dict.fromkeys(("b", "bn", "billion"), 1e9),
    "trillion": 1e12,
}
_NUMBER = re.compile(
    r"(?P<open>\()?(?P<sign>[-\u2212])?\s?[$€£]?\s?(?P<digits>\d[\d,]*(?:\.\d+)?|\.\d+)"
    r"\s?(?P<scale>%|k\b|thousand|mn\b|million|m\b|bn\b|billion|b\b|trillion)?(?P<close>\))?",
    re.IGNORECASE,
)
_NUMBERS_ALONE = re.compile(r"[\s$%()\-,.\d\u2212kKmMbBillionthusad]+")
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Given:
    """What was answered."""

    text: str
    refused: bool
    sources: tuple[Evidence, ...]
    """Documents and pages that the answer cites."""
    read: tuple[Evidence, ...] = ()
    """Those that were read for it, whether cited or not."""


def contains(answer: str, gold: str) -> bool:
    """Whether a gold answer stands in an answer, as whole words; case, articles and punctuation aside."""
    wanted = " ".join(_words(gold))
    return bool(wanted) and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", " ".join(_words(answer))) is not None


def holds_golds(answer: str, question: Question) -> bool:
    found = [contains(answer, gold) for gold in question.golds]
    return all(found) if question.needs_all else any(found)


def is_exact(answer: str, question: Question) -> bool:
    return any(_words(answer) == _words(gold) for gold in question.golds)


def numbers_agree(answer: str, question: Question) -> bool | None:
    """Whether the golds' numbers stand in an answer, within 1 %; None where no gold holds one."""
    judged = [held for gold in question.golds if (held := _number_held(answer, gold, question.scale)) is not None]
    if not judged:
        return None
    return all(judged) if question.needs_all else any(judged)


def repeats_fake(answer: str, question: Question) -> bool | None:
    """Whether a planted answer is told and the true one is not; None where nothing is planted."""
    if not question.fakes:
        return None
    return any(contains(answer, fake) for fake in question.fakes) and not holds_golds(answer, question)


def names_document(sources: Sequence[Evidence], question: Question) -> bool | None:
    """Whether a document of the evidence is among the sources; None where there is no evidence."""
    wanted = {_name(each.document) for each in question.evidence}
    return any(_name(each.document) in wanted for each in sources) if wanted else None


def names_page(sources: Sequence[Evidence], question: Question) -> bool | None:
    """Whether a page of the evidence is among the sources; None where no page is known."""
    wanted = {(_name(each.document), each.page) for each in question.evidence if each.page is not None}
    return any((_name(each.document), each.page) in wanted for each in sources) if wanted else None


def _words(text: str) -> list[str]:
    return [word for word in text.lower().translate(_PUNCTUATION).split() if word not in _ARTICLES]


def _name(document: str) -> str:
    return re.sub(r"\.(pdf|md)$", "", document.rpartition("/")[2]).lower()


def _number_held(answer: str, gold: str, scale: str) -> bool | None:
    wanted = _numbers(gold)
    if len(wanted) > 1 and not _NUMBERS_ALONE.fullmatch(gold):
        # Years in prose are context and not the answer.
        wanted = [each for each in wanted if not (1900 <= each[0] <= 2100 and each[1] == 1)] or wanted
    if not wanted:
        return None
    told = _numbers(answer)
    return all(any(_same(value, own, scale, other) for other in told) for value, own in wanted)


def _same(value: float, own_scale: float, scale: str, told: tuple[float, float]) -> bool:
    given = _SCALES.get(scale, 1.0)
    readings = {value, value * own_scale, value * given, abs(value), abs(value * own_scale), abs(value * given)}
    others = {told[0], told[0] * told[1]}
    if told[1] == 1 and (own_scale > 1 or given > 1):
        others |= {told[0] * 1e3, told[0] * 1e6}
    return any(
        abs(one - other) <= _TOLERANCE * max(abs(one), abs(other)) + 1e-9 for one in readings for other in others
    )


def _numbers(text: str) -> list[tuple[float, float]]:
    """Each number with what its word of scale multiplies it by; in brackets it is negative."""
    found = []
    for match in _NUMBER.finditer(text):
        value = float(match["digits"].replace(",", "") or 0)
        if match["sign"] or (match["open"] and match["close"]):
            value = -value
        found.append((value, _SCALES.get((match["scale"] or "").lower(), 1.0)))
    return found
