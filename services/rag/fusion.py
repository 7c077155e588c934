"""Merging ranked lists into one."""

from collections import defaultdict
from collections.abc import Sequence

from services.rag.models import ChunkId


def fuse_by_reciprocal_rank(rankings: Sequence[Sequence[ChunkId]], *, damping: int = 60) -> list[tuple[ChunkId, float]]:
    """Merge ranked lists so that agreement near the top wins.

    score(c) = Σ over lists of 1 / (damping + rank of c), ranks counted from 1, absent = 0.

    Args:
        rankings: one best-first list per retriever; lengths may differ, no repeats within a list.
        damping: dimensionless, ≥ 0; larger means rank 1 counts for less.
    Returns: (chunk, score) pairs, best first, 0 < score ≤ len(rankings) / (damping + 1); ties by chunk id.
    Raises: ValueError: `damping` is negative.
    Source: Cormack, Clarke, Büttcher, SIGIR 2009, doi:10.1145/1571941.1572114.
    """
    if damping < 0:
        raise ValueError(f"damping must not be negative, got {damping}")
    scores: defaultdict[ChunkId, float] = defaultdict(float)
    for ranking in rankings:
        for rank, chunk in enumerate(ranking, start=1):
            scores[chunk] += 1 / (damping + rank)
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
