"""What a run measured, as one object for programs and as a text for people."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.quality.qa.parts import Question
from tests.quality.qa.scoring import (
    Given,
    holds_golds,
    is_exact,
    names_document,
    names_page,
    numbers_agree,
    repeats_fake,
)


@dataclass
class Report:
    """All figures of a run. Shares are of 1, rounded to four places; None where there is nothing to divide by."""

    title: str
    figures: dict[str, Any]
    further: dict[str, Any] = field(default_factory=dict)

    def as_figures(self) -> dict[str, Any]:
        return {**self.figures, **self.further}

    def as_text(self) -> str:
        """A list in Markdown."""
        lines = [f"- {name.replace('_', ' ')}: {_told(value)}" for name, value in self.as_figures().items()]
        return "\n".join([f"### {self.title}", "", *lines]) + "\n"


def measured(
    title: str, questions: Sequence[Question], unanswerable: Sequence[Question], given: Mapping[str | int, Given]
) -> Report:
    """The figures of a run in which every question was asked."""
    pairs = [(question, given[question.id]) for question in questions]
    answered = [each.text for _, each in pairs if not each.refused]
    figures: dict[str, Any] = {
        "contains": _share(holds_golds(each.text, question) for question, each in pairs),
        "refused_unanswerable": _share(given[question.id].refused for question in unanswerable),
        "refused_answerable": _share(each.refused for _, each in pairs),
        "src_doc": _share(names_document(each.sources, question) for question, each in pairs),
        "src_page": _share(names_page(each.sources, question) for question, each in pairs),
        "numeric": _share(numbers_agree(each.text, question) for question, each in pairs),
    }
    if any(question.fakes for question in questions):
        figures["fake"] = _share(repeats_fake(each.text, question) for question, each in pairs)
    figures |= {
        "contains_of_answered": _share(
            holds_golds(each.text, question) for question, each in pairs if not each.refused
        ),
        "exact": _share(is_exact(each.text, question) for question, each in pairs),
        "read_doc": _share(names_document(each.read, question) for question, each in pairs),
        "read_page": _share(names_page(each.read, question) for question, each in pairs),
        "median_words": statistics.median(len(text.split()) for text in answered) if answered else None,
        "questions": len(questions),
        "unanswerable": len(unanswerable),
    }
    return Report(title, figures)


def _share(judged: Iterable[bool | None]) -> float | None:
    known = [each for each in judged if each is not None]
    return round(sum(known) / len(known), 4) if known else None


def _told(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)
