"""Cutting a document's blocks into stretches that are not cut further: whole blocks where they fit, else their parts.

A paragraph that is too long is cut between sentences, a row between cells, code between lines; what is still too long
between words, and a word that is too long between characters.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from services.ingest.models import Block, BlockKind, ParsedDocument
from services.ingest.ports import TokenCounter

# WordPiece takes a word past 100 characters as one unknown token: cut there, it keeps a meaning and a true count.
MAX_WORD_CHARACTERS = 100
# Holds against text whose tokens are very long; ordinary prose has 4 to 5 characters a token.
MAX_CHARACTERS_PER_TOKEN = 8

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[^\sa-z])|(?<=[。！？])|\n+")
_ENDS_WITH_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Ss]t|[Nn]o|[Vv]ol|[Ff]ig|[Ee]q|[Ss]ec|cf|vs|e\.g|i\.e|approx|Inc|Ltd|Co|Corp)\.$"
)
_CELL_END = re.compile(r"(?<=;) |\n+")
_LINE_END = re.compile(r"\n+")
_WORD = re.compile(r"\S+")
_LONG_WORD = re.compile(rf"\S{{{MAX_WORD_CHARACTERS + 1}}}")
_COUNT_BATCH = 1024


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the text that is not cut further: its place, its tokens, and the block it comes from.

    `is_counted`: the tokens were counted in it as it is, not in the pieces it was put together from.
    """

    start: int
    end: int
    token_count: int
    block: Block
    is_counted: bool = True


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts into stretches of at most `max_tokens`, and of at most `max_bytes` in UTF-8 where that is set."""

    counter: TokenCounter
    max_tokens: int
    max_bytes: int | None = None

    def spans(self, document: ParsedDocument) -> Iterator[Span]:
        """All of a document in order, a batch of blocks at a time, so that a long one takes no memory of its own."""
        blocks = iter(document.blocks)
        while batch := list(islice(blocks, _COUNT_BATCH)):
            counts = self.count(document.text, [(block.start, block.end) for block in batch])
            for block, count in zip(batch, counts, strict=True):
                if self._is_whole(document.text, block.start, block.end, count):
                    yield Span(block.start, block.end, count, block)
                else:
                    yield from self._cut_block(document.text, block)

    def sentences(self, text: str, span: Span) -> list[Span]:
        """The sentences of a span of prose."""
        places = list(_parted(text, span.start, span.end, _SENTENCE_END))
        counts = self.count(text, places)
        return [Span(*place, count, span.block) for place, count in zip(places, counts, strict=True)]

    def count(self, text: str, places: Sequence[tuple[int, int]]) -> list[int]:
        """Tokens of each place."""
        counts: list[int] = []
        for at in range(0, len(places), _COUNT_BATCH):
            counts += self.counter.count_all([text[start:end] for start, end in places[at : at + _COUNT_BATCH]])
        return counts

    def fits(self, text: str, start: int, end: int, count: int) -> bool:
        """Whether a stretch is short enough in tokens, characters and bytes."""
        if count > self.max_tokens or end - start > self.max_tokens * MAX_CHARACTERS_PER_TOKEN:
            return False
        return self.max_bytes is None or len(text[start:end].encode()) <= self.max_bytes

    def halved(self, text: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(start, end, tokens) of a stretch in halves, cut until each fits."""
        [count] = self.counter.count_all([text[start:end]])
        if self.fits(text, start, end, count) or end - start == 1:
            yield start, end, count
            return
        middle = (start + end) // 2
        space = max(text.rfind(" ", start, middle), text.rfind("\n", start, middle))
        middle = space if space > start + (end - start) // 4 else middle
        for half in ((start, middle), (middle, end)):
            for place in _trimmed(text, *half):
                yield from self.halved(text, *place)

    def _is_whole(self, text: str, start: int, end: int, count: int) -> bool:
        if not self.fits(text, start, end, count):
            return False
        return end - start <= MAX_WORD_CHARACTERS or _LONG_WORD.search(text, start, end) is None

    def _cut_block(self, text: str, block: Block) -> Iterator[Span]:
        parted = {BlockKind.ROW: _CELL_END, BlockKind.CODE: _LINE_END}.get(block.kind, _SENTENCE_END)
        for start, end, count in self._counted(text, _parted(text, block.start, block.end, parted)):
            if self._is_whole(text, start, end, count):
                yield Span(start, end, count, block)
            else:
                yield from self._cut_words(text, start, end, block)

    def _cut_words(self, text: str, start: int, end: int, block: Block) -> Iterator[Span]:
        pieces = self._pieces(text, start, end)
        open_start, open_end, open_count = next(pieces)
        for at, to, count in pieces:
            if not self.fits(text, open_start, to, open_count + count):
                yield Span(open_start, open_end, open_count, block, is_counted=False)
                open_start, open_count = at, 0
            open_end, open_count = to, open_count + count
        yield Span(open_start, open_end, open_count, block, is_counted=False)

    def _pieces(self, text: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(start, end, tokens) of the words of a stretch, and of the parts of those that are too long."""
        words = (
            (at, min(at + MAX_WORD_CHARACTERS, match.end()))
            for match in _WORD.finditer(text, start, end)
            for at in range(match.start(), match.end(), MAX_WORD_CHARACTERS)
        )
        for at, to, count in self._counted(text, words):
            if self.fits(text, at, to, count):
                yield at, to, count
            else:  # scripts that put a token, or three, into each character
                yield from self.halved(text, at, to)

    def _counted(self, text: str, places: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
        """(start, end, tokens) of each place, a batch at a time."""
        while batch := list(islice(places, _COUNT_BATCH)):
            for (start, end), count in zip(batch, self.count(text, batch), strict=True):
                yield start, end, count


def _parted(text: str, start: int, end: int, border: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Places of the parts of a stretch, without the white space between them."""
    at = start
    for match in border.finditer(text, start, end):
        stop = match.start() + len(match.group().rstrip())
        if stop <= at or _ENDS_WITH_ABBREVIATION.search(text, max(at, stop - 12), stop):
            continue
        yield from _trimmed(text, at, stop)
        at = match.end()
    yield from _trimmed(text, at, end)


def _trimmed(text: str, start: int, end: int) -> Iterable[tuple[int, int]]:
    stretch = text[start:end]
    left, right = len(stretch) - len(stretch.lstrip()), len(stretch.rstrip())
    return [(start + left, start + right)] if right > left else []
