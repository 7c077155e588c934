"""Cutting evaluation texts into chunks the way documents are: whole paragraphs under their headings, within the model."""

import re
from collections.abc import Iterator
from dataclasses import replace

from services.rag.models import Chunk

_PARAGRAPH = re.compile(r"\S(?:.|\n(?!\s*\n))*")
_HEADING = re.compile(r"(#{1,6})\s+(.+)")
_MOST_WORDS = 130


def cut(text: str) -> list[Chunk]:
    """Chunks of at most about 130 words; a heading starts a new one and is kept as its heading path."""
    return [replace(chunk, index=index) for index, chunk in enumerate(_cut(text))]


def _cut(text: str) -> Iterator[Chunk]:
    headings: list[str] = []
    opened: tuple[int, int] | None = None
    for match in _PARAGRAPH.finditer(text):
        heading = _HEADING.match(match.group())
        if opened and (heading or len(text[opened[0] : match.end()].split()) > _MOST_WORDS):
            yield Chunk(0, text[opened[0] : opened[1]], *opened, None, tuple(headings))
            opened = None
        if heading:
            headings = [*headings[: len(heading[1]) - 1], heading[2].strip()]
        opened = (opened[0] if opened else match.start(), match.end())
    if opened:
        yield Chunk(0, text[opened[0] : opened[1]], *opened, None, tuple(headings))
