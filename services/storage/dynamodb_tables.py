"""What a table of DynamoDB is made of, as data; reads nothing and calls nobody.

Every table has a partition key `pk` and a sort key `sk`, pays by request, and forgets items past their `expires_at`
(seconds since 1970). Every key attribute, also of indexes, is a string: times are written so that their order is that
of their texts. Indexes are sparse: an item without the attributes of an index is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PARTITION_KEY = "pk"
SORT_KEY = "sk"
TTL_ATTRIBUTE = "expires_at"


@dataclass(frozen=True)
class Index:
    """A global secondary index. It holds the keys, and besides them the attributes named by `carries`."""

    name: str
    partition_key: str
    sort_key: str
    carries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table named `{prefix}-{suffix}`."""

    suffix: str
    indexes: tuple[Index, ...]

    def name(self, prefix: str) -> str:
        return f"{prefix}-{self.suffix}"

    def definition(self, prefix: str) -> dict[str, Any]:
        """Arguments of CreateTable; the same names make an AWS::DynamoDB::Table of CloudFormation."""
        keys = {PARTITION_KEY, SORT_KEY}
        for index in self.indexes:
            keys |= {index.partition_key, index.sort_key}
        return {
            "TableName": self.name(prefix),
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in sorted(keys)],
            "KeySchema": _key_schema(PARTITION_KEY, SORT_KEY),
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": index.name,
                    "KeySchema": _key_schema(index.partition_key, index.sort_key),
                    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.carries)}
                    if index.carries
                    else {"ProjectionType": "KEYS_ONLY"},
                }
                for index in self.indexes
            ],
        }


def _key_schema(partition_key: str, sort_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition_key, "KeyType": "HASH"},
        {"AttributeName": sort_key, "KeyType": "RANGE"},
    ]
