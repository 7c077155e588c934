"""One call as JSON, for transports that carry one document each way.

    call   {"version", "method", "metadata", "timeout_ms", "body" | "claim", "sha256"}
    reply  {"version", "status", "details", "initial_metadata", "trailing_metadata", "sizes",
            "body" | "claim", "sha256"}

`metadata` is a list of [key, value] pairs; values of keys ending in "-bin" are base64. `body` is base64 of the message,
or in a reply of all messages joined, whose lengths `sizes` tells. A body too large for an invoke is stored, and `claim`
holds its key. `sha256` is of the body's bytes. `timeout_ms` counts from when the call is read, as over gRPC; null means
that there is none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from services.transport.claim_check import ClaimCheckStore
from services.transport.errors import BodyDamaged, EnvelopeInvalid, PayloadTooLarge

VERSION = 1

# An invoke carries 6 MiB (6,291,456 bytes) each way. Base64 makes 5,600,000 of this; the rest is room for metadata.
MAX_INLINE_BODY_BYTES = 4_200_000
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_METADATA_BYTES = 64 * 1024
MAX_DETAILS_CHARACTERS = 8_000

Pairs = tuple[tuple[str, str | bytes], ...]

_METHOD = re.compile(r"/[A-Za-z_][A-Za-z0-9_.]*/[A-Za-z_][A-Za-z0-9_]*")
_METADATA_KEY = re.compile(r"[0-9a-z_.-]{1,256}")
_BINARY_SUFFIX = "-bin"


@dataclass(frozen=True)
class CallEnvelope:
    """A call as the callee reads it."""

    method: str
    metadata: Pairs
    timeout_ms: float | None
    body: bytes


@dataclass(frozen=True)
class ReplyEnvelope:
    """A reply as the caller reads it; a stream's messages are all there at once."""

    status: grpc.StatusCode
    details: str
    initial_metadata: Pairs
    trailing_metadata: Pairs
    messages: tuple[bytes, ...]


async def pack_call(
    method: str, metadata: Pairs, timeout_ms: float | None, body: bytes, claim_checks: ClaimCheckStore | None
) -> bytes:
    """The payload of an invoke. Raises PayloadTooLarge, ClaimCheckUnavailable, ValueError (unsendable metadata)."""
    document = {
        "version": VERSION,
        "method": method,
        "metadata": pack_metadata(metadata),
        "timeout_ms": timeout_ms,
        **await _pack_body(body, claim_checks),
    }
    return json.dumps(document, separators=(",", ":")).encode()


async def unpack_call(event: object, claim_checks: ClaimCheckStore | None) -> CallEnvelope:
    """Read an invoke's event. Raises EnvelopeInvalid, BodyDamaged, ClaimCheckUnavailable."""
    document = _checked_document(event)
    method = document.get("method")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise EnvelopeInvalid("method", "must look like /package.Service/Method")
    timeout_ms = document.get("timeout_ms")
    if timeout_ms is not None and (
        isinstance(timeout_ms, bool) or not isinstance(timeout_ms, int | float) or not 0 <= timeout_ms < 1e12
    ):
        raise EnvelopeInvalid("timeout_ms", "must be a number of milliseconds, or null")
    metadata = unpack_metadata("metadata", document.get("metadata"))
    return CallEnvelope(method, metadata, timeout_ms, await _unpack_body(document, claim_checks))


async def pack_reply(reply: ReplyEnvelope, claim_checks: ClaimCheckStore | None) -> dict[str, Any]:
    """What a handler returns. Raises PayloadTooLarge, ClaimCheckUnavailable, ValueError (unsendable metadata)."""
    body = reply.messages[0] if len(reply.messages) == 1 else b"".join(reply.messages)
    return {
        "version": VERSION,
        "status": reply.status.name,
        "details": reply.details[:MAX_DETAILS_CHARACTERS],
        "initial_metadata": pack_metadata(reply.initial_metadata),
        "trailing_metadata": pack_metadata(reply.trailing_metadata),
        "sizes": [len(message) for message in reply.messages],
        **await _pack_body(body, claim_checks),
    }


