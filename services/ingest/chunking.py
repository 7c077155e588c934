"""Putting a document's text together into chunks that an embedding model reads whole, along its own structure.

A chunk never crosses a page, so that its page is the page of every word in it. Blocks (headings, paragraphs, items,
rows of tables) stay whole where they fit (`cutting` says what becomes of others). Small sections share a chunk as long
as they fit into it whole; a heading stands with what follows it. The chunk's own text is exactly the document's: what a
reader needs besides, its title and headings, goes along with it and is not part of it.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Self

from services.ingest.cutting import Cutter, Span
from services.ingest.models import BlockKind, Chunk, EmbeddingLimits, ParsedDocument, TableRange
from services.ingest.ports import TokenCounter

# Raised whenever the same text would be cut differently, so that stored chunks are not taken for current ones.
CHUNKING_VERSION = 3
# The share of the model's length that is left for the title and the headings that are embedded with a chunk.
HEADER_SHARE = 4
# Of a chunk's length: a short chunk that repeats more is found more often and answers worse.
OVERLAP_SHARE = 8
# Of a chunk's length: less is a scrap, which joins the next section even where that has to be cut.
_SCRAP_SHARE = 4
_MAX_LEAD_CHARACTERS = 80
_PROSE = frozenset({BlockKind.PARAGRAPH, BlockKind.ITEM})
_COUNT_BATCH = 1024


@dataclass(frozen=True)
class Chunker:
    """Cuts documents into chunks.

    Attributes:
        max_tokens: tokens a chunk has at most, ≥ 8.
        merge_tokens: a section that has fewer shares its chunk with the next one, where both fit whole.
        overlap_tokens: tokens that a chunk may repeat from the end of its predecessor in the same section; whole
            sentences only, and no rows, which stand for themselves.
        max_bytes: bytes a chunk has at most in UTF-8; None: any number.
    """

    counter: TokenCounter
    max_tokens: int = 512
    merge_tokens: int = 256
    overlap_tokens: int = 0
    max_bytes: int | None = None

    @property
    def fingerprint(self) -> str:
        """Differs whenever the same text might be cut differently."""
        sizes = (self.max_tokens, self.merge_tokens, self.overlap_tokens, self.max_bytes or "any")
        return f"chunks-{CHUNKING_VERSION}-{'-'.join(map(str, sizes))}"

    def within(self, limits: EmbeddingLimits) -> Self:
        """The chunker whose chunks that model reads whole, with a header before them.

        A model whose tokens are not the counter's is held to bytes besides: no token stands for less than one.
        """
        room = limits.max_tokens - limits.max_tokens // HEADER_SHARE
        max_tokens = min(self.max_tokens, room)
        return replace(
            self,
            max_tokens=max_tokens,
            overlap_tokens=min(self.overlap_tokens, max_tokens // OVERLAP_SHARE),
            max_bytes=None if limits.model == self.counter.model else room,
        )

    def chunk(self, document: ParsedDocument) -> tuple[Chunk, ...]:
        """The chunks in order; every character that is not white space lies in at least one of them."""
        return tuple(self._chunks(document))

    def _chunks(self, document: ParsedDocument) -> Iterator[Chunk]:
        cutter = Cutter(self.counter, self.max_tokens, self.max_bytes)
        pages = groupby(cutter.spans(document), key=lambda span: span.block.page)
        groups = (group for _, page in pages for group in _Packer(self, cutter, document.text).pack(page))
        index = 0
        while batch := list(islice(groups, _COUNT_BATCH)):
            for group, start, end, count in _within_limit(cutter, document.text, batch):
                text = document.text[start:end]
                headings = _shared_headings(group) + _lead(document.text, group)
                yield Chunk(index, text, start, end, count, group[0].block.page, headings, _rows(group))
                index += 1


@dataclass
class _Packer:
    """Groups the spans of one page so that each group fits and a section starts a group where that is worth it."""

    chunker: Chunker
    cutter: Cutter
    text: str

    def pack(self, spans: Iterable[Span]) -> Iterator[list[Span]]:
        ahead = _Ahead(spans)
        group: list[Span] = []
        total = 0
        while span := ahead.take():
            at_border = _begins_section(group, span)
            must_close = self._overflows(group, total, span) or _parts_a_cut_row(group, span)
            if must_close or (at_border and self._is_full(group, total, ahead)):
                waiting = _trailing_headings(group)
                if waiting and len(waiting) < len(group):  # headings belong to what follows
                    yield group[: -len(waiting)]
                    group = waiting
                    if self._overflows(group, _tokens(group), span):
                        yield group
                        group = []
                else:
                    yield group
                    group = [] if at_border else self._overlap(group, span)
                total = _tokens(group)
            group.append(span)
            total += span.token_count
        if group:
            yield group

    def _overflows(self, group: Sequence[Span], total: int, following: Span) -> bool:
        if not group:
            return False
        return not self.cutter.fits(self.text, group[0].start, following.end, total + following.token_count)

    def _is_full(self, group: Sequence[Span], total: int, ahead: "_Ahead") -> bool:
        """Whether a new section is better off in a chunk of its own than in this one."""
        if all(span.block.kind is BlockKind.HEADING for span in group):
            return False  # headings wait for their text
        if total >= self.chunker.merge_tokens:
            return True
        is_scrap = total < self.chunker.max_tokens // _SCRAP_SHARE
        return not is_scrap and total + ahead.section_tokens(self.chunker.max_tokens) > self.chunker.max_tokens

    def _overlap(self, group: Sequence[Span], following: Span) -> list[Span]:
        """The last sentences of a group, as many as the next one may repeat."""
        kept: deque[Span] = deque()
        for span in reversed(group if self.chunker.overlap_tokens else ()):
            if not _continues(span, following):
                break
            for sentence in reversed(self.cutter.sentences(self.text, span)):
                total = _tokens(kept) + sentence.token_count
                is_whole_group = sentence.start == group[0].start  # each chunk must bring something new
                if (
                    is_whole_group
                    or total > self.chunker.overlap_tokens
                    or self._overflows([sentence], total, following)
                ):
                    return list(kept)
                kept.appendleft(sentence)
        return list(kept)


class _Ahead:
    """Spans that can be looked at before they are taken."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = iter(spans)
        self._seen: deque[Span] = deque()
        self._taken: Span | None = None

    def take(self) -> Span | None:
        self._taken = self._seen.popleft() if self._seen else next(self._spans, None)
        return self._taken

    def section_tokens(self, most: int) -> int:
        """Tokens of the section that the span taken last begins; counted no further than past `most`."""
        assert self._taken is not None
        section, total = [self._taken], self._taken.token_count
        place = 0
        while True:
            if place == len(self._seen):
                following = next(self._spans, None)
                if following is None:
                    return total
                self._seen.append(following)
            if total > most or _begins_section(section, self._seen[place]):
                return total
            section.append(self._seen[place])
            total += self._seen[place].token_count
            place += 1


