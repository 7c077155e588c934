"""When a pooled connection asks the server whether it lives, seen from the server."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import AsyncConnection

from services.storage.idle_check import IdleCheck


@pytest.fixture
async def connection(store_url: str) -> AsyncIterator[AsyncConnection]:
    async with await AsyncConnection.connect(store_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def observer(store_url: str) -> AsyncIterator[AsyncConnection]:
    async with await AsyncConnection.connect(store_url, autocommit=True) as connection:
        yield connection


async def asks(check: IdleCheck, connection: AsyncConnection, observer: AsyncConnection) -> bool:
    """Whether the check sends anything."""
    statement = "SELECT state_change FROM pg_stat_activity WHERE pid = %s"
    process = (connection.info.backend_pid,)
    before = await (await observer.execute(statement, process)).fetchone()
    await check(connection)
    return await (await observer.execute(statement, process)).fetchone() != before


async def test_a_connection_used_a_moment_ago_is_trusted(
    connection: AsyncConnection, observer: AsyncConnection
) -> None:
    check = IdleCheck(trusted_seconds=60)

    assert await asks(check, connection, observer)
    assert not await asks(check, connection, observer)


async def test_a_connection_idle_for_longer_is_asked(
    connection: AsyncConnection, observer: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, now = IdleCheck(trusted_seconds=5), 1_000.0
    monkeypatch.setattr("services.storage.idle_check.time.time", lambda: now)
    await check(connection)
    now += 4.9
    assert not await asks(check, connection, observer)
    now += 5.1
    assert await asks(check, connection, observer)
    now -= 3_600  # the clock was set back
    assert await asks(check, connection, observer)


async def test_a_connection_that_the_server_ended_is_refused_however_fresh(
    connection: AsyncConnection, observer: AsyncConnection
) -> None:
    check = IdleCheck(trusted_seconds=60)
    await check(connection)

    await observer.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))

    with pytest.raises(psycopg.OperationalError):
        await check(connection)
    with pytest.raises(psycopg.OperationalError):
        await check(connection)  # closed by now


async def test_news_that_nobody_asked_for_are_no_reason_to_refuse(
    connection: AsyncConnection, observer: AsyncConnection
) -> None:
    check = IdleCheck(trusted_seconds=60)
    await connection.execute("LISTEN diglot")
    await check(connection)

    await observer.execute("NOTIFY diglot")

    await check(connection)
    assert not connection.closed
