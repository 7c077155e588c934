"""What a run measured, as one object for programs and as a text for people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.quality.sql.parts import Question
from tests.quality.sql.scoring import Verdict, Verdicts
from tests.quality.sql.service import Answer

Answers = Mapping[str | int, Answer]
_CATEGORIES_WITHOUT_ANSWER = ("a", "b", "c")
_WIDTH = 36


@dataclass(frozen=True)
class Group:
    """How the questions of one category or one database did."""

    name: str
    questions: int
    answered: int
    exact: int
    subset: int

    def as_figures(self) -> dict[str, Any]:
        return {
            "n": self.questions,
            "answered": self.answered,
            "exact_acc": share(self.exact, self.questions),
            "subset_acc": share(self.subset, self.questions),
            "precision": share(self.subset, self.answered),
        }


@dataclass
class Report:
    """All figures of a run. Shares are of 1, rounded to four places; None where there is nothing to divide by."""

    title: str
    whole: Group
    categories: list[Group]
    databases: list[Group]
    statuses: dict[str, int]
    refused: dict[str, float | None]
    unanswerable: int
    times: dict[str, float | None]
    further: dict[str, Any] = field(default_factory=dict)

    def as_figures(self) -> dict[str, Any]:
        """Everything, the figures that are compared from run to run first."""
        whole = self.whole.as_figures()
        return {
            "exact_acc": whole["exact_acc"],
            "subset_acc": whole["subset_acc"],
            **self.refused,
            "p50_ms": self.times["p50_ms"],
            "p95_ms": self.times["p95_ms"],
            "precision": whole["precision"],
            "questions": self.whole.questions,
            "answered": self.whole.answered,
            "unanswerable": self.unanswerable,
            "statuses": self.statuses,
            **self.further,
        }

    def as_text(self) -> str:
        """Tables in Markdown that read well without being rendered too."""
        lines = [f"### {self.title}", ""]
        if self.whole.questions:
            lines += [_row("", "n", "answered", "exact", "subset", "precision"), _row("---", *["---:"] * 5)]
            lines += [_group_row("all", self.whole)]
            lines += [_group_row(f"category {group.name}", group) for group in self.categories]
            lines += [_group_row(f"database {group.name}", group) for group in self.databases]
            lines += ["", "Outcomes: " + ", ".join(f"{name} {n}" for name, n in sorted(self.statuses.items())) + "."]
        if self.unanswerable:
            told = ", ".join(f"{name} {_told(value)}" for name, value in self.refused.items() if value is not None)
            lines += ["", f"Refused of {self.unanswerable} questions without an answer: {told}."]
        told = ", ".join(f"{name.removesuffix('_ms')} {_told(value)}" for name, value in self.times.items())
        lines += ["", f"Milliseconds from a question sent to checked SQL received: {told}."]
        lines += [f"{name.replace('_', ' ').capitalize()}: {_told(value)}." for name, value in self.further.items()]
        return "\n".join(lines) + "\n"


def measured(
    title: str,
    questions: Sequence[Question],
    unanswerable: Sequence[Question],
    answers: Answers,
    verdicts: Verdicts,
) -> Report:
    """The figures of a run. Answers may be missing: of questions whose database has no dump."""
    statuses: dict[str, int] = {}
    for question in questions:
        status = _status(verdicts[question.id], answers.get(question.id))
        statuses[status] = statuses.get(status, 0) + 1
    times = sorted(
        answers[question.id].elapsed_ms
        for question in questions
        if question.id in answers and answers[question.id].sql is not None
    )
    return Report(
        title=title,
        whole=_group("all", questions, answers, verdicts),
        categories=_groups(questions, lambda question: question.category, answers, verdicts),
        databases=_groups(questions, lambda question: question.db, answers, verdicts),
        statuses=statuses,
        refused=_refused(unanswerable, answers),
        unanswerable=len(unanswerable),
        times={"p50_ms": percentile(times, 50), "p95_ms": percentile(times, 95), "max_ms": percentile(times, 100)},
    )


def share(part: int, whole: int) -> float | None:
    """A share of 1; None of nothing."""
    return round(part / whole, 4) if whole else None


def percentile(in_order: Sequence[float], percent: int) -> float | None:
    """The value below which so many percent lie; None of nothing."""
    if not in_order:
        return None
    return round(in_order[min(len(in_order) - 1, len(in_order) * percent // 100)], 2)


def _status(verdict: Verdict, answer: Answer | None) -> str:
    """The scorer's word, but that it takes a query that was never written for one that fails."""
    if verdict.status != "exec_error" or answer is None or answer.sql is not None:
        return verdict.status
    return "failed" if answer.failure else "refused"


def _groups(questions: Sequence[Question], key: Any, answers: Answers, verdicts: Verdicts) -> list[Group]:
    names = sorted({key(question) for question in questions})
    return [_group(name, [each for each in questions if key(each) == name], answers, verdicts) for name in names]


def _group(name: str, questions: Iterable[Question], answers: Answers, verdicts: Verdicts) -> Group:
    ids = [question.id for question in questions]
    return Group(
        name,
        questions=len(ids),
        answered=sum(key in answers and answers[key].sql is not None for key in ids),
        exact=sum(verdicts[key].exact for key in ids),
        subset=sum(verdicts[key].subset for key in ids),
    )


def _refused(unanswerable: Sequence[Question], answers: Answers) -> dict[str, float | None]:
    """Shares by the letter of `cat_a`, `cat_b`, `cat_c`, and by the whole name of other categories."""
    letters = {name: f"refused_{name.removeprefix('cat_')}" for name in {each.category for each in unanswerable}}
    figures: dict[str, float | None] = {f"refused_{letter}": None for letter in _CATEGORIES_WITHOUT_ANSWER}
    for category, name in sorted(letters.items()):
        asked = [
            answers.get(question.id, Answer(failure="missing"))
            for question in unanswerable
            if question.category == category
        ]
        figures[name] = share(sum(answer.refused for answer in asked), len(asked))
    return figures


def _group_row(name: str, group: Group) -> str:
    figures = group.as_figures()
    shares = (_told(figures[key]) for key in ("exact_acc", "subset_acc", "precision"))
    return _row(name, str(group.questions), str(group.answered), *shares)


def _row(name: str, *cells: str) -> str:
    return f"| {name:{_WIDTH}} | " + " | ".join(f"{cell:>9}" for cell in cells) + " |"


def _told(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if value <= 1 else f"{value:.1f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items())
    return "-" if value is None else str(value)
