"""Links by which the bytes of one upload, and no others, may be sent for a while without any further proof."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from gateway.names import is_name
from gateway.settings import GatewaySettings
from services.transport.identity import Caller

_CONTENT_PATH = re.compile(r"/uploads/([0-9a-f]{32})/content")
_PURPOSE = b"diglot upload link"
_NUMBER = re.compile(r"[0-9]{1,15}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LinkRefused(Exception):
    """The link does not hold; the text tells why. `is_over`: it did until a while ago."""

    def __init__(self, detail: str, *, is_over: bool = False) -> None:
        super().__init__(detail)
        self.is_over = is_over


@dataclass(frozen=True)
class UploadLink:
    """What a link is for. `expires_at` is in seconds since 1970."""

    upload_id: str
    tenant: str
    size_bytes: int
    sha256: str
    expires_at: int

    def address(self, base_url: str, settings: GatewaySettings) -> str:
        """The link, signed, under the address that the gateway was reached by."""
        query = {
            "tenant": self.tenant,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "expires": self.expires_at,
            "signature": self._signature(settings),
        }
        return f"{base_url.rstrip('/')}/uploads/{self.upload_id}/content?{urlencode(query)}"

    @property
    def caller(self) -> Caller:
        """Whom a request by this link speaks for: somebody of the tenant, who may send these bytes."""
        return Caller(self.tenant, "upload-link", frozenset({"user"}))

    def _signature(self, settings: GatewaySettings) -> str:
        key = hmac.digest(settings.transport.internal_key.get_secret_value().encode(), _PURPOSE, "sha256")
        parts = (self.upload_id, self.tenant, str(self.size_bytes), self.sha256, str(self.expires_at))
        told = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.new(key, told, hashlib.sha256).hexdigest()

    def check(self, signature: str, settings: GatewaySettings) -> None:
        """Raises LinkRefused."""
        if not hmac.compare_digest(self._signature(settings).encode(), signature.encode("utf-8", "replace")):
            raise LinkRefused("The link is not one of ours, or was changed; open an upload with POST /uploads.")
        if self.expires_at <= time.time():
            raise LinkRefused("The link has expired; open a new upload with POST /uploads.", is_over=True)


def is_link_path(method: str, path: str) -> bool:
    """Whether a link, and not a key, says who may ask this."""
    return method == "PUT" and _CONTENT_PATH.fullmatch(path) is not None


def link_in(path: str, query: Mapping[str, str], settings: GatewaySettings) -> UploadLink:
    """The link that a request was made by. Raises LinkRefused."""
    found = _CONTENT_PATH.fullmatch(path)
    tenant, size, expires = query.get("tenant", ""), query.get("size_bytes", ""), query.get("expires", "")
    sha256 = query.get("sha256", "")
    if not (
        found
        and is_name(tenant)
        and _NUMBER.fullmatch(size)
        and _NUMBER.fullmatch(expires)
        and _SHA256.fullmatch(sha256)
    ):
        raise LinkRefused("The link lacks a part of what POST /uploads gave; use it as it came.")
    link = UploadLink(found[1], tenant, int(size), sha256, int(expires))
    link.check(query.get("signature", ""), settings)
    return link
