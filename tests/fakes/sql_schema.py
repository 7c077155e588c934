"""A schema that tells who looks at it."""

from __future__ import annotations

from threading import Thread, current_thread

from services.sql.models import Schema, Table
from tests.fakes.sql import shop_schema


class WatchedSchema(Schema):
    """Remembers in which threads it was asked for tables."""

    threads: list[Thread]

    def __init__(self) -> None:
        super().__init__(shop_schema().tables)
        object.__setattr__(self, "threads", [])

    def table(self, schema: str, name: str) -> Table | None:
        self.threads.append(current_thread())
        return super().table(schema, name)
