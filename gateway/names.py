"""Names of tenants, users and roles, as keys and tokens bring them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeGuard

MAX_NAME_CHARACTERS = 200
# Every internal call carries the names in a header, which may have 8 KB with all that surrounds them.
_MAX_CARRIED_BYTES = 4_096


def is_name(value: object) -> TypeGuard[str]:
    """Whether a value is a text that can stand in headers, addresses and tables, and looks like no other name."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME_CHARACTERS
        and value.isprintable()
        and value == value.strip()
    )


def can_be_carried(names: Iterable[str]) -> bool:
    """Whether the names of one caller fit into the header of a call, all together."""
    return len(json.dumps(list(names))) <= _MAX_CARRIED_BYTES
