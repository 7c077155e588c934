"""Rows of a table as lines that can be understood one by one: "header: value; header: value"."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice

from services.ingest.composing import Piece
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, TablePlace

MAX_COLUMNS = 16_384  # as many as spreadsheets have
_MAX_GRID_CELLS = 2_000_000
_MAX_HEADER_CHARACTERS = 80
_SAMPLE_ROWS = 20  # by which a header is told from data
_YEAR = re.compile(r"(?:FY ?)?(?:19|20)\d\d(?: ?[-/–] ?\d{2,4})?")
_SENTENCE = re.compile(r"(?:\S+ ){3,}\S+[.!]$")
_NUMBER_MARKS = str.maketrans("", "", ",% $€£¥()+-–\u00a0'")


@dataclass(frozen=True)
class Cell:
    """A cell as a document has it, over so many columns and rows."""

    text: str
    columns: int = 1
    rows: int = 1
    is_header: bool = False


class Tables:
    """Makes rows of the tables of one document, which it numbers in the order they come."""

    def __init__(self) -> None:
        self._count = 0

    def of_cells(
        self,
        rows: Sequence[Sequence[Cell]],
        *,
        header_rows: int | None = None,
        least_header_rows: int = 0,
        page: int | None = None,
    ) -> Iterator[Piece]:
        """A table whose cells may span others. What stands over all columns before the header is told as text.

        Args:
            header_rows: how many rows the document says are its header; None where it does not say.
            least_header_rows: the same where it says that there are some, and may be more.
        Raises: FileBroken: it has more cells than are read.
        """
        grid = spread(rows)
        filled = [place for place, row in enumerate(grid) if any(row)]
        first = 0
        while len(filled) - first > 1 and (title := _title(rows[filled[first]], len(grid[0]))):
            yield Piece(BlockKind.PARAGRAPH, title, page=page)
            first += 1
        places = filled[first:]
        if not places:
            return
        if header_rows is None:
            found = _header_rows([rows[place] for place in places], [grid[place] for place in places])
            header_rows = max(found, least_header_rows)
        else:
            header_rows = sum(place < header_rows for place in places)
        if header_rows >= len(places):
            header_rows = 0
        header = _joined([grid[place] for place in places[:header_rows]]) if header_rows else None
        if header is None and _names_stand_beside([rows[place] for place in places]):
            grid = [[f"{row[0].removesuffix(':')}:", *row[1:]] if row[0] else row for row in grid]
        body = (grid[place] for place in places[header_rows:])
        yield from self.of_rows(_without_repeats(body, rows, places[header_rows:]), header, page=page)

    def of_texts(self, rows: Iterable[Sequence[str]], *, page: int | None = None) -> Iterator[Piece]:
        """A table whose first row is the header when it looks like one. Rows are read as they are needed."""
        remaining = iter(rows)
        sample = list(islice((row for row in remaining if any(cell.strip() for cell in row)), _SAMPLE_ROWS))
        if len(sample) > 1 and looks_like_header(sample[0], sample[1:]):
            yield from self.of_rows(chain(sample[1:], remaining), sample[0], page=page)
        else:
            yield from self.of_rows(chain(sample, remaining), None, page=page)

    def of_rows(
        self, rows: Iterable[Sequence[str]], header: Sequence[str] | None, *, page: int | None = None
    ) -> Iterator[Piece]:
        """A table of that header, or of none. Empty rows are left out; names over nothing are told at the end."""
        names = tuple(_flat(name) for name in header or ())
        columns = names if any(names) else ()
        unused = {place for place, name in enumerate(names) if name}
        count = 0
        for row in rows:
            if line := row_line(row, names):
                yield Piece(BlockKind.ROW, line, page=page, table=TablePlace(self._count, count, columns))
                count += 1
                if unused:
                    unused = {place for place in unused if place >= len(row) or not row[place].strip()}
        self._count += count > 0
        if unused:
            yield Piece(BlockKind.PARAGRAPH, "; ".join(names[place] for place in sorted(unused)), page=page)


def row_line(row: Sequence[str], names: Sequence[str]) -> str:
    """The row as one line; empty cells are left out, and cells past the header stand alone.

    Raises: FileBroken: it has more cells than any table.
    """
    if len(row) > MAX_COLUMNS:
        raise FileBroken(f"a row of the file has {len(row):,} cells; at most {MAX_COLUMNS:,} are read")
    cells = []
    for place, value in enumerate(map(_flat, row)):
        name = names[place] if place < len(names) else ""
        if value:
            cells.append(f"{name}: {value}" if name and name != value else value)
    return "; ".join(cells).replace(":; ", ": ")  # a cell that announces the next one


def looks_like_header(row: Sequence[str], following: Sequence[Sequence[str]] = ()) -> bool:
    """Whether a first row names columns: its cells are short, differ and are no numbers; the first may be empty.

    Years name columns when there are no years below them, and any number can stand over the first column where names
    stand over numbers elsewhere.
    """
    cells = [cell.strip() for cell in row]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    named = cells[1:] if len(cells) > 2 and not cells[0] else cells
    if not named or not all(named) or len({cell.casefold() for cell in named}) != len(named):
        return False
    if any(len(cell) > _MAX_HEADER_CHARACTERS or _SENTENCE.search(cell) for cell in named):
        return False
    if cells[0].endswith(":") and all(each[0].strip().endswith(":") for each in following if each):
        return False  # the names stand beside the values
    numbers = [place for place, cell in enumerate(cells) if cell and is_number(cell)]
    if not numbers:
        return True
    if numbers == [0]:
        return len(cells) > 2 and any(_are_numbers(following, place) for place in range(1, len(cells)))
    if 0 in numbers or not all(_YEAR.fullmatch(cells[place]) for place in numbers):
        return False
    below = (each[place].strip() for each in following for place in numbers if place < len(each))
    return not any(map(_YEAR.fullmatch, below))


def _are_numbers(rows: Sequence[Sequence[str]], place: int) -> bool:
    """Whether a column holds numbers and nothing else."""
    cells = [row[place] for row in rows if place < len(row) and row[place].strip()]
    return bool(cells) and all(map(is_number, cells))


def is_number(cell: str) -> bool:
    """Whether a cell holds an amount rather than a name."""
    try:
        float(cell.translate(_NUMBER_MARKS))
    except ValueError:
        return False
    return True


def spread(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """The table as a grid in which each cell stands at all the places it spans; rows are equally long.

    Raises: FileBroken: it has more cells than are read.
    """
    lines: list[dict[int, str]] = []
    from_above: dict[int, tuple[str, int]] = {}
    width = 0
    for row in rows:
        line = {place: text for place, (text, _) in from_above.items()}
        below = {place: (text, left - 1) for place, (text, left) in from_above.items() if left > 1}
        place = 0
        for cell in row:
            while place in line:
                place += 1
            for at in range(place, min(place + max(cell.columns, 1), MAX_COLUMNS)):
                line.setdefault(at, cell.text)
                if cell.rows > 1:
                    below.setdefault(at, (cell.text, cell.rows - 1))
            place += max(cell.columns, 1)
        width = max(width, max(line, default=-1) + 1)
        lines.append(line)
        from_above = below
        if width * len(lines) > _MAX_GRID_CELLS:
            raise FileBroken(f"a table of the file has more than {_MAX_GRID_CELLS:,} cells")
    return [[line.get(place, "") for place in range(width)] for line in lines]


def _title(row: Sequence[Cell], width: int) -> str:
    """The text of a row that is one cell over all columns; "" for any other."""
    filled = [cell for cell in row if cell.text.strip()]
    return filled[0].text if width > 1 and len(filled) == 1 and filled[0].columns >= width else ""


def _names_stand_beside(rows: Sequence[Sequence[Cell]]) -> bool:
    """Whether each row is marked as beginning with what it is about."""
    return all(len(row) > 1 and row[0].is_header and not row[1].is_header for row in rows)


def _header_rows(rows: Sequence[Sequence[Cell]], grid: Sequence[Sequence[str]]) -> int:
    """How many rows at the start name columns: those marked so, else one that looks so, or two under shared names."""
    marked = 0
    for row in rows:
        if not row or not all(cell.is_header for cell in row):
            break
        marked += 1
    if marked or _names_stand_beside(rows):
        return marked
    shares = len(rows) > 2 and any(cell.columns > 1 for cell in rows[0])
    names = _joined(grid[:2]) if shares else []
    if shares and looks_like_header([name for name, _ in groupby(names)], grid[2 : 2 + _SAMPLE_ROWS]):
        return 2
    return int(len(rows) > 1 and looks_like_header(grid[0], grid[1 : 1 + _SAMPLE_ROWS]))


def _joined(rows: Sequence[Sequence[str]]) -> list[str]:
    """Names of columns from the rows of a header: what stands above, then what stands below it."""
    return [" / ".join(dict.fromkeys(filter(None, map(_flat, names)))) for names in zip(*rows, strict=True)]


def _without_repeats(
    body: Iterable[Sequence[str]], rows: Sequence[Sequence[Cell]], places: Sequence[int]
) -> Iterator[Sequence[str]]:
    """Values that span columns are told once; those that span rows in each."""
    for line, place in zip(body, places, strict=True):
        if any(cell.columns > 1 for cell in rows[place]):
            yield [cell if at == 0 or cell != line[at - 1] else "" for at, cell in enumerate(line)]
        else:
            yield line


def _flat(value: str) -> str:
    return " ".join(value.split())
