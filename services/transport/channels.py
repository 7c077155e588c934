"""Channels to callees: one function, whatever carries the call."""

from __future__ import annotations

import grpc

from services.transport.addresses import LAMBDA_PREFIX, UNIX_PREFIX, check_target, socket_path
from services.transport.identity import ClaimSigner
from services.transport.observing import Fact
from services.transport.outgoing import OutgoingCalls, OutgoingChannel
from services.transport.settings import TransportSettings

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_METADATA_BYTES = 64 * 1024  # error details live here; gRPC's own 8 KiB is soon full

MESSAGE_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
)

_CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    *MESSAGE_OPTIONS,
    ("grpc.enable_retries", 0),  # retries.py decides; two layers would multiply
    ("grpc.service_config_disable_resolution", 1),  # no DNS TXT look-ups for settings nobody publishes
    ("grpc.enable_http_proxy", 0),  # an internal call never leaves through the proxy meant for the internet
    # A restarted service is found again within two seconds instead of two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


def open_channel(target: str, settings: TransportSettings) -> grpc.aio.Channel:
    """Open a channel to "dns:///host:port", "host:port", "unix:/path" or "lambda:function".

    Use it as an async context manager, inside a running event loop; generated stubs work unchanged. Every call gets a
    deadline, the current caller's claim, request id and trace, and retries as told in retries.py. A stub's call
    raises NoCaller when nobody is calling. A target that does not answer fails the calls, not this function.

    Raises: AddressInvalid: the target is malformed.
    """
    check_target(target)
    calls = OutgoingCalls(
        signer=ClaimSigner(settings.internal_key.get_secret_value()),
        timeout_seconds=settings.call_timeout_seconds,
        facts=_describe(target),
    )
    return OutgoingChannel(_open_carrier(target, settings), calls)


def _describe(target: str) -> dict[str, Fact]:
    """What the span of a call tells of transport and callee."""
    if target.startswith(LAMBDA_PREFIX):
        name = target.removeprefix(LAMBDA_PREFIX).split(":function:")[-1].partition(":")[0]
        return {"rpc.system.name": "aws_lambda", "faas.invoked_name": name, "faas.invoked_provider": "aws"}
    if target.startswith(UNIX_PREFIX):
        return {"rpc.system.name": "grpc", "network.transport": "unix", "server.address": str(socket_path(target))}
    host, _, port = target.removeprefix("dns:").lstrip("/").rpartition(":")
    if not port.isdigit():
        return {"rpc.system.name": "grpc", "server.address": port}
    return {"rpc.system.name": "grpc", "server.address": host, "server.port": int(port)}


def _open_carrier(target: str, settings: TransportSettings) -> grpc.aio.Channel:
    if target.startswith(LAMBDA_PREFIX):
        # Imported here: only processes that call functions pay for it.
        from services.transport.lambda_channel import open_lambda_channel

        return open_lambda_channel(target.removeprefix(LAMBDA_PREFIX), settings)
    if target.startswith(UNIX_PREFIX):
        target = f"{UNIX_PREFIX}{socket_path(target)}"
    return grpc.aio.insecure_channel(target, options=_CHANNEL_OPTIONS)
