"""Claim checks in a bucket, for functions on machines of their own.

Bodies lie under `claims/`, which the bucket's lifecycle empties after a day; the time to live is held to when a body is
read. They are encrypted as the bucket's default says: S3's own keys, unless somebody chose others.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from services.transport.aws_clients import AwsClient, make_aws_client
from services.transport.errors import ClaimCheckUnavailable

logger = logging.getLogger(__name__)

CLAIMS_PREFIX = "claims/"
_KEY = re.compile(r"[0-9a-f]{64}")
_UNKNOWN = frozenset({"NoSuchKey", "404"})


class SharedS3:
    """The one S3 client of a process, made when a body first needs it: a cold start does not pay for it."""

    def __init__(self) -> None:
        self._client: AwsClient | None = None
        self._making = threading.Lock()

    def get(self) -> AwsClient:
        """The client, made now if need be. Blocks meanwhile. Raises BotoCoreError: no region, for one."""
        with self._making:
            if self._client is None:
                self._client = make_aws_client("s3")
            return self._client

    def close(self) -> None:
        """Release the client; the next body makes a new one."""
        with self._making:
            client, self._client = self._client, None
        if client is not None:
            client.close()


SHARED_S3 = SharedS3()


class S3ClaimChecks:
    """Claim checks as objects `claims/{key}` of a bucket."""

    def __init__(self, bucket: str, *, ttl_seconds: float, shared_s3: SharedS3 = SHARED_S3) -> None:
        self._bucket = bucket
        self._ttl_seconds = ttl_seconds
        self._shared_s3 = shared_s3

    async def put(self, data: bytes) -> str:
        key = secrets.token_hex(32)
        await self._call(
            "a large body cannot be stored for the callee",
            lambda s3: s3.put_object(
                Bucket=self._bucket, Key=f"{CLAIMS_PREFIX}{key}", Body=data, ContentType="application/octet-stream"
            ),
        )
        return key

    async def get(self, key: str) -> bytes:
        # The key comes from another process: nothing but its own alphabet may become part of an object's name.
        if not _KEY.fullmatch(key):
            raise ClaimCheckUnavailable("the key of a stored body is malformed")
        body: bytes = await self._call("a stored body cannot be read", lambda s3: self._read(s3, key))
        return body

    def _read(self, s3: Any, key: str) -> bytes:
        found = s3.get_object(Bucket=self._bucket, Key=f"{CLAIMS_PREFIX}{key}")
        with found["Body"] as body:
            if (_time_of(found) - found["LastModified"]).total_seconds() > self._ttl_seconds:
                raise ClaimCheckUnavailable("a stored body has expired")
            data: bytes = body.read()
            return data

    async def _call(self, failed: str, call: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = await asyncio.to_thread(self._shared_s3.get)
            return await client.run(call)
        except ClientError as error:
            cause = str(error.response.get("Error", {}).get("Code", ""))
            if cause in _UNKNOWN:
                raise ClaimCheckUnavailable("a stored body is unknown or has expired") from error
            logger.warning("claim_check.failed", extra={"bucket": self._bucket, "cause": cause})
            raise ClaimCheckUnavailable(failed) from error
        except BotoCoreError as error:
            logger.warning("claim_check.failed", extra={"bucket": self._bucket, "cause": type(error).__name__})
            raise ClaimCheckUnavailable(failed) from error


def _time_of(reply: Any) -> datetime:
    """When S3 sent a reply, by S3's clock, which also dated the body: ours may be wrong. Ours where S3 tells none."""
    told = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(told).astimezone(UTC)
    except (TypeError, ValueError):
        return datetime.now(UTC)
