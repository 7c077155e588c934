from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.transport.envelope import (
    MAX_INLINE_BODY_BYTES,
    ReplyEnvelope,
    pack_call,
    pack_metadata,
    pack_reply,
    unpack_call,
    unpack_metadata,
    unpack_reply,
)
from services.transport.errors import BodyDamaged, ClaimCheckUnavailable, EnvelopeInvalid, PayloadTooLarge

METHOD = "/diglot.echo.v1.EchoService/Echo"
OK = grpc.StatusCode.OK


class FakeClaimChecks:
    """Keeps bodies in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def put(self, data: bytes) -> str:
        key = f"key-{len(self.kept)}"
        self.kept[key] = data
        return key

    async def get(self, key: str) -> bytes:
        if key not in self.kept:
            raise ClaimCheckUnavailable("gone")
        return self.kept[key]


_KEYS = st.from_regex(r"[a-z][a-z0-9_.-]{0,20}", fullmatch=True)
_TEXT_PAIRS = st.tuples(
    _KEYS.filter(lambda key: not key.endswith("-bin")), st.text(st.characters(min_codepoint=32, max_codepoint=126))
)
_BINARY_PAIRS = st.tuples(_KEYS.map(lambda key: f"{key}-bin"), st.binary())


@given(st.lists(_TEXT_PAIRS | _BINARY_PAIRS, max_size=10))
def test_metadata_survives_json(pairs: list[tuple[str, str | bytes]]) -> None:
    packed = json.loads(json.dumps(pack_metadata(pairs)))

    assert unpack_metadata("metadata", packed) == tuple(pairs)


@given(st.lists(st.binary(max_size=50), max_size=8))
async def test_a_reply_survives_json(messages: list[bytes]) -> None:
    reply = ReplyEnvelope(OK, "détails", (("a", "b"),), (("c-bin", b"\x00"),), tuple(messages))

    packed = json.dumps(await pack_reply(reply, None)).encode()

    assert await unpack_reply(packed, None) == reply


async def test_a_call_survives_json() -> None:
    payload = await pack_call(METHOD, (("key", "value"),), 1_500.0, b"\x00body", None)

    call = await unpack_call(json.loads(payload), None)

    assert (call.method, call.metadata, call.timeout_ms, call.body) == (METHOD, (("key", "value"),), 1_500, b"\x00body")


async def test_a_large_body_travels_as_a_claim() -> None:
    store, body = FakeClaimChecks(), bytes(MAX_INLINE_BODY_BYTES + 1)

    payload = await pack_call(METHOD, (), None, body, store)
    call = await unpack_call(json.loads(payload), store)

    assert len(payload) < 1_000
    assert call.body == body
    assert len(store.kept) == 1


async def test_a_body_at_the_limit_travels_inline_within_an_invoke() -> None:
    store = FakeClaimChecks()

    payload = await pack_call(METHOD, (), None, bytes(MAX_INLINE_BODY_BYTES), store)

    assert store.kept == {}
    assert len(payload) < 6_291_456 - 2 * 65_536


async def test_a_large_body_without_a_store_is_refused_naming_the_limit() -> None:
    with pytest.raises(PayloadTooLarge, match=r"4,200,000.*no claim-check store"):
        await pack_call(METHOD, (), None, bytes(MAX_INLINE_BODY_BYTES + 1), None)


async def test_no_body_may_pass_64_mebibytes() -> None:
    with pytest.raises(PayloadTooLarge, match="67,108,864"):
        await pack_call(METHOD, (), None, bytes(64 * 1024 * 1024 + 1), FakeClaimChecks())


async def test_a_body_that_was_changed_on_its_way_is_found_out() -> None:
    store = FakeClaimChecks()
    document = json.loads(await pack_call(METHOD, (), None, bytes(MAX_INLINE_BODY_BYTES + 1), store))
    store.kept[document["claim"]] = b"another body"

    with pytest.raises(BodyDamaged):
        await unpack_call(document, store)


async def test_a_claim_where_no_store_is_configured_is_told() -> None:
    document = json.loads(await pack_call(METHOD, (), None, b"", None))
    document["claim"] = "key"
    del document["body"]

    with pytest.raises(EnvelopeInvalid, match="no claim-check store"):
        await unpack_call(document, None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": True}, "version"),
        ({"version": "1"}, "version"),
        ({"method": "/a.B/C; DROP"}, "method"),
        ({"method": None}, "method"),
        ({"timeout_ms": True}, "timeout_ms"),
        ({"timeout_ms": -1}, "timeout_ms"),
        ({"timeout_ms": float("nan")}, "timeout_ms"),
        ({"metadata": [["one"]]}, "metadata"),
        ({"metadata": [["key", 1]]}, "metadata"),
        ({"metadata": None}, "metadata"),
        ({"body": 7}, "body"),
        ({"claim": "also"}, "body"),
        ({"sha256": None}, "sha256"),
    ],
)
async def test_a_malformed_call_names_the_part_at_fault(changes: dict[str, Any], field: str) -> None:
    document = json.loads(await pack_call(METHOD, (), None, b"", None)) | changes

    with pytest.raises(EnvelopeInvalid) as caught:
        await unpack_call(document, None)

    assert caught.value.field == field


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'{"message": "hello"}',
        b'{"version": 1, "status": "FINE"}',
        b'{"version": 1, "status": "OK", "details": 1}',
        b'{"version": 1, "status": "OK", "details": "", "sizes": [-1]}',
        b'{"version": 1, "status": "OK", "details": "", "sizes": [4], "initial_metadata": [],'
        b' "trailing_metadata": [], "body": "", "sha256":'
        b' "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}',
    ],
)
async def test_a_malformed_reply_is_told(payload: bytes) -> None:
    with pytest.raises(EnvelopeInvalid):
        await unpack_reply(payload, None)


@pytest.mark.parametrize(
    "pair", [("Upper", "x"), ("a key", "x"), ("", "x"), ("key", "newline\n"), ("key", "ü"), ("key-bin", "text")]
)
def test_metadata_that_grpc_would_not_send_is_not_sent(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="metadata"):
        pack_metadata([pair])


def test_metadata_is_bounded() -> None:
    with pytest.raises(PayloadTooLarge, match="65,536"):
        pack_metadata([("key", "x" * 70_000)])
