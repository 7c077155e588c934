"""Tables whose cells are only aligned: lines of several runs below each other, made columns, a header and rows.

A row is a line of two runs or more. A table is two rows or more, close below each other, with the lines between them
that hold a label alone. Rows whose cells stand in no common columns stay without a header, and the table is unsure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from services.ingest.adapters.parsing.pdf_headers import is_value, names_of, split_header
from services.ingest.adapters.parsing.pdf_runs import Line, Run, Table

_MAX_GAP_SIZES = 3.0  # between lines of one table
_CONTINUED_GAP_SIZES = 0.45  # between the lines of one cell
_MAX_LABELS_BETWEEN = 2
_MAX_LABEL_CHARACTERS = 80
_MAX_UNPLACED_SHARE = 0.2

Cells = list[str]


def aligned_tables(lines: Sequence[Line]) -> list[Line | Table]:
    """The lines in order, with tables in the place of the lines they consist of.

    A table that is ruled below names that are not gets these as its header too.
    """
    parts: list[Line | Table] = []
    for part in _with_headers(_blocks(lines)):
        parts += [part] if isinstance(part, Line | Table) else _table(part)
    return parts


def _blocks(lines: Sequence[Line]) -> list[Line | list[Line]]:
    parts: list[Line | list[Line]] = []
    at = 0
    while at < len(lines):
        if not lines[at].is_row:
            parts.append(lines[at])
            at += 1
            continue
        end = _end_of_table(lines, at)
        block = list(lines[at:end])
        # What stands above the columns alone, as "Year ended 31 May" may, belongs to the header.
        while parts and isinstance(above := parts[-1], Line) and _heads(above, block):
            block.insert(0, above)
            parts.pop()
        parts.append(block)
        at = end
    return parts


def _with_headers(parts: Sequence[Line | list[Line]]) -> list[Line | list[Line] | Table]:
    """Rows that only name columns joined to the table below them, past a line or two between such as its unit."""
    joined: list[Line | list[Line] | Table] = []
    at = 0
    while at < len(parts):
        names = parts[at]
        body_at = _body_below(parts, at) if isinstance(names, list) and not has_values(names) else None
        if body_at is None or not isinstance(names, list):
            joined.append(names)
            at += 1
            continue
        between = parts[at + 1 : body_at]
        labels: list[Line] = []
        body = parts[body_at]
        for line in between:
            # A label in the first column heads rows; what stands elsewhere, or in parentheses, is told before them.
            if isinstance(line, Line):
                is_label = line.left <= names[-1].left + line.size and not line.text.startswith("(")
                (labels if is_label and isinstance(body, list) else joined).append(line)
        if isinstance(body, list):
            joined.append([*names, *labels, *body])
        elif body.table is not None:
            joined.append(_named(body.table, body.right, names))
        at = body_at + 1
    return joined


def _body_below(parts: Sequence[Line | list[Line]], at: int) -> int | None:
    """Where the table begins that the rows at `at` name the columns of."""
    names = parts[at]
    last = names[-1] if isinstance(names, list) else names
    for place in range(at + 1, min(at + 2 + _MAX_LABELS_BETWEEN, len(parts))):
        part = parts[place]
        first = part[0] if isinstance(part, list) else part
        if first.top - last.bottom > _MAX_GAP_SIZES * last.size or first.bottom <= last.top:
            return None
        left, right = min(line.left for line in _lines(names)), max(line.right for line in _lines(names))
        if isinstance(part, list):
            within = first.left - first.size <= left and right <= max(line.right for line in part) + first.size
            return place if within and any(map(is_value, (run.text for run in first.runs[1:]))) else None
        if part.table is not None:
            within = part.left - last.size <= left and right <= part.right + last.size
            return place if within and not part.table.columns and part.table.lefts else None
        if len(part.text) > _MAX_LABEL_CHARACTERS:
            return None
        last = part
    return None


def _lines(part: Line | list[Line]) -> list[Line]:
    return part if isinstance(part, list) else [part]


def has_values(lines: Sequence[Line]) -> bool:
    """Whether any of the rows holds a number besides its first cell."""
    return any(is_value(run.text) for line in lines for run in line.runs[1:])


def _named(table: Table, right: float, names: Sequence[Line]) -> Table:
    """A ruled table with the names that stand above it."""
    columns = list(zip(table.lefts, [*table.lefts[1:], right], strict=True))
    header = names_of([(line.runs, _cells_of(line, columns)[0]) for line in names], columns)
    return table._replace(columns=header, top=min(line.top for line in names))


def _end_of_table(lines: Sequence[Line], start: int) -> int:
    """The first line after the table that begins with the row at `start`."""
    end = start + 1
    first_cells = [lines[start].runs[0]]
    seconds = [lines[start].runs[1].left]
    while end < len(lines):
        line = lines[end]
        if line.table is not None or _is_apart(lines[end - 1], line):
            break
        if line.is_row:
            first_cells.append(line.runs[0])
            seconds.append(line.runs[1].left)
            end += 1
            continue
        # Labels count only when another row follows and they keep to the first column.
        following = next(
            (place for place in range(end + 1, min(end + 1 + _MAX_LABELS_BETWEEN, len(lines))) if lines[place].is_row),
            None,
        )
        if following is None or any(
            lines[place].table is not None
            or _is_apart(lines[place - 1], lines[place])
            or (not lines[place].is_row and lines[place].right > _column_start(seconds, lines[following]))
            for place in range(end, following + 1)
        ):
            break
        end = following
    return end


def _column_start(seconds: Sequence[float], following: Line) -> float:
    """Where a label may end: where the second columns of the rows around it begin, by the most generous of them."""
    return max(*seconds[-3:], following.runs[1].left) + following.size


def _is_apart(above: Line, line: Line) -> bool:
    return line.top - above.bottom > _MAX_GAP_SIZES * max(above.size, line.size) or line.bottom <= above.top


def _heads(line: Line, block: Sequence[Line]) -> bool:
    """Whether a line of one run stands over the later columns of a table and nothing else."""
    first = block[0]
    if line.is_row or line.table is not None or first.top - line.bottom > 1.2 * line.size:
        return False
    rows = [row for row in block if row.is_row]
    label_right = max(row.runs[0].right for row in rows if row.runs[0].left <= min(r.left for r in rows) + line.size)
    right = max(row.right for row in rows)
    return len(rows) > 1 and line.left > label_right and line.right <= right + line.size and len(line.text) <= 60


def _table(lines: Sequence[Line]) -> list[Line | Table]:
    """The table of those lines, below its caption where it has one."""
    rows = [line for line in lines if line.is_row]
    size = max(line.size for line in rows or lines)
    top, bottom = min(line.top for line in lines), max(line.bottom for line in lines)
    columns = _columns(rows) if len(rows) > 1 else None
    if columns is None:
        # A line such as a letter's head, or cells without order: each line as it stands.
        bare = tuple(tuple(run.text for run in line.runs) for line in lines)
        return [Table((), bare, (), size, top, bottom, unsure=len(rows) > 2)]
    placed: list[Cells] = []
    unplaced = 0
    for line in lines:
        cells, fitted = _cells_of(line, columns)
        unplaced += not fitted
        placed.append(cells)
    start, end = split_header(placed, [line.is_bold for line in lines])
    header = zip(lines[start:end], placed[start:end], strict=True)
    names = names_of([(line.runs, cells) for line, cells in header], columns)
    merged = _merged(lines[end:], placed[end:])
    unsure = unplaced > _MAX_UNPLACED_SHARE * len(lines)
    lefts = tuple(left for left, _ in columns)
    table = Table(names, tuple(map(tuple, merged)), lefts, size, top, bottom, unsure)
    return [*_table(lines[:start]), table] if start else [table]


def _columns(rows: Sequence[Line]) -> list[tuple[float, float]] | None:
    """Where the columns lie, from the rows with as many cells as most; None where these do not agree."""
    counts = Counter(len(row.runs) for row in rows)
    most = max(counts.values())
    width = max(count for count, times in counts.items() if times * 2 > most or times >= 3)
    full = [row for row in rows if len(row.runs) == width]
    columns: list[tuple[float, float]] = []
    for place in range(width):
        lefts = sorted(row.runs[place].left for row in full)
        rights = sorted(row.runs[place].right for row in full)
        # A few cells that are much wider than the others must not make one column of two.
        skip = len(full) // 10
        columns.append((lefts[skip], rights[-1 - skip]))
    for (_, right), (left, _) in pairwise(columns):
        if right > left:
            return _clustered(rows)
    return columns


def _clustered(rows: Sequence[Line]) -> list[tuple[float, float]] | None:
    """Columns as the unions of runs that overlap, from the rows with the most cells down, while they stay apart."""
    spans: list[tuple[float, float]] = []
    runs = sorted((run for row in rows for run in row.runs), key=lambda run: run.right - run.left)
    for run in runs:
        touching = [span for span in spans if run.left < span[1] and run.right > span[0]]
        if len(touching) > 1:
            continue
        rest = [span for span in spans if span not in touching]
        spans = [*rest, (min([run.left, *(span[0] for span in touching)]), max([run.right, *(s[1] for s in touching)]))]
    spans.sort()
    widest = max(len(row.runs) for row in rows)
    return spans if 2 <= len(spans) <= widest + 2 else None


def _cells_of(line: Line, columns: Sequence[tuple[float, float]]) -> tuple[Cells, bool]:
    """A cell's text for each column; and whether every run stands in a column of its own."""
    cells = [""] * len(columns)
    fitted = True
    for run in line.runs:
        place, overlaps = column_of(run, columns)
        fitted = fitted and (overlaps <= 1 or not line.is_row) and not cells[place]
        cells[place] = f"{cells[place]} {run.text}" if cells[place] else run.text
    return cells, fitted


def column_of(run: Run, columns: Sequence[tuple[float, float]]) -> tuple[int, int]:
    """The column a run shares most of its width with, else the nearest; and how many it touches."""
    shares = [min(run.right, right) - max(run.left, left) for left, right in columns]
    return max(range(len(columns)), key=shares.__getitem__), sum(share > 1.0 for share in shares)


def _merged(lines: Sequence[Line], rows: Sequence[Cells]) -> list[Cells]:
    """Rows with the lines of one row made one: a label that goes on with a small letter, a cell of several lines."""
    merged: list[Cells] = []
    for place, (line, cells) in enumerate(zip(lines, rows, strict=True)):
        above = lines[place - 1] if place else None
        close = above is not None and line.top - above.bottom < _CONTINUED_GAP_SIZES * line.size
        if merged and close:
            last = merged[-1]
            label_goes_on = not any(last[1:]) and last[0] and not last[0].endswith(":") and cells[0][:1].islower()
            cells_go_on = not cells[0] and not any(any(map(str.isdigit, cell)) for cell in cells)
            if label_goes_on or cells_go_on:
                merged[-1] = [f"{one} {other}".strip() for one, other in zip(last, cells, strict=True)]
                continue
        merged.append(cells)
    return merged
