"""What styles and numbering of a Word document say of its paragraphs: which are headings, and what number they show."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING_STYLE = re.compile(r"heading ([1-9])")
_PLACE = re.compile(r"%([1-9])")
_LEVELS = 9
_MOST_BASES = 20  # of a style that is based on another, and that on a third
_ROMAN = dict(
    zip("m cm d cd c xc l xl x ix v iv i".split(), (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1), strict=True)
)


@dataclass(frozen=True)
class Style:
    """`level` is that of a heading, 0 for all else. `numbering` is the list it belongs to and the level in it."""

    level: int = 0
    numbering: tuple[str, int] | None = None


def read_styles(root: etree._Element | None) -> dict[str, Style]:
    """Paragraph styles by id, with what they take over from those they are based on.

    Names are the same in every language of Word; ids are not.
    """
    own: dict[str, tuple[Style, str]] = {}
    for style in root.iter(f"{W}style") if root is not None else ():
        identity = style.get(f"{W}styleId")
        if identity is not None:
            base = style.find(f"{W}basedOn")
            own[identity] = (_own_style(style), (base.get(f"{W}val") or "") if base is not None else "")
    return {identity: _with_bases(identity, own) for identity in own}


def _own_style(style: etree._Element) -> Style:
    name = style.find(f"{W}name")
    shown = (name.get(f"{W}val") or "").lower() if name is not None else ""
    properties = style.find(f"{W}pPr")
    level = outline_level(properties)
    if shown == "title":
        level = 1
    elif match := _HEADING_STYLE.fullmatch(shown):
        level = int(match[1])
    return Style(level, numbering_of(properties))


def _with_bases(identity: str, own: Mapping[str, tuple[Style, str]]) -> Style:
    level, numbering = 0, None
    for _ in range(_MOST_BASES):
        if identity not in own:
            break
        style, identity = own[identity]
        level = level or style.level
        numbering = numbering or style.numbering
    return Style(level, numbering)


def outline_level(properties: etree._Element | None) -> int:
    """The level of a heading that paragraph properties give, 0 for none."""
    outline = properties.find(f"{W}outlineLvl") if properties is not None else None
    said = outline.get(f"{W}val") or "" if outline is not None else ""
    return int(said) + 1 if said in tuple("012345678") else 0


def numbering_of(properties: etree._Element | None) -> tuple[str, int] | None:
    """The list that paragraph properties name and the level in it. "0" is the name of no list."""
    numbering = properties.find(f"{W}numPr") if properties is not None else None
    if numbering is None:
        return None
    name, level = numbering.find(f"{W}numId"), numbering.find(f"{W}ilvl")
    said = level.get(f"{W}val") or "" if level is not None else ""
    return (name.get(f"{W}val") or "0") if name is not None else "", _small(said, 0, most=_LEVELS - 1)


@dataclass(frozen=True)
class _Level:
    start: int = 1
    format: str = "decimal"
    text: str = ""


class Numbering:
    """Counts the paragraphs of numbered lists as they are read."""

    def __init__(self, root: etree._Element | None) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}
        self._list_of: dict[str, str] = {}
        self._counts: dict[str, list[int | None]] = {}
        if root is None:
            return
        for each in root.iter(f"{W}abstractNum"):
            levels = {
                _small(level.get(f"{W}ilvl") or "", 0, most=_LEVELS - 1): _level(level)
                for level in each.iterfind(f"{W}lvl")
            }
            self._levels[each.get(f"{W}abstractNumId") or ""] = levels
        for each in root.iter(f"{W}num"):
            name, kind = each.get(f"{W}numId") or "", each.find(f"{W}abstractNumId")
            self._list_of[name] = (kind.get(f"{W}val") or "") if kind is not None else ""
            for override in each.iterfind(f"{W}lvlOverride"):
                start = override.find(f"{W}startOverride")
                if start is not None:  # counts for itself from then on
                    kind_of = self._list_of[name]
                    level = _small(override.get(f"{W}ilvl") or "", 0, most=_LEVELS - 1)
                    own = dict(self._levels.get(kind_of, {}))
                    before = own.get(level, _Level())
                    own[level] = _Level(_small(start.get(f"{W}val") or "", 1), before.format, before.text)
                    self._list_of[name] = f"{kind_of}/{name}"
                    self._levels[f"{kind_of}/{name}"] = own

    def label(self, numbering: tuple[str, int] | None) -> str:
        """What stands before the next paragraph of a list: "2.1", "a)"; "" for a bullet, and where there is no list."""
        if numbering is None:
            return ""
        kind, level = self._list_of.get(numbering[0], ""), numbering[1]
        levels = self._levels.get(kind, {})
        if level not in levels:
            return ""
        counts = self._counts.setdefault(kind, [None] * _LEVELS)
        before = counts[level]
        counts[level] = levels[level].start if before is None else before + 1
        counts[level + 1 :] = [None] * (_LEVELS - level - 1)
        if levels[level].format in ("bullet", "none"):
            return ""

        def shown(match: re.Match[str]) -> str:
            place = int(match[1]) - 1
            its = levels.get(place, _Level())
            number = counts[place]
            return _as(its.start if number is None else number, its.format)

        return _PLACE.sub(shown, levels[level].text[:40]).strip()


def _level(level: etree._Element) -> _Level:
    said = {
        name: (found.get(f"{W}val") or "") if (found := level.find(f"{W}{name}")) is not None else ""
        for name in ("start", "numFmt", "lvlText")
    }
    return _Level(_small(said["start"], 1), said["numFmt"] or "decimal", said["lvlText"])


def _small(said: str, otherwise: int, *, most: int = 1_000_000) -> int:
    return min(int(said), most) if said.isdecimal() and len(said) < 9 else otherwise


def _as(number: int, kind: str) -> str:
    match kind:
        case "lowerLetter" | "upperLetter" if 1 <= number <= 780:
            letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
            return letter.upper() if kind == "upperLetter" else letter
        case "lowerRoman" | "upperRoman" if 1 <= number < 4_000:
            roman = ""
            for sign, value in _ROMAN.items():
                roman += sign * (number // value)
                number %= value
            return roman.upper() if kind == "upperRoman" else roman
        case "decimalZero":
            return f"{number:02}"
    return str(number)
