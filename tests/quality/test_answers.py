"""Answers and refusals: on the project's own questions, and on evaluation data where it is there."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.rag.models import Answer
from tests.quality.document_library import TENANT, Library, open_library
from tests.quality.evaluation_data import (
    DEVELOPMENT,
    EVALUATION,
    needs_evaluation_data,
    read_lines,
    score,
    write_lines,
)
from tests.quality.reporting import report

pytestmark = [pytest.mark.quality, pytest.mark.timeout(1_200)]


def prediction(row: dict[str, Any], answer: Answer, library: Library) -> dict[str, object]:
    cited = dict.fromkeys(citation.chunk.document for citation in answer.citations)
    sources = [{"doc": library.titles[document]} for document in cited]
    return {"id": row["id"], "answer": answer.text, "refused": not answer.answered, "sources": sources}


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
    figures = {"right": right, "refused": refused, "brier": brier, "median_words": median_words(answers)}
    report("answers own questions", figures)
    assert right >= 0.70
    assert refused["far"] >= 0.95
    assert refused["records"] >= 0.7
    assert median_words(answers) <= 60


@needs_evaluation_data()
async def test_encyclopedia_questions_are_answered_and_foreign_ones_refused(store_url: str, tmp_path: Path) -> None:
    folder = EVALUATION / "qa_xquad" / "public"
    questions, foreign = read_lines(folder / "questions.jsonl"), read_lines(folder / "unanswerable.jsonl")
    async with open_library(store_url) as library:
        for document in read_lines(folder / "corpus.jsonl"):
            title = document["title"]
            await library.add(document["_id"], document["text"], filename=f"{title}.md", heading=title)
        answers = [await library.answering.answer(TENANT, row["question"]) for row in [*questions, *foreign]]

    rows = zip([*questions, *foreign], answers, strict=True)
    predicted = write_lines(tmp_path / "predictions.jsonl", (prediction(row, given, library) for row, given in rows))
    scores = score(
        "score_qa",
        questions=folder / "questions.jsonl",
        unanswerable=folder / "unanswerable.jsonl",
        predictions=predicted,
    )
    report("answers qa_xquad", {**scores, "median_words": median_words(answers)})
    assert scores["contains"] >= 0.60
    assert scores["unanswerable_refused"] >= 0.80
    assert median_words(answers) <= 60


@needs_evaluation_data()
@pytest.mark.parametrize("told", [["positive"], ["positive_wrong"], ["positive", "positive_wrong"]], ids="+".join)
async def test_news_questions_are_answered_from_what_the_sources_say(
    told: list[str], store_url: str, tmp_path: Path
) -> None:
    questions = read_lines(EVALUATION / "qa_rgb_counterfactual" / "public" / "questions.jsonl")
    predictions, answers = [], []
    async with open_library(store_url) as library:
        for row in questions:
            texts = [*(text for kind in told for text in row[kind]), *row["negative"]]
            names = [
                await library.add(f"{row['id']}-{place}", text)
                for place, text in enumerate(dict.fromkeys(texts))
                if text.strip()
            ]
            answer = await library.answering.answer(TENANT, row["question"], documents=names)
            answers.append(answer)
            predictions.append(prediction(row, answer, library))

    predicted = write_lines(tmp_path / "predictions.jsonl", predictions)
    scored = score(
        "score_qa",
        questions=EVALUATION / "qa_rgb_counterfactual" / "public" / "questions.jsonl",
        predictions=predicted,
    )
    section = f"answers qa_rgb_counterfactual {' and '.join(told)}"
    report(section, {**scored, "median_words": median_words(answers)})
    assert median_words(answers) <= 60
