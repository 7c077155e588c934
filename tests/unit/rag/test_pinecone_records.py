"""How chunks lie in Pinecone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest

from services.rag.adapters.pinecone_records import (
    batches,
    chunk_record,
    chunk_record_id,
    chunks_namespace,
    id_prefix,
    read_chunk_id,
    register_namespace,
    sparse_question,
    to_found,
    with_embedding,
)
from services.rag.errors import ChunkInvalid
from services.rag.models import Chunk, EmbeddingModel, IndexedChunk

GUIDE = "documents/" + "a" * 64
MODEL = EmbeddingModel("text-embedding-3-small", 1_536)
EMBEDDING = [math.sin(place + 0.5) / math.sqrt(768) for place in range(1_536)]


def given(text: str = "Ferries sail.", *, terms: Mapping[str, int] | None = None, page: int | None = 2) -> IndexedChunk:
    return IndexedChunk(Chunk(7, text, 10, 10 + len(text), page, ("Ferry", "Times")), "f" * 64, terms or {}, None)


def record_of(chunk: IndexedChunk, *, hybrid: bool = False) -> dict[str, object]:
    record_id = chunk_record_id(GUIDE, chunk)
    return with_embedding(
        chunk_record(record_id, GUIDE, {"filename": "guide.md"}, chunk, MODEL, hybrid=hybrid), EMBEDDING
    )


def on_the_wire(record: Mapping[str, object]) -> int:
    return len(json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode())


def test_an_id_tells_the_chunk_and_its_fingerprint() -> None:
    record_id = chunk_record_id(GUIDE, given())

    told = read_chunk_id(record_id)

    assert told is not None
    assert (told.index, told.fingerprint) == (7, "f" * 64)
    assert record_id.startswith(id_prefix(GUIDE))
    assert record_id.isascii()
    assert len(record_id) <= 512


@pytest.mark.parametrize("other", [given("Ferries  sail."), given(page=3), given(page=None)])
def test_whatever_changes_about_a_chunk_changes_its_id(other: IndexedChunk) -> None:
    assert chunk_record_id(GUIDE, other) != chunk_record_id(GUIDE, given())


@pytest.mark.parametrize("foreign", ["", "x", "a#b", "a#b#c#d", "a#1#c", "a#1#c#d#e"])
def test_an_id_of_others_is_none_of_ours(foreign: str) -> None:
    assert read_chunk_id(foreign) is None


def test_a_chunk_is_read_back_from_what_pinecone_makes_of_it() -> None:
    metadata = record_of(given())["metadata"]
    assert isinstance(metadata, dict)
    floats = {key: float(value) if isinstance(value, int) else value for key, value in metadata.items()}

    found = to_found(floats, 1.000_000_1)

    assert (found.document, found.filename, found.chunk, found.similarity) == (GUIDE, "guide.md", given().chunk, 1.0)
    assert type(found.chunk.index) is type(found.chunk.page) is int


def test_batches_keep_within_two_megabytes_and_leave_nothing_out() -> None:
    words = {f"word{place}": 1 + place % 3 for place in range(300)}
    records = [record_of(given("Fähre " * 400, terms=words), hybrid=True) for _ in range(300)]

    made = list(batches(records))

    assert [record for batch in made for record in batch] == records
    assert max(sum(on_the_wire(record) + 1 for record in batch) for batch in made) < 2_000_000
    assert len(made) < 10


def test_a_thousand_small_records_fill_a_batch() -> None:
    small = [{"id": str(place), "values": [1.0], "metadata": {}} for place in range(2_500)]

    assert [len(batch) for batch in batches(small)] == [1_000, 1_000, 500]


def test_a_chunk_too_large_for_a_record_is_refused_with_its_size() -> None:
    with pytest.raises(ChunkInvalid, match=r"Chunk 7 takes 6\d,\d{3} bytes .* 40,960 at most"):
        record_of(given("ü" * 30_000))


def test_a_question_and_a_chunk_meet_in_the_terms_they_share() -> None:
    sparse = record_of(given(terms={"ferri": 2, "sail": 1}), hybrid=True)["sparse_values"]
    assert isinstance(sparse, dict)
    weights = dict(zip(sparse["indices"], sparse["values"], strict=True))

    question = sparse_question(["sail", "moss"])

    shared = [place for place in question["indices"] if place in weights]
    assert len(shared) == 1
    assert 0 < weights[shared[0]] < max(weights.values())
    assert all(0 <= place < 2**32 for place in weights)


def test_a_chunk_of_very_many_terms_keeps_the_heaviest() -> None:
    terms = {f"term{place}": 1 for place in range(1_500)} | {"heavy": 9}

    sparse = record_of(given(terms=terms), hybrid=True)["sparse_values"]

    assert isinstance(sparse, dict)
    assert len(sparse["indices"]) == 1_000
    assert sparse_question(["heavy"])["indices"][0] in sparse["indices"]


def test_namespaces_of_tenants_never_meet() -> None:
    tenants = ["red", "red:documents", ":model", "%3Amodel", "a/b", "a%2Fb", "ü", "x" * 600, "x" * 601, "__default__"]

    names = [name(tenant) for tenant in tenants for name in (chunks_namespace, register_namespace)]

    assert len(set(names)) == len(names)
    assert ":model" not in names
    assert all(name.isascii() and 0 < len(name) <= 512 for name in names)
