"""How chunks lie in Pinecone: the names of namespaces and records, what a record holds, and how it is read back.

A tenant has two namespaces. The one named after it holds its chunks; the one with `:documents` behind the name holds a
record for each document, so that documents are counted without reading chunks. No tenant's part holds a colon, because
it is quoted. The namespace `:model` holds one record that names the embedding model.

The id of a chunk is its document, its index, its fingerprint and a digest of everything else about it, with `#`
between them. So the ids alone, listed by a document's prefix, tell what is stored and what has changed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any, Final
from urllib.parse import quote, unquote

from services.rag.errors import ChunkInvalid
from services.rag.models import (
    Chunk,
    DocumentFacts,
    Embedding,
    EmbeddingModel,
    FoundChunk,
    IndexedChunk,
    IndexQuery,
    TableRange,
)

MODEL_NAMESPACE: Final = ":model"
MODEL_RECORD: Final = "model"

_REGISTER = ":documents"
_MAX_NAME_CHARACTERS = 400
_MAX_METADATA_BYTES = 40_960
# A request may have 2 MB; what surrounds the records in it is little.
_MAX_UPSERT_BYTES = 1_900_000
_MAX_UPSERT_RECORDS = 1_000
# Embeddings have length 1: a hundred-millionth is about what single precision tells apart, and takes half the text.
_DECIMALS = 8
_BYTES_PER_VALUE = _DECIMALS + 5
_MAX_SPARSE_VALUES = 1_000
_BYTES_PER_SPARSE_VALUE = 35

# The constants of BM25 as in the other indexes; the average length of chunks is not known here and taken as fixed.
_SATURATION, _LENGTH_WEIGHT, _USUAL_LENGTH = 1.2, 0.75, 120

Record = dict[str, Any]

_FACTS: Final = ("title", "extension", "tags", "create_time")
_KINDS: Final = dict.fromkeys(("document", "filename", "text", "model"), str) | dict.fromkeys(
    ("chunk", "start", "end", "written"), (int, float)
)


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """What the id of a stored chunk tells."""

    id: str
    index: int
    fingerprint: str


def chunks_namespace(tenant: str) -> str:
    """Where a tenant's chunks are."""
    quoted = quote(tenant, safe="")
    return quoted if len(quoted) <= _MAX_NAME_CHARACTERS else f":{sha256(tenant.encode()).hexdigest()}"


def register_namespace(tenant: str) -> str:
    """Where a tenant has one record for each document."""
    return chunks_namespace(tenant) + _REGISTER


def register_id(document: str) -> str:
    return quote(document)


def id_prefix(document: str) -> str:
    """What the ids of a document's chunks begin with, and no others."""
    return f"{quote(document)}#"


def chunk_record_id(document: str, given: IndexedChunk) -> str:
    chunk = given.chunk
    rest = [chunk.text, chunk.start, chunk.end, chunk.page, *chunk.headings]
    if chunk.table:
        rest += [chunk.table.table, chunk.table.first_row, chunk.table.last_row]
    digest = blake2b(json.dumps(rest).encode(), digest_size=8).hexdigest()
    return f"{id_prefix(document)}{chunk.index:06}#{quote(given.fingerprint, safe='')}#{digest}"


def read_chunk_id(record_id: str) -> StoredChunk | None:
    """What an id tells; None for one that is not of our making."""
    parts = record_id.split("#")
    if len(parts) != 4 or not parts[1].isdecimal():
        return None
    return StoredChunk(record_id, int(parts[1]), unquote(parts[2]))


def document_metadata(filename: str, facts: DocumentFacts | None, stored: Mapping[str, Any]) -> Record:
    """What every record of a document tells of it. Without facts those that are `stored` in one of them stay.

    Pinecone stores no null: a document of which nobody said when it came has no `create_time`, which no filter on it
    lets pass.
    """
    if facts is None:
        return {"filename": filename} | {name: stored[name] for name in _FACTS if name in stored}
    told = {"filename": filename, "title": facts.title, "extension": facts.extension, "tags": list(facts.tags)}
    return told | ({"create_time": facts.create_time.timestamp()} if facts.create_time else {})


def chunk_record(
    record_id: str, document: str, told: Record, given: IndexedChunk, model: EmbeddingModel, *, hybrid: bool
) -> Record:
    """Everything about a chunk but its embedding; `told` is the document's metadata.

    Raises ChunkInvalid when it is more than Pinecone keeps.
    """
    chunk = given.chunk
    metadata: Record = told | {
        "document": document,
        "chunk": chunk.index,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "fingerprint": given.fingerprint,
        "model": str(model),
        "written": time.time(),
    }
    if chunk.page is not None:
        metadata["page"] = chunk.page
    if chunk.headings:
        metadata["headings"] = json.dumps(chunk.headings, ensure_ascii=False)
    if chunk.table:
        metadata["table"] = json.dumps([chunk.table.table, chunk.table.first_row, chunk.table.last_row])
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size > _MAX_METADATA_BYTES:
        raise ChunkInvalid(
            f"Chunk {chunk.index} takes {size:,} bytes with its headings; this index keeps {_MAX_METADATA_BYTES:,} "
            "at most.",
            field="chunks",
        )
    record: Record = {"id": record_id, "metadata": metadata}
    sparse = _term_weights(given.terms) if hybrid else None
    return record | ({"sparse_values": sparse} if sparse else {})


