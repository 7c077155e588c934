"""The records kept beside a stored file: what was found in it, and its chunks, so that parsing need not be repeated."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from services.ingest.models import Chunk, Document, DocumentImage, PageNote, PageProblem, TableRange

MAX_PAGE_NOTES = 200
METADATA = "metadata.json"
CHUNKS = "chunks.json"
IMAGES = "images.json"
_CHUNKS_BEGIN, _CHUNKS_END = b', "chunks": [', b"\n]}"


@dataclass(frozen=True)
class ChunkedFile:
    """A file parsed and cut. `fingerprint` names the parser and chunker that did it."""

    fingerprint: str
    chunks: tuple[Chunk, ...]
    title: str
    page_count: int | None
    page_notes: tuple[PageNote, ...] = ()

    @property
    def token_count(self) -> int:
        return sum(chunk.token_count for chunk in self.chunks)


def chunks_to_bytes(chunked: ChunkedFile) -> bytes:
    """A JSON object with each chunk on a line of its own: be they a hundred thousand, one at a time is read."""
    facts: dict[str, Any] = {
        "fingerprint": chunked.fingerprint,
        "title": chunked.title,
        "page_count": chunked.page_count,
        "page_notes": [asdict(note) for note in chunked.page_notes],
    }
    written = io.BytesIO()
    written.write(json.dumps(facts, ensure_ascii=False).encode()[:-1] + _CHUNKS_BEGIN)
    for place, chunk in enumerate(chunked.chunks):
        written.write(b"\n" if place == 0 else b",\n")
        written.write(json.dumps(asdict(chunk), ensure_ascii=False).encode())
    written.write(_CHUNKS_END)
    return written.getvalue()


def chunks_from_bytes(data: bytes, *, fingerprint: str) -> ChunkedFile | None:
    """The chunks, if they were made by the parser and chunker of that fingerprint and are whole; None when not."""
    lines = io.BytesIO(data)
    try:
        first = lines.readline()
        if not first.endswith(_CHUNKS_BEGIN + b"\n") or not data.endswith(_CHUNKS_END):
            return None
        record: dict[str, Any] = json.loads(first.removesuffix(_CHUNKS_BEGIN + b"\n") + b"}")
        if record["fingerprint"] != fingerprint:
            return None
        chunks = tuple(_chunk(json.loads(line.rstrip(b",\n"))) for line in lines if line != _CHUNKS_END.lstrip())
        notes = tuple(
            PageNote(note["page"], PageProblem(note["reason"]), note["detail"]) for note in record.get("page_notes", ())
        )
        return ChunkedFile(fingerprint, chunks, record["title"], record["page_count"], notes)
    except (ValueError, KeyError, TypeError):
        return None


def _chunk(record: dict[str, Any]) -> Chunk:
    table = record.get("table")
    return Chunk(**{**record, "headings": tuple(record["headings"]), "table": TableRange(**table) if table else None})


def bounded(notes: Sequence[PageNote]) -> tuple[PageNote, ...]:
    """As many notes as are kept with a document; the last one tells of those that are left out."""
    if len(notes) <= MAX_PAGE_NOTES:
        return tuple(notes)
    last = notes[MAX_PAGE_NOTES - 1]
    others = f"{len(notes) - MAX_PAGE_NOTES:,} more pages could not be read as they should be"
    return (*notes[: MAX_PAGE_NOTES - 1], replace(last, detail=f"{last.detail}; {others}"))


def metadata_to_bytes(document: Document, filename: str) -> bytes:
    """What a person or another tool may want to know of the stored file; `filename` is the name it first came under."""
    return json.dumps(
        {
            "document_id": document.document_id,
            "filename": filename,
            "content_type": document.content_type,
            "size_bytes": document.size_bytes,
            "title": document.title,
            "page_count": document.page_count,
            "chunk_count": document.chunk_count,
            "token_count": document.token_count,
        },
        ensure_ascii=False,
        indent=1,
    ).encode()


def images_to_bytes(images: Sequence[DocumentImage], *, fingerprint: str) -> bytes:
    return json.dumps({"fingerprint": fingerprint, "images": [asdict(image) for image in images]}).encode()


def images_from_bytes(data: bytes, *, fingerprint: str) -> tuple[DocumentImage, ...] | None:
    """The images, if they were extracted by the reader of that fingerprint; None when not."""
    try:
        record: dict[str, Any] = json.loads(data)
        if record["fingerprint"] != fingerprint:
            return None
        return tuple(DocumentImage(**image) for image in record["images"])
    except (ValueError, KeyError, TypeError):
        return None


def metadata_with(data: bytes | None, **facts: object) -> bytes | None:
    """The metadata with more facts in it; None when there is none, or it cannot be read."""
    try:
        record = json.loads(data or b"")
        return json.dumps({**record, **facts}, ensure_ascii=False, indent=1).encode()
    except (ValueError, TypeError):
        return None
