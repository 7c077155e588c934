"""Claim check: a body too large for an invoke is stored, and a key to it travels instead.

A stored body stays readable until its time is up, however often it is read: a caller may retry, a callee may be
started twice. Keys are unguessable, because whoever holds one reads the body.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from pathlib import Path
from typing import Protocol

from services.transport.errors import ClaimCheckUnavailable
from services.transport.settings import TransportSettings

_KEY = re.compile(r"[0-9a-f]{64}")
_SWEEP_INTERVAL_SECONDS = 60.0
_PART_SUFFIX = ".part"


class ClaimCheckStore(Protocol):
    """Keeps bodies for a short while, where caller and callee both reach them."""

    async def put(self, data: bytes) -> str:
        """Store a body and return its key, opaque and unguessable. Raises ClaimCheckUnavailable."""

    async def get(self, key: str) -> bytes:
        """The body of a key. Raises ClaimCheckUnavailable: malformed, unknown or expired key, or unreadable store."""


class LocalClaimChecks:
    """Claim checks in a folder of this machine; files past their time are swept while new ones are stored."""

    def __init__(self, folder: Path, *, ttl_seconds: float) -> None:
        self._folder = folder
        self._ttl_seconds = ttl_seconds
        self._swept_at = float("-inf")

    async def put(self, data: bytes) -> str:
        return await asyncio.to_thread(self._put, data)

    async def get(self, key: str) -> bytes:
        return await asyncio.to_thread(self._get, key)

    def _put(self, data: bytes) -> str:
        key = secrets.token_hex(32)
        part = self._folder / f"{key}{_PART_SUFFIX}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
            part.touch(mode=0o600)
            part.write_bytes(data)
            part.rename(self._folder / key)  # a reader sees the whole body or none
        except OSError as error:
            raise ClaimCheckUnavailable("a large body cannot be stored for the callee") from error
        return key

    def _get(self, key: str) -> bytes:
        # The key comes from another process: nothing but its own alphabet may become part of a path.
        if not _KEY.fullmatch(key):
            raise ClaimCheckUnavailable("the key of a stored body is malformed")
        path = self._folder / key
        try:
            if time.time() - path.stat().st_mtime > self._ttl_seconds:
                raise ClaimCheckUnavailable("a stored body has expired")
            return path.read_bytes()
        except FileNotFoundError as error:
            raise ClaimCheckUnavailable("a stored body is unknown or has expired") from error
        except OSError as error:
            raise ClaimCheckUnavailable("a stored body cannot be read") from error

    def _sweep(self) -> None:
        now = time.monotonic()
        if now - self._swept_at < min(_SWEEP_INTERVAL_SECONDS, self._ttl_seconds):
            return
        self._swept_at = now
        expired_before = time.time() - self._ttl_seconds
        for path in self._folder.iterdir():
            # Only what this class has written, should the folder be shared by mistake.
            if not _KEY.fullmatch(path.name.removesuffix(_PART_SUFFIX)):
                continue
            try:
                if path.stat().st_mtime < expired_before:
                    path.unlink()
            except FileNotFoundError:
                continue  # another process swept it first


def open_claim_checks(settings: TransportSettings) -> ClaimCheckStore | None:
    """The store that the settings choose; None: bodies too large for an invoke are refused."""
    ttl_seconds = settings.claim_check_ttl_seconds
    if settings.claim_check_bucket is not None:
        # Imported here: only processes with a bucket pay for it.
        from services.transport.s3_claim_checks import S3ClaimChecks

        return S3ClaimChecks(settings.claim_check_bucket, ttl_seconds=ttl_seconds)
    if settings.claim_check_dir is not None:
        return LocalClaimChecks(settings.claim_check_dir, ttl_seconds=ttl_seconds)
    return None
