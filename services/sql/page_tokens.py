"""Opaque tokens that say where the next page of a list begins, bound to the list they came from."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime

from services.sql.errors import PageTokenInvalid
from services.sql.models import Owner, QueryPosition, QueryState

_CHECK_BYTES = 12
_ID = re.compile(r"[0-9a-f]{32}")


def write_page_token(position: QueryPosition | None, owner: Owner, state: QueryState | None) -> str:
    """The token of the page behind `position`; empty when there is none."""
    if position is None:
        return ""
    place = json.dumps([position.create_time.isoformat(), position.id]).encode()
    return base64.urlsafe_b64encode(_check(place, owner, state) + place).decode().rstrip("=")


def read_page_token(token: str, owner: Owner, state: QueryState | None) -> QueryPosition | None:
    """What `write_page_token` was given; None for the empty token. Raises PageTokenInvalid."""
    if not token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        check, place = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        if check != _check(place, owner, state):
            raise PageTokenInvalid
        create_time, query_id = json.loads(place)
        moment = datetime.fromisoformat(create_time)
        told_in_utc = moment.astimezone(UTC)
    except (ValueError, TypeError, RecursionError, OverflowError):  # binascii.Error is a ValueError
        raise PageTokenInvalid from None
    # Whoever knows the check can make tokens: what they hold has to be what a store can take.
    if moment.tzinfo is None or not isinstance(query_id, str) or not _ID.fullmatch(query_id):
        raise PageTokenInvalid
    return QueryPosition(told_in_utc, query_id)


def _check(place: bytes, owner: Owner, state: QueryState | None) -> bytes:
    """Binds a place to one list. It is no secret: a list never holds more than its owner's queries anyway."""
    bound = json.dumps([owner.tenant, owner.subject, state]).encode() + b"\0" + place
    return hashlib.sha256(bound).digest()[:_CHECK_BYTES]
