"""Fit the weights of services/rag/certainty.py to the project's own questions: `python -m tests.quality.fit_weights`.

Prints the four sets of weights and, by leaving out a fifth of the questions at a time, how they do on unseen ones.
"""

import asyncio
import re
import shutil
import tempfile
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.rag.adapters.minilm_embedder import MiniLmEmbedder
from services.rag.asking import take_apart
from services.rag.evidence import Candidate, weigh
from tests.quality.document_library import TENANT, Library, open_library
from tests.quality.evaluation_data import DEVELOPMENT, read_lines

PASSAGES = 3
FOLDS = 5
RANKING_PENALTY, CERTAINTY_PENALTY = 0.01, 0.002


@dataclass
class Example:
    """A question, the figures of every candidate sentence, and which of them hold the answer."""

    row: dict[str, Any]
    figures: np.ndarray
    right: np.ndarray
    sentences: list[str]

    @property
    def answerable(self) -> bool:
        return "contains" in self.row


async def read_examples(library: Library, embedder: MiniLmEmbedder) -> list[Example]:
    for path in sorted((DEVELOPMENT / "documents").iterdir()):
        await library.add(path.name, path.read_text(encoding="utf-8"))
    return [await _example(row, library, embedder) for row in read_lines(DEVELOPMENT / "questions.jsonl")]


async def _example(row: dict[str, Any], library: Library, embedder: MiniLmEmbedder) -> Example:
    findings = await library.searching.find(TENANT, row["question"], limit=PASSAGES)
    passages = [chunk.found for chunk in findings.chunks]
    candidates = weigh(take_apart(row["question"]), passages, findings.counts)
    texts = [_text(candidate, passages[candidate.passage].chunk.text) for candidate in candidates]
    embeddings = await embedder.embed_queries(texts)
    similarities = [sum(map(mul, findings.embedding, embedding)) for embedding in embeddings]
    right = [any(gold.lower() in text.lower() for gold in row.get("contains", [])) for text in texts]
    figures = [_figures(candidate, similarity) for candidate, similarity in zip(candidates, similarities, strict=True)]
    return Example(row, np.array(figures), np.array(right), texts)


def _text(candidate: Candidate, text: str) -> str:
    return re.sub(r"\s+", " ", text[candidate.sentence.start : candidate.sentence.end])


def _figures(candidate: Candidate, similarity: float) -> list[float]:
    figures = candidate.figures
    return [
        figures.coverage,
        figures.passage_coverage,
        figures.similarity,
        figures.wanted,
        figures.missing_names,
        figures.uncounted,
        similarity,
    ]


def fit_ranking(examples: list[Example], columns: int) -> np.ndarray:
    """Softmax over a question's sentences: the likelihood that one holding the answer comes first."""
    weights = np.zeros(columns)
    usable = [example for example in examples if example.right.any()]
    for _ in range(3_000):
        gradient = -RANKING_PENALTY * weights
        for example in usable:
            figures = example.figures[:, :columns]
            odds = np.exp(figures @ weights - (figures @ weights).max())
            chance = odds / odds.sum()
            among_right = chance * example.right / (chance * example.right).sum()
            gradient = gradient + (among_right - chance) @ figures / len(usable)
        weights += 0.3 * gradient
    return weights


def fit_certainty(best: np.ndarray, answerable: np.ndarray) -> np.ndarray:
    """Logistic regression in which answerable and unanswerable questions weigh the same."""
    inputs = np.c_[best, np.ones(len(best))]
    weights = np.zeros(inputs.shape[1])
    balance = np.where(answerable, 0.5 / answerable.mean(), 0.5 / (1 - answerable.mean()))
    penalty = np.r_[np.full(best.shape[1], CERTAINTY_PENALTY), 0]
    for _ in range(20_000):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        weights += 0.5 * (inputs.T @ ((answerable - chance) * balance) / len(best) - penalty * weights)
    return weights


def _best(examples: list[Example], ranking: np.ndarray) -> np.ndarray:
    columns = len(ranking)
    rows = [example.figures[:, :columns] for example in examples]
    return np.array([figures[int(np.argmax(figures @ ranking))] for figures in rows])


def report(name: str, examples: list[Example], columns: int) -> None:
    ranking = fit_ranking(examples, columns)
    answerable = np.array([example.answerable for example in examples])
    best = _best(examples, ranking)
    certainty = fit_certainty(best, answerable)
    unseen = np.zeros(len(examples))
    first = []
    fold_of = np.arange(len(examples)) % FOLDS
    for fold in range(FOLDS):
        rest = [example for example, place in zip(examples, fold_of, strict=True) if place != fold]
        fold_ranking = fit_ranking(rest, columns)
        fold_certainty = fit_certainty(_best(rest, fold_ranking), answerable[fold_of != fold])
        left_out = [example for example, place in zip(examples, fold_of, strict=True) if place == fold]
        inputs = _best(left_out, fold_ranking)
        unseen[fold_of == fold] = 1 / (1 + np.exp(-np.c_[inputs, np.ones(len(inputs))] @ fold_certainty))
        for example in left_out:
            if example.right.any():
                first.append(example.right[int(np.argmax(example.figures[:, :columns] @ fold_ranking))])
    print(f"{name}: ranking {ranking.round(2).tolist()} certainty {certainty.round(2).tolist()}")
    print(f"  unseen: right sentence first {np.mean(first):.3f}, answered {(unseen[answerable] >= 0.5).mean():.3f}")
    for kind in ("near", "records", "far"):
        chosen = np.array([example.row.get("unanswerable") == kind for example in examples])
        print(f"  unseen: {kind} refused {(unseen[chosen] < 0.5).mean():.3f}")
    print(f"  unseen: Brier score {np.mean((unseen - answerable) ** 2):.3f}")
    for example, row, chance in zip(examples, best, unseen, strict=True):
        if (chance >= 0.5) != example.answerable:
            print(f"    {chance:.2f} {example.row['question']} {row.round(2).tolist()}")


async def main(store_url: str) -> None:
    embedder = MiniLmEmbedder()
    async with open_library(store_url) as library:
        examples = await read_examples(library, embedder)
    report("quick", examples, 6)
    report("full", examples, 7)
    embedder.close()


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp(prefix="dg-fit-"))
    sockets = folder / "s"
    sockets.mkdir(mode=0o700)
    server = EmbeddedPostgres(folder / "pg", sockets)
    try:
        server.start()
        asyncio.run(main(server.url("postgres")))
    finally:
        server.stop(timeout_seconds=10)
        shutil.rmtree(folder, ignore_errors=True)
