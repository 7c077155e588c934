"""What rankings are worth, as the usual measures have it. Repeated names count once, at their best rank."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

Rankings = Mapping[str, Sequence[str]]
"""Names by query, best first."""
Relevant = Mapping[str, Mapping[str, int]]
"""Gain of each name that bears on a query."""


def ndcg(ranking: Sequence[str], judged: Mapping[str, int], most: int) -> float:
    """Gain among the first `most`, discounted by the logarithm of the rank, of what is possible."""
    top = list(dict.fromkeys(ranking))[:most]
    best = sorted(judged.values(), reverse=True)[:most]
    reached = sum(judged.get(name, 0) / math.log2(place + 2) for place, name in enumerate(top))
    return reached / sum(gain / math.log2(place + 2) for place, gain in enumerate(best))


def recall(ranking: Sequence[str], judged: Mapping[str, int], most: int) -> float:
    """Share of what bears on the query that is among the first `most`."""
    top = list(dict.fromkeys(ranking))[:most]
    return sum(name in judged for name in top) / len(judged)


def hit(ranking: Sequence[str], judged: Mapping[str, int], most: int) -> float:
    """1 where anything that bears on the query is among the first `most`."""
    return float(any(name in judged for name in list(dict.fromkeys(ranking))[:most]))


def mean(
    measure: Callable[[Sequence[str], Mapping[str, int], int], float], rankings: Rankings, relevant: Relevant, most: int
) -> float:
    """Over all queries that something bears on; one without a ranking counts 0. Rounded to four places."""
    return round(
        statistics.mean(measure(rankings.get(query, ()), judged, most) for query, judged in relevant.items()), 4
    )


def figures_of(rankings: Rankings, relevant: Relevant, *, pages: bool) -> dict[str, float]:
    """The measures that are compared from run to run."""
    figures = {
        "ndcg@10": mean(ndcg, rankings, relevant, 10),
        "recall@10": mean(recall, rankings, relevant, 10),
        "recall@100": mean(recall, rankings, relevant, 100),
    }
    return figures | ({"hit@5": mean(hit, rankings, relevant, 5)} if pages else {})
