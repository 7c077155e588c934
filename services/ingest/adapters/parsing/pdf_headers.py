"""Which rows at the top of a table are its header, and what they name each column."""

import re
from collections.abc import Sequence

from services.ingest.adapters.parsing.pdf_runs import Run

MAX_HEADER_ROWS = 4
MAX_NAME_CHARACTERS = 100
_MAX_HEADER_CELL_CHARACTERS = 60
_NUMBER = re.compile(r"[-–—(+]*\s*[$€£¥]?\s*[-(]?\s*[\d.,']*\d[\d.,']*\s*[%)x]*(?:\s*(?:bn|m|k|million|billion))?\*?")
_BLANK_VALUE = re.compile(r"[-–—]+|n/?a|nm", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d(?:\s*[/–-]\s*(?:19|20)?\d\d)?[aepAEP]?(?:\s*\(\w{1,3}\)|\*)?")


def is_value(cell: str) -> bool:
    """A number as it stands in a table's body. A year is none: it names columns at least as often."""
    return _NUMBER.fullmatch(cell) is not None and _YEAR.fullmatch(cell) is None


def split_header(rows: Sequence[list[str]], bold: Sequence[bool]) -> tuple[int, list[list[str]]]:
    """How many rows at the top are the header, and the rows below it.

    Where columns hold numbers: the rows above the first number, when they name more than one column or a number's
    column. Else the first row, when it fills every column, and is bold above rows that are not or has three
    columns and more.
    """
    first_value = next((place for place, row in enumerate(rows) if any(map(is_value, row[1:]))), None)
    if first_value is not None:
        header = _above_values(rows, first_value)
    elif _heads_words(rows, bold) or _starts_with_years(rows):
        header = 1
    else:
        header = 0
    return (header, list(rows[header:])) if header < len(rows) else (0, list(rows))


def _above_values(rows: Sequence[list[str]], first_value: int) -> int:
    if first_value == 0 or first_value > MAX_HEADER_ROWS + 2:
        return 0
    header = first_value
    # Labels right above the first numbers ("Current assets:") head a group of rows, not the columns.
    while header and not any(rows[header - 1][1:]):
        header -= 1
    if header > MAX_HEADER_ROWS or any(
        len(cell) > _MAX_HEADER_CELL_CHARACTERS for row in rows[:header] for cell in row
    ):
        return 0
    named = {place for row in rows[:header] for place, cell in enumerate(row) if place and cell}
    return header if named else 0


def _starts_with_years(rows: Sequence[list[str]]) -> bool:
    cells = [cell for cell in rows[0][1:] if cell]
    return len(rows) > 1 and bool(cells) and all(_YEAR.fullmatch(cell) for cell in cells)


def _heads_words(rows: Sequence[list[str]], bold: Sequence[bool]) -> bool:
    first = rows[0]
    if len(rows) < 2 or not all(first) or len({cell.casefold() for cell in first}) < len(first):
        return False
    if any(len(cell) > _MAX_HEADER_CELL_CHARACTERS or is_value(cell) for cell in first):
        return False
    stands_out = bold[0] and not any(bold[1:])
    return stands_out or (len(first) > 2 and len(rows) > 2)


def names_of(
    header: Sequence[tuple[Sequence[Run], Sequence[str]]], columns: Sequence[tuple[float, float]]
) -> tuple[str, ...]:
    """A name for each column from the header's rows, top down, each as its runs and as its cells; empty without one.

    A row that names fewer columns than there are, as one of the years above quarters does, names all that it is
    nearest to.
    """
    if not header:
        return ()
    names = [""] * len(columns)
    for runs, cells in header:
        over = [run for run in runs if run.centre > columns[0][1]] if len(columns) > 2 else []
        spread = over and 2 * len(over) <= len(columns) - 1
        for place, (left, right) in enumerate(columns):
            cell = cells[place]
            if spread and place:
                centre = (left + right) / 2
                cell = min(over, key=lambda run: max(run.left - centre, centre - run.right, 0.0)).text
            names[place] = f"{names[place]} {cell}".strip()[:MAX_NAME_CHARACTERS]
    return tuple(names)


def row_text(columns: Sequence[str], cells: Sequence[str]) -> str:
    """A row as "name: value; name: value", a cell without a name as it is; without any names "value | value"."""
    if not any(columns):
        return " | ".join(filter(None, cells))
    named = zip(columns, cells, strict=False)
    return "; ".join(f"{name.rstrip(':')}: {cell}" if name else cell for name, cell in named if cell)
