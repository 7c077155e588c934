"""The parts a PDF page is put together from: runs of text, lines of runs, and tables.

Coordinates are points with y growing downwards.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

CURRENCIES = frozenset("$€£¥")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


class Table(NamedTuple):
    """A table as read: `columns` names its columns, empty where it has no header; each row has a cell for each column.

    `lefts` are where its columns begin, by which the next page's can be known as the same. `unsure` when cells and
    columns do not agree well.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lefts: tuple[float, ...]
    size: float
    top: float
    bottom: float
    unsure: bool = False


@dataclass(slots=True)
class Run:
    """Text on one line. `size` is the height of its font. One with a table stands for that."""

    left: float
    top: float
    right: float
    bottom: float
    text: str
    is_bold: bool = False
    table: Table | None = None

    @property
    def size(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def centre(self) -> float:
        return (self.left + self.right) / 2

    @property
    def is_right_to_left(self) -> bool:
        """Whether it holds letters of a script that runs so."""
        return not self.text.isascii() and _RIGHT_TO_LEFT.search(self.text) is not None


class Line:
    """Runs beside each other, in reading order."""

    __slots__ = ("bottom", "is_bold", "left", "right", "runs", "size", "text", "top")

    def __init__(self, runs: tuple[Run, ...]) -> None:
        self.runs = runs
        if len(runs) == 1:
            [run] = runs
            self.left, self.top, self.right, self.bottom = run.left, run.top, run.right, run.bottom
            self.size, self.is_bold, self.text = run.bottom - run.top, run.is_bold, run.text
            return
        self.left = min(run.left for run in runs)
        self.top = min(run.top for run in runs)
        self.right = max(run.right for run in runs)
        self.bottom = max(run.bottom for run in runs)
        self.size = max(run.size for run in runs)
        self.is_bold = all(run.is_bold for run in runs)
        self.text = " | ".join(run.text for run in runs)

    @property
    def is_row(self) -> bool:
        return len(self.runs) > 1

    @property
    def table(self) -> Table | None:
        """The table that a line of one run stands for."""
        return self.runs[0].table if len(self.runs) == 1 else None
