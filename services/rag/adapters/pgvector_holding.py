"""Chunks that are stored and not found yet: what searches look through names another tenant for them until then.

So showing a document, or showing it in the place of another, is one transaction, and searches need no condition more.
"""

from collections.abc import Mapping

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

# No tenant has it in its name, which consists of printable characters.
_HELD_BACK = "\x1e"
_SEARCHED = ("embeddings", "sketches", "postings")

_IS_HELD_BACK = """
SELECT EXISTS (
    SELECT FROM chunks JOIN sketches ON sketches.chunk_id = chunks.id AND sketches.tenant = %(held)s
    WHERE chunks.tenant = %(tenant)s AND chunks.document = %(document)s
)
"""
# Told by an inequality which rows it is about: by their tenant an index would be read whole for each of the chunks.
_SHOW = """
UPDATE {table} SET tenant = %(tenant)s FROM chunks
WHERE chunks.tenant = %(tenant)s AND chunks.document = %(document)s
    AND {table}.chunk_id = chunks.id AND {table}.tenant <> %(tenant)s
"""
_LOCK = "SELECT FROM documents WHERE tenant = %(tenant)s AND document = %(document)s FOR UPDATE"


async def searched_as(cursor: AsyncCursor[TupleRow], key: Mapping[str, str], *, held_back: bool, is_new: bool) -> str:
    """The tenant under which chunks of a document that is being written are searched."""
    held = key["tenant"] + _HELD_BACK
    if held_back and not is_new:
        await cursor.execute(_IS_HELD_BACK, {**key, "held": held})
        held_back = await cursor.fetchone() == (True,)
    return held if held_back else key["tenant"]


async def show(cursor: AsyncCursor[TupleRow], tenant: str, document: str) -> None:
    """Have searches find the chunks of a document, in the transaction of the cursor."""
    parameters = {"tenant": tenant, "document": document}
    await cursor.execute(_LOCK, parameters)  # whoever writes to it takes turns with this
    for table in _SEARCHED:
        await cursor.execute(_SHOW.format(table=table).encode(), parameters)
