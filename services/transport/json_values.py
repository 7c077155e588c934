"""Texts that PostgreSQL gives for numbers and for json columns, as JSON that every reader keeps as it is.

One way for all who turn rows into JSON: the same row must read the same however it came.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None

SAFE_DIGITS = 15  # what every reader of JSON keeps: it reads numbers as 64-bit floating point
MAX_EXPONENT = 400  # past the range of floating point, and well within what decimals reckon exactly
MAX_JSON_DEPTH = 24  # a message may be nested 100 deep, and a level of JSON takes three of them


def number_or_text(text: str) -> int | float | str:
    """The number a text stands for; the text itself for NaN, infinities, and where a JSON number would lose digits."""
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent that decimals cannot have
        return text
    if not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT:
        return text
    if number == number.to_integral_value():
        return int(number) if abs(number) < 10**SAFE_DIGITS else text
    _, digits, exponent = number.normalize().as_tuple()
    assert isinstance(exponent, int)
    # A fraction far from 1 would leave the range of floating point or turn into another spelling.
    return float(number) if len(digits) <= SAFE_DIGITS and -300 < exponent + len(digits) < 300 else text


def json_or_text(text: str) -> JsonValue:
    """The JSON a text stands for; the text itself where an answer cannot hold that.

    PostgreSQL keeps what is nested deeper than readers and messages take, and halves of surrogate pairs, which no
    UTF-8 has.
    """
    try:
        parsed: JsonValue = json.loads(text, parse_int=number_or_text, parse_float=number_or_text)
        if "\\ud" in text.lower():
            json.dumps(parsed, ensure_ascii=False).encode()
    except (RecursionError, UnicodeEncodeError):
        return text
    return text if _is_deeper(parsed, MAX_JSON_DEPTH) else parsed


def _is_deeper(value: JsonValue, levels: int) -> bool:
    """Whether arrays and objects are nested in more than so many levels."""
    if not isinstance(value, dict | list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)