async def unpack_reply(payload: bytes, claim_checks: ClaimCheckStore | None) -> ReplyEnvelope:
    """Read an invoke's reply. Raises EnvelopeInvalid, BodyDamaged, ClaimCheckUnavailable."""
    try:
        document = _checked_document(json.loads(payload))
    except ValueError as error:
        raise EnvelopeInvalid("reply", "is no JSON") from error
    status = grpc.StatusCode.__members__.get(str(document.get("status")))
    if status is None:
        raise EnvelopeInvalid("status", "must be the name of a status code")
    details, sizes = document.get("details"), document.get("sizes")
    if not isinstance(details, str):
        raise EnvelopeInvalid("details", "must be text")
    if not isinstance(sizes, list) or not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise EnvelopeInvalid("sizes", "must be a list of lengths")
    initial_metadata = unpack_metadata("initial_metadata", document.get("initial_metadata"))
    trailing_metadata = unpack_metadata("trailing_metadata", document.get("trailing_metadata"))
    body = await _unpack_body(document, claim_checks)
    return ReplyEnvelope(status, details, initial_metadata, trailing_metadata, _split(body, sizes))


def pack_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> list[list[str]]:
    """Metadata as JSON. Raises ValueError: a key or value that gRPC would not send either. PayloadTooLarge."""
    packed: list[list[str]] = []
    size_bytes = 0
    for key, value in metadata:
        if not _METADATA_KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no metadata key")
        if key.endswith(_BINARY_SUFFIX):
            if not isinstance(value, bytes):
                raise ValueError(f"metadata {key!r} must be bytes")
            text = base64.b64encode(value).decode("ascii")
        else:
            text = value.decode("ascii") if isinstance(value, bytes) else value
            if not (text.isascii() and text.isprintable()):
                raise ValueError(f"metadata {key!r} must be printable ASCII")
        size_bytes += len(key) + len(text)
        packed.append([key, text])
    if size_bytes > MAX_METADATA_BYTES:
        raise PayloadTooLarge(f"metadata is larger than {MAX_METADATA_BYTES:,} bytes")
    return packed


def unpack_metadata(field: str, packed: object) -> Pairs:
    """Metadata from JSON. Raises EnvelopeInvalid naming `field`."""
    if not isinstance(packed, list):
        raise EnvelopeInvalid(field, "must be a list of [key, value] pairs")
    pairs: list[tuple[str, str | bytes]] = []
    for pair in packed:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise EnvelopeInvalid(field, "must be a list of [key, value] pairs")
        key, value = pair
        pairs.append((key, _base64_bytes(field, value) if key.endswith(_BINARY_SUFFIX) else value))
    return tuple(pairs)


async def _pack_body(body: bytes, claim_checks: ClaimCheckStore | None) -> dict[str, str]:
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"a body of {len(body):,} bytes is larger than the limit of {MAX_BODY_BYTES:,}")
    sha256 = hashlib.sha256(body).hexdigest()
    if len(body) <= MAX_INLINE_BODY_BYTES:
        return {"body": binascii.b2a_base64(body, newline=False).decode("ascii"), "sha256": sha256}
    if claim_checks is None:
        raise PayloadTooLarge(
            f"a body of {len(body):,} bytes is larger than an invoke carries ({MAX_INLINE_BODY_BYTES:,}), "
            "and no claim-check store is configured"
        )
    return {"claim": await claim_checks.put(body), "sha256": sha256}


async def _unpack_body(document: Mapping[str, Any], claim_checks: ClaimCheckStore | None) -> bytes:
    encoded, claim, sha256 = document.get("body"), document.get("claim"), document.get("sha256")
    if (encoded is None) == (claim is None):
        raise EnvelopeInvalid("body", "exactly one of body and claim must be given")
    if not isinstance(sha256, str):
        raise EnvelopeInvalid("sha256", "must be the body's hash in hexadecimal")
    if encoded is not None:
        body = _base64_bytes("body", encoded)
    elif not isinstance(claim, str):
        raise EnvelopeInvalid("claim", "must be a key")
    elif claim_checks is None:
        raise EnvelopeInvalid("claim", "no claim-check store is configured here")
    else:
        body = await claim_checks.get(claim)
    if hashlib.sha256(body).hexdigest() != sha256:
        raise BodyDamaged("the body does not match its hash")
    return body


def _checked_document(document: object) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise EnvelopeInvalid("event", "must be a JSON object")
    if document.get("version") != VERSION or isinstance(document.get("version"), bool):
        raise EnvelopeInvalid("version", f"must be {VERSION}")
    return document


def _base64_bytes(field: str, encoded: object) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise EnvelopeInvalid(field, "must be base64") from error


def _split(body: bytes, sizes: Sequence[int]) -> tuple[bytes, ...]:
    if sum(sizes) != len(body):
        raise EnvelopeInvalid("sizes", "do not add up to the body's length")
    if len(sizes) == 1:
        return (body,)
    messages: list[bytes] = []
    start = 0
    for size in sizes:
        messages.append(body[start : start + size])
        start += size
    return tuple(messages)
