"""Who calls: a signed claim that travels with every internal call.

The gateway verifies the user's key or token once and signs what it found; each hop signs anew with the shared internal
key, and each service verifies. A claim is an HS256 JWT with iss, aud, iat, exp, sub, tenant and roles, valid 60 s.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import jwt

from services.transport.deadlines import swap_served_call
from services.transport.errors import ClaimRefused, NoCaller

CLAIM_KEY = "diglot-claim"
CLAIM_ISSUER = "diglot-gateway"
CLAIM_AUDIENCE = "diglot-internal"
CLAIM_LIFETIME_SECONDS = 60
_ALGORITHM = "HS256"  # fixed: a token never chooses how it is verified
_LEEWAY_SECONDS = 5  # clocks of two machines differ a little
_REUSE_SECONDS = 20  # a claim is signed once per caller and so long; it is still good for 40 s when used last
_REMEMBERED = 1_024
_MAX_CLAIM_CHARACTERS = 8_192


@dataclass(frozen=True)
class Caller:
    """On whose behalf a call runs. `tenant` bounds what it sees; `subject` is the user or service account."""

    tenant: str
    subject: str
    roles: frozenset[str]


_caller: ContextVar[Caller | None] = ContextVar("diglot_caller", default=None)


def current_caller() -> Caller:
    """The caller of the call being served, or of the enclosing `acting_as`. Raises NoCaller outside both."""
    caller = _caller.get()
    if caller is None:
        raise NoCaller("no caller: this code runs neither in a served call nor inside acting_as()")
    return caller


@contextmanager
def acting_as(caller: Caller) -> Iterator[Caller]:
    """Run as this caller: the gateway per request, background workers per job, tests.

    It starts a chain of calls of its own: the deadline of a call being served, which a background task inherits from
    the context it was created in, does not bind calls made inside.
    """
    caller_before = _caller.get()
    ends_at_before = swap_served_call(None)
    _caller.set(caller)
    try:
        yield caller
    finally:
        # Not reset(token): a generator may be closed in another context than the one it was started in.
        _caller.set(caller_before)
        swap_served_call(ends_at_before)


def enter_caller(caller: Caller) -> None:
    """Make this the caller for the rest of the served call's own context."""
    _caller.set(caller)


class ClaimSigner:
    """Signs claims; a caller's claim is reused for some seconds because signing costs more than the rest of a call."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._signed: OrderedDict[Caller, tuple[str, float]] = OrderedDict()

    def sign(self, caller: Caller) -> str:
        """A claim valid for at least another 40 s."""
        now = time.time()
        remembered = self._signed.get(caller)
        if remembered is not None and 0 <= now - remembered[1] < _REUSE_SECONDS:
            return remembered[0]
        claim = jwt.encode(
            {
                "iss": CLAIM_ISSUER,
                "aud": CLAIM_AUDIENCE,
                "iat": int(now),
                "exp": int(now) + CLAIM_LIFETIME_SECONDS,
                "sub": caller.subject,
                "tenant": caller.tenant,
                "roles": sorted(caller.roles),
            },
            self._key,
            algorithm=_ALGORITHM,
        )
        self._signed[caller] = (claim, now)
        self._signed.move_to_end(caller)
        if len(self._signed) > _REMEMBERED:
            self._signed.popitem(last=False)
        return claim


class ClaimVerifier:
    """Verifies claims; one that held is remembered until it expires."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._verified: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    def verify(self, claim: str | bytes | None) -> Caller:
        """The caller a claim speaks of. Raises ClaimRefused: CLAIM_MISSING or CLAIM_INVALID."""
        if not claim:
            raise ClaimRefused("CLAIM_MISSING", f"The call carries no {CLAIM_KEY} metadata.")
        if not isinstance(claim, str) or len(claim) > _MAX_CLAIM_CHARACTERS:
            raise ClaimRefused("CLAIM_INVALID", "The internal claim is malformed.")
        remembered = self._verified.get(claim)
        if remembered is not None:
            if time.time() < remembered[1]:
                return remembered[0]
            del self._verified[claim]
        caller, expires_at = self._decode(claim)
        self._verified[claim] = (caller, expires_at)
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)
        return caller

    def _decode(self, claim: str) -> tuple[Caller, float]:
        try:
            payload = jwt.decode(
                claim,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=CLAIM_ISSUER,
                audience=CLAIM_AUDIENCE,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "iat", "exp", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise ClaimRefused("CLAIM_INVALID", "The internal claim has expired.") from error
        except jwt.InvalidTokenError as error:
            raise ClaimRefused("CLAIM_INVALID", "The internal claim does not hold.") from error
        tenant, roles, issued_at, expires_at = (payload.get(name) for name in ("tenant", "roles", "iat", "exp"))
        if (
            not isinstance(tenant, str)
            or not tenant
            or not isinstance(roles, list)
            or not all(isinstance(role, str) for role in roles)
            or not isinstance(issued_at, int | float)
            or not isinstance(expires_at, int | float)
            or expires_at - issued_at > CLAIM_LIFETIME_SECONDS
        ):
            raise ClaimRefused("CLAIM_INVALID", "The internal claim lacks a tenant, roles or a short lifetime.")
        return Caller(tenant, payload["sub"], frozenset(roles)), expires_at + _LEEWAY_SECONDS
