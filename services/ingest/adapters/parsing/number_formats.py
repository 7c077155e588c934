"""Numbers of a spreadsheet as it shows them: 0.05 as 5%, 45292 as 2024-01-01, 1234.5 as $1,234.50.

Dates whose order of day and month depends on who looks are shown as ISO 8601 has them; others as their format says.
"""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

GENERAL = "General"
# Those a file refers to by number alone. 5 to 8, 37 to 44 hold money, of a currency that depends on who looks.
BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "#,##0", 6: "#,##0", 7: "#,##0.00", 8: "#,##0.00",
    9: "0%", 10: "0.00%", 11: "0.00E+00", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy",
    18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0", 38: "#,##0",
    39: "#,##0.00", 40: "#,##0.00", 41: "#,##0", 42: "#,##0", 43: "#,##0.00", 44: "#,##0.00", 45: "mm:ss",
    46: "[h]:mm:ss", 47: "mm:ss", 48: "0.0E+0",
}  # fmt: skip
_MONTHS = "January February March April May June July August September October November December".split()
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_LAST_SERIAL = 2_958_465  # 9999-12-31
# A quoted text, an escaped character, a colour or condition or currency, a space as wide as a character, a filler.
_PART = re.compile(r'"([^"]*)"|\\(.)|\[([^\]]*)\]|_(.)|\*(.)|(AM/PM|A/P)|(General)|([#0?.,]+)|(E[+-])|(.)', re.I | re.S)
_MOST_DECIMALS = 15


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def shown(value: float, code: str, *, from_1904: bool = False) -> str:
    """The number as a cell of that format shows it. What a format asks for and cannot be had is shown as General."""
    if code == GENERAL or len(code) > 255 or not math.isfinite(value):
        return general(value)
    section, is_negative_section = _section(code, value)
    tokens = _tokens(section)
    if any(token.kind in ("date", "elapsed") for token in tokens):
        return _date(value, tokens, from_1904=from_1904) or general(value)
    if not any(token.kind == "digits" for token in tokens):
        literal = "".join(token.text for token in tokens if token.kind == "literal")
        return general(value) if any(token.kind == "general" for token in tokens) else literal
    if "/" in section or any(token.kind == "exponent" for token in tokens):
        return general(value)
    return _number(abs(value) if is_negative_section else value, tokens)


def general(value: float) -> str:
    """As many digits as spreadsheets keep, without the noise past them."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return format(value, ".15g")


def _section(code: str, value: float) -> tuple[str, bool]:
    """The part of a format for the sign of the value, and whether it shows the sign by itself."""
    sections = _sections(code)
    if value < 0 and len(sections) > 1:
        return sections[1], True
    if value == 0 and len(sections) > 2:
        return sections[2], False
    return sections[0], False


@lru_cache(maxsize=512)
def _sections(code: str) -> tuple[str, ...]:
    """The parts between semicolons that are not quoted or escaped."""
    sections, start, place, quoted = [], 0, 0, False
    while place < len(code):
        match code[place]:
            case '"':
                quoted = not quoted
            case "\\":
                place += 1
            case ";" if not quoted:
                sections.append(code[start:place])
                start = place + 1
        place += 1
    return (*sections, code[start:])


@lru_cache(maxsize=512)
def _tokens(section: str) -> tuple[_Token, ...]:
    tokens: list[_Token] = []
    for match in _PART.finditer(section):
        quoted, escaped, bracket, blank, filler, half, is_general, digits, exponent, other = match.groups()
        if bracket is not None:
            if bracket.startswith("$"):
                tokens.append(_Token("literal", bracket[1:].split("-")[0]))
            elif bracket.lower().strip("hms") == "" and bracket:
                tokens.append(_Token("elapsed", bracket.lower()))
        elif blank is not None or filler is not None:
            tokens.append(_Token("literal", " " if blank and tokens else ""))
        elif half is not None:
            tokens.append(_Token("date", "half"))
        elif is_general is not None:
            tokens.append(_Token("general", ""))
        elif digits is not None:
            tokens.append(_Token("digits", digits))
        elif exponent is not None:
            tokens.append(_Token("exponent", exponent))
        elif other is not None and other.lower() in "ymdhs":
            field = other.lower()
            if tokens and tokens[-1].kind == "date" and tokens[-1].text[0] == field and tokens[-1].text != "half":
                tokens[-1] = _Token("date", tokens[-1].text + field)
            else:
                tokens.append(_Token("date", field))
        elif other == "@":
            tokens.append(_Token("general", ""))
        else:
            tokens.append(_Token("literal", quoted or escaped or other or ""))
    return _with_minutes(tokens)


def _with_minutes(tokens: list[_Token]) -> tuple[_Token, ...]:
    """An m after an hour or before a second is a minute."""
    dates = [place for place, token in enumerate(tokens) if token.kind in ("date", "elapsed")]
    for at, place in enumerate(dates):
        if not tokens[place].text.startswith("m") or tokens[place].kind == "elapsed":
            continue
        before = tokens[dates[at - 1]].text if at else ""
        after = tokens[dates[at + 1]].text if at + 1 < len(dates) else ""
        if before.startswith("h") or (after.startswith("s") and len(tokens[place].text) <= 2):
            tokens[place] = _Token("date", "n" * len(tokens[place].text))
    return tuple(tokens)


def _number(value: float, tokens: tuple[_Token, ...]) -> str:
    pattern = "".join(token.text for token in tokens if token.kind == "digits")
    whole, _, fraction = pattern.partition(".")
    if (decimals := len(fraction.replace(",", ""))) > _MOST_DECIMALS:
        return general(value)
    scaled = Decimal(repr(value))
    if any(token.kind == "literal" and "%" in token.text for token in tokens):
        scaled *= 100
    scaled /= Decimal(1000) ** (len(pattern) - len(pattern.rstrip(",")))
    try:
        rounded = scaled.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    except InvalidOperation:
        return general(value)
    groups = "," in whole.rstrip(",") or ("," in whole and "." in pattern and not pattern.endswith(","))
    digits = f"{abs(rounded):{',' if groups else ''}.{decimals}f}"
    optional = len(fraction) - len(fraction.rstrip("#?,"))
    if optional and "." in digits:
        kept = len(digits) - optional
        digits = (digits[:kept] + digits[kept:].rstrip("0")).rstrip(".")
    before, point, after = digits.partition(".")
    least = sum(character == "0" for character in whole)
    if not groups:
        before = before.zfill(least)
    if least == 0 and before == "0" and after.strip("0"):
        before = ""
    digits = before + point + after
    sign = "-" if rounded < 0 else ""
    told, placed = "", False
    for token in tokens:
        if token.kind == "digits":
            told += "" if placed else digits
            placed = True
        elif token.kind == "literal":
            told += token.text
    return sign + told.strip()


def _date(value: float, tokens: tuple[_Token, ...], *, from_1904: bool) -> str:
    """ "" for what is no date, which spreadsheets show as ####."""
    if not 0 <= value <= _LAST_SERIAL:
        return ""
    if any(token.kind == "elapsed" for token in tokens):
        return _elapsed(value, tokens)
    days = value + 1_462 if from_1904 else value + (value < 60)  # 1900 counts a 29th of February that was none
    try:
        moment = datetime(1899, 12, 30) + timedelta(seconds=round(days * 86_400))
    except OverflowError:
        return ""
    dates = [token.text for token in tokens if token.kind == "date"]
    fields = {text[0] for text in dates if text != "half"}
    named = any(text.startswith("m") and len(text) >= 3 for text in dates)
    if fields & {"y", "m", "d"} and not named:
        return _iso(moment, fields)
    twelve = "half" in dates
    return "".join(
        _date_part(moment, token.text, twelve=twelve) if token.kind == "date" else token.text
        for token in tokens
        if token.kind in ("date", "literal") or token.text in (",", ".")
    ).strip()


