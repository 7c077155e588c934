"""The tables of a spreadsheet, which it does not mark: rows that hang together, with a header where one can be told."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from services.ingest.adapters.parsing.table_rows import Cell, Tables, is_number
from services.ingest.composing import Piece
from services.ingest.models import BlockKind

Row = tuple[int, dict[int, str]]
"""A row's number from 1 and its cells by column from 0; empty ones are left out."""

# A longer run of rows is told as it comes: its header is looked for in these, and tables side by side are not parted.
_HELD_ROWS = 2_000
_MAX_HEADING_CHARACTERS = 100
_MAX_MERGED_ROWS = 1_000  # by which a merged cell holds rows together


class SheetTables:
    """Reads one sheet. `merges` are rows and columns that merged cells span, by their first row and column; `headers`
    is how many rows of header the tables have that begin in a row."""

    def __init__(
        self,
        tables: Tables,
        page: int,
        merges: Mapping[tuple[int, int], tuple[int, int]],
        headers: Mapping[int, int],
    ) -> None:
        self._tables = tables
        self._page = page
        self._merges = merges
        self._headers = headers

    def pieces(self, rows: Iterator[Row]) -> Iterator[Piece]:
        """Rows between two empty ones are a table, or several side by side."""
        waiting = next(rows, None)
        while waiting is not None:
            held = [waiting]
            end = self._end_of(waiting)
            waiting = next(rows, None)
            while waiting is not None and waiting[0] <= end + 1 and len(held) < _HELD_ROWS:
                held.append(waiting)
                end = max(end, self._end_of(waiting))
                waiting = next(rows, None)
            if waiting is not None and len(held) == _HELD_ROWS and waiting[0] <= end + 1:
                following = _Following(waiting, rows)
                yield from self._long_table(held, following)
                waiting = following.next_table
            else:
                for part in _side_by_side(held):
                    yield from self._table(part)

    def _end_of(self, row: Row) -> int:
        """The last row that the row's cells reach."""
        number, cells = row
        if not self._merges:
            return number
        heights = (self._merges.get((number, column), (1, 1))[0] for column in cells)
        return number + min(max(heights, default=1), _MAX_MERGED_ROWS) - 1

    def _table(self, rows: Sequence[Row]) -> Iterator[Piece]:
        told, rows = self._titles(rows)
        yield from told
        if not rows:
            return
        cells = self._cells(rows)
        if max(len(row) for row in cells) == 1 and len(rows) <= 2:  # notes rather than a table
            yield from (Piece(BlockKind.PARAGRAPH, row[0].text, page=self._page) for row in cells if row)
            return
        yield from self._tables.of_cells(cells, header_rows=self._headers.get(rows[0][0]), page=self._page)

    def _titles(self, rows: Sequence[Row]) -> tuple[list[Piece], Sequence[Row]]:
        """Leading rows of one cell over a table of several: what it is called."""
        widest = max(len(cells) for _, cells in rows)
        told: list[Piece] = []
        while widest > 1 and len(rows) > 1 and len(rows[0][1]) == 1 and rows[0][0] not in self._headers:
            [text] = rows[0][1].values()
            is_heading = len(text) <= _MAX_HEADING_CHARACTERS and not is_number(text) and not told
            told.append(
                Piece(BlockKind.HEADING, text, 2, self._page)
                if is_heading
                else Piece(BlockKind.PARAGRAPH, text, page=self._page)
            )
            rows = rows[1:]
        return told, rows

    def _cells(self, rows: Sequence[Row]) -> list[list[Cell]]:
        """The rows with a cell for every place, those of merged ones left to the first of them."""
        left = min(min(cells) for _, cells in rows if cells)
        right = max(max(cells) for _, cells in rows if cells)
        by_number = dict(rows)
        covered: set[tuple[int, int]] = set()
        table: list[list[Cell]] = []
        for number in range(rows[0][0], rows[-1][0] + 1):
            cells = by_number.get(number, {})
            line: list[Cell] = []
            column = left
            while column <= right:
                height, width = self._merges.get((number, column), (1, 1))
                height = min(height, rows[-1][0] - number + 1)
                width = min(width, right - column + 1)
                if (number, column) not in covered:
                    line.append(Cell(cells.get(column, ""), columns=width, rows=height))
                    if height > 1:
                        below = range(number + 1, number + height)
                        covered.update((row, at) for row in below for at in range(column, column + width))
                    column += width
                else:
                    column += 1
            table.append(line)
        return table

    def _long_table(self, held: Sequence[Row], following: "_Following") -> Iterator[Piece]:
        """Read row by row; of merged cells only the first place is told."""
        told, held = self._titles(held)
        yield from told
        left = min(min(cells) for _, cells in held)
        yield from self._tables.of_texts((_line(cells, left) for _, cells in chain(held, following)), page=self._page)


class _Following:
    """The rest of a run of rows. `next_table` is the row after it, when it has been read."""

    def __init__(self, first: Row, rows: Iterator[Row]) -> None:
        self._first = first
        self._rows = rows
        self.next_table: Row | None = None

    def __iter__(self) -> Iterator[Row]:
        row: Row | None = self._first
        end = self._first[0]
        while row is not None and row[0] <= end + 1:
            end = row[0]
            yield row
            row = next(self._rows, None)
        self.next_table = row


def _line(cells: Mapping[int, str], left: int) -> list[str]:
    """The row's cells from the table's first column on. What stands further left comes first."""
    before = [text for column, text in cells.items() if column < left]
    line = [cells.get(column, "") for column in range(left, max(cells) + 1)]
    if before and line:
        line[0] = " ".join([*before, line[0]]).strip()
    return line or before


def _side_by_side(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Tables of two columns and more with an empty column between them, unless they begin and end together: then they
    are one with a gap."""
    columns = sorted({column for _, cells in rows for column in cells})
    groups: list[list[int]] = []
    for column in columns:
        if groups and column == groups[-1][-1] + 1:
            groups[-1].append(column)
        else:
            groups.append([column])
    if len(groups) < 2 or any(len(group) < 2 for group in groups):
        return [rows]
    parts: list[Sequence[Row]] = []
    for group in groups:
        wanted = set(group)
        part = [(number, {at: text for at, text in cells.items() if at in wanted}) for number, cells in rows]
        parts.append([row for row in part if row[1]])
    extents = {(part[0][0], part[-1][0]) for part in parts}
    return parts if len(extents) == len(parts) else [rows]
