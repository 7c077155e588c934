"""Running heads and feet: what repeats at the edge of most pages of a document, page numbers among it.

The rule: a passage within the top or bottom eighth of its page, at most two lines and 200 characters long, is a running
head or foot when the same words, the page's number aside, stand at nearly the same height on at least three pages and
on more than half of all pages with text, or of all even or all odd ones; at whatever height, when it is the uppermost
or lowest passage of at least five such pages. Its first appearance is kept, unless it is a page number; every other one
is left out. Lines that differ by more than the number of the page all stay. "Page 3 of 7" at an edge is always left
out.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from services.ingest.adapters.parsing.pdf_headers import row_text
from services.ingest.adapters.parsing.pdf_layout import Passage
from services.ingest.adapters.parsing.pdf_pages import PageReading

_EDGE_SHARE = 0.125
_SAME_HEIGHT_SHARE = 0.015
_MIN_PAGES = 3
_MIN_PAGES_AT_ANY_HEIGHT = 5
_MAX_LINES = 2
_MAX_CHARACTERS = 200
_MAX_DIGITS = 9
_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b")
_PAGE_NUMBER = re.compile(r"[\s\W_]*(?:(?:page|seite|p\.?)\s*)?#(?:\s*(?:of|/|von|-|–)\s*#)?[\s\W_]*", re.IGNORECASE)

_NAMED_PAGE = re.compile(r"[\W_]*(?:page|seite)\s*#(?:\s*(?:of|/|von)\s*#)?[\W_]*")

_Place = tuple[int, int]


def without_furniture(pages: Sequence[PageReading]) -> list[tuple[Passage, ...]]:
    """The passages of each page that are the page's own."""
    appearances: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    outermost: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    for number, page in enumerate(pages):
        height = page.bottom - page.top
        if height <= 0:
            continue
        ends = _outermost(page)
        for place, passage in enumerate(page.passages):
            if passage.line_count > _MAX_LINES or len(passage.text) > _MAX_CHARACTERS:
                continue
            upper, lower = (passage.top - page.top) / height, (passage.bottom - page.top) / height
            if lower < _EDGE_SHARE or upper > 1 - _EDGE_SHARE:
                appearances[_words(passage)].append((number, place, upper))
            if place in ends:
                outermost[_words(passage)].append((number, place, upper))
    filled = [number for number, page in enumerate(pages) if page.passages]
    dropped: set[_Place] = set()
    groups = [(words, same, _MIN_PAGES) for words, places in appearances.items() for same in _at_same_height(places)]
    groups += [(words, same, _MIN_PAGES_AT_ANY_HEIGHT) for words, same in outermost.items()]
    for words, alike, least in groups:
        is_number = _PAGE_NUMBER.fullmatch(words) is not None
        same = alike if is_number or _differ_by_page_alone(pages, alike) else _most_frequent(pages, alike)
        numbers = {number for number, _, _ in same}
        if _NAMED_PAGE.fullmatch(words) or (len(numbers) >= least and _covers_most(numbers, filled)):
            kept = None if is_number else min(same)
            dropped |= {(number, place) for number, place, upper in same if (number, place, upper) != kept}
    return [
        tuple(passage for place, passage in enumerate(page.passages) if (number, place) not in dropped)
        for number, page in enumerate(pages)
    ]


def _differ_by_page_alone(pages: Sequence[PageReading], places: Sequence[tuple[int, int, float]]) -> bool:
    """Whether each number in texts that are alike but for numbers is the same in all, or goes up with the pages."""
    told = [(number, _DIGITS.findall(_text(pages[number].passages[place]))) for number, place, _ in places]
    for column in zip(*(values for _, values in told), strict=True):
        if len(set(column)) == 1:
            continue
        numbers = [number for number, _ in told]
        counted = [
            (int(value[-_MAX_DIGITS:]), number)
            for value, number in zip(column, numbers, strict=True)
            if value.isdecimal()
        ]
        if len({value - number for value, number in counted}) > 1:  # Roman ones, of the first pages, go uncounted
            return False
    return True


def _most_frequent(
    pages: Sequence[PageReading], places: Sequence[tuple[int, int, float]]
) -> list[tuple[int, int, float]]:
    """Those with the text that most of them have, to the letter."""
    by_text: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    for number, place, upper in places:
        by_text[_text(pages[number].passages[place])].append((number, place, upper))
    return max(by_text.values(), key=len)


def _outermost(page: PageReading) -> set[int]:
    """The places of the uppermost and the lowest passage."""
    places = range(len(page.passages))
    if len(places) < 2:  # all there is of a page is no head
        return set()
    tops, bottoms = [passage.top for passage in page.passages], [passage.bottom for passage in page.passages]
    return {min(places, key=tops.__getitem__), max(places, key=bottoms.__getitem__)}


def _words(passage: Passage) -> str:
    return _DIGITS.sub("#", _text(passage))


def _text(passage: Passage) -> str:
    text = passage.text
    if passage.table is not None:
        text = " ".join(row_text((), row) for row in passage.table.rows)[: _MAX_CHARACTERS + 1]
    return " ".join(text.casefold().split())


def _at_same_height(places: Sequence[tuple[int, int, float]]) -> list[list[tuple[int, int, float]]]:
    groups: list[list[tuple[int, int, float]]] = []
    for place in sorted(places, key=lambda place: place[2]):
        if groups and place[2] - groups[-1][-1][2] <= _SAME_HEIGHT_SHARE:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _covers_most(numbers: set[int], filled: Sequence[int]) -> bool:
    for pages in (filled, [n for n in filled if n % 2 == 0], [n for n in filled if n % 2 == 1]):
        if len(pages) >= _MIN_PAGES and 2 * len(numbers.intersection(pages)) > len(pages):
            return True
    return False