def _adds_up(group: Sequence[Span]) -> bool:
    """Whether the tokens of the spans are together those of the stretch."""
    parted = all(former.end < latter.start for former, latter in itertools.pairwise(group))
    return parted and all(span.is_counted for span in group)


def _tokens(spans: Iterable[Span]) -> int:
    return sum(span.token_count for span in spans)


def _begins_section(group: Sequence[Span], span: Span) -> bool:
    """Whether something new begins: a heading after text, or another table right after one."""
    if not group:
        return False
    last, table = group[-1].block, span.block.table
    if span.block.kind is BlockKind.HEADING:
        return last.kind is not BlockKind.HEADING
    return table is not None and last.table is not None and last.table.table != table.table


def _parts_a_cut_row(group: Sequence[Span], span: Span) -> bool:
    """Whether a row that had to be cut begins or ends between the two: its parts share a chunk with no other row."""
    if not group or group[-1].block is span.block or group[-1].block.kind is BlockKind.HEADING:
        return False
    return any(
        each.block.kind is BlockKind.ROW and (each.start, each.end) != (each.block.start, each.block.end)
        for each in (group[-1], span)
    )


def _lead(text: str, group: Sequence[Span]) -> tuple[str, ...]:
    """The first cells of a row in the middle of which the group begins: they say whose the others are."""
    block = group[0].block
    if block.kind is not BlockKind.ROW or group[0].start == block.start:
        return ()
    beginning = text[block.start : min(block.end, block.start + _MAX_LEAD_CHARACTERS)]
    lead = beginning.rpartition("; ")[0] or beginning.rpartition(" ")[0] or beginning
    return (" ".join(lead.split()),)


def _continues(span: Span, following: Span) -> bool:
    return (
        span.block.headings == following.block.headings and span.block.kind in _PROSE and following.block.kind in _PROSE
    )


def _trailing_headings(group: Sequence[Span]) -> list[Span]:
    """The headings at the end of a group: they belong to what follows."""
    first = len(group)
    while first and group[first - 1].block.kind is BlockKind.HEADING:
        first -= 1
    return list(group[first:])


def _shared_headings(group: Sequence[Span]) -> tuple[str, ...]:
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


def _rows(group: Sequence[Span]) -> TableRange | None:
    """The rows that the group holds, where they are of one table."""
    places = [span.block.table for span in group if span.block.table is not None]
    if not places or any(place.table != places[0].table for place in places):
        return None
    return TableRange(places[0].table, places[0].row, places[-1].row)


def _within_limit(
    cutter: Cutter, text: str, groups: Sequence[list[Span]]
) -> Iterator[tuple[list[Span], int, int, int]]:
    """(group, start, end, tokens) of every group, halved until it fits.

    The sum of tokens is the tokens of the sum only where white space parts them; counting again takes as long as
    everything else.
    """
    places = [(group[0].start, group[-1].end) for group in groups]
    unsure = [at for at, group in enumerate(groups) if not _adds_up(group)]
    recounted = dict(zip(unsure, cutter.count(text, [places[at] for at in unsure]), strict=True))
    for at, (group, (start, end)) in enumerate(zip(groups, places, strict=True)):
        count = recounted[at] if at in recounted else _tokens(group)
        if cutter.fits(text, start, end, count):
            yield group, start, end, count
        else:
            for part_start, part_end, part_count in cutter.halved(text, start, end):
                inside = [span for span in group if span.end > part_start and span.start < part_end]
                yield inside or group, part_start, part_end, part_count
