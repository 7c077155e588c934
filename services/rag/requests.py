"""What a caller may ask: the checks on names, numbers and texts that come from outside."""

import re
from collections.abc import Sequence
from dataclasses import replace

from services.rag.errors import (
    ChunkInvalid,
    FactsInvalid,
    FiltersInvalid,
    NameInvalid,
    QuestionInvalid,
    TextsInvalid,
    TopKInvalid,
)
from services.rag.models import Chunk, DocumentFacts, SearchFilters

MAX_QUESTION_CHARACTERS = 4_000
MAX_QUESTION_PARTS = 8
MAX_TOP_K = 50
MAX_FILTERED_DOCUMENTS = 100
MAX_FILENAME_CHARACTERS = 255
MAX_CHUNKS_PER_CALL = 256
MAX_TEXTS_PER_CALL = 256
MAX_TITLE_CHARACTERS = 300
MAX_EXTENSION_CHARACTERS = 16
MAX_TAGS = 50
MAX_TAG_CHARACTERS = 50
MAX_FILTERED_FILENAMES = 100
MAX_FILTERED_EXTENSIONS = 20
MAX_FILTERED_TAGS = 20

_DOCUMENT_NAME = re.compile(r"documents/[0-9a-f]{64}")
# Control characters but tab, line feed and carriage return.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def read_question(text: str, *, field: str = "question") -> str:
    """The question without space around it. Raises QuestionInvalid."""
    question = text.strip()
    if not question:
        raise QuestionInvalid("The question is blank.", field=field)
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise QuestionInvalid(
            f"The question has {len(question):,} characters; at most {MAX_QUESTION_CHARACTERS:,} are read.", field=field
        )
    if _CONTROL.search(question):
        raise QuestionInvalid("The question holds control characters.", field=field)
    return question


def read_parts(parts: Sequence[str]) -> list[str]:
    """The parts of a question. Raises QuestionInvalid."""
    if len(parts) > MAX_QUESTION_PARTS:
        raise QuestionInvalid(
            f"The question has {len(parts)} parts; at most {MAX_QUESTION_PARTS} are assessed.", field="parts"
        )
    return [read_question(part, field=f"parts[{place}]") for place, part in enumerate(parts)]


def read_top_k(top_k: int, *, default: int) -> int:
    """How many chunks to return. Raises TopKInvalid."""
    if top_k < 0:
        raise TopKInvalid(f"The number of chunks asked for must not be negative, got {top_k}.", field="top_k")
    return min(top_k or default, MAX_TOP_K)


def read_document(name: str, *, field: str = "document") -> str:
    """A document's resource name. Raises NameInvalid."""
    if not _DOCUMENT_NAME.fullmatch(name):
        raise NameInvalid("A document is named documents/ and 64 lower-case hexadecimal digits.", field=field)
    return name


def read_documents(names: Sequence[str]) -> tuple[str, ...]:
    """The documents a search is narrowed to, none twice. Raises NameInvalid."""
    if len(names) > MAX_FILTERED_DOCUMENTS:
        raise NameInvalid(
            f"A search can be narrowed to {MAX_FILTERED_DOCUMENTS} documents at most, got {len(names)}.",
            field="documents",
        )
    return tuple(dict.fromkeys(read_document(name, field=f"documents[{place}]") for place, name in enumerate(names)))


def read_filters(filters: SearchFilters) -> SearchFilters:
    """What a search is narrowed by, nothing twice. Raises FiltersInvalid."""
    _check_values("filenames", "file names", filters.filenames, MAX_FILTERED_FILENAMES, MAX_FILENAME_CHARACTERS)
    _check_values("extensions", "kinds of file", filters.extensions, MAX_FILTERED_EXTENSIONS, MAX_EXTENSION_CHARACTERS)
    _check_values("tags", "tags", filters.tags, MAX_FILTERED_TAGS, MAX_TAG_CHARACTERS)
    for place, extension in enumerate(filters.extensions):
        if not extension.isalnum():
            raise FiltersInvalid(
                'A kind of file has letters and digits alone, for example "pdf".', field=f"filters.extensions[{place}]"
            )
    start, end = filters.create_time_from, filters.create_time_before
    if start is not None and end is not None and start >= end:
        raise FiltersInvalid(
            f"No time is at or after {start.isoformat()} and before {end.isoformat()}.",
            field="filters.create_time_before",
        )
    return replace(
        filters,
        filenames=tuple(dict.fromkeys(filters.filenames)),
        extensions=tuple(dict.fromkeys(extension.lower() for extension in filters.extensions)),
        tags=tuple(dict.fromkeys(filters.tags)),
    )


