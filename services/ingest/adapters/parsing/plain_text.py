"""Plain text: paragraphs parted by empty lines, kept as they are."""

import re

from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.composing import Piece, clean_text, compose
from services.ingest.models import BlockKind, ParsedDocument

_EMPTY_LINES = re.compile(r"\n[ \t]*\n\s*")


def parse_plain_text(data: bytes) -> ParsedDocument:
    """Raises: FileWithoutText, FileBroken (encoding)."""
    return compose(Piece(BlockKind.PARAGRAPH, paragraph) for paragraph in _EMPTY_LINES.split(clean_text(decode(data))))
