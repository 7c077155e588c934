"""Cutting evaluation texts into chunks the way documents are: whole sentences under their headings, not too long."""

import re
from collections.abc import Iterator
from dataclasses import replace

from services.rag.models import Chunk
from services.rag.sentences import sentences_of

_PARAGRAPH = re.compile(r"\S(?:.|\n(?!\s*\n))*")
_HEADING = re.compile(r"(#{1,6})\s+([^\n]+)")
_MOST_WORDS = 130


def cut(text: str) -> list[Chunk]:
    """Chunks of at most about 130 words; a heading starts a new one and is kept as its heading path."""
    return [replace(chunk, index=index) for index, chunk in enumerate(_cut(text))]


def _cut(text: str) -> Iterator[Chunk]:
    headings: list[str] = []
    opened: tuple[int, int] | None = None
    for start, end in _pieces(text):
        heading = _HEADING.match(text, start, end)
        if opened and (heading or len(text[opened[0] : end].split()) > _MOST_WORDS):
            yield Chunk(0, text[opened[0] : opened[1]], *opened, None, tuple(headings))
            opened = None
        if heading:
            headings = [*headings[: len(heading[1]) - 1], heading[2].strip()]
        opened = (opened[0] if opened else start, end)
    if opened:
        yield Chunk(0, text[opened[0] : opened[1]], *opened, None, tuple(headings))


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Paragraphs, and the sentences of those that are too long."""
    for match in _PARAGRAPH.finditer(text):
        if len(match.group().split()) <= _MOST_WORDS:
            yield match.span()
        else:
            for start, end, _ in sentences_of(match.group()):
                yield match.start() + start, match.start() + end
