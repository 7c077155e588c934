"""Numbered SQL files, and which of them a schema still needs. Reads files; knows no database."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.storage.errors import MigrationRefused

_FILE_NAME = re.compile(r"(?P<version>\d{4})_(?P<title>[a-z0-9_]+)\.sql")


@dataclass(frozen=True)
class Migration:
    """One step of a schema's history. `checksum` is the SHA-256 of its text, in hexadecimal digits."""

    version: int
    name: str
    statements: str
    checksum: str


def read_migrations(directory: Path) -> list[Migration]:
    """Read `NNNN_title.sql` files, lowest number first.

    Line ends are evened out before hashing, so that a checkout on another system is the same migration.

    Raises: MigrationRefused: the directory is missing or empty, a file is misnamed, or a number occurs twice.
    """
    paths = sorted(directory.glob("*.sql"))
    if not paths:
        raise MigrationRefused(f"no migrations in the folder {directory.name!r}")
    found: dict[int, Migration] = {}
    for path in paths:
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationRefused(f"{path.name!r} is not named like 0001_create_chunks.sql")
        version = int(match["version"])
        if version in found:
            raise MigrationRefused(f"{found[version].name!r} and {path.name!r} have the same number")
        statements = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        checksum = hashlib.sha256(statements.encode()).hexdigest()
        found[version] = Migration(version, path.name, statements, checksum)
    return [found[version] for version in sorted(found)]


def outstanding(migrations: Sequence[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """The migrations still to apply, in order.

    A version that only the database knows is no error: an older release may start on a newer schema.

    Args:
        migrations: what this release carries, lowest number first.
        applied: checksum by version, as the database remembers them.
    Raises: MigrationRefused: a migration was changed after it had been applied.
    """
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationRefused(f"{migration.name!r} was changed after it had been applied; add a new one instead")
    return [migration for migration in migrations if migration.version not in applied]
