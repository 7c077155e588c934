"""What is drawn on a PDF page besides letters: the lines that rule tables, and how much of it is pictures."""

import ctypes
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MAX_OBJECTS = 20_000
_MAX_SEGMENTS = 400
_MAX_FORM_DEPTH = 3
_THIN = 2.5  # points; a filled stripe no thicker is a line
_SHORTEST = 6.0  # points; below are dashes, dots and parts of drawings
_MAX_RULES = 1_000
_NEAR = 1.0
_ACROSS_PAGE = 0.97

_PATH, _IMAGE, _FORM = 2, 3, 5
_MOVE_TO, _LINE_TO = 2, 0

Box = tuple[float, float, float, float]
Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Rules:
    """Drawn lines in upright coordinates, y downwards: `levels` as (y, left, right), `uprights` as (x, top, bottom)."""

    levels: tuple[tuple[float, float, float], ...] = ()
    uprights: tuple[tuple[float, float, float], ...] = ()

    def part(self, right: float, left: float, top: float, bottom: float) -> bool:
        """Whether a vertical line stands between what ends at `right` and what begins at `left`."""
        middle = (top + bottom) / 2
        at = bisect_left(self.uprights, (right - _NEAR,))
        while at < len(self.uprights) and self.uprights[at][0] <= left + _NEAR:
            if self.uprights[at][1] - _NEAR <= middle <= self.uprights[at][2] + _NEAR:
                return True
            at += 1
        return False

    def crosses(self, left: float, right: float, top: float, bottom: float) -> bool:
        """Whether a vertical line stands within a stretch of text."""
        return bool(self.uprights) and self.part(left + 2 * _NEAR, right - 2 * _NEAR, top, bottom)


@dataclass(frozen=True)
class Drawing:
    """`boxes` are lines and rectangles as (left, bottom, right, top) in the page's own axes, y upwards.

    `image_share` is how much of the page's area images cover, overlaps counted twice, at most 1.
    """

    boxes: tuple[Box, ...] = ()
    image_count: int = 0
    image_share: float = 0.0
    path_count: int = 0

    def rules(self, place: Callable[[float, float, float, float], Box]) -> Rules:
        """The lines among the boxes. `place` takes left, top, right and bottom to upright coordinates."""
        levels: set[tuple[float, float, float]] = set()
        uprights: set[tuple[float, float, float]] = set()
        for left, bottom, right, top in self.boxes:
            x0, y0, x1, y1 = place(left, top, right, bottom)
            x0, y0, x1, y1 = round(x0, 1), round(y0, 1), round(x1, 1), round(y1, 1)
            wide, high = x1 - x0 > _THIN, y1 - y0 > _THIN
            if wide and high:
                levels |= {(y0, x0, x1), (y1, x0, x1)}
                uprights |= {(x0, y0, y1), (x1, y0, y1)}
            elif wide and x1 - x0 >= _SHORTEST:
                levels.add(((y0 + y1) / 2, x0, x1))
            elif high and y1 - y0 >= _SHORTEST:
                uprights.add(((x0 + x1) / 2, y0, y1))
        if len(levels) > _MAX_RULES or len(uprights) > _MAX_RULES:  # a drawing, no table
            return Rules()
        return Rules(tuple(sorted(levels)), tuple(sorted(uprights)))


