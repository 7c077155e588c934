"""Putting what a parser reads, piece by piece, together into a document: its text, spans and heading paths."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import Block, BlockKind, PageNote, ParsedDocument, TablePlace

# A table of wide headers can grow a hundredfold when each row repeats them.
MAX_TEXT_CHARACTERS = 100_000_000
MAX_HEADING_CHARACTERS = 200
MAX_HEADINGS_DEEP = 8
MAX_TITLE_CHARACTERS = 300
# Between two of these a single line break does; everything else is set apart by an empty line.
_TIGHT = frozenset({BlockKind.ROW, BlockKind.ITEM})
# A string takes fifty bytes besides its text: a long table is joined as it comes.
_PARTS_TOGETHER = 4096
# Two letters side by side, or one of a script that writes words with one.
_NAMES_SOMETHING = re.compile(r"[^\W\d_]{2}|[\u3040-\u9fff\uac00-\ud7af]")
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ufeff\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True)
class Piece:
    """What a parser found: text of one kind. `level` counts headings from 1, the outermost; 0 for all else.

    `table` says where a row stands.
    """

    kind: BlockKind
    text: str
    level: int = 0
    page: int | None = None
    table: TablePlace | None = None


def compose(
    pieces: Iterable[Piece], *, title: str = "", page_count: int | None = None, page_notes: Iterable[PageNote] = ()
) -> ParsedDocument:
    """Join the pieces in order. `page_notes` are taken when the pieces are, so that a reader may add to them meanwhile.

    Characters that no text holds (controls, lone surrogates, byte order marks) are left out. Without a title that holds
    a word, which the numbers of some archives do not, the first outermost heading serves.

    Raises: FileWithoutText: no piece holds a letter or digit. FileBroken: there is more than MAX_TEXT_CHARACTERS.
    """
    title = " ".join(clean_text(title).split()) if _NAMES_SOMETHING.search(title) else ""
    stretches: list[str] = []
    parts: list[str] = []
    blocks: list[Block] = []
    path: list[tuple[int, str]] = []
    headings: tuple[str, ...] = ()  # one for all blocks that stand under it
    length = 0
    previous: BlockKind | None = None
    for piece in pieces:
        text = clean_text(piece.text)
        if not text:
            continue
        if length > MAX_TEXT_CHARACTERS:
            raise FileBroken(f"the file unpacks to more than {MAX_TEXT_CHARACTERS:,} characters of text")
        if previous is not None:
            gap = "\n" if previous in _TIGHT and piece.kind is previous else "\n\n"
            parts.append(gap)
            length += len(gap)
        if piece.kind is BlockKind.HEADING:
            while path and path[-1][0] >= piece.level:
                path.pop()
            headings = tuple(heading for _, heading in path[:MAX_HEADINGS_DEEP])
        blocks.append(Block(piece.kind, length, length + len(text), piece.page, headings, piece.table))
        parts.append(text)
        length += len(text)
        if piece.kind is BlockKind.HEADING:
            path.append((piece.level, " ".join(text.split())[:MAX_HEADING_CHARACTERS]))
            title = title or path[0][1]
            headings = tuple(heading for _, heading in path[:MAX_HEADINGS_DEEP])
        previous = piece.kind
        if len(parts) >= _PARTS_TOGETHER:
            stretches.append("".join(parts))
            parts.clear()
    whole = "".join([*stretches, *parts])
    if not any(character.isalnum() for character in whole):
        raise FileWithoutText("there is no text in the file")
    return ParsedDocument(whole, tuple(blocks), title[:MAX_TITLE_CHARACTERS], page_count, tuple(page_notes))


def clean_text(raw: str) -> str:
    """The text in NFC, with plain line breaks and without white space at its ends and characters no text holds."""
    text = raw.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n").replace("\xad", "")
    return unicodedata.normalize("NFC", _UNWANTED.sub("", text)).strip()