def _check_values(name: str, shown: str, values: Sequence[str], most: int, most_characters: int) -> None:
    if len(values) > most:
        raise FiltersInvalid(
            f"A search can be narrowed to {most} {shown} at most, got {len(values)}.", field=f"filters.{name}"
        )
    for place, value in enumerate(values):
        if not value.strip() or len(value) > most_characters or "\0" in value:
            raise FiltersInvalid(
                f"A value has 1 to {most_characters} characters, not all blank and none NUL.",
                field=f"filters.{name}[{place}]",
            )


def read_filename(filename: str) -> str:
    """A file name to show with citations. Raises NameInvalid."""
    if not filename.strip() or len(filename) > MAX_FILENAME_CHARACTERS or "\0" in filename:
        raise NameInvalid(
            f"A file name has 1 to {MAX_FILENAME_CHARACTERS} characters, not all blank and none NUL.", field="filename"
        )
    return filename


def read_facts(facts: DocumentFacts) -> DocumentFacts:
    """What is known of a document, its tags none twice. Raises FactsInvalid."""
    if len(facts.title) > MAX_TITLE_CHARACTERS or "\0" in facts.title:
        raise FactsInvalid(f"A title has {MAX_TITLE_CHARACTERS} characters at most, none NUL.", field="facts.title")
    if len(facts.extension) > MAX_EXTENSION_CHARACTERS or (facts.extension and not facts.extension.isalnum()):
        raise FactsInvalid(
            f"A kind of file has {MAX_EXTENSION_CHARACTERS} letters and digits at most.", field="facts.extension"
        )
    if len(facts.tags) > MAX_TAGS:
        raise FactsInvalid(f"A document has {MAX_TAGS} tags at most, got {len(facts.tags)}.", field="facts.tags")
    for place, tag in enumerate(facts.tags):
        if not tag.strip() or len(tag) > MAX_TAG_CHARACTERS or "\0" in tag:
            raise FactsInvalid(
                f"A tag has 1 to {MAX_TAG_CHARACTERS} characters, not all blank and none NUL.",
                field=f"facts.tags[{place}]",
            )
    return replace(facts, extension=facts.extension.lower(), tags=tuple(dict.fromkeys(facts.tags)))


def read_chunks(chunks: Sequence[Chunk], *, chunk_count: int) -> list[Chunk]:
    """The chunks of one call, each of them fit to be stored but for its length in tokens. Raises ChunkInvalid."""
    if chunk_count < 1:
        raise ChunkInvalid(f"A document has at least one chunk, got {chunk_count}.", field="chunk_count")
    if len(chunks) > MAX_CHUNKS_PER_CALL:
        raise ChunkInvalid(f"One call takes {MAX_CHUNKS_PER_CALL} chunks at most, got {len(chunks)}.", field="chunks")
    seen: set[int] = set()
    for place, chunk in enumerate(chunks):
        field = f"chunks[{place}]"
        if not 0 <= chunk.index < chunk_count:
            raise ChunkInvalid(
                f"Chunk {chunk.index} is not one of the {chunk_count} the document has, counted from 0.",
                field=f"{field}.chunk_index",
            )
        if chunk.index in seen:
            raise ChunkInvalid(f"Chunk {chunk.index} is given twice.", field=f"{field}.chunk_index")
        seen.add(chunk.index)
        if not chunk.text.strip():
            raise ChunkInvalid(f"Chunk {chunk.index} is blank.", field=f"{field}.text")
        if "\0" in chunk.text or any("\0" in heading for heading in chunk.headings):
            raise ChunkInvalid(f"Chunk {chunk.index} holds a NUL character.", field=f"{field}.text")
        if chunk.table and not 0 <= chunk.table.first_row <= chunk.table.last_row:
            raise ChunkInvalid(f"Chunk {chunk.index} has rows that end before they start.", field=f"{field}.table")
        if not 0 <= chunk.start <= chunk.end:
            raise ChunkInvalid(f"Chunk {chunk.index} ends before it starts.", field=f"{field}.end")
        if chunk.page is not None and chunk.page < 1:
            raise ChunkInvalid(
                f"Chunk {chunk.index} is on page {chunk.page}; pages count from 1.", field=f"{field}.page"
            )
    return list(chunks)


def read_texts(texts: Sequence[str]) -> list[str]:
    """Texts to embed, but for their length in tokens. Raises TextsInvalid."""
    if not texts:
        raise TextsInvalid("There are no texts to embed.", field="texts")
    if len(texts) > MAX_TEXTS_PER_CALL:
        raise TextsInvalid(f"One call embeds {MAX_TEXTS_PER_CALL} texts at most, got {len(texts)}.", field="texts")
    for place, text in enumerate(texts):
        if not text.strip():
            raise TextsInvalid(f"Text {place} is blank.", field=f"texts[{place}]")
    return list(texts)
