"""Why no connection to a database can be made, in words for whoever set the address."""

from __future__ import annotations

import asyncio

import psycopg
from psycopg.conninfo import conninfo_to_dict

_SECONDS = 3

# What the client library and the server say, and what it means. Their own texts stay behind: they name users and more.
_MEANINGS = (
    (
        ("password authentication failed", "no password supplied", "authentication failed"),
        "refuses the user's password",
    ),
    (("no pg_hba.conf entry", "not permitted to log in", "permission denied for database"), "does not let the user in"),
    (("does not exist",), "has no such database or no such user"),
    (("could not translate host name", "failed to resolve host", "name or service not known"), "has an unknown name"),
    (("connection refused",), "is not listening"),
    (("timeout expired", "timed out", "no route to host", "network is unreachable"), "does not answer"),
    (("ssl", "certificate"), "does not agree on TLS"),
    (("too many connections", "too many clients", "remaining connection slots"), "has no connection to spare"),
    (("starting up", "shutting down", "in recovery"), "is starting or shutting down"),
)


async def why_unreachable(conninfo: str) -> str:
    """One sentence that tries once, takes a few seconds at most, and tells neither password nor user."""
    place = _place(conninfo)
    try:
        async with asyncio.timeout(_SECONDS + 1):
            connection = await psycopg.AsyncConnection.connect(conninfo, connect_timeout=_SECONDS)
            await connection.close()
    except TimeoutError:
        return f"the database at {place} does not answer"
    except (psycopg.Error, OSError) as error:
        said = str(error).lower()
        known = (meaning for signs, meaning in _MEANINGS if any(sign in said for sign in signs))
        return f"the database at {place} {next(known, 'cannot be connected to')}"
    return f"the database at {place} could not be asked, but takes connections now"


def _place(conninfo: str) -> str:
    parts = conninfo_to_dict(conninfo)
    return f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}"
