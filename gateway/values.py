"""Values on their way into JSON: numbers up to 15 significant digits are numbers, longer ones strings.

15 digits is what every reader of JSON keeps. NaN and infinities are strings, bytes are base64, dates ISO 8601 text,
json columns the JSON they are, or their text where an answer cannot hold that (see `json_or_text`).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

from google.protobuf import struct_pb2, timestamp_pb2

from protos.sql.v1 import sql_query_pb2
from services.transport.json_values import SAFE_DIGITS, json_or_text, number_or_text


def typed_value(value: sql_query_pb2.Value) -> Any:
    """A value of sql.v1 as JSON."""
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "integer_value":
            return number_or_text(str(value.integer_value))
        case "double_value":
            # The contract says such values come as text; JSON has no word for them.
            return value.double_value if math.isfinite(value.double_value) else str(value.double_value)
        case "decimal_value":
            return number_or_text(value.decimal_value)
        case "text_value":
            return value.text_value
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode("ascii")
        case "json_value":
            return json_or_text(value.json_value)
        case "list_value":
            return [typed_value(element) for element in value.list_value.values]
        case _:
            return None


def plain_value(value: struct_pb2.Value) -> Any:
    """A value of google.protobuf as JSON. Its numbers are all floating point: whole ones become integers again."""
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < 10**SAFE_DIGITS else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [plain_value(element) for element in value.list_value.values]
        case "struct_value":
            return {name: plain_value(field) for name, field in value.struct_value.fields.items()}
        case _:
            return None


def records(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows as objects; the services make the names unique."""
    return [dict(zip(names, row, strict=True)) for row in rows]


def iso_time(timestamp: timestamp_pb2.Timestamp) -> str:
    """A timestamp as ISO 8601 in UTC."""
    return timestamp.ToJsonString()
