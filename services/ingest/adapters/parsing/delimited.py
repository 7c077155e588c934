"""CSV and TSV files, by the standard library."""

import csv
import io
from collections.abc import Iterator

from services.ingest.adapters.parsing.table_rows import looks_like_header, row_lines
from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument

_MAX_CELL_CHARACTERS = 1_000_000
_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 20


def parse_delimited(data: bytes, extension: str) -> ParsedDocument:
    """Every row as a line "header: value; …"; the first row is the header when it looks like one.

    Raises: FileBroken: a quote is never closed, or a cell is gigantic. FileWithoutText.
    """
    text = decode(data)
    if "\x00" in text:
        raise FileBroken("the file holds NUL characters")
    delimiter = "\t" if extension == "tsv" else _delimiter(text)
    return compose(Piece(BlockKind.ROW, line) for line in _lines(text, delimiter))


def _lines(text: str, delimiter: str) -> Iterator[str]:
    csv.field_size_limit(_MAX_CELL_CHARACTERS)
    # Not strict: real files hold quotes inside unquoted cells.
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        first = next((row for row in rows if any(cell.strip() for cell in row)), None)
        if first is None:
            return
        if not looks_like_header(first):
            yield from row_lines([first], None)
            yield from row_lines(rows, None)
            return
        count = 0
        for count, line in enumerate(row_lines(rows, first), start=1):  # noqa: B007
            yield line
        if count == 0:
            yield from row_lines([first], None)
    except csv.Error as error:
        raise FileBroken(f"row {rows.line_num} cannot be read: {error}") from error


def _delimiter(text: str) -> str:
    """The character that cuts the first lines into the same number of cells, most cells winning; a comma in doubt."""
    lines = [line for line in text[:100_000].splitlines() if line.strip()][:_SAMPLE_LINES]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        if not widths:
            continue
        usual = max(set(widths), key=lambda width: (widths.count(width), width))
        score = (usual - 1) * (widths.count(usual) / len(widths)) ** 2
        if score > best_score:
            best, best_score = delimiter, score
    return best
