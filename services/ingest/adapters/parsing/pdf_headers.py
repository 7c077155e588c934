"""Which rows at the top of a table are its header, and what they name each column."""

import re
from collections.abc import Sequence

from services.ingest.adapters.parsing.pdf_runs import Run

MAX_HEADER_ROWS = 6
MAX_NAME_CHARACTERS = 100
_MAX_HEADER_CELL_CHARACTERS = 60
_CENTRED_SHARE = 0.1  # of their width, by which a name over all columns may miss their middle
_NUMBER = re.compile(r"[-–—(+]*\s*[$€£¥]?\s*[-(]?\s*[\d.,']*\d[\d.,']*\s*[%)x]*(?:\s*(?:bn|m|k|million|billion))?\*?")
_NO_VALUE = re.compile(r"(?:[$€£¥]\s*)?[-–—]+\s*%?")
_YEAR = re.compile(r"(?:19|20)\d\d(?:\s*[/–-]\s*(?:19|20)?\d\d)?[aepAEP]?(?:\s*\(\w{1,3}\)|\*)?")


def is_value(cell: str) -> bool:
    """A number as it stands in a table's body, or the dash for none; but no year, which names columns as often."""
    if _NUMBER.fullmatch(cell) is not None:
        return _YEAR.fullmatch(cell) is None
    return _NO_VALUE.fullmatch(cell) is not None


def split_header(rows: Sequence[list[str]], bold: Sequence[bool]) -> tuple[int, int]:
    """Where the header begins, as the place of its first row, and where it ends, as that of the first row below it.

    Where columns hold numbers: the rows above the first number, when they name a column. Else the first row, when it
    fills every column, and is bold above rows that are not or has three columns and more. What stands above the header
    is too long to name anything, as a caption is.
    """
    first_value = next((place for place, row in enumerate(rows) if any(map(is_value, row[1:]))), None)
    if first_value is not None:
        return _above_values(rows, first_value)
    heads = len(rows) > 1 and (_heads_words(rows, bold) or _starts_with_years(rows))
    return 0, int(heads)


def _above_values(rows: Sequence[list[str]], first_value: int) -> tuple[int, int]:
    end = first_value
    # Labels right above the first numbers ("Current assets:") head a group of rows, not the columns.
    while end and not any(rows[end - 1][1:]):
        end -= 1
    long = (at for at, row in enumerate(rows[:end]) if any(len(cell) > _MAX_HEADER_CELL_CHARACTERS for cell in row))
    start = max(long, default=-1) + 1
    named = any(cell for row in rows[start:end] for cell in row[1:])
    return (start, end) if named and end - start <= MAX_HEADER_ROWS else (0, 0)


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

    A row that names fewer columns than there are, as one of the years above quarters does, names all that it stands
    over or is nearest to.
    """
    if not header:
        return ()
    names = [""] * len(columns)
    for runs, cells in header:
        over = _spread(runs, columns)
        for place in range(len(columns)):
            cell = over[place] if over and place else cells[place]
            if not place and not any(cells[1:]):  # a label, which heads rows
                continue
            names[place] = f"{names[place]} {cell}".strip()[:MAX_NAME_CHARACTERS]
    return tuple(names)


def _spread(runs: Sequence[Run], columns: Sequence[tuple[float, float]]) -> list[str]:
    """What each column gets of a row that names several columns at once; empty when each run names its own."""
    over = [run for run in runs if run.centre > columns[0][1]]
    if not over or len(columns) < 3 or 2 * len(over) > len(columns) - 1:
        return []
    if len(over) > 1:
        return [min(over, key=lambda run: _distance(run, column)).text for column in columns]
    [run] = over
    left, right = columns[1][0], columns[-1][1]
    if abs(run.centre - (left + right) / 2) < _CENTRED_SHARE * (right - left):
        return [run.text] * len(columns)
    return [run.text if run.left < right and run.right > left else "" for left, right in columns]


def _distance(run: Run, column: tuple[float, float]) -> float:
    centre = (column[0] + column[1]) / 2
    return max(run.left - centre, centre - run.right, 0.0)


def row_text(columns: Sequence[str], cells: Sequence[str]) -> str:
    """A row as "name: value; name: value", a cell without a name as it is; without any names "value | value"."""
    if not any(columns):
        return " | ".join(filter(None, cells))
    named = zip(columns, cells, strict=False)
    return "; ".join(f"{name.rstrip(':')}: {cell}" if name else cell for name, cell in named if cell)
