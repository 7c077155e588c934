"""The last schema read from each database, in DynamoDB, in the table of the queries.

    SCHEMA#{database} / HEAD               its fingerprint, and of which parts of which revision it consists
    SCHEMA#{database} / {revision}#{n}     a part of it: compressed JSON, as an item holds 400 KB at most

Parts are written before the head that leads to them, and those of the former head removed after it, so a schema is read
whole or not at all. Head and parts are forgotten `keeps_for` after they were saved, which also clears away what a
saving that broke off has left; a schema that was forgotten is read from the database again.

Costs, in write and read units for a schema of K compressed KB (of 1,000 columns with their values, about 100): save 2K
write units, load K / 4 read units.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

from services.sql.adapters.schema_content import schema_content, schema_from
from services.sql.models import Schema
from services.storage.dynamodb import DynamoTable
from services.storage.dynamodb_items import Key, Value, Write, epoch_seconds, key_part, time_from, time_text, utc_now

PART_BYTES = 350_000
_LOADS = 3


class DynamoSchemaStore:
    """SchemaStore in one table of DynamoDB."""

    def __init__(
        self,
        table: DynamoTable,
        *,
        keeps_for: timedelta = timedelta(days=90),
        part_bytes: int = PART_BYTES,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._table = table
        self._keeps_for = keeps_for
        self._part_bytes = part_bytes
        self._now = now

    async def load(self, database: str) -> Schema | None:
        """See the port."""
        partition = _partition(database)
        for _ in range(_LOADS):
            head = await self._table.get(Key(partition, "HEAD"))
            if head is None:
                return None
            keys = _part_keys(partition, head["revision"], head["part_count"])
            parts = await self._table.get_many(keys)
            if len(parts) == len(keys):
                content = json.loads(zlib.decompress(b"".join(part["content"] for part in parts)))
                return schema_from(content, head["fingerprint"], time_from(head["read_time"]))
            # Another process has saved between the two reads, and removed these parts.
        return None

    async def save(self, database: str, schema: Schema) -> bool:
        """See the port."""
        packed = zlib.compress(json.dumps(schema_content(schema), separators=(",", ":")).encode())
        parts = [packed[start : start + self._part_bytes] for start in range(0, len(packed), self._part_bytes)]
        partition, revision = _partition(database), uuid4().hex
        expires_at = epoch_seconds(self._now() + self._keeps_for)
        for key, part in zip(_part_keys(partition, revision, len(parts)), parts, strict=True):
            await self._table.write(Write(key, {"content": part, "expires_at": expires_at}))
        head: dict[str, Value] = {
            "fingerprint": schema.fingerprint,
            "read_time": time_text(schema.read_time),
            "revision": revision,
            "part_count": len(parts),
            "expires_at": expires_at,
        }
        former = await self._table.replace(Key(partition, "HEAD"), head)
        if former is None or former["revision"] == revision:
            return True  # Its own: the head was written at the first try, of which no answer came.
        for key in _part_keys(partition, former["revision"], former["part_count"]):
            await self._table.write(Write(key))
        return bool(former["fingerprint"] != schema.fingerprint)


def _partition(database: str) -> str:
    return f"SCHEMA#{key_part(database)}"


def _part_keys(partition: str, revision: str, count: int) -> list[Key]:
    return [Key(partition, f"{revision}#{number:04}") for number in range(count)]
