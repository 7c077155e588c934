"""Opaque tokens that say where the next page of a list begins, bound to the list they came from."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime

from services.sql.audit import AuditPosition, AuditScope
from services.sql.errors import PageTokenInvalid
from services.sql.models import Owner, QueryPosition, QueryState
from services.sql.training_models import TrainingKind, TrainingPosition, TrainingState

_CHECK_BYTES = 12
_ID = re.compile(r"[0-9a-f]{32}")
_TRAINING_ID = re.compile(r"[0-9a-f]{64}")
_LARGEST_NUMBER = 2**63 - 1


def write_page_token(position: QueryPosition | None, owner: Owner, state: QueryState | None) -> str:
    """The token of the page of queries behind `position`; empty when there is none."""
    if position is None:
        return ""
    return _write([position.create_time.isoformat(), position.id], _bound_to_queries(owner, state))


def read_page_token(token: str, owner: Owner, state: QueryState | None) -> QueryPosition | None:
    """What `write_page_token` was given; None for the empty token. Raises PageTokenInvalid."""
    if not token:
        return None
    match _read(token, _bound_to_queries(owner, state)):
        case [str(create_time), str(query_id)]:
            return QueryPosition(_time(create_time), _id(query_id))
        case _:
            raise PageTokenInvalid


def write_audit_token(position: AuditPosition | None, scope: AuditScope) -> str:
    """The token of the page of the audit log behind `position`; empty when there is none."""
    if position is None:
        return ""
    return _write([position.at_time.isoformat(), position.query_id, position.number], _bound_to_log(scope))


def read_audit_token(token: str, scope: AuditScope) -> AuditPosition | None:
    """What `write_audit_token` was given; None for the empty token. Raises PageTokenInvalid."""
    if not token:
        return None
    match _read(token, _bound_to_log(scope)):
        case [str(at_time), str(query_id), int(number)] if 0 < number <= _LARGEST_NUMBER:
            return AuditPosition(_time(at_time), _id(query_id), number)
        case _:
            raise PageTokenInvalid


def write_training_token(
    position: TrainingPosition | None, tenant: str, kind: TrainingKind | None, state: TrainingState | None
) -> str:
    """The token of the page of training behind `position`; empty when there is none."""
    if position is None:
        return ""
    return _write([position.create_time.isoformat(), position.id], _bound_to_training(tenant, kind, state))


def read_training_token(
    token: str, tenant: str, kind: TrainingKind | None, state: TrainingState | None
) -> TrainingPosition | None:
    """What `write_training_token` was given; None for the empty token. Raises PageTokenInvalid."""
    if not token:
        return None
    match _read(token, _bound_to_training(tenant, kind, state)):
        case [str(create_time), str(item_id)] if _TRAINING_ID.fullmatch(item_id):
            return TrainingPosition(_time(create_time), item_id)
        case _:
            raise PageTokenInvalid


def _bound_to_training(tenant: str, kind: TrainingKind | None, state: TrainingState | None) -> list[str | None]:
    return ["training", tenant, kind, state]


def _bound_to_queries(owner: Owner, state: QueryState | None) -> list[str | None]:
    return [owner.tenant, owner.subject, state]


def _bound_to_log(scope: AuditScope) -> list[str | None]:
    times = [str(time) if time is not None else None for time in (scope.start_time, scope.end_time)]
    return ["audit", scope.tenant, scope.owner, scope.query_id, *times]


def _write(position: list[str | int], bound: list[str | None]) -> str:
    place = json.dumps(position).encode()
    return base64.urlsafe_b64encode(_check(place, bound) + place).decode().rstrip("=")


def _read(token: str, bound: list[str | None]) -> object:
    """The place in a token of this list. Raises PageTokenInvalid."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        check, place = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        if check != _check(place, bound):
            raise PageTokenInvalid
        position: object = json.loads(place)
    except (ValueError, RecursionError):  # binascii.Error is a ValueError
        raise PageTokenInvalid from None
    return position


# Whoever knows the check can make tokens: what they hold has to be what a store can take.
def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        told_in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise PageTokenInvalid from None
    if moment.tzinfo is None:
        raise PageTokenInvalid
    return told_in_utc


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise PageTokenInvalid
    return text


def _check(place: bytes, bound: list[str | None]) -> bytes:
    """Binds a place to one list. It is no secret: a list never holds more than its reader may see anyway."""
    return hashlib.sha256(json.dumps(bound).encode() + b"\0" + place).digest()[:_CHECK_BYTES]
