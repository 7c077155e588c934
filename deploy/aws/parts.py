"""The functions of the stack, and the order in which a release reaches them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

LIVE = "live"
# Callees before callers: a new caller may rely on what is new in its callees, never the other way round.
ORDER = ("rag", "sql", "ingest", "images", "router", "gateway")
# Image extraction runs the ingest image under a name, memory and concurrency of its own.
IMAGE_OF = {"images": "ingest"}
IMAGES = tuple(part for part in ORDER if part not in IMAGE_OF)
# A stack without the function does that work in the ingest function itself.
OPTIONAL = frozenset(IMAGE_OF)

_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,39}")


def function_name(prefix: str, part: str) -> str:
    """The function's name on AWS."""
    return f"{prefix}-{part}"


def checked_prefix(text: str) -> str:
    """A stack's prefix. Raises ValueError."""
    if not _PREFIX.fullmatch(text):
        raise ValueError(f"--prefix {text!r} must be up to 40 of a-z, 0-9 and '-', for example diglot")
    return text


def named_values(option: str, pairs: Sequence[str], names: Iterable[str], example: str) -> Mapping[str, str]:
    """`name=value` pairs of a command line. Raises ValueError naming the option."""
    known = tuple(names)
    found: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in known or not value:
            raise ValueError(f"{option} {pair!r} must be NAME=VALUE with NAME of {', '.join(known)}, such as {example}")
        if name in found:
            raise ValueError(f"{option} names {name} twice")
        found[name] = value
    return found
