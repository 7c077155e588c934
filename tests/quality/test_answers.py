"""Answers and refusals: on the project's own questions, and on evaluation data where it is there."""

import statistics
from collections.abc import Sequence
from typing import Any

import pytest

from services.rag.models import Answer
from tests.quality.document_library import TENANT, open_library
from tests.quality.evaluation_data import DEVELOPMENT, EVALUATION, needs_evaluation_data, read_lines
from tests.quality.qa.figures import Report
from tests.quality.qa.parts import read_part
from tests.quality.qa.run import measure
from tests.quality.reporting import report

pytestmark = [pytest.mark.quality, pytest.mark.timeout(1_200)]


def tell(measured: Report) -> None:
    report(measured.title, measured.as_figures(), measured.as_text())


def median_words(answers: Sequence[Answer]) -> float:
    return statistics.median(len(answer.text.split()) for answer in answers if answer.answered)


async def test_own_questions_are_answered_or_refused(store_url: str) -> None:
    questions = read_lines(DEVELOPMENT / "questions.jsonl")
    async with open_library(store_url) as library:
        for path in sorted((DEVELOPMENT / "documents").iterdir()):
            await library.add(path.name, path.read_text(encoding="utf-8"))
        answers = [await library.answering.answer(TENANT, row["question"]) for row in questions]
        assessed = [(await library.assessing.assess(TENANT, row["question"]))[0].score for row in questions]

    def holds(row: dict[str, Any], answer: Answer) -> bool:
        return answer.answered and any(gold.lower() in answer.text.lower() for gold in row["contains"])

    pairs = list(zip(questions, answers, assessed, strict=True))
    answerable = [(row, answer, sure) for row, answer, sure in pairs if "contains" in row]
    right = statistics.mean(holds(row, answer) for row, answer, _ in answerable)
    refused = {
        kind: statistics.mean(not answer.answered for row, answer, _ in pairs if row.get("unanswerable") == kind)
        for kind in ("near", "records", "far")
    }
    brier = statistics.mean((sure - ("contains" in row)) ** 2 for row, _, sure in pairs)
    answered_of_likely = statistics.mean(answer.answered for _, answer, sure in pairs if sure >= 0.5)
    figures = {
        "right": right,
        "refused": refused,
        "brier": brier,
        "answered_of_assessed_as_likely": answered_of_likely,
        "median_words": median_words(answers),
    }
    report("answers own questions", figures)
    assert answered_of_likely >= 0.9
    assert right >= 0.70
    assert refused["far"] >= 0.95
    assert refused["records"] >= 0.6
    assert median_words(answers) <= 60


async def test_own_facts_and_tables_are_answered_and_what_is_near_them_is_mostly_refused(store_url: str) -> None:
    part = read_part(DEVELOPMENT, "answers")

    measured, _ = await measure(part, store_url, title="answers own facts and tables")

    tell(measured)
    assert measured.figures["contains"] >= 0.75
    assert measured.figures["refused_unanswerable"] >= 0.5
    assert measured.figures["refused_answerable"] <= 0.2
    assert measured.figures["src_doc"] >= 0.8


async def test_own_sources_that_disagree_are_told_and_those_that_agree_are_not(store_url: str) -> None:
    part = read_part(DEVELOPMENT, "disagreements")
    agreeing = read_part(DEVELOPMENT, "disagreements", told=frozenset({"positive", "negative"}))

    measured, _ = await measure(part, store_url, title="answers own sources that disagree")
    at_peace, _ = await measure(agreeing, store_url, title="answers own sources that agree")

    tell(measured)
    tell(at_peace)
    assert measured.further["disagreements_told"] >= 0.6 * len(part.questions)
    assert measured.figures["fake"] <= 0.15
    assert at_peace.further["disagreements_told"] <= 0.05 * len(part.questions)


@needs_evaluation_data()
async def test_encyclopedia_questions_are_answered_and_foreign_ones_refused(store_url: str) -> None:
    part = read_part(EVALUATION / "qa_xquad", "public")

    measured, _ = await measure(part, store_url, title="answers qa_xquad")

    tell(measured)
    assert measured.figures["contains"] >= 0.75
    assert measured.figures["refused_unanswerable"] >= 0.80
    assert measured.figures["refused_answerable"] <= 0.15
    assert measured.figures["median_words"] <= 60


@needs_evaluation_data()
@pytest.mark.parametrize("told", [["positive"], ["positive_wrong"], ["positive", "positive_wrong"]], ids="+".join)
async def test_news_questions_are_answered_from_what_the_sources_say(told: list[str], store_url: str) -> None:
    part = read_part(EVALUATION / "qa_rgb_counterfactual", "public", told=frozenset([*told, "negative"]))

    measured, _ = await measure(part, store_url, title=f"answers qa_rgb_counterfactual {' and '.join(told)}")

    tell(measured)
    assert measured.figures["median_words"] <= 60


@needs_evaluation_data()
async def test_questions_on_tables_and_their_texts_are_answered_from_rows_and_sentences(store_url: str) -> None:
    part = read_part(EVALUATION / "qa_tatqa", "public")

    measured, _ = await measure(part, store_url, title="answers qa_tatqa")

    tell(measured)
    assert measured.figures["contains"] >= 0.35


@needs_evaluation_data()
@pytest.mark.timeout(3_600)
async def test_questions_on_company_filings_are_answered_with_the_page(store_url: str) -> None:
    part = read_part(EVALUATION / "qa_financebench", "public")

    measured, _ = await measure(part, store_url, title="answers qa_financebench")

    tell(measured)
    assert measured.figures["read_doc"] >= 0.6
