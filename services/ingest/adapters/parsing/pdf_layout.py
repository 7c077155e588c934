"""Reading order on a page: from runs of characters with their places to lines, columns, paragraphs and tables.

Pure geometry. Coordinates are points with y growing downwards; a run is text on one line without a wide gap in it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from services.ingest.adapters.parsing.pdf_headers import is_value
from services.ingest.adapters.parsing.pdf_runs import CURRENCIES, Line, Run, Table
from services.ingest.adapters.parsing.pdf_tables import aligned_tables

# A column of running text has lines that mostly fill it; the columns of a table do not.
_FILLED_SHARE = 0.55
_MIN_COLUMN_LINES = 3
_MIN_COLUMN_CHARACTERS = 14
_MIN_GUTTER_EMS = 0.6
_MAX_COLUMN_DEPTH = 3
_MAX_ACROSS_SHARE = 0.5
_GRID = 4.0  # points; gaps of neighbouring lines differ a little
_CANDIDATES = 12
# A line that fills so much of its column is a stretched line of text, not a row of cells.
_STRETCHED_SHARE = 0.8
_MAX_STRETCHED_RUNS = 4
_PARAGRAPH_GAP_EMS = 0.75
# A bullet or number stands apart from its item without being a cell.
_LIST_MARKER = re.compile(r"[•◦▪●○■□‣⁃·*–-]|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[.)]")
_MAX_MARKER_CHARACTERS = 6
_MARKER_GAP_EMS = 5.0
_SAME_SIZE = 0.12
# These belong to the number they stand at, however far from it they are set.
_CLOSING_MARKS = frozenset({")", "%", ")%"})
_MARK_GAP_EMS = 8.0


# Stands where a word was broken at a line's end by a hyphen that may be part of it: whoever knows all words decides.
BROKEN_WORD = "\x1f"
_CONTENTS_LINE = re.compile(r"… *[\divxlc]+$")
_BULLET = re.compile(r"[•◦▪●○■□‣⁃]\s")


class Passage(NamedTuple):
    """A paragraph, an item of a list, or a table. `size` is the height of its largest font.

    `top` and `bottom` tell where on the page it begins and ends.
    """

    text: str
    size: float
    line_count: int
    top: float
    bottom: float
    is_bold: bool = False
    is_item: bool = False
    table: Table | None = None


def read_page(runs: Sequence[Run]) -> list[Passage]:
    """The page's text in the order a person reads it: column by column, and tables whole.

    A run that holds a table stands for it: it is read where it lies.
    """
    return [passage for column in _columns(list(runs), _MAX_COLUMN_DEPTH) for passage in _passages(_lines(column))]


def _columns(runs: list[Run], depth: int) -> list[list[Run]]:
    """Bands of runs, each to be read line by line, in reading order."""
    gutter = _gutter(runs) if depth else None
    if gutter is None:
        return [runs] if runs else []
    # Whatever lies across the gutter, such as a title or a wide figure, parts the page: what is above is read first.
    across = sorted((run for run in runs if run.left < gutter < run.right), key=lambda run: run.top)
    rest = [run for run in runs if not run.left < gutter < run.right]
    bands: list[list[Run]] = []
    for run in across:
        above = [other for other in rest if other.middle < run.middle]
        rest = [other for other in rest if other.middle >= run.middle]
        bands += _sides(above, gutter, depth)
        if bands and not above and bands[-1][-1] in across:
            bands[-1].append(run)
        else:
            bands.append([run])
    return bands + _sides(rest, gutter, depth)


def _sides(runs: list[Run], gutter: float, depth: int) -> list[list[Run]]:
    left = [run for run in runs if run.right <= gutter]
    right = [run for run in runs if run.right > gutter]
    if not left or not right:
        return _columns(left or right, depth - 1)
    if _reads_across(left, right):
        return [runs]
    return _columns(left, depth - 1) + _columns(right, depth - 1)


def _gutter(runs: Sequence[Run]) -> float | None:
    """Where an empty stripe parts the page into columns of running text; None when nothing does.

    Some runs may lie across it, such as a title, but far fewer than there are lines on either side.
    """
    if len(runs) < 2 * _MIN_COLUMN_LINES:
        return None
    left, right = min(run.left for run in runs), max(run.right for run in runs)
    best: tuple[int, float] | None = None
    for place in _gap_places(runs):
        if not 0.15 < (place - left) / (right - left) < 0.85:
            continue
        before = [run for run in runs if run.right <= place]
        after = [run for run in runs if run.left >= place]
        across = len(runs) - len(before) - len(after)
        if across > _MAX_ACROSS_SHARE * min(len(before), len(after)) or (best is not None and across >= best[0]):
            continue
        if _is_running_text(before) and _is_running_text(after):
            best = (across, place)
    return best[1] if best else None


def _gap_places(runs: Sequence[Run]) -> list[float]:
    """Middles of the gaps that the most lines share, the most frequent first."""
    places: Counter[int] = Counter()
    for line in _same_heights(runs):
        if len(line) == 1:
            continue
        for one, other in pairwise(sorted(line, key=lambda run: run.left)):
            if other.left - one.right >= _MIN_GUTTER_EMS * min(one.size, other.size):
                places[round((one.right + other.left) / 2 / _GRID)] += 1
    return [place * _GRID for place, _ in places.most_common(_CANDIDATES)]


def _is_running_text(runs: Sequence[Run]) -> bool:
    lines = _same_heights(runs) if len(runs) >= _MIN_COLUMN_LINES else []
    if len(lines) < _MIN_COLUMN_LINES:
        return False
    if median([sum([len(run.text) for run in line]) for line in lines]) < _MIN_COLUMN_CHARACTERS:
        return False
    width = max([run.right for run in runs]) - min([run.left for run in runs])
    return median([sum([run.right - run.left for run in line]) for line in lines]) >= _FILLED_SHARE * width


def _reads_across(left: Sequence[Run], right: Sequence[Run]) -> bool:
    """Whether a band is a table's: few short lines whose baselines agree on both sides."""
    left_lines, right_lines = _lines(left), _lines(right)
    if max(len(left_lines), len(right_lines)) > 2 * _MIN_COLUMN_LINES:
        return False
    aligned = sum(
        any(abs(line.bottom - other.bottom) < 0.2 * line.size for other in right_lines) for line in left_lines
    )
    short = median(sum(len(run.text) for run in line.runs) for line in (*left_lines, *right_lines)) < 30
    return short and aligned == min(len(left_lines), len(right_lines))


