"""The characters of a PDF page as runs: stretches of text on one line, with their places, by PDFium.

PDFium is asked for the whole text of a page at once and for the places of the first and last letter of each word, which
is a tenth of the calls that every letter would take.
"""

import ctypes
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.ingest.adapters.parsing.pdf_rules import Rules
from services.ingest.adapters.parsing.pdf_runs import CURRENCIES, Run

MAX_CHARACTERS_A_PAGE = 200_000
_WORD_GAP_EMS = 0.25  # a gap without a space character from which on there is one all the same
_RUN_GAP_EMS = 1.2  # a gap that parts columns or cells
_MAX_LETTER_EMS = 2.0  # a word wider than so much for each letter is not one stretch
_MAX_MEAN_LETTER_EMS = 0.8  # nor is a line whose letters are wider than so much on average
_PART_GAP_EMS = 0.9
_LEVEL_RADIANS = 0.01
_HYPHEN_MARK = "\ufffe"  # PDFium's mark for a hyphen at a line's end; what follows stands on the next line
_LINES = re.compile(rf"[^\s{_HYPHEN_MARK}](?:[^\r\n{_HYPHEN_MARK}]*[^\s{_HYPHEN_MARK}])?{_HYPHEN_MARK}?|{_HYPHEN_MARK}")
_WORDS = re.compile(rf"[^\s\x00{_HYPHEN_MARK}]+{_HYPHEN_MARK}?|{_HYPHEN_MARK}")
_FILLER = re.compile(r"(?:\. ?){4,}|_{4,}")
_ENDS_VALUE = re.compile(r"[\d)%–—-]$")
_CURRENCY_AFTER_VALUE = re.compile(r"[\d)%–—-] ?[$€£¥] ")
_LIGATURE = re.compile("[\ufb00-\ufb06]")
_LIGATURES = str.maketrans(
    {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
)
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_BOLD = re.compile(rb"bold|black|heavy|demi|-medi$|-bd$|cmbx|sfbx", re.IGNORECASE)
_MAX_FONT_NAME_BYTES = 128
_UNMAPPED = re.compile("[\ue000-\uf8ff\ufffd]")


@dataclass(frozen=True)
class PageText:
    """Runs by the way they are turned (degrees against the clock), most of the text first.

    `is_cut` when the page holds more characters than are read. `unmapped_share` is the share of characters of which
    the file does not say what letters they are.
    """

    runs_by_turn: dict[int, list[Run]]
    is_cut: bool = False
    unmapped_share: float = 0.0


class Calls:
    """PDFium's functions without the conversion and the lock that ctypes adds to each call; for one thread only."""

    def __init__(self, pdfium: Any) -> None:
        self.loose_box = bare_call(pdfium.FPDFText_GetLooseCharBox, ctypes.c_int)
        self.unicode = bare_call(pdfium.FPDFText_GetUnicode, ctypes.c_uint)
        self.angle = bare_call(pdfium.FPDFText_GetCharAngle, ctypes.c_float)
        self.is_generated = bare_call(pdfium.FPDFText_IsGenerated, ctypes.c_int)
        self.count_rects = bare_call(pdfium.FPDFText_CountRects, ctypes.c_int)
        self.rect = bare_call(pdfium.FPDFText_GetRect, ctypes.c_int)
        self.rect_values = (ctypes.c_double * 4)()  # left, top, right, bottom; y upwards
        self.rect_at = [ctypes.byref(self.rect_values, place * ctypes.sizeof(ctypes.c_double)) for place in range(4)]
        self.font = bare_call(pdfium.FPDFText_GetFontInfo, ctypes.c_ulong)
        self.box = pdfium.FS_RECTF()
        self.box_at = ctypes.byref(self.box)
        self.floats = memoryview(self.box).cast("B").cast("f")  # left, top, right, bottom; y upwards
        self.is_bold_by_name: dict[bytes, bool] = {}
        self.font_name = ctypes.create_string_buffer(_MAX_FONT_NAME_BYTES)
        self.font_name_size = ctypes.c_ulong(_MAX_FONT_NAME_BYTES)
        self.font_flags = ctypes.c_int()
        self.font_flags_at = ctypes.byref(self.font_flags)


def bare_call(function: Any, result: Any) -> Callable[..., Any]:
    """The same function of the library, taking pointers as they come and holding Python's lock meanwhile."""
    return ctypes.PYFUNCTYPE(result)(ctypes.cast(function, ctypes.c_void_p).value or 0)


def read_text(calls: Calls, text_page: Any, rules_by_turn: Callable[[int], Rules]) -> PageText:
    """The runs of a page. A drawn vertical line between two words parts them, as in a table."""
    count = text_page.count_chars()
    kept = min(count, MAX_CHARACTERS_A_PAGE)
    text = text_page.get_text_range(0, kept) if kept > 0 else ""
    page = ctypes.cast(text_page.raw, ctypes.c_void_p)
    if len(text) != kept:  # characters without a known letter are left out there, which moves the places of the rest
        text = "".join(_letter(calls.unicode(page, place)) for place in range(kept))
    builder = _RunBuilder(calls, page, text, rules_by_turn)
    builder.read()
    by_turn = dict(sorted(builder.runs.items(), key=lambda turned: -sum(len(run.text) for run in turned[1])))
    unmapped = 0 if text.isascii() else len(_UNMAPPED.findall(text))
    unmapped += text.count("\x00")
    return PageText(by_turn, count > kept, unmapped / max(1, len(text) - text.count(" ")))


def _letter(code: int) -> str:
    if code == 2:
        return _HYPHEN_MARK
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\x00"


class _RunBuilder:
    def __init__(
        self, calls: Calls, text_page: ctypes.c_void_p, text: str, rules_by_turn: Callable[[int], Rules]
    ) -> None:
        self._calls = calls
        self._page = text_page
        self._text = text
        self._rules_by_turn = rules_by_turn
        self._rules = rules_by_turn(0)  # of text that stands upright
        self.runs: dict[int, list[Run]] = {}

    def read(self) -> None:
        """Gather the page's text, line by line as PDFium has it."""
        by_words = not self._text.isascii() and _RIGHT_TO_LEFT.search(self._text) is not None
        for match in _LINES.finditer(self._text):
            start, end = match.span()
            if by_words or "\x00" in match.group() or self._calls.angle(self._page, start) > _LEVEL_RADIANS:
                self._read_words(start, end)
                continue
            for gap_start, gap_end in self._cuts(start, end):
                if not self._take_stretch(start, gap_start):
                    self._read_words(start, gap_start)
                start = gap_end
            if not self._take_stretch(start, end):
                self._read_words(start, end)

    def _cuts(self, start: int, end: int) -> list[tuple[int, int]]:
        """The spaces of an upright line, as stretches of its text, at which it falls into runs."""
        calls, text, page = self._calls, self._text, self._page
        loose_box = calls.loose_box
        first_space = text.find(" ", start, end)
        if first_space < 0 or not loose_box(page, start, calls.box_at):
            return []
        left, high, _, low = calls.floats.tolist()
        em = high - low
        many = calls.count_rects(page, start, end - start) > 1
        breaks = self._breaks_between_parts(start, end, em) if many else 0
        is_crossed = False
        if self._rules.uprights and loose_box(page, end - 1, calls.box_at):
            is_crossed = self._rules.crosses(left, calls.floats[2], -high, -low)
        if not is_crossed and not _CURRENCY_AFTER_VALUE.search(text, start, end):
            # Where a line was moved on, PDFium puts a space of its own, unless the file has one there.
            cuts = self._cuts_at(first_space, end, everywhere=False, is_crossed=False)
            if len(cuts) >= breaks:
                return cuts
        return self._cuts_at(first_space, end, everywhere=True, is_crossed=is_crossed)

    def _cuts_at(self, at: int, end: int, *, everywhere: bool, is_crossed: bool) -> list[tuple[int, int]]:
        """The wide ones of the spaces from `at` on: of all, or of those that PDFium put there."""
        calls, text, page = self._calls, self._text, self._page
        loose_box, generated, box_at, floats = calls.loose_box, calls.is_generated, calls.box_at, calls.floats
        cuts: list[tuple[int, int]] = []
        while at >= 0:
            after = at + 1
            while text[after] == " ":
                after += 1
            if everywhere or after > at + 1 or generated(page, at):
                loose_box(page, at - 1, box_at)
                _, before_high, before_right, before_low = floats.tolist()
                loose_box(page, after, box_at)
                gap, size = floats[0] - before_right, before_high - before_low
                if (
                    not -size < gap < _RUN_GAP_EMS * size
                    or (is_crossed and self._rules.part(before_right, floats[0], -before_high, -before_low))
                    or (everywhere and _CURRENCY_AFTER_VALUE.match(text, at - 1) is not None)
                ):
                    cuts.append((at, after))
            at = text.find(" ", after, end)
        return cuts

    def _take_stretch(self, start: int, end: int) -> bool:
        """Take text without a wide gap as one run; False when its letters do not stand as those of one line do."""
        calls, page = self._calls, self._page
        loose_box, floats = calls.loose_box, calls.floats
        if not loose_box(page, start, calls.box_at):
            return False
        left, high, right, low = floats.tolist()
        if end - start > 1:
            if not loose_box(page, end - 1, calls.box_at):
                return False
            _, far_high, right, far_low = floats.tolist()
            em = high - low
            if not 0 < right - left < _MAX_MEAN_LETTER_EMS * em * (end - start):
                return False
            if (high if high < far_high else far_high) - (low if low > far_low else far_low) < 0.4 * em:
                return False
            high, low = max(high, far_high), min(low, far_low)
        self._close(0, left, -high, right, -low, [self._text[start:end]], start, end - 1)
        return True

    def _breaks_between_parts(self, start: int, end: int, em: float) -> int:
        """In how many places the line was drawn in parts that stand apart or not on one level."""
        calls = self._calls
        breaks = 0
        last_right = last_top = last_bottom = 0.0
        for place in range(calls.count_rects(self._page, start, end - start)):
            if not calls.rect(self._page, place, *calls.rect_at):
                continue
            left, top, right, bottom = calls.rect_values
            if place and (
                not -em < left - last_right < _PART_GAP_EMS * em
                or (top if top < last_top else last_top) < (bottom if bottom > last_bottom else last_bottom) - 0.2 * em
            ):
                breaks += 1
            last_right, last_top, last_bottom = right, top, bottom
        return breaks

    def _read_words(self, start_of_line: int, end_of_line: int) -> None:
        """Gather words into runs; a wide gap and a drawn line end one."""
        text, calls, page = self._text, self._calls, self._page
        loose_box, box_at, floats = calls.loose_box, calls.box_at, calls.floats
        letters: list[str] = []
        left = top = right = bottom = 0.0
        turn, first, last_start = 0, 0, 0
        rules = self._rules_by_turn(0)
        for match in _WORDS.finditer(text, start_of_line, end_of_line):
            start, end = match.span()
            word = match.group()
            if not loose_box(page, start, box_at):
                continue
            x0, y1, x1, y0 = floats.tolist()
            if end - start > 1 and loose_box(page, end - 1, box_at):
                far_left, far_top, far_right, far_bottom = floats.tolist()
                if not self._is_one_stretch(x0, y0, x1, y1, far_left, far_bottom, far_right, far_top, end - start):
                    if letters:
                        self._close(turn, left, top, right, bottom, letters, first, last_start)
                        letters = []
                    self._spell(start, end)
                    continue
                x0, x1 = min(x0, far_left), max(x1, far_right)
                y0, y1 = min(y0, far_bottom), max(y1, far_top)
            if letters:
                if turn:
                    word_left, word_top, word_right, word_bottom = upright(x0, y1, x1, y0, turn)
                else:
                    word_left, word_top, word_right, word_bottom = x0, -y1, x1, -y0
                em = bottom - top
                backwards = word_left < left and not word.isascii() and _RIGHT_TO_LEFT.search(word) is not None
                gap = left - word_right if backwards else word_left - right
                same_line = min(bottom, word_bottom) - max(top, word_top) > 0.4 * min(em, word_bottom - word_top)
                if (
                    not same_line
                    or gap > _RUN_GAP_EMS * em
                    or gap < -em
                    or (word in CURRENCIES and _ENDS_VALUE.search(letters[-1]) is not None)
                    or (rules.uprights and not backwards and rules.part(right, word_left, top, bottom))
                ):
                    self._close(turn, left, top, right, bottom, letters, first, last_start)
                    letters = []
                else:
                    if text[start - 1] in " \t\xa0" or gap > _WORD_GAP_EMS * em:
                        letters.append(" ")
                    left, right = min(left, word_left), max(right, word_right)
                    top, bottom = min(top, word_top), max(bottom, word_bottom)
            if not letters:
                new_turn = turn_of(calls.angle(page, start))
                if new_turn != turn:
                    turn, rules = new_turn, self._rules_by_turn(new_turn)
                left, top, right, bottom = upright(x0, y1, x1, y0, turn) if turn else (x0, -y1, x1, -y0)
                first = start
            letters.append(word)
            last_start = start
        if letters:
            self._close(turn, left, top, right, bottom, letters, first, last_start)

    @staticmethod
    def _is_one_stretch(
        left: float,
        bottom: float,
        right: float,
        top: float,
        far_left: float,
        far_bottom: float,
        far_right: float,
        far_top: float,
        count: int,
    ) -> bool:
        """Whether the last letter stands where a word of so many letters that begins with the first one can end."""
        em = max(top - bottom, right - left, far_top - far_bottom, far_right - far_left)
        reach = _MAX_LETTER_EMS * em * count
        return (
            abs(far_left - left) <= reach
            and abs(far_bottom - bottom) <= reach
            and (abs(far_bottom - bottom) < 0.6 * em or abs(far_left - left) < 0.6 * em)
        )

    def _spell(self, start: int, end: int) -> None:
        """A stretch without a space that still is not one word, as where lines follow each other without a break."""
        calls, text = self._calls, self._text
        letters: list[str] = []
        left = top = right = bottom = 0.0
        turn, first = 0, start
        for place in range(start, end):
            if not calls.loose_box(self._page, place, calls.box_at):
                continue
            x0, y1, x1, y0 = calls.floats.tolist()
            if letters:
                letter_left, letter_top, letter_right, letter_bottom = upright(x0, y1, x1, y0, turn)
                em, gap = bottom - top, letter_left - right
                same_line = min(bottom, letter_bottom) - max(top, letter_top) > 0.4 * min(
                    em, letter_bottom - letter_top
                )
                if same_line and -em <= gap <= _RUN_GAP_EMS * em:
                    if gap > _WORD_GAP_EMS * em:
                        letters.append(" ")
                    right, top, bottom = max(right, letter_right), min(top, letter_top), max(bottom, letter_bottom)
                else:
                    self._close(turn, left, top, right, bottom, letters, first, place - 1)
                    letters = []
            if not letters:
                turn, first = turn_of(calls.angle(self._page, place)), place
                left, top, right, bottom = upright(x0, y1, x1, y0, turn)
            letters.append(text[place])
        if letters:
            self._close(turn, left, top, right, bottom, letters, first, end - 1)

    def _close(
        self,
        turn: int,
        left: float,
        top: float,
        right: float,
        bottom: float,
        letters: list[str],
        first: int,
        last: int,
    ) -> None:
        text = "".join(letters)
        if not text.isascii():
            text = text.replace(_HYPHEN_MARK, "-")
            if _LIGATURE.search(text):
                text = text.translate(_LIGATURES)
        if "__" in text or ". ." in text or "...." in text:
            text = _FILLER.sub("… ", text).strip()
        bold = self._is_bold(first) and (last == first or self._is_bold(last))
        self.runs.setdefault(turn, []).append(Run(left, top, right, bottom, text, bold))

    def _is_bold(self, place: int) -> bool:
        calls = self._calls
        size = calls.font(self._page, place, calls.font_name, calls.font_name_size, calls.font_flags_at)
        name = calls.font_name.value if 0 < size <= _MAX_FONT_NAME_BYTES else b""
        known = calls.is_bold_by_name.get(name)
        if known is None:
            known = calls.is_bold_by_name[name] = _BOLD.search(name) is not None
        return known


def turn_of(angle_radians: float) -> int:
    """The quarter turn nearest to an angle, in degrees against the clock; PDFium counts with it."""
    return -90 * round(angle_radians / (math.pi / 2)) % 360 if angle_radians > 0 else 0


def upright(left: float, top: float, right: float, bottom: float, turn: int) -> tuple[float, float, float, float]:
    """From the page's own axes (y upwards) to those by which text so turned runs left to right (y downwards)."""
    match turn:
        case 90:
            return bottom, left, top, right
        case 180:
            return -right, bottom, -left, top
        case 270:
            return -top, -right, -bottom, -left
        case _:
            return left, -top, right, -bottom
