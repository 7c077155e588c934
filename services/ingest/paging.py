"""Page tokens: where a newest-first list goes on, opaque to callers."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from services.ingest.errors import PageTokenInvalid
from services.ingest.models import PageRequest

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
_ID = re.compile(r"[0-9a-f]{32,64}")

Row = TypeVar("Row")
Key = tuple[datetime | None, str]


def read_page(list_name: str, page_size: int, page_token: str) -> PageRequest:
    """The page a request asks for; sizes out of range are brought into it.

    Raises: PageTokenInvalid: the token is not one that `cut_page` made for this list.
    """
    size = min(page_size, MAX_PAGE_SIZE) if page_size > 0 else DEFAULT_PAGE_SIZE
    return PageRequest(size, _read_token(list_name, page_token) if page_token else None)


def cut_page(
    list_name: str, found: Sequence[Row], page: PageRequest, key: Callable[[Row], Key]
) -> tuple[list[Row], str]:
    """The rows of a page and the token of the next one, from rows of which there is one more when there is a next."""
    rows = list(found[: page.size])
    return rows, _write_token(list_name, *key(rows[-1])) if len(found) > page.size else ""


def read_offset(list_name: str, page_size: int, page_token: str) -> tuple[int, int]:
    """Size and beginning of a page of a list that does not change. Raises PageTokenInvalid."""
    size = min(page_size, MAX_PAGE_SIZE) if page_size > 0 else DEFAULT_PAGE_SIZE
    if not page_token:
        return size, 0
    try:
        name, offset = json.loads(base64.b64decode(page_token + "=" * (-len(page_token) % 4), b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise PageTokenInvalid from None
    if name != list_name or type(offset) is not int or offset < 0:
        raise PageTokenInvalid
    return size, offset


def offset_token(list_name: str, offset: int) -> str:
    """Where such a list goes on."""
    return base64.urlsafe_b64encode(json.dumps([list_name, offset]).encode()).decode().rstrip("=")


def _write_token(list_name: str, time: datetime | None, identifier: str) -> str:
    place = [list_name, time.isoformat() if time is not None else "", identifier]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _read_token(list_name: str, token: str) -> tuple[datetime, str]:
    try:
        place = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        name, time, identifier = place
        moment = datetime.fromisoformat(time)
        told_in_utc = moment.astimezone(UTC)
    except (ValueError, TypeError, RecursionError, OverflowError):  # binascii.Error is a ValueError
        raise PageTokenInvalid from None
    if name != list_name or not isinstance(identifier, str) or not _ID.fullmatch(identifier) or moment.tzinfo is None:
        raise PageTokenInvalid
    return told_in_utc, identifier
