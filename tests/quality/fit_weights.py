"""Fit the weights of services/rag/certainty.py to the project's own questions: `python -m tests.quality.fit_weights`.

The questions are those of dev/questions.jsonl and of dev/answers, asked of the documents of both at once; the quick
sets are fitted to the first alone. Prints the four sets of weights and, by leaving out a fifth of the questions at a
time, how they do on unseen ones at several thresholds. The default of RAG_MIN_CERTAINTY is the one at which about one
in ten answerable questions is refused.
"""

import asyncio
import re
from dataclasses import astuple, dataclass
from operator import mul
from typing import Any

import numpy as np

from services.rag.adapters.minilm_embedder import MiniLmEmbedder
from services.rag.asking import take_apart
from services.rag.evidence import Candidate, weigh
from services.rag.models import Embedding
from tests.quality.document_library import TENANT, Library, open_library
from tests.quality.evaluation_data import DEVELOPMENT, read_lines
from tests.quality.qa.run import scratch_store

PASSAGES = 3
FOLDS = 5
RANKING_PENALTY, CERTAINTY_PENALTY = 0.01, 0.002
_QUICK_COLUMNS = 6  # the figures that take no look at phrases
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5)


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
    answers = DEVELOPMENT / "answers"
    for folder in (DEVELOPMENT / "documents", answers / "documents"):
        for path in sorted(folder.iterdir()):
            await library.add_file(path.name, await asyncio.to_thread(path.read_bytes), filename=path.name)
    rows = read_lines(DEVELOPMENT / "questions.jsonl")
    rows += [row | {"contains": row["answers"]} for row in read_lines(answers / "questions.jsonl")]
    rows += read_lines(answers / "unanswerable.jsonl")
    known: dict[str, Embedding] = {}
    return [await _example(row, library, embedder, known) for row in rows]


async def _example(
    row: dict[str, Any], library: Library, embedder: MiniLmEmbedder, known: dict[str, Embedding]
) -> Example:
    findings = await library.searching.find(TENANT, row["question"], limit=PASSAGES)
    passages = [chunk.found for chunk in findings.chunks]
    candidates = weigh(take_apart(row["question"]), passages, findings.counts)
    texts = [_text(candidate, passages[candidate.passage].chunk.text) for candidate in candidates]
    new = [text for text in dict.fromkeys(texts) if text not in known]
    known.update(zip(new, await embedder.embed_queries(new), strict=True) if new else ())
    similarities = [sum(map(mul, findings.embedding, known[text])) for text in texts]
    right = [any(gold.lower() in text.lower() for gold in row.get("contains", [])) for text in texts]
    figures = [
        [*astuple(candidate.figures), similarity]
        for candidate, similarity in zip(candidates, similarities, strict=True)
    ]
    return Example(row, np.array(figures), np.array(right), texts)


def _text(candidate: Candidate, text: str) -> str:
    return re.sub(r"\s+", " ", text[candidate.sentence.start : candidate.sentence.end])


def fit_ranking(examples: list[Example], columns: int) -> np.ndarray:
    """Softmax over a question's sentences: the likelihood that one holding the answer comes first."""
    weights = np.zeros(columns)
    usable = [example for example in examples if example.right.any()]
    for _ in range(600):
        gradient = -RANKING_PENALTY * weights
        for example in usable:
            figures = example.figures[:, :columns]
            odds = np.exp(figures @ weights - (figures @ weights).max())
            chance = odds / odds.sum()
            among_right = chance * example.right / (chance * example.right).sum()
            gradient = gradient + (among_right - chance) @ figures / len(usable)
        weights += gradient
    return weights


def fit_certainty(best: np.ndarray, answerable: np.ndarray) -> np.ndarray:
    """Logistic regression in which answerable and unanswerable questions weigh the same."""
    inputs = np.c_[best, np.ones(len(best))]
    weights = np.zeros(inputs.shape[1])
    balance = np.where(answerable, 0.5 / answerable.mean(), 0.5 / (1 - answerable.mean()))
    penalty = np.r_[np.full(best.shape[1], CERTAINTY_PENALTY), 1e-9]
    for _ in range(50):  # Newton's method
        chance = 1 / (1 + np.exp(-inputs @ weights))
        gradient = inputs.T @ ((answerable - chance) * balance) / len(best) - penalty * weights
        curvature = (inputs * (chance * (1 - chance) * balance)[:, None]).T @ inputs / len(best) + np.diag(penalty)
        weights += np.linalg.solve(curvature, gradient)
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
    print(f"  unseen: right sentence first {np.mean(first):.3f}, Brier score {np.mean((unseen - answerable) ** 2):.3f}")
    kinds = np.array([example.row.get("unanswerable", "") for example in examples])
    for threshold in THRESHOLDS:
        told = [
            f"{kind} refused {(unseen[kinds == kind] < threshold).mean():.3f}" for kind in ("near", "records", "far")
        ]
        told.append(f"answerable refused {(unseen[answerable] < threshold).mean():.3f}")
        print(f"  unseen at {threshold}: {', '.join(told)}")


async def main(store_url: str) -> None:
    embedder = MiniLmEmbedder()
    async with open_library(store_url) as library:
        examples = await read_examples(library, embedder)
    columns = examples[0].figures.shape[1]
    report("quick", [example for example in examples if "id" not in example.row], _QUICK_COLUMNS)
    report("full", examples, columns)
    embedder.close()


if __name__ == "__main__":
    with scratch_store() as url:
        asyncio.run(main(url))
