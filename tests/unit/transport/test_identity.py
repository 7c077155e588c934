from __future__ import annotations

import asyncio

import jwt
import pytest

from services.transport import identity
from services.transport.deadlines import call_timeout_seconds, enter_served_call, inside_served_call, swap_served_call
from services.transport.errors import ClaimRefused, NoCaller
from services.transport.identity import Caller, ClaimSigner, ClaimVerifier, acting_as, current_caller

KEY = "a key of the unit tests, long enough for HS256"
ADA = Caller("acme", "ada", frozenset({"user"}))
BOB = Caller("acme", "bob", frozenset())


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(identity, "time", clock)
    # PyJWT reads the time by itself; what it checks is told apart below.
    monkeypatch.setattr(jwt.PyJWT, "_validate_claims", lambda *args, **kwargs: None)
    return clock


def test_there_is_no_caller_outside_a_call() -> None:
    with pytest.raises(NoCaller):
        current_caller()


def test_acting_as_nests_and_gives_back() -> None:
    with acting_as(ADA):
        with acting_as(BOB):
            assert current_caller() == BOB
        assert current_caller() == ADA
    with pytest.raises(NoCaller):
        current_caller()


async def test_acting_as_frees_a_background_task_from_the_call_that_started_it() -> None:
    async def work() -> tuple[bool, float]:
        with acting_as(ADA):
            return inside_served_call(), call_timeout_seconds(None, 30)

    enter_served_call(0.5)
    try:
        assert await asyncio.create_task(work()) == (False, 30)
        assert inside_served_call()
    finally:
        swap_served_call(None)


def test_a_claim_says_who_calls() -> None:
    claim = ClaimSigner(KEY).sign(ADA)

    assert ClaimVerifier(KEY).verify(claim) == ADA
    payload = jwt.decode(claim, KEY, algorithms=["HS256"], audience="diglot-internal")
    assert payload["exp"] - payload["iat"] == 60
    assert payload["iss"] == "diglot-gateway"


def test_a_claim_is_signed_anew_after_20_seconds(clock: Clock) -> None:
    signer = ClaimSigner(KEY)
    first = signer.sign(ADA)

    clock.now += 19
    assert signer.sign(ADA) == first
    clock.now += 1
    assert signer.sign(ADA) != first


def test_callers_do_not_share_claims() -> None:
    signer, verifier = ClaimSigner(KEY), ClaimVerifier(KEY)

    assert verifier.verify(signer.sign(ADA)) == ADA
    assert verifier.verify(signer.sign(BOB)) == BOB
    assert verifier.verify(signer.sign(Caller("zeta", "ada", ADA.roles))).tenant == "zeta"


def test_a_claim_that_held_is_forgotten_when_it_expires(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = ClaimVerifier(KEY)
    claim = ClaimSigner(KEY).sign(ADA)
    verifier.verify(claim)

    def refuse(*args: object, **kwargs: object) -> None:
        raise jwt.ExpiredSignatureError

    monkeypatch.setattr(jwt.PyJWT, "_validate_claims", refuse)
    clock.now += 64
    assert verifier.verify(claim) == ADA
    clock.now += 2
    with pytest.raises(ClaimRefused, match="expired"):
        verifier.verify(claim)


def test_memory_of_claims_is_bounded() -> None:
    signer, verifier = ClaimSigner(KEY), ClaimVerifier(KEY)

    for number in range(1_100):
        verifier.verify(signer.sign(Caller("acme", f"user-{number}", frozenset())))

    assert len(signer._signed) == len(verifier._verified) == 1_024


@pytest.mark.parametrize("claim", [b"bytes", "x" * 10_000, "\x00", "a.b.c"])
def test_what_is_no_token_is_refused(claim: str | bytes) -> None:
    with pytest.raises(ClaimRefused) as caught:
        ClaimVerifier(KEY).verify(claim)

    assert caught.value.reason == "CLAIM_INVALID"


@pytest.mark.parametrize("claim", [None, "", b""])
def test_no_claim_is_told_apart_from_a_bad_one(claim: str | bytes | None) -> None:
    with pytest.raises(ClaimRefused) as caught:
        ClaimVerifier(KEY).verify(claim)

    assert caught.value.reason == "CLAIM_MISSING"
