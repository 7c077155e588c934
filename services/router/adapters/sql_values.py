"""Values of a result as JSON: numbers up to 15 significant digits are numbers, longer ones strings.

15 digits is what every reader of JSON keeps: it reads numbers as 64-bit floating point.
"""

from __future__ import annotations

import base64
import json
import math
from decimal import Decimal, InvalidOperation

from protos.sql.v1 import sql_query_pb2
from services.router.models import JsonValue

SAFE_DIGITS = 15
MAX_EXPONENT = 400  # past the range of floating point, and well within what decimals reckon exactly
MAX_JSON_DEPTH = 24  # a message may be nested 100 deep, and a level of JSON takes three of them


def to_json(value: sql_query_pb2.Value) -> JsonValue:
    """A typed value of sql.v1 as JSON; bytes as base64, json columns as the JSON they are where a reply can hold it."""
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "integer_value":
            return _number(str(value.integer_value))
        case "double_value":
            # The contract says such values come as text; JSON has no word for them.
            return value.double_value if math.isfinite(value.double_value) else str(value.double_value)
        case "decimal_value":
            return _number(value.decimal_value)
        case "text_value":
            return value.text_value
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode("ascii")
        case "json_value":
            return _json_or_text(value.json_value)
        case "list_value":
            return [to_json(element) for element in value.list_value.values]
        case _:
            return None


def _json_or_text(text: str) -> JsonValue:
    """The JSON a text stands for; the text itself where a reply cannot hold that.

    PostgreSQL keeps what is nested deeper than messages may be, and halves of surrogate pairs, which no UTF-8 has.
    """
    try:
        parsed: JsonValue = json.loads(text, parse_int=_number, parse_float=_number)
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


def _number(text: str) -> int | float | str:
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