def with_embedding(record: Record, embedding: Embedding) -> Record:
    return {**record, "values": [round(float(value), _DECIMALS) for value in embedding]}


def batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Records in the order given, as many together as one request may hold."""
    batch: list[Record] = []
    total_bytes = 0
    for record in records:
        size = _size_bytes(record)
        if batch and (total_bytes + size > _MAX_UPSERT_BYTES or len(batch) == _MAX_UPSERT_RECORDS):
            yield batch
            batch, total_bytes = [], 0
        batch.append(record)
        total_bytes += size
    if batch:
        yield batch


def slices(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def narrowing(query: IndexQuery) -> Record | None:
    """The filter on metadata that a query asks for; None where it asks for none. The tenant is the namespace."""
    filters = query.filters
    conditions: list[Record] = [
        {name: {"$in": list(values)}}
        for name, values in (
            ("document", query.documents),
            ("filename", filters.filenames),
            ("extension", filters.extensions),
        )
        if values
    ]
    conditions += [{"tags": {"$in": [tag]}} for tag in filters.tags]
    if filters.create_time_from:
        conditions.append({"create_time": {"$gte": filters.create_time_from.timestamp()}})
    if filters.create_time_before:
        conditions.append({"create_time": {"$lt": filters.create_time_before.timestamp()}})
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return {"$and": conditions}


def is_chunk(metadata: Mapping[str, Any] | None) -> bool:
    """Whether a record's metadata is what `chunk_record` writes; others may keep records in the same namespace."""
    if metadata is None or not all(isinstance(metadata.get(name), kind) for name, kind in _KINDS.items()):
        return False
    if not isinstance(metadata.get("page", 0), int | float):
        return False
    try:
        headings, rows = json.loads(metadata.get("headings", "[]")), json.loads(metadata.get("table", "[0, 0, 0]"))
    except (TypeError, ValueError):
        return False
    return isinstance(headings, list) and isinstance(rows, list) and [type(each) for each in rows] == [int] * 3


def to_found(metadata: Mapping[str, Any], similarity: float) -> FoundChunk:
    """A chunk from its record. Numbers come back as floating-point ones."""
    page = metadata.get("page")
    chunk = Chunk(
        index=int(metadata["chunk"]),
        text=metadata["text"],
        start=int(metadata["start"]),
        end=int(metadata["end"]),
        page=None if page is None else int(page),
        headings=tuple(json.loads(metadata.get("headings", "[]"))),
        table=TableRange(*json.loads(metadata["table"])) if "table" in metadata else None,
    )
    # Rounding can carry the product of two embeddings of length 1 a little past 1.
    return FoundChunk(metadata["document"], metadata["filename"], chunk, max(-1.0, min(1.0, similarity)))


def sparse_question(terms: Iterable[str]) -> Record:
    """The sparse side of a question: its terms, each with the same weight."""
    return _sparse({_place(term): 1.0 for term in terms})


def _term_weights(terms: Mapping[str, int]) -> Record | None:
    """The sparse side of a chunk: what BM25 makes of how often a term occurs in a chunk of this length."""
    length = sum(terms.values())
    held_back = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * length / _USUAL_LENGTH)
    weights = {_place(term): round(count * (_SATURATION + 1) / (count + held_back), 5) for term, count in terms.items()}
    heaviest = sorted(weights.items(), key=lambda pair: -pair[1])[:_MAX_SPARSE_VALUES]
    return _sparse(dict(heaviest)) if heaviest else None


def _sparse(weights: Mapping[int, float]) -> Record:
    return {"indices": list(weights), "values": list(weights.values())}


def _place(term: str) -> int:
    """A term's dimension among four billion: two terms share one as good as never."""
    return int.from_bytes(blake2b(term.encode(), digest_size=4).digest(), "big")


def _size_bytes(record: Record) -> int:
    """Never less than what a record takes in a request."""
    sparse = len(record.get("sparse_values", {}).get("indices", ())) * _BYTES_PER_SPARSE_VALUE
    text = len(json.dumps(record["metadata"], ensure_ascii=False).encode()) + len(record["id"])
    return text + len(record["values"]) * _BYTES_PER_VALUE + sparse + 100
