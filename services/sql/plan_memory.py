"""What a plan would gather in memory, for which PostgreSQL has no limit.

Sorts, joins and hashed groups go to disk when they pass `work_mem`, and `temp_file_limit` ends them there. What an
aggregate like string_agg collects does not, and neither does the table of values behind NOT IN: both grow until the
value or the machine gives in. How many rows tables and their joins give is the planner's to say. How long a value is
that is computed of others it does not know: to it lpad(name, 1000) is as long as any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from services.sql.guard_growth import MAX_KEPT_BYTES

Node = Mapping[str, Any]  # one node of EXPLAIN (FORMAT JSON), VERBOSE where `names_gathering` says so

MAX_GATHERED_BYTES = 256_000_000

_GATHERING = re.compile(r"\b(string_agg|array_agg|jsonb?_agg|jsonb?_object_agg|range_agg)\s*\(", re.IGNORECASE)
_HASHED = re.compile(r"\(hashed SubPlan (\d+)\)")
_BYTES_OF_A_VALUE = 32  # what one more value takes besides itself
_ENLARGING = re.compile(
    r"\b(array_to_string|format|lpad|overlay|regexp_replace|repeat|replace|rpad)\s*\(", re.IGNORECASE
)
_LITERAL = re.compile(r"'[^']*'")
_LONG_LITERAL_CHARACTERS = 100


def names_gathering(sql: str) -> bool:
    """Whether a text names what gathers, so that the plan must be VERBOSE to show where."""
    return _GATHERING.search(sql) is not None


def gathered_bytes(plan: Node, sql: str) -> float:
    """Bytes that the planner's numbers make of what is gathered, in all parts of the plan together."""
    texts = (text for node in _nodes(plan) for text in _texts(node))
    hashed = {f"SubPlan {number}" for text in texts for number in _HASHED.findall(text)}
    return sum(_of_node(node, hashed, _bytes_of_a_value(sql)) for node in _nodes(plan))


def _bytes_of_a_value(sql: str) -> int:
    """What each row takes besides the width that the planner tells."""
    if _ENLARGING.search(sql) or any(len(text) > _LONG_LITERAL_CHARACTERS for text in _LITERAL.findall(sql)):
        return MAX_KEPT_BYTES
    return _BYTES_OF_A_VALUE * (1 + sql.count("||"))


def _of_node(node: Node, hashed: set[str], value_bytes: int) -> float:
    parts = node.get("Plans", ())
    if node["Node Type"] in {"Aggregate", "WindowAgg"} and any(map(_GATHERING.search, node.get("Output", ()))):
        kept = [part for part in parts if part.get("Parent Relationship") == "Outer"]
    else:
        kept = [part for part in parts if _is_kept(part, hashed)]
    return sum(float(part["Plan Rows"]) * (float(part["Plan Width"]) + value_bytes) for part in kept)


def _is_kept(part: Node, hashed: set[str]) -> bool:
    """Whether all rows of a part are kept, as of ARRAY(SELECT …) and NOT IN; those of WITH go to disk."""
    name = str(part.get("Subplan Name", ""))
    return name in hashed or (part.get("Parent Relationship") == "InitPlan" and not name.startswith("CTE "))


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for part in node.get("Plans", ()):
        yield from _nodes(part)


def _texts(node: Node) -> Iterator[str]:
    for value in node.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (text for text in value if isinstance(text, str))
