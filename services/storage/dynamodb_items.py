"""Items, keys and writes of DynamoDB as plain values. Knows no client and calls nobody.

Expressions name an attribute as `#name` and a value as `:name`; what they stand for is worked out here, so that no
attribute needs to keep clear of DynamoDB's 573 reserved words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from services.storage.dynamodb_tables import PARTITION_KEY, SORT_KEY

Value = None | bool | int | float | str | bytes | Sequence["Value"] | Mapping[str, "Value"]
Item = dict[str, Any]
"""An item with plain values. Numbers are int where they are whole."""

_LONGEST_KEY_PART = 200
_NAME = re.compile(r"#(\w+)")
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Key:
    """The primary key of an item."""

    partition: str
    sort: str

    @property
    def attributes(self) -> dict[str, str]:
        return {PARTITION_KEY: self.partition, SORT_KEY: self.sort}


@dataclass(frozen=True)
class Write:
    """One write, alone or in a transaction: at most one of `item` and `update`; neither of them deletes the item.

    `update` and `condition` are expressions over `values`.
    """

    key: Key
    item: Mapping[str, Value] | None = None
    update: str = ""
    condition: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "Put" if self.item is not None else "Update" if self.update else "Delete"

    def arguments(self, table: str) -> dict[str, Any]:
        """Arguments of the call of that kind."""
        arguments: dict[str, Any] = {"TableName": table}
        if self.item is not None:
            arguments["Item"] = to_attributes({**self.item, **self.key.attributes})
        else:
            arguments["Key"] = to_attributes(self.key.attributes)
        if self.update:
            arguments["UpdateExpression"] = self.update
        if self.condition:
            arguments["ConditionExpression"] = self.condition
        return arguments | expression_arguments(f"{self.update} {self.condition}", self.values)


def assignments(changes: Mapping[str, Value]) -> tuple[str, dict[str, Value]]:
    """An update expression that sets attributes, and removes those that are None, with its values."""
    kept: dict[str, Value] = {name: value for name, value in changes.items() if value is not None}
    parts = []
    if kept:
        parts.append("SET " + ", ".join(f"#{name} = :{name}" for name in kept))
    if len(kept) < len(changes):
        parts.append("REMOVE " + ", ".join(f"#{name}" for name in changes if name not in kept))
    return " ".join(parts), kept


def expression_arguments(expression: str, values: Mapping[str, Value]) -> dict[str, Any]:
    """What the `#name`s and `:name`s of an expression stand for, as arguments of a call."""
    arguments: dict[str, Any] = {}
    if names := {f"#{name}": name for name in _NAME.findall(expression)}:
        arguments["ExpressionAttributeNames"] = names
    if values:
        arguments["ExpressionAttributeValues"] = {f":{name}": _marshal(value) for name, value in values.items()}
    return arguments


def key_part(text: str) -> str:
    """Text from outside as a part of a key: without `#`, of bounded length, and different for different texts."""
    quoted = quote(text, safe="")
    # No quoted text has a % that two digits do not follow.
    return quoted if len(quoted) <= _LONGEST_KEY_PART else f"%={hashlib.sha256(text.encode()).hexdigest()}"


def utc_now() -> datetime:
    return datetime.now(UTC)


def time_text(time: datetime) -> str:
    """A time as text of constant length, so that the order of texts is that of times. Microseconds are kept."""
    return time.astimezone(UTC).strftime(_TIME)


def time_from(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def epoch_seconds(time: datetime) -> int:
    """A time as DynamoDB wants it for its expiry of items."""
    return int(time.timestamp())


def to_attributes(item: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _marshal(value) for name, value in item.items()}


def from_attributes(attributes: Mapping[str, Any]) -> Item:
    return {name: _unmarshal(value) for name, value in attributes.items()}


def _marshal(value: Value) -> dict[str, Any]:
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):  # before int, which it is too
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, Mapping):
        return {"M": to_attributes(value)}
    return {"L": [_marshal(part) for part in value]}


def _unmarshal(attribute: Mapping[str, Any]) -> Any:
    [(kind, value)] = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(value) if re.fullmatch(r"-?\d+", value) else float(value)
        case "M":
            return from_attributes(value)
        case "L":
            return [_unmarshal(part) for part in value]
        case "B":
            return bytes(value)
        case _:
            return value
