"""What a target to dial, an address to listen on and one of a database look like, checked when settings are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.transport.errors import AddressInvalid

LAMBDA_PREFIX = "lambda:"
UNIX_PREFIX = "unix:"
DYNAMODB_PREFIX = "dynamodb://"
_MAX_SOCKET_PATH_BYTES = 107  # sun_path holds 108 with its terminator; longer ones fail with a riddle

_PORT = r"(?::(?P<port>[0-9]{1,5}))"
_HOST_PORT = re.compile(rf"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]){_PORT}")
_DNS = re.compile(rf"dns:(?:///)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]){_PORT}?")
_FUNCTION = re.compile(r"[A-Za-z0-9_:$-]{1,170}")
_TABLE_PREFIX = re.compile(r"[a-zA-Z0-9_.-]{3,200}")
_TARGET_FORMS = "dns:///rag:50051, 127.0.0.1:50051, unix:/run/diglot/rag.sock or lambda:diglot-rag"
_LISTEN_FORMS = "0.0.0.0:50051 or unix:/run/diglot/rag.sock"


def check_target(target: str) -> str:
    """The target itself. Raises AddressInvalid when no channel can be opened to it."""
    if target.startswith(LAMBDA_PREFIX):
        valid = _FUNCTION.fullmatch(target.removeprefix(LAMBDA_PREFIX)) is not None
    elif target.startswith(UNIX_PREFIX):
        socket_path(target)
        valid = True
    else:
        match = _DNS.fullmatch(target) or _HOST_PORT.fullmatch(target)
        valid = match is not None and (match["port"] is None or 0 < int(match["port"]) < 65_536)
    if not valid:
        raise AddressInvalid(f"{target!r} is no target; use {_TARGET_FORMS}")
    return target


def check_listen_address(address: str) -> str:
    """The address itself. Raises AddressInvalid when no server can listen there. Port 0 means: any free one."""
    if address.startswith(UNIX_PREFIX):
        socket_path(address)
        return address
    match = _HOST_PORT.fullmatch(address)
    if match is None or int(match["port"]) > 65_535:
        raise AddressInvalid(f"{address!r} is no address to listen on; use {_LISTEN_FORMS}")
    return address


def socket_path(address: str) -> Path:
    """Path of a `unix:` address. Raises AddressInvalid when it is missing or too long."""
    path = address.removeprefix(UNIX_PREFIX)
    if path.startswith("//"):
        path = path[2:]  # unix:///absolute/path is the other accepted spelling
    if not path or path.endswith("/") or "\0" in path:
        raise AddressInvalid(f"{address!r} names no socket; use unix:/run/diglot/rag.sock")
    if len(path.encode()) > _MAX_SOCKET_PATH_BYTES:
        raise AddressInvalid(
            f"{address!r} is longer than a socket path may be ({_MAX_SOCKET_PATH_BYTES} bytes); "
            "use a shorter directory, as in unix:/run/diglot/rag.sock"
        )
    return Path(path)


def check_postgres_url(url: SecretStr) -> SecretStr:
    """The URL without blanks around it; never shown, because it holds a password. Raises AddressInvalid."""
    address = url.get_secret_value().strip()
    if not address:
        raise AddressInvalid("is not set")
    if not address.startswith(("postgresql://", "postgres://")):
        raise AddressInvalid("is no PostgreSQL address")
    return SecretStr(address)


def check_store_url(url: SecretStr) -> SecretStr:
    """A database, or `dynamodb://` and what the names of the tables begin with. Raises AddressInvalid."""
    address = url.get_secret_value().strip()
    if not address.startswith(DYNAMODB_PREFIX):
        try:
            return check_postgres_url(url)
        except AddressInvalid:
            if not address:
                raise
            raise AddressInvalid(f"is neither a PostgreSQL address nor {DYNAMODB_PREFIX}TABLE_PREFIX") from None
    check_table_prefix(address.removeprefix(DYNAMODB_PREFIX))
    return SecretStr(address)


def check_table_prefix(prefix: str) -> str:
    """What the names of a store's tables begin with, itself. Raises AddressInvalid when no table can be named so."""
    if not _TABLE_PREFIX.fullmatch(prefix):
        raise AddressInvalid(
            "a table prefix has 3 to 200 letters, digits, dots, hyphens and underscores, for example diglot as in"
            f" DIGLOT_STORE_URL={DYNAMODB_PREFIX}diglot"
        )
    return prefix


def table_prefix_of(store_url: str) -> str | None:
    """What the names of the store's tables in DynamoDB begin with; None when it is a database."""
    return store_url.removeprefix(DYNAMODB_PREFIX) if store_url.startswith(DYNAMODB_PREFIX) else None


Target = Annotated[str, AfterValidator(check_target), Field(examples=["dns:///host:50051"])]
"""Settings field type of a callee's target."""

ListenAddress = Annotated[str, AfterValidator(check_listen_address)]
"""Settings field type of the address a server listens on."""

PostgresUrl = Annotated[
    SecretStr,
    AfterValidator(check_postgres_url),
    Field(examples=["postgresql://diglot:password@host:5432/diglot_store"]),
]
"""Settings field type of a database: a service's own store, unless an example of the field's own says otherwise."""

StoreUrl = Annotated[
    SecretStr,
    AfterValidator(check_store_url),
    Field(examples=["postgresql://diglot:password@host:5432/diglot_store"]),
]
"""Settings field type of a service's own store: PostgreSQL, or tables in DynamoDB as `dynamodb://diglot`."""
