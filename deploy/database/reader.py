"""The script that makes a reading role, for programs that have no psql."""

import re
from collections.abc import Sequence
from pathlib import Path

from psycopg import Connection, sql

SCRIPT = Path(__file__).parent / "create_reader.sql"
_VARIABLE = re.compile(r":'(\w+)'")


def create_reader(
    connection: Connection[tuple[object, ...]],
    *,
    reader: str,
    password: str,
    schemas: Sequence[str] = ("public",),
    connections: int = 20,
    close_public: bool = False,
) -> None:
    """Run `create_reader.sql`, which says what the arguments mean, in the database of an autocommit connection."""
    values = {
        "reader": reader,
        "password": password,
        "schemas": ",".join(schemas),
        "connections": str(connections),
        "close_public": "yes" if close_public else "no",
    }
    # Lines that begin with a backslash are for psql alone.
    lines = [line for line in SCRIPT.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("\\")]
    script = _VARIABLE.sub(lambda found: sql.Literal(values[found[1]]).as_string(connection), "\n".join(lines))
    connection.execute(script.encode())
