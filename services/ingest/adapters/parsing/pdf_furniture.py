"""Running heads and feet: what repeats at the edge of most pages of a document, page numbers among it.

The rule: a passage within the top or bottom eighth of its page, at most two lines and 200 characters long, is a running
head or foot when the same words, digits aside, stand at nearly the same height on at least three pages and on more than
half of all pages with text, or of all even or all odd ones. Its first appearance is kept, unless it is a page number;
every other one is left out.
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
_MAX_LINES = 2
_MAX_CHARACTERS = 200
_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b")
_PAGE_NUMBER = re.compile(r"[\s\W_]*(?:(?:page|seite|p\.?)\s*)?#(?:\s*(?:of|/|von|-|–)\s*#)?[\s\W_]*", re.IGNORECASE)

_Place = tuple[int, int]


def without_furniture(pages: Sequence[PageReading]) -> list[tuple[Passage, ...]]:
    """The passages of each page that are the page's own."""
    appearances: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    for number, page in enumerate(pages):
        height = page.bottom - page.top
        if height <= 0:
            continue
        for place, passage in enumerate(page.passages):
            upper, lower = (passage.top - page.top) / height, (passage.bottom - page.top) / height
            if (
                (lower < _EDGE_SHARE or upper > 1 - _EDGE_SHARE)
                and passage.line_count <= _MAX_LINES
                and len(passage.text) <= _MAX_CHARACTERS
            ):
                appearances[_words(passage)].append((number, place, upper))
    filled = [number for number, page in enumerate(pages) if page.passages]
    dropped: set[_Place] = set()
    for words, places in appearances.items():
        if len(places) < _MIN_PAGES:
            continue
        for same in _at_same_height(places):
            numbers = {number for number, _, _ in same}
            if len(numbers) >= _MIN_PAGES and _covers_most(numbers, filled):
                kept = None if _PAGE_NUMBER.fullmatch(words) else min(same)
                dropped |= {(number, place) for number, place, upper in same if (number, place, upper) != kept}
    return [
        tuple(passage for place, passage in enumerate(page.passages) if (number, place) not in dropped)
        for number, page in enumerate(pages)
    ]


def _words(passage: Passage) -> str:
    text = passage.text
    if passage.table is not None:
        text = " ".join(row_text((), row) for row in passage.table.rows)[: _MAX_CHARACTERS + 1]
    return " ".join(_DIGITS.sub("#", text).casefold().split())


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
