"""Tables that are ruled: drawn lines make cells, and whatever stands in a cell is its text, of several lines too."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from services.ingest.adapters.parsing.pdf_headers import is_value, names_of, split_header
from services.ingest.adapters.parsing.pdf_rules import Rules
from services.ingest.adapters.parsing.pdf_runs import Run, Table

_TOUCH = 3.0  # points by which lines that meet may miss each other
_SAME = 3.0  # lines nearer to each other than this are one, drawn twice or as a stripe
_MAX_PAIRS = 40_000
_MIN_FILLED_CELLS = 4
_MIN_FILLED_ROWS_SHARE = 0.5
_MAX_CROSSING_SHARE = 0.2
_MAX_COARSE_SHARE = 0.2


def with_ruled_tables(runs: Sequence[Run], rules: Rules) -> list[Run]:
    """The runs, but those inside a ruled table gone and one in their place that stands for it."""
    if len(rules.levels) < 2 or len(rules.uprights) < 2 or len(rules.levels) * len(rules.uprights) > _MAX_PAIRS:
        return list(runs)
    rest = list(runs)
    tables: list[Run] = []
    for xs, ys in _grids(rules):
        left, top, right, bottom = xs[0] - _SAME, ys[0] - _SAME, xs[-1] + _SAME, ys[-1] + _SAME
        inside = [run for run in rest if left <= run.centre <= right and top <= run.middle <= bottom]
        table = _table(inside, xs, ys)
        if table is not None:
            within = set(map(id, inside))
            rest = [run for run in rest if id(run) not in within]
            tables.append(Run(xs[0], ys[0], xs[-1], ys[-1], "", table=table))
    return rest + tables


def _grids(rules: Rules) -> list[tuple[list[float], list[float]]]:
    """Where the lines of each grid run, as (x of the vertical ones, y of the level ones), the largest grid first."""
    parent = list(range(len(rules.levels) + len(rules.uprights)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    offset = len(rules.levels)
    xs = [x for x, _, _ in rules.uprights]  # in order
    for one, (y, left, right) in enumerate(rules.levels):
        for other in range(bisect_left(xs, left - _TOUCH), bisect_right(xs, right + _TOUCH)):
            _, top, bottom = rules.uprights[other]
            if top - _TOUCH <= y <= bottom + _TOUCH:
                parent[root(one)] = root(offset + other)
    groups: dict[int, tuple[list[float], list[float]]] = {}
    for place, (y, _, _) in enumerate(rules.levels):
        groups.setdefault(root(place), ([], []))[1].append(y)
    for place, (x, _, _) in enumerate(rules.uprights):
        groups.setdefault(root(offset + place), ([], []))[0].append(x)
    grids = [(_distinct(xs), _distinct(ys)) for xs, ys in groups.values()]
    whole = [(xs, ys) for xs, ys in grids if len(xs) > 2 and len(ys) > 2]
    return sorted(whole, key=lambda grid: -(grid[0][-1] - grid[0][0]) * (grid[1][-1] - grid[1][0]))


def _distinct(values: list[float]) -> list[float]:
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > _SAME:
            kept.append(value)
    return kept


def _table(runs: Sequence[Run], xs: Sequence[float], ys: Sequence[float]) -> Table | None:
    """The table of the runs between those lines; None when so few cells are filled that it is a drawing or a form."""
    grid: list[list[list[Run]]] = [[[] for _ in xs[1:]] for _ in ys[1:]]
    crossing = 0
    for run in runs:
        row = min(max(bisect_right(ys, run.middle) - 1, 0), len(ys) - 2)
        column = min(max(bisect_right(xs, run.centre) - 1, 0), len(xs) - 2)
        crossing += run.left < xs[column] - _SAME or run.right > xs[column + 1] + _SAME
        grid[row][column].append(run)
    kept_columns = [place for place in range(len(xs) - 1) if any(row[place] for row in grid)]
    kept_rows = [row for row in grid if any(row)]
    if len(kept_columns) < 2 or len(kept_rows) < 2:
        return None
    texts = [[cell_text(row[place]) for place in kept_columns] for row in kept_rows]
    filled = [sum(map(bool, row)) for row in texts]
    if sum(filled) < _MIN_FILLED_CELLS or sum(count > 1 for count in filled) < _MIN_FILLED_ROWS_SHARE * len(filled):
        return None
    if _is_coarser_than_text(kept_rows):
        return None
    columns = [(xs[place], xs[place + 1]) for place in kept_columns]
    flat = [[run for cell in row for run in cell] for row in kept_rows]
    bold = [all(run.is_bold for run in row) for row in flat]
    start, end = split_header(texts, bold)
    if end == 0 and _is_plain_header(texts):
        end = 1
    names = names_of(list(zip(flat, texts, strict=True))[start:end], columns)
    return Table(
        names,
        tuple(map(tuple, [*texts[:start], *texts[end:]])),
        tuple(left for left, _ in columns),
        max(run.size for row in flat for run in row),
        ys[0],
        ys[-1],
        unsure=crossing > _MAX_CROSSING_SHARE * len(runs),
    )


def _is_coarser_than_text(rows: Sequence[Sequence[Sequence[Run]]]) -> bool:
    """Whether many rows of the grid hold several rows or columns of the text: its lines part sections, not cells."""
    coarse = 0
    for row in rows:
        stacked = sum(sum(is_value(run.text) for run in cell) > 1 for cell in row)
        side_by_side = any(
            one.right < other.left - one.size and abs(one.middle - other.middle) < 0.5 * one.size
            for cell in row
            for one, other in pairwise(cell)
            if is_value(other.text)
        )
        coarse += stacked > 1 or side_by_side
    return coarse > _MAX_COARSE_SHARE * len(rows)


def _is_plain_header(rows: Sequence[Sequence[str]]) -> bool:
    """In a ruled table of words the first row names the columns when it fills them all, briefly and differently."""
    first = rows[0]
    return (
        all(first)
        and len({cell.casefold() for cell in first}) == len(first)
        and all(len(cell) <= 40 and not any(map(str.isdigit, cell)) and not cell.endswith(":") for cell in first)
    )


def cell_text(runs: Sequence[Run]) -> str:
    """The text of one cell, line by line."""
    if len(runs) < 2:
        return runs[0].text if runs else ""
    by_line: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: run.middle):
        if by_line and run.middle - by_line[-1][0].middle < 0.5 * run.size:
            by_line[-1].append(run)
        else:
            by_line.append([run])
    backwards = sum(run.is_right_to_left for run in runs) * 2 > len(runs)
    words = [run.text for line in by_line for run in sorted(line, key=lambda run: run.left, reverse=backwards)]
    text = words[0]
    for word in words[1:]:
        broken = text.endswith("-") and text[-2:-1].isalpha() and word[:1].islower()
        text = text[:-1] + word if broken else f"{text} {word}"
    return text
