"""What callers bring and how often they try, whatever carries the call."""

from __future__ import annotations

import time
from typing import Any

import grpc
import jwt
import pytest

from services.transport.deadlines import enter_served_call, swap_served_call
from services.transport.errors import NoCaller
from services.transport.telemetry import new_request
from tests.contract.transport.transport_contract import (
    KEY,
    CalledContract,
    CarriedContract,
    Carrier,
    failure_of,
    unique,
)
from tests.echo.echo_service_pb2 import EchoRequest

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def _claim(*, key: str = KEY, algorithm: str = "HS256", without: str = "", **changes: object) -> str:
    now = int(time.time())
    payload: dict[str, Any] = {
        "iss": "diglot-gateway",
        "aud": "diglot-internal",
        "iat": now,
        "exp": now + 60,
        "sub": "ada",
        "tenant": "acme",
        "roles": ["user"],
    }
    payload.update(changes)
    payload.pop(without, None)
    return jwt.encode(payload, key, algorithm=algorithm)


def _bad_claims() -> dict[str, str]:
    now = int(time.time())
    return {
        "another key": _claim(key="a key that is not the internal one, at all"),
        "no algorithm": _claim(key="", algorithm="none"),
        "another algorithm": _claim(key=KEY * 2, algorithm="HS512"),
        "expired": _claim(iat=now - 120, exp=now - 60),
        "issued by another": _claim(iss="somebody"),
        "for another audience": _claim(aud="everybody"),
        "too long a life": _claim(exp=now + 3_600),
        "from the future": _claim(iat=now + 600, exp=now + 660),
        "no expiry": _claim(without="exp"),
        "no subject": _claim(without="sub"),
        "no tenant": _claim(without="tenant"),
        "empty tenant": _claim(tenant=""),
        "roles that are no list": _claim(roles="admin"),
        "no token": "not.a.token",
    }


class IdentityContract(CarriedContract):
    """Who may call."""

    async def test_a_call_without_a_claim_is_refused(self, carrier: Carrier) -> None:
        failure = await failure_of(carrier.bare_stub.Echo(EchoRequest()))

        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CLAIM_MISSING")
        assert failure.domain == "echo.diglot"

    @pytest.mark.parametrize("fault", _bad_claims())
    async def test_a_claim_that_does_not_hold_is_refused(self, carrier: Carrier, fault: str) -> None:
        metadata = (("diglot-claim", _bad_claims()[fault]),)

        failure = await failure_of(carrier.bare_stub.Echo(EchoRequest(), metadata=metadata))

        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CLAIM_INVALID")

    async def test_a_stream_without_a_claim_is_refused(self, carrier: Carrier) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in carrier.bare_stub.StreamEcho(EchoRequest(repeat=1)):
                pass

        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED

    async def test_a_valid_claim_is_enough(self, carrier: Carrier) -> None:
        response = await carrier.bare_stub.Echo(EchoRequest(), metadata=(("diglot-claim", _claim(tenant="zeta")),))

        assert response.tenant == "zeta"

    async def test_nobody_cannot_call(self, carrier: Carrier) -> None:
        with pytest.raises(NoCaller):
            carrier.stub.Echo(EchoRequest())


class TelemetryContract(CalledContract):
    """What ties the hops of one request together."""

    async def test_request_id_and_trace_are_carried(self, carrier: Carrier) -> None:
        with new_request("request-7", f"00-{TRACE_ID}-00f067aa0ba902b7-01") as request:
            response = await carrier.stub.Echo(EchoRequest())

        assert response.metadata["diglot-request-id"] == "request-7"
        assert response.metadata["traceparent"] == f"00-{TRACE_ID}-{request.span_id}-01"
        assert request.span_id != "00f067aa0ba902b7"

    async def test_a_call_outside_a_request_begins_one(self, carrier: Carrier) -> None:
        response = await carrier.stub.Echo(EchoRequest())

        assert len(response.metadata["diglot-request-id"]) == 32
        assert response.metadata["traceparent"].startswith("00-")


class RetryContract(CalledContract):
    """Who tries again, and when."""

    async def test_an_idempotent_method_is_tried_again_when_unavailable(self, carrier: Carrier) -> None:
        response = await carrier.stub.Echo(EchoRequest(text=unique("flaky"), fail_times=2))

        assert response.call_count == 3

    async def test_three_attempts_are_the_most(self, carrier: Carrier) -> None:
        text = unique("down")

        failure = await failure_of(carrier.stub.Echo(EchoRequest(text=text, fail_times=100)))

        assert failure.reason == "ECHO_BUSY"
        assert (await carrier.stub.Echo(EchoRequest(text=text))).call_count == 4

    async def test_a_method_not_marked_idempotent_is_never_tried_again(self, carrier: Carrier) -> None:
        text = unique("once")

        await failure_of(carrier.stub.EchoOnce(EchoRequest(text=text, fail_times=1)))

        assert (await carrier.stub.EchoOnce(EchoRequest(text=text))).call_count == 2

    @pytest.mark.parametrize("name", ["not_found", "exhausted", "unlisted"])
    async def test_only_unavailable_is_tried_again(self, carrier: Carrier, name: str) -> None:
        text = unique(name)

        await failure_of(carrier.stub.Echo(EchoRequest(text=text, fail_with=name)))

        assert (await carrier.stub.Echo(EchoRequest(text=text))).call_count == 2

    async def test_a_service_that_serves_a_call_leaves_trying_again_to_the_first_caller(self, carrier: Carrier) -> None:
        text = unique("chained")
        enter_served_call(10)
        try:
            await failure_of(carrier.stub.Echo(EchoRequest(text=text, fail_times=1)))
        finally:
            swap_served_call(None)

        assert (await carrier.stub.Echo(EchoRequest(text=text))).call_count == 2

    async def test_attempts_stay_within_the_deadline(self, carrier: Carrier) -> None:
        started_at = time.monotonic()
        request = EchoRequest(text=unique("slow"), delay_ms=300, fail_times=100)

        await failure_of(carrier.stub.Echo(request, timeout=0.5))

        assert time.monotonic() - started_at < 1.5

    async def test_the_budget_ends_retries_of_a_callee_that_stays_down(self, carrier: Carrier) -> None:
        text = unique("budget")
        for _ in range(12):
            await failure_of(carrier.stub.Echo(EchoRequest(text=text, fail_times=1_000)))

        attempts = (await carrier.stub.Echo(EchoRequest(text=text))).call_count - 1
        assert attempts == 12 + 10

    async def test_a_call_made_while_serving_another_does_not_outlive_it(self, carrier: Carrier) -> None:
        enter_served_call(2)
        try:
            response = await carrier.stub.Echo(EchoRequest(), timeout=15)
        finally:
            swap_served_call(None)

        assert 0 < response.remaining_ms < 2_000
