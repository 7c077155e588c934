"""Counting what the database sends, under encryption and in trouble as well."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from services.sql.adapters.postgres_bounds import BoundedConnection, TooMuchReceived
from services.sql.adapters.postgres_session import open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.errors import QueryFailed
from tests.contract.sql.test_target import LIMITS


def server_context(folder: Path) -> ssl.SSLContext:
    """TLS for a server called localhost, by a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@asynccontextmanager
async def encrypted(url: str, folder: Path) -> AsyncIterator[str]:
    """Another address of the same database: TCP and TLS, as a managed service has it."""
    parts = conninfo_to_dict(url)
    context, socket_path = server_context(folder), f"{parts['host']}/.s.PGSQL.5432"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # the request for encryption
        writer.write(b"S")
        await writer.drain()
        await writer.start_tls(context)
        inner_reader, inner_writer = await asyncio.open_unix_connection(socket_path)
        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer), return_exceptions=True)

    async def carry(source: asyncio.StreamReader, destination: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                destination.write(data)
                await destination.drain()
        finally:
            destination.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield make_conninfo(url, host="127.0.0.1", port=port, sslmode="require")


async def test_results_pass_and_floods_are_cut_under_encryption(shop_url: str, tmp_path: Path) -> None:
    async with (
        encrypted(shop_url, tmp_path) as url,
        open_target_pool(url, max_connections=2, checkout_wait_seconds=5) as pool,
    ):
        target = PostgresTarget(pool, LIMITS, max_concurrent_runs=2, wait_seconds=5)
        async with pool.connection() as connection:
            in_use = connection.pgconn.ssl_in_use

        large, small = await asyncio.gather(
            target.run("SELECT repeat('x', 3999999)"), target.run("SELECT count(*) FROM customers")
        )
        with pytest.raises(QueryFailed, match="the database's answer is larger than is taken"):
            await target.run("SELECT repeat('x', 40000000)::int")
        after = await target.run("SELECT count(*) FROM orders")

    assert in_use
    assert len(str(large.rows[0][0])) == 3_999_999
    assert (small.rows, after.rows) == (((100,),), ((50,),))


async def test_a_bound_counts_from_when_it_is_set_and_can_be_lifted(shop_url: str) -> None:
    async with await BoundedConnection.connect(shop_url, autocommit=True) as connection:
        connection.bound()
        await connection.execute("SELECT repeat('x', 500000)")
        connection.allow(1_000_000)
        await connection.execute("SELECT repeat('x', 500000)")
        connection.allow(None)
        await connection.execute("SELECT repeat('x', 2000000)")
        connection.allow(1_000_000)

        with pytest.raises(TooMuchReceived):
            await connection.execute("SELECT repeat('x', 2000000)")

        assert connection.closed


async def test_a_server_that_ends_the_connection_is_noticed_through_the_count(
    shop_url: str, shop_owner_url: str
) -> None:
    async with (
        await BoundedConnection.connect(shop_url, autocommit=True) as connection,
        await psycopg.AsyncConnection.connect(shop_owner_url, autocommit=True) as owner,
    ):
        connection.bound()
        await owner.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))

        with pytest.raises(psycopg.OperationalError) as caught:
            await connection.execute("SELECT 1")

    assert not isinstance(caught.value, TooMuchReceived)


async def test_nothing_is_left_open_when_a_connection_is_closed(shop_url: str) -> None:
    before = asyncio.all_tasks()
    for _ in range(3):
        async with await BoundedConnection.connect(shop_url, autocommit=True) as connection:
            connection.bound()
            await connection.execute("SELECT 1")

    assert asyncio.all_tasks() == before
