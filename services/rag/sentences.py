"""Sentences of a text, as stretches of it.

Text comes from files: beside prose it holds headings, lists, table rows, `key: value` lines and wrapped lines. So it is
first cut into blocks that surely do not belong together, then blocks of prose into sentences.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Past this a stretch is no sentence but unpunctuated text; it is cut where a reader would draw breath.
LONGEST_SENTENCE_CHARACTERS = 400
# A row of a table may be longer, because no piece of it can be understood alone.
LONGEST_ROW_CHARACTERS = 1_200

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
_LINE = re.compile(r"[^\n]+")
_LIST_ITEM = re.compile(r"\s*(?:[-*•‣◦▪·–—o]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)])\s+\S")
_MARKUP = re.compile(r"\s*(?:[-*•‣◦▪·–—]\s+|#{1,6}\s+|>\s+|\|\s*)+")
_ROW = re.compile(r"(?=[^\n]*:\s+\S)[^;\n]+;\s+\S")
_RULE = re.compile(r"[\s|:=_*+#~-]*")
_HEADING_MARK = re.compile(r"\s*#{1,6}\s")
# "Monday: 9 to 5", but not a wrapped line of prose that happens to hold a colon: that begins with a small letter.
_KEY = r"(?:[\"']\w[\w /&()'-]{0,48}[\"']|[^\Wa-z][\w /&()'-]{0,48}|\w+)"
_KEY_VALUE = re.compile(rf"\s*{_KEY}\s*[:=]\s+\S|\s*{_KEY}:\s*$")
_END = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*|[。！？]+[”’」』]*)")
_BREATH = re.compile(r"[;|]\s+|,\s+|\s+")
_TAG_START = re.compile(r"<[A-Za-z/]")

# A full stop after these does not end a sentence.
_ABBREVIATED = """
    mr mrs ms dr prof sr jr st mt ft rev gen col capt lt sgt hon pres gov sen rep vs etc e.g i.e cf al approx ca c no
    nos vol vols fig figs eq eqs sec ch p pp ed eds inc ltd co corp bros dept est jan feb apr jun jul aug sep sept
    oct nov dec tue tues thu thur thurs fri ave blvd rd tel ext op cit resp viz
"""
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
# These may end a sentence, and do when a new one visibly starts; after a.m. a name of a day or a zone goes on.
_TIME_ABBREVIATIONS = frozenset({"a.m", "p.m"})
_AFTER_TIME = re.compile(
    r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?s?\b|[A-Z]{2,4}T\b|(?:UTC|GMT|EST|PST|CST|MST|CET)\b",
    re.IGNORECASE,
)
_ITEM_NUMBER = re.compile(r"\s*\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})")
_LAST_TOKEN = re.compile(r"(?:[^\W_]+\.)*[^\W_]+$")


class Sentence(NamedTuple):
    """A stretch of a text."""

    start: int
    end: int
    is_heading: bool


def sentences_of(text: str) -> list[Sentence]:
    """Cut a text into sentences, list items, rows and headings, in order; surrounding space and list marks left out."""
    found = []
    for start, end in _blocks(text):
        heading = _is_heading(text, start, end)
        for first, last in [(start, end)] if heading else _split_prose(text, start, end):
            first, last = _trim(text, first, last)
            if first < last and not _RULE.fullmatch(text, first, last):
                found.append(Sentence(first, last, heading))
    return found


def rows_and_sentences_of(text: str) -> list[Sentence]:
    """As `sentences_of`, for a text that holds rows of a table: a row stays whole, whatever stops its cells hold.

    A row is a line of cells parted by semicolons, some of which are named: "Oak tiller; price: 64.00; stock: 12". Apart
    from its first cell and the names of the others no part of it can be understood.
    """
    found: list[Sentence] = []
    opened = 0
    for line in _LINE.finditer(text):
        if _ROW.match(line.group()) and len(line.group()) <= LONGEST_ROW_CHARACTERS:
            found += _moved(sentences_of(text[opened : line.start()]), opened)
            start, end = _trim(text, line.start(), line.end())
            found.append(Sentence(start, end, is_heading=False))
            opened = line.end()
    return found + _moved(sentences_of(text[opened:]), opened)


def _moved(sentences: list[Sentence], by: int) -> list[Sentence]:
    return [Sentence(start + by, end + by, is_heading) for start, end, is_heading in sentences]


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Paragraphs, and within them single lines where each line stands for itself."""
    start = 0
    for gap in [*_BLANK_LINES.finditer(text), None]:
        end = gap.start() if gap else len(text)
        yield from _lines_or_paragraphs(text, start, end)
        start = gap.end() if gap else end


def _lines_or_paragraphs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    lines = [(line.start(), line.end()) for line in _LINE.finditer(text, start, end)]
    widest = max((last - first for first, last in lines), default=0)
    open_start: int | None = None
    for place, (first, last) in enumerate(lines):
        if open_start is None:
            open_start = first
        following = lines[place + 1] if place + 1 < len(lines) else None
        if following is None or _breaks(text, (first, last), following, widest):
            yield open_start, last
            open_start = None