class DrawingReader:
    """Reads what is drawn on pages; keeps the buffers for PDFium's answers."""

    def __init__(self, pdfium: Any, bare_call: Callable[[Any, Any], Callable[..., Any]]) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int
        self._count = bare_call(pdfium.FPDFPage_CountObjects, number)
        self._object = bare_call(pdfium.FPDFPage_GetObject, pointer)
        self._form_count = bare_call(pdfium.FPDFFormObj_CountObjects, number)
        self._form_object = bare_call(pdfium.FPDFFormObj_GetObject, pointer)
        self._type = bare_call(pdfium.FPDFPageObj_GetType, number)
        self._bounds = bare_call(pdfium.FPDFPageObj_GetBounds, number)
        self._matrix = bare_call(pdfium.FPDFPageObj_GetMatrix, number)
        self._segment_count = bare_call(pdfium.FPDFPath_CountSegments, number)
        self._segment = bare_call(pdfium.FPDFPath_GetPathSegment, pointer)
        self._point = bare_call(pdfium.FPDFPathSegment_GetPoint, number)
        self._segment_type = bare_call(pdfium.FPDFPathSegment_GetType, number)
        self._values = (ctypes.c_float * 6)()
        size = ctypes.sizeof(ctypes.c_float)
        self._at = [ctypes.byref(self._values, place * size) for place in range(6)]

    def read(self, page: Any, page_box: Box) -> Drawing:
        """The drawing of a page whose box is (left, bottom, right, top)."""
        self._left = MAX_OBJECTS
        self._boxes: list[Box] = []
        self._images = self._paths = 0
        self._image_area = 0.0
        self._page_box = page_box
        handle = ctypes.cast(page.raw, ctypes.c_void_p)
        count = min(self._count(handle), MAX_OBJECTS)
        self._walk((ctypes.c_void_p(self._object(handle, place)) for place in range(count)), _IDENTITY, 0)
        area = max(1.0, (page_box[2] - page_box[0]) * (page_box[3] - page_box[1]))
        return Drawing(tuple(self._boxes), self._images, min(1.0, self._image_area / area), self._paths)

    def _walk(self, handles: Iterator[ctypes.c_void_p], matrix: Matrix, depth: int) -> None:
        for handle in handles:
            if self._left == 0:
                return
            self._left -= 1
            kind = self._type(handle) if handle else 0
            if kind == _PATH:
                self._paths += 1
                self._add_path(handle, matrix)
            elif kind == _IMAGE:
                self._images += 1
                box = self._box(handle, matrix)
                if box:
                    left, bottom, right, top = _within(box, self._page_box)
                    self._image_area += max(0.0, right - left) * max(0.0, top - bottom)
            elif kind == _FORM and depth < _MAX_FORM_DEPTH:
                inner = _times(self._matrix_of(handle), matrix)
                count = min(self._form_count(handle), self._left)
                self._walk((ctypes.c_void_p(self._form_object(handle, at)) for at in range(count)), inner, depth + 1)

    def _add_path(self, handle: ctypes.c_void_p, matrix: Matrix) -> None:
        if len(self._boxes) >= 4 * _MAX_RULES:
            return
        segments = self._segment_count(handle)
        if segments > 5:
            self._boxes += self._lines_of(handle, min(segments, _MAX_SEGMENTS), matrix)
            return
        box = self._box(handle, matrix)
        if box is not None and not self._spans_page(box):
            self._boxes.append(box)

    def _spans_page(self, box: Box) -> bool:
        """A background, or the frame around everything."""
        left, bottom, right, top = self._page_box
        return box[2] - box[0] > _ACROSS_PAGE * (right - left) and box[3] - box[1] > _ACROSS_PAGE * (top - bottom)

    def _lines_of(self, handle: ctypes.c_void_p, count: int, matrix: Matrix) -> list[Box]:
        """The straight lines along the page's axes of a path that draws many, as one for a whole table may."""
        inner = _times(self._matrix_of(handle), matrix)
        boxes: list[Box] = []
        x = y = 0.0
        for place in range(count):
            segment = ctypes.c_void_p(self._segment(handle, place))
            if not segment or not self._point(segment, self._at[0], self._at[1]):
                continue
            new_x, new_y = _moved(self._values[0], self._values[1], inner)
            straight = abs(new_x - x) < 0.5 or abs(new_y - y) < 0.5
            if self._segment_type(segment) == _LINE_TO and straight:
                boxes.append((min(x, new_x), min(y, new_y), max(x, new_x), max(y, new_y)))
            x, y = new_x, new_y
        return boxes

    def _box(self, handle: ctypes.c_void_p, matrix: Matrix) -> Box | None:
        if not self._bounds(handle, *self._at[:4]):
            return None
        left, bottom, right, top = self._values[:4]
        if matrix is _IDENTITY:
            return left, bottom, right, top
        xs, ys = zip(*(_moved(x, y, matrix) for x in (left, right) for y in (bottom, top)), strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def _matrix_of(self, handle: ctypes.c_void_p) -> Matrix:
        if not self._matrix(handle, self._at[0]):
            return _IDENTITY
        a, b, c, d, e, f = self._values
        return a, b, c, d, e, f


def _within(box: Box, page_box: Box) -> Box:
    return max(box[0], page_box[0]), max(box[1], page_box[1]), min(box[2], page_box[2]), min(box[3], page_box[3])


def _moved(x: float, y: float, matrix: Sequence[float]) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _times(inner: Matrix, outer: Matrix) -> Matrix:
    """The matrix that applies `inner` first."""
    a, b, c, d, e, f = inner
    g, h, i, j, k, m = outer
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m
