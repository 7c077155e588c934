"""A database with everything that an attack could wish for, and a role that may only read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from deploy.database.reader import create_reader
from deploy.local.databases import SAMPLE_FOLDER
from deploy.local.embedded_postgres import EmbeddedPostgres
from tests.integration.sql.attacks.arsenal import FOLDER_MARK
from tests.postgres import PASSWORD

_DATABASE, _READER = "own_fortress", "own_fortress_reader"


@dataclass(frozen=True)
class Fortress:
    """Where to attack as whom, and a folder that the server could leave files in, if it were brought to it."""

    owner_url: str
    reader_url: str
    folder: Path

    def aimed(self, statement: str) -> str:
        """The statement, at this folder."""
        return statement.replace(FOLDER_MARK, str(self.folder))


@pytest.fixture(scope="package")
def fortress(postgres_server: EmbeddedPostgres, make_folder: Callable[[], Path]) -> Iterator[Fortress]:
    folder = make_folder()
    folder.chmod(0o777)
    database = sql.Identifier(_DATABASE)
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY file_copy").format(database))
        with psycopg.connect(postgres_server.url(_DATABASE), autocommit=True) as owner:
            owner.execute((SAMPLE_FOLDER / "shop.sql").read_bytes())
            owner.execute((Path(__file__).parent / "fortress.sql").read_bytes())
            create_reader(owner, reader=_READER, password=PASSWORD, close_public=True)
            owner.execute("ANALYZE")
        yield Fortress(postgres_server.url(_DATABASE), postgres_server.url(_DATABASE, _READER, PASSWORD), folder)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(_READER)))