def _iso(moment: datetime, fields: set[str]) -> str:
    date = "-".join(
        part
        for field, part in (("y", f"{moment.year:04}"), ("m", f"{moment:%m}"), ("d", f"{moment:%d}"))
        if field in fields
    )
    if not fields & {"h", "n", "s"}:
        return date
    return f"{date} {moment:%H:%M:%S}" if "s" in fields else f"{date} {moment:%H:%M}"


def _date_part(moment: datetime, text: str, *, twelve: bool) -> str:
    hour = (moment.hour % 12 or 12) if twelve else moment.hour
    match text:
        case "half":
            return "AM" if moment.hour < 12 else "PM"
        case "y" | "yy":
            return f"{moment:%y}"
        case "m" | "d" | "h" | "n" | "s" as one:
            return str({"m": moment.month, "d": moment.day, "h": hour, "n": moment.minute, "s": moment.second}[one])
        case "mm" | "dd" | "hh" | "nn" | "ss" as two:
            number = {"m": moment.month, "d": moment.day, "h": hour, "n": moment.minute, "s": moment.second}[two[0]]
            return f"{number:02}"
        case "mmm":
            return _MONTHS[moment.month - 1][:3]
        case "mmmmm":
            return _MONTHS[moment.month - 1][0]
        case "ddd":
            return _WEEKDAYS[moment.weekday()][:3]
        case _ if text.startswith("y"):
            return f"{moment.year:04}"
        case _ if text.startswith("m"):
            return _MONTHS[moment.month - 1]
        case _ if text.startswith("d"):
            return _WEEKDAYS[moment.weekday()]
    return ""


def _elapsed(value: float, tokens: tuple[_Token, ...]) -> str:
    """Hours past a day, and minutes past an hour, as [h]:mm counts them."""
    seconds = round(value * 86_400)
    told = ""
    for token in tokens:
        if token.kind == "elapsed":
            unit = {"h": 3600, "m": 60, "s": 1}[token.text[0]]
            told += str(seconds // unit).zfill(len(token.text))
        elif token.kind == "date":
            part = {"h": seconds // 3600 % 24, "n": seconds // 60 % 60, "m": seconds // 60 % 60, "s": seconds % 60}
            told += str(part.get(token.text[0], "")).zfill(len(token.text))
        elif token.kind == "literal":
            told += token.text
    return told
