"""Values of a result as JSON: numbers up to 15 significant digits are numbers, longer ones strings.

15 digits is what every reader of JSON keeps: it reads numbers as 64-bit floating point.
"""

from __future__ import annotations

import base64
import math

from protos.sql.v1 import sql_query_pb2
from services.router.models import JsonValue
from services.transport.json_values import json_or_text, number_or_text


def to_json(value: sql_query_pb2.Value) -> JsonValue:
    """A typed value of sql.v1 as JSON; bytes as base64, json columns as the JSON they are where a reply can hold it."""
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
            return [to_json(element) for element in value.list_value.values]
        case _:
            return None
