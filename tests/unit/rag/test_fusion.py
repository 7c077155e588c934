"""Merging ranked lists."""

import pytest

from services.rag.fusion import fuse_by_reciprocal_rank
from services.rag.models import ChunkId

A, B, C = (ChunkId("documents/x", index) for index in range(3))


def test_a_chunk_that_both_lists_name_beats_one_that_tops_a_single_list() -> None:
    fused = fuse_by_reciprocal_rank([[A, B], [C, B]])

    assert [chunk for chunk, _ in fused] == [B, A, C]


def test_scores_are_sums_of_reciprocal_ranks() -> None:
    fused = dict(fuse_by_reciprocal_rank([[A, B], [B]], damping=1))

    assert fused == {A: pytest.approx(1 / 2), B: pytest.approx(1 / 3 + 1 / 2)}


def test_ties_go_by_chunk_id() -> None:
    assert [chunk for chunk, _ in fuse_by_reciprocal_rank([[C], [A], [B]])] == [A, B, C]


def test_nothing_fuses_to_nothing() -> None:
    assert fuse_by_reciprocal_rank([]) == fuse_by_reciprocal_rank([[], []]) == []


def test_a_negative_damping_is_refused() -> None:
    with pytest.raises(ValueError, match="damping"):
        fuse_by_reciprocal_rank([[A]], damping=-1)
