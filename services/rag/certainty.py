"""How sure the figures of a sentence make us that it answers, and which of several sentences answers best.

The weights come from `python -m tests.quality.fit_weights`, which fits them to the project's own questions: the ranking
by which sentence of the found passages holds the answer, the certainty by whether any does. Those for quoting are
fitted to all of tests/quality/dev, the quick ones to its questions.jsonl alone, which has questions for a database too.
"""

import math
from dataclasses import dataclass

from services.rag.evidence import Figures


@dataclass(frozen=True, slots=True)
class Weights:
    """A weight for each figure; `sentence_similarity` is the cosine of question and sentence, where it is known."""

    coverage: float
    passage_coverage: float
    similarity: float
    wanted: float
    missing_names: float
    uncounted: float
    phrases: float = 0.0
    missing_rarest: float = 0.0
    sentence_similarity: float = 0.0
    constant: float = 0.0

    def sum(self, figures: Figures, sentence_similarity: float = 0.0) -> float:
        """The weighted sum of the figures."""
        return (
            self.coverage * figures.coverage
            + self.passage_coverage * figures.passage_coverage
            + self.similarity * figures.similarity
            + self.wanted * figures.wanted
            + self.missing_names * figures.missing_names
            + self.uncounted * figures.uncounted
            + self.phrases * figures.phrases
            + self.missing_rarest * figures.missing_rarest
            + self.sentence_similarity * sentence_similarity
            + self.constant
        )


# Without the similarity of single sentences: quick, for assessing a question and for a shortlist.
QUICK_RANKING = Weights(6.29, 1.16, 1.51, 1.33, -0.23, -0.18)
QUICK_CERTAINTY = Weights(3.20, 2.03, 2.54, 0.78, -0.87, -2.62, constant=-4.30)
# With it: for choosing what to quote.
RANKING = Weights(4.60, 1.26, 1.13, 1.14, -0.55, 0.29, 0.77, -0.76, 5.07)
CERTAINTY = Weights(1.07, 0.54, -0.83, 0.71, -2.14, -0.85, -0.86, -0.97, 4.59, -2.24)


def certainty(weights: Weights, figures: Figures, sentence_similarity: float = 0.0) -> float:
    """From 0 to 1: how likely it is that a sentence with these figures answers."""
    return 1 / (1 + math.exp(-weights.sum(figures, sentence_similarity)))
