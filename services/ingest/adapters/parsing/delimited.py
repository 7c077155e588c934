"""CSV and TSV files, by the standard library."""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from services.ingest.adapters.parsing.table_rows import Tables
from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument

_MAX_CELL_CHARACTERS = 1_000_000
_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 20
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SAMPLE_CHARACTERS = 100_000


def parse_delimited(data: bytes, extension: str) -> ParsedDocument:
    """Every row as a line "header: value; …"; the first row is the header when it looks like one.

    Lines of one cell before a table of several are told as text: exports begin with a title.

    Raises: FileBroken: a quote is never closed, or a row or cell is gigantic. FileWithoutText.
    """
    text = decode(data)
    if "\x00" in text:
        raise FileBroken("the file holds NUL characters")
    said, text = _said_delimiter(text)
    delimiter = said or ("\t" if extension == "tsv" else _delimiter(text))
    return compose(_pieces(text, delimiter))


def _pieces(text: str, delimiter: str) -> Iterator[Piece]:
    csv.field_size_limit(_MAX_CELL_CHARACTERS)
    # Not strict: real files hold quotes inside unquoted cells.
    # Line by line: a file object over the text would take four times its size.
    reader = csv.reader((line.group() for line in _LINE.finditer(text)), delimiter=delimiter)
    rows = (row for row in reader if any(cell.strip() for cell in row))
    try:
        sample = list(islice(rows, _SAMPLE_LINES))
        titles = _title_count(sample)
        for row in sample[:titles]:
            yield Piece(BlockKind.PARAGRAPH, " ".join(filter(None, map(str.strip, row))))
        yield from Tables().of_texts(chain(sample[titles:], rows))
    except csv.Error as error:
        raise FileBroken(f"row {reader.line_num} cannot be read: {error}") from error


def _title_count(sample: Sequence[Sequence[str]]) -> int:
    """How many rows of one cell stand before rows that usually have several."""
    widths = [sum(bool(cell.strip()) for cell in row) for row in sample]
    if not widths or sorted(widths)[len(widths) // 2] < 2:
        return 0
    return next(place for place, width in enumerate(widths) if width > 1)


def _said_delimiter(text: str) -> tuple[str, str]:
    """What a first line "sep=;" says, which spreadsheets write and read, and the text after it."""
    first, _, rest = text[:20].partition("\n")
    first = first.strip().strip('"')
    if first.lower().startswith("sep=") and len(first) == 5:
        return first[4], text[len(text[:20]) - len(rest) :]
    return "", text


def _delimiter(text: str) -> str:
    """The character that cuts the first lines into the same number of cells, most cells winning; a comma in doubt."""
    lines = [line for line in text[:_SAMPLE_CHARACTERS].splitlines() if line.strip()][:_SAMPLE_LINES]
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