def _lines(runs: Sequence[Run]) -> list[Line]:
    return [_line(line) for line in _same_heights(runs)]


def _same_heights(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs whose heights overlap by more than half stand on one line; lines from the top down."""
    lines: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: (run.top + run.bottom, run.left)):
        if lines and run.table is None and lines[-1][-1].table is None and _same_line(lines[-1], run):
            lines[-1].append(run)
        else:
            lines.append([run])
    return lines


def _same_line(line: Sequence[Run], run: Run) -> bool:
    last = line[-1]
    top, bottom, last_top, last_bottom = run.top, run.bottom, last.top, last.bottom
    overlap = (bottom if bottom < last_bottom else last_bottom) - (top if top > last_top else last_top)
    half = 0.5 * (bottom - top)
    if overlap <= half and overlap <= 0.5 * (last_bottom - last_top):
        return False
    left, right = run.left + half, run.right - half
    return not any([left < other.right and right > other.left for other in line])  # noqa: C419 -- faster


def _line(runs: Sequence[Run]) -> Line:
    """Left to right; runs that nearly touch (a superscript, a change of font) become one."""
    if len(runs) == 1:
        return Line((runs[0],))
    joined: list[Run] = []
    backwards = sum(run.is_right_to_left for run in runs) * 2 > len(runs)
    for run in sorted(runs, key=lambda run: run.left):
        last = joined[-1] if joined else None
        em = max(run.bottom - run.top, last.bottom - last.top) if last else 0.0
        gap = run.left - last.right if last else 0.0
        if last is not None and gap < _MARK_GAP_EMS * em and gap < _reach_ems(last, run) * em:
            space = "" if gap < 0.15 * em else " "
            one, other = (run, last) if backwards else (last, run)
            joined[-1] = Run(
                last.left,
                min(last.top, run.top),
                max(last.right, run.right),
                max(last.bottom, run.bottom),
                one.text + space + other.text,
                last.is_bold and run.is_bold,
            )
        else:
            joined.append(run)
    return Line(tuple(reversed(joined) if backwards else joined))


def _reach_ems(last: Run, run: Run) -> float:
    if len(last.text) <= _MAX_MARKER_CHARACTERS and _LIST_MARKER.fullmatch(last.text):
        return _MARKER_GAP_EMS
    if last.text in CURRENCIES or (len(run.text) < 3 and run.text in _CLOSING_MARKS):
        return _MARK_GAP_EMS
    return 0.15 if run.text[:1] in CURRENCIES and is_value(last.text) else 1.0


def _passages(lines: Sequence[Line]) -> list[Passage]:
    passages: list[Passage] = []
    open_lines: list[Line] = []
    width = _width(lines)
    for part in aligned_tables([_relaxed(line, width) for line in lines]):
        if isinstance(part, Line) and part.table is None:
            if open_lines and not _continues(open_lines, part):
                passages.append(_paragraph(open_lines))
                open_lines = []
            open_lines.append(part)
            continue
        if open_lines:
            passages.append(_paragraph(open_lines))
            open_lines = []
        table = part.table if isinstance(part, Line) else part
        if table is not None:
            passages.append(Passage("", table.size, len(table.rows), table.top, table.bottom, table=table))
    if open_lines:
        passages.append(_paragraph(open_lines))
    return passages


def _width(lines: Sequence[Line]) -> float:
    return max((line.right for line in lines), default=0.0) - min((line.left for line in lines), default=0.0)


def _relaxed(line: Line, width: float) -> Line:
    """A stretched line of text as one run."""
    if not 1 < len(line.runs) <= _MAX_STRETCHED_RUNS or line.table is not None:
        return line
    if sum(run.right - run.left for run in line.runs) < _STRETCHED_SHARE * width or any(
        is_value(run.text) for run in line.runs
    ):
        return line
    text = " ".join(run.text for run in line.runs)
    return Line((Run(line.left, line.top, line.right, line.bottom, text, line.is_bold),))


def _continues(above: Sequence[Line], line: Line) -> bool:
    last = above[-1]
    return (
        abs(line.size - last.size) <= _SAME_SIZE * max(line.size, last.size)
        and line.top - last.bottom < _PARAGRAPH_GAP_EMS * last.size
        and line.bottom > last.top
        and line.is_bold == last.is_bold
        and not _BULLET.match(line.text)
        and not _CONTENTS_LINE.search(last.text)
    )


def _paragraph(lines: Sequence[Line]) -> Passage:
    """The lines as one text. A word broken at a line's end is mended when its rest begins with a small letter."""
    text = lines[0].text
    for line in lines[1:]:
        following = line.text
        if text.endswith(("-", "‐")) and text[-2:-1].isalnum():
            mended = text[-2].isalpha() and following[:1].islower()
            text = f"{text[:-1]}{BROKEN_WORD}{following}" if mended else text + following
        else:
            text = f"{text} {following}"
    return Passage(
        text,
        max(line.size for line in lines),
        len(lines),
        min(line.top for line in lines),
        max(line.bottom for line in lines),
        is_bold=all(line.is_bold for line in lines),
        is_item=_BULLET.match(text) is not None,
    )