def _breaks(text: str, line: tuple[int, int], following: tuple[int, int], widest: int) -> bool:
    """Whether the next line starts something new, rather than going on where a page or an editor wrapped."""
    here, after = text[line[0] : line[1]].rstrip(), text[following[0] : following[1]]
    if _LIST_ITEM.match(after) or _HEADING_MARK.match(after) or _HEADING_MARK.match(here):
        return True
    if _is_row(here) or _is_row(after) or _KEY_VALUE.match(after):
        return True
    if here.endswith((".", "!", "?", ":", "。", "！", "？")):
        return here.endswith(":") or len(here) < 0.7 * widest
    if here.endswith((",", ";", "-")) or after.lstrip()[:1].islower():
        return False
    # A line much shorter than its neighbours was ended on purpose.
    return len(here) < 0.6 * widest or widest < 50


def _is_row(line: str) -> bool:
    """Whether a line looks like a row of a table: cells parted by bars, tabs, or commas without spaces."""
    return (
        line.count("|") >= 2
        or line.count("\t") >= 1
        or (len(re.findall(r"\S[,;]\S", line)) >= 2 and line.count(", ") <= 1)
    )


def _is_heading(text: str, start: int, end: int) -> bool:
    block = text[start:end].strip()
    if _HEADING_MARK.match(block):
        return "\n" not in block
    if "\n" in block or len(block) > 80 or (_LIST_ITEM.match(block) and not re.match(r"\d", block)) or _is_row(block):
        return False
    if block.endswith((".", "!", "?", ";", ",", "。")) or re.search(r"[:=]\s+\S", block):
        return False
    words = re.findall(r"[^\W\d_]+", block)
    if not words or len(words) > 10:
        return False
    capitalised = sum(word[0].isupper() for word in words)
    return block.endswith(":") or (words[0][0].isupper() and capitalised >= len(words) / 2)


def _split_prose(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    opened = start
    for mark in _END.finditer(text, start, end):
        if mark.start() < opened or _ITEM_NUMBER.fullmatch(text, opened, mark.start()):
            continue
        if _ends_sentence(text, mark, end):
            yield from _short_enough(text, opened, mark.end())
            opened = mark.end()
    if opened < end:
        yield from _short_enough(text, opened, end)


def _ends_sentence(text: str, mark: "re.Match[str]", end: int) -> bool:
    rest = text[mark.end() : min(end, mark.end() + 40)]
    if text[mark.start()] in "。！？":
        return True
    if rest and not rest[0].isspace() and not _TAG_START.match(rest):
        return False
    following = rest.lstrip()
    if not following:
        return True
    if text[mark.start()] in "!?" or mark.group().startswith(("..", "…")):
        return not following[0].islower()
    token = _LAST_TOKEN.search(text, max(0, mark.start() - 24), mark.start())
    before = token.group().casefold() if token else ""
    starts_new = not following[0].islower()
    if before in _TIME_ABBREVIATIONS:
        return (
            starts_new
            and not _AFTER_TIME.match(following)
            and not following[0].isdigit()
            and following[0] not in "(–—-"
        )
    if before in _ABBREVIATIONS and not (before == "no" and token and token.group() == "no"):
        # "etc." and the short form of a company may close a sentence; before a title's name or a number none ends.
        return before in {"etc", "inc", "ltd", "co", "corp", "est"} and starts_new and not following[0].isdigit()
    if token and len(token.group()) == 1 and token.group().isupper():
        # An initial, unless it is the letter of "vitamin C." at the end of a sentence; a word of grammar then follows.
        return bool(re.match(r"(?:The|A|An|It|This|That|These|In|He|She|They|We|You|If|For|On|At)\b", following))
    if "." in before and len(before) <= 6:
        return bool(re.match(r"[A-Z][a-z]+\s+[a-z]|[A-Z][a-z]*\s", following)) and starts_new and len(following) > 2
    return starts_new


def _short_enough(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > LONGEST_SENTENCE_CHARACTERS:
        window = (start + LONGEST_SENTENCE_CHARACTERS // 2, start + LONGEST_SENTENCE_CHARACTERS)
        breaths = list(_BREATH.finditer(text, *window))
        strongest = next((b for sign in ";|," for b in reversed(breaths) if b.group()[0] == sign), None)
        cut = strongest.end() if strongest else breaths[-1].end() if breaths else window[1]
        yield start, cut
        start = cut
    yield start, end


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out space around, and marks of lists and headings before, a sentence."""
    marks = _MARKUP.match(text, start, end)
    if marks:
        start = marks.end()
    while start < end and text[start].isspace():
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] == "|"):
        end -= 1
    return start, end
