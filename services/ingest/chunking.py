"""Cutting a document's text into chunks that an embedding model reads whole, along the document's own structure.

A chunk never crosses a page, so that its page is the page of every word in it. Blocks (headings, paragraphs, items,
rows of tables) stay whole where they fit; a longer one is cut between sentences, a longer sentence between words, and a
longer word between characters.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from services.ingest.models import Block, BlockKind, Chunk, ParsedDocument
from services.ingest.ports import TokenCounter

# WordPiece takes a word past 100 characters as one unknown token: cut there, it keeps a meaning and a true count.
MAX_WORD_CHARACTERS = 100
# Holds against text whose tokens are very long; ordinary prose has 4 to 5 characters a token.
MAX_CHARACTERS_PER_TOKEN = 8
# Raised whenever the same text would be cut differently, so that stored chunks are not taken for current ones.
CHUNKING_VERSION = 1

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[^\sa-z])|(?<=[。！？])|\n+")
_WORD = re.compile(r"\S+")
_ENDS_WITH_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Ss]t|[Nn]o|[Vv]ol|[Ff]ig|[Ee]q|[Ss]ec|cf|vs|e\.g|i\.e|approx|Inc|Ltd|Co|Corp)\.$"
)
_COUNT_BATCH = 1024


@dataclass(frozen=True)
class Span:
    """A stretch of the text that is not cut further: its place, its tokens, and the block it comes from."""

    start: int
    end: int
    token_count: int
    block: Block


@dataclass(frozen=True)
class Chunker:
    """Cuts documents into chunks.

    Attributes:
        max_tokens: tokens a chunk has at most, ≥ 8.
        overlap_tokens: tokens that a chunk may repeat from the end of its predecessor in the same section; whole
            sentences or rows only.
    """

    counter: TokenCounter
    max_tokens: int = 200
    overlap_tokens: int = 0

    @property
    def fingerprint(self) -> str:
        """Differs whenever the same text might be cut differently."""
        return f"chunks-{CHUNKING_VERSION}-{self.max_tokens}-{self.overlap_tokens}"

    def chunk(self, document: ParsedDocument) -> tuple[Chunk, ...]:
        """The chunks in order; every character that is not white space lies in at least one of them."""
        spans = list(self._spans(document))
        groups = [group for page in _by_page(spans) for group in self._pack(page)]
        pieces = self._within_limit(document.text, [(group[0].start, group[-1].end) for group in groups])
        return tuple(
            Chunk(
                index=index,
                text=document.text[start:end],
                start=start,
                end=end,
                token_count=count,
                page=groups[at][0].block.page,
                headings=_headings(groups[at]),
            )
            for index, (at, start, end, count) in enumerate(pieces)
        )

    def _within_limit(self, text: str, places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
        """(place, start, end, tokens) of every place, halved until it fits: the sum of tokens is not always the tokens
        of the sum."""
        for at, ((start, end), count) in enumerate(zip(places, self._count(text, places), strict=True)):
            if count <= self.max_tokens:
                yield at, start, end, count
            else:
                for half_start, half_end, half_count in self._halved(text, start, end):
                    yield at, half_start, half_end, half_count

    def _halved(self, text: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        [count] = self.counter.count_all([text[start:end]])
        if count <= self.max_tokens or end - start == 1:
            yield start, end, count
            return
        middle = (start + end) // 2
        space = max(text.rfind(" ", start, middle), text.rfind("\n", start, middle))
        middle = space if space > start + (end - start) // 4 else middle
        for half in ((start, middle), (middle, end)):
            for place in _trimmed(text, *half):
                yield from self._halved(text, *place)

    def _spans(self, document: ParsedDocument) -> Iterator[Span]:
        text, blocks = document.text, document.blocks
        counts = self._count(text, [(block.start, block.end) for block in blocks])
        for block, count in zip(blocks, counts, strict=True):
            if self._fits(text, block.start, block.end, count):
                yield Span(block.start, block.end, count, block)
            else:
                yield from self._cut_block(text, block)

    def _cut_block(self, text: str, block: Block) -> Iterator[Span]:
        sentences = list(_sentences(text, block.start, block.end))
        for (start, end), count in zip(sentences, self._count(text, sentences), strict=True):
            if self._fits(text, start, end, count):
                yield Span(start, end, count, block)
            else:
                yield from self._cut_sentence(text, start, end, block)

    def _cut_sentence(self, text: str, start: int, end: int, block: Block) -> Iterator[Span]:
        words = [
            (at, min(at + MAX_WORD_CHARACTERS, match.end()))
            for match in _WORD.finditer(text, start, end)
            for at in range(match.start(), match.end(), MAX_WORD_CHARACTERS)
        ]
        pieces: list[tuple[int, int, int]] = []
        for (at, to), count in zip(words, self._count(text, words), strict=True):
            if count <= self.max_tokens:
                pieces.append((at, to, count))
            else:  # scripts that put a token, or three, into each character
                pieces.extend(self._halved(text, at, to))
        open_start, open_end, open_count = pieces[0]
        for at, to, count in pieces[1:]:
            if open_count + count > self.max_tokens or to - open_start > self.max_tokens * MAX_CHARACTERS_PER_TOKEN:
                yield Span(open_start, open_end, open_count, block)
                open_start, open_count = at, 0
            open_end, open_count = to, open_count + count
        yield Span(open_start, open_end, open_count, block)

    def _pack(self, spans: Sequence[Span]) -> Iterator[list[Span]]:
        """Group the spans of one page so that each group fits and a section starts a group where that is worth it."""
        group: list[Span] = []
        total = 0
        for span in spans:
            too_much = self._overflows(group, total, span)
            new_section = span.block.kind is BlockKind.HEADING and self._is_worth_closing(group, total)
            if too_much or new_section:
                waiting = _trailing_headings(group)
                if waiting and len(waiting) < len(group):  # headings belong to what follows
                    yield group[: -len(waiting)]
                    group = waiting
                else:
                    yield group
                    group = [] if new_section else self._overlap(group, span)
                total = sum(kept.token_count for kept in group)
                if self._overflows(group, total, span):
                    yield group
                    group, total = [], 0
            group.append(span)
            total += span.token_count
        if group:
            yield group

    def _overflows(self, group: Sequence[Span], total: int, following: Span) -> bool:
        if not group:
            return False
        return (
            total + following.token_count > self.max_tokens
            or following.end - group[0].start > self.max_tokens * MAX_CHARACTERS_PER_TOKEN
        )

    def _is_worth_closing(self, group: Sequence[Span], total: int) -> bool:
        """A group of headings waits for its text, and a scrap of text joins the next section."""
        return total >= self.max_tokens // 4 and any(span.block.kind is not BlockKind.HEADING for span in group)

    def _overlap(self, group: Sequence[Span], following: Span) -> list[Span]:
        kept: list[Span] = []
        room = min(self.overlap_tokens, self.max_tokens - following.token_count)
        for span in reversed(group[1:]):  # never the whole group: each chunk must bring something new
            room -= span.token_count
            if room < 0 or span.block.headings != following.block.headings:
                break
            if following.end - span.start > self.max_tokens * MAX_CHARACTERS_PER_TOKEN:
                break
            kept.insert(0, span)
        return kept

    def _fits(self, text: str, start: int, end: int, count: int) -> bool:
        if count > self.max_tokens or end - start > self.max_tokens * MAX_CHARACTERS_PER_TOKEN:
            return False
        return end - start <= MAX_WORD_CHARACTERS or all(
            match.end() - match.start() <= MAX_WORD_CHARACTERS for match in _WORD.finditer(text, start, end)
        )

    def _count(self, text: str, places: Sequence[tuple[int, int]]) -> list[int]:
        counts: list[int] = []
        for at in range(0, len(places), _COUNT_BATCH):
            counts += self.counter.count_all([text[start:end] for start, end in places[at : at + _COUNT_BATCH]])
        return counts


def _by_page(spans: Iterable[Span]) -> Iterator[list[Span]]:
    for _, page in groupby(spans, key=lambda span: span.block.page):
        yield list(page)


def _trailing_headings(group: Sequence[Span]) -> list[Span]:
    """The headings at the end of a group: they belong to what follows."""
    first = len(group)
    while first and group[first - 1].block.kind is BlockKind.HEADING:
        first -= 1
    return list(group[first:])


def _headings(group: Sequence[Span]) -> tuple[str, ...]:
    """The path that everything in the group stands under; headings at its start count through what they head."""
    paths = [span.block.headings for span in group if span.block.kind is not BlockKind.HEADING]
    if not paths:
        return group[0].block.headings
    shared = paths[0]
    for path in paths[1:]:
        length = 0
        while length < min(len(shared), len(path)) and shared[length] == path[length]:
            length += 1
        shared = shared[:length]
    return shared


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Places of the sentences in a stretch of text, without the white space between them."""
    at = start
    for match in _SENTENCE_END.finditer(text, start, end):
        stop = match.start() + len(match.group().rstrip())
        if stop <= at or _ENDS_WITH_ABBREVIATION.search(text, max(at, stop - 12), stop):
            continue
        yield from _trimmed(text, at, stop)
        at = match.end()
    yield from _trimmed(text, at, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    stretch = text[start:end]
    left, right = len(stretch) - len(stretch.lstrip()), len(stretch.rstrip())
    if right > left:
        yield start + left, start + right
