"""What is kept beside a stored file."""

import json
from dataclasses import replace

import pytest

from services.ingest.models import Chunk, PageNote, PageProblem, TableRange
from services.ingest.records import ChunkedFile, chunks_from_bytes, chunks_to_bytes

CHUNKED = ChunkedFile(
    "parsing-1/chunks-1",
    (
        Chunk(0, 'Line one,\nline "two" \u2028 ü 🦊', 0, 26, 9, 3, ("Ferry", "Times")),
        Chunk(1, "day: Mon; fare: 4", 27, 44, 8, table=TableRange(0, 2, 5)),
    ),
    "Fähre",
    7,
    (PageNote(2, PageProblem.SCANNED_WITHOUT_OCR, "Page 2 is an image."),),
)


@pytest.mark.parametrize("chunked", [CHUNKED, replace(CHUNKED, chunks=CHUNKED.chunks[:1]), replace(CHUNKED, chunks=())])
def test_chunks_come_back_as_they_were_kept(chunked: ChunkedFile) -> None:
    assert chunks_from_bytes(chunks_to_bytes(chunked), fingerprint=chunked.fingerprint) == chunked


def test_what_is_kept_is_json() -> None:
    record = json.loads(chunks_to_bytes(CHUNKED))

    assert [chunk["text"] for chunk in record["chunks"]] == [chunk.text for chunk in CHUNKED.chunks]
    assert record["chunks"][1]["table"] == {"table": 0, "first_row": 2, "last_row": 5}


def test_chunks_of_another_parser_or_chunker_are_none() -> None:
    assert chunks_from_bytes(chunks_to_bytes(CHUNKED), fingerprint="parsing-2/chunks-1") is None


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_chunks_that_are_not_whole_are_none(cut: int) -> None:
    assert chunks_from_bytes(chunks_to_bytes(CHUNKED)[:-cut], fingerprint=CHUNKED.fingerprint) is None


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"fingerprint": "parsing-1/chunks-1", "chunks": [\n]}'])
def test_anything_else_is_no_chunks(data: bytes) -> None:
    assert chunks_from_bytes(data, fingerprint=CHUNKED.fingerprint) is None
