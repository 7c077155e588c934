"""Links by which a browser or a script sends a file to the bucket, or fetches one, without it passing through us."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from services.ingest.errors import FileStoreUnavailable
from services.ingest.uploads import SignedUpload, is_upload_id
from services.transport.aws_clients import AwsClient

UPLOADS = "tmp/uploads/"
# Controls, lone surrogates, and the marks by which a name can be shown as another one.
_NEVER_SHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NOT_IN_QUOTES = re.compile(r'[^\x20-\x7e]|["\\%]')


class S3Presigner:
    """Signs links to one bucket. With `addressing_style="virtual"` its client names the bucket's own region in them.

    A link works until it expires or the credentials it was signed with do, whichever is first. Every method raises
    FileStoreUnavailable when there are no credentials to sign with.
    """

    def __init__(self, client: AwsClient, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    async def put(
        self, upload_id: str, *, content_type: str, size_bytes: int, sha256: str, expires_in_seconds: int
    ) -> SignedUpload:
        """A PUT of exactly so many bytes of exactly that type and SHA-256 (in hexadecimal digits).

        S3 refuses any others by the headers that are signed. `upload_id` is 32 lower-case hexadecimal digits.
        """
        checksum = b64encode(bytes.fromhex(sha256)).decode()
        wanted = {
            "Bucket": self._bucket,
            "Key": upload_key(upload_id),
            "ContentType": content_type,
            "ContentLength": size_bytes,
            "ChecksumSHA256": checksum,
        }
        url = await self._signed("put_object", wanted, expires_in_seconds)
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(size_bytes),
            "x-amz-checksum-sha256": checksum,
        }
        return SignedUpload("PUT", url, _after(expires_in_seconds), headers=headers)

    async def post(self, upload_id: str, *, content_type: str, max_bytes: int, expires_in_seconds: int) -> SignedUpload:
        """A form's POST of 1 to so many bytes, under exactly this key and type. `upload_id` as for `put`."""
        key = upload_key(upload_id)
        try:
            form = await self._client.run(
                lambda s3: s3.generate_presigned_post(
                    self._bucket,
                    key,
                    Fields={"Content-Type": content_type},
                    Conditions=[["content-length-range", 1, max_bytes], {"Content-Type": content_type}],
                    ExpiresIn=expires_in_seconds,
                )
            )
        except (BotoCoreError, ClientError, AttributeError) as error:
            # AttributeError: the SDK signs forms with credentials it does not have.
            raise FileStoreUnavailable("the file store cannot be reached at the moment") from error
        return SignedUpload("POST", form["url"], _after(expires_in_seconds), fields=form["fields"])

    async def get(self, key: str, *, filename: str, content_type: str, expires_in_seconds: int) -> str:
        """Address of an object that a browser saves under the name, never shows as a page of the bucket's."""
        wanted = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentDisposition": attachment(filename),
            "ResponseContentType": content_type,
        }
        return await self._signed("get_object", wanted, expires_in_seconds)

    async def _signed(self, operation: str, wanted: Mapping[str, object], expires_in_seconds: int) -> str:
        try:
            # In a thread: credentials may have to be fetched first.
            url: str = await self._client.run(
                lambda s3: s3.generate_presigned_url(operation, Params=dict(wanted), ExpiresIn=expires_in_seconds)
            )
        except (BotoCoreError, ClientError) as error:
            raise FileStoreUnavailable("the file store cannot be reached at the moment") from error
        return url


def upload_key(upload_id: str) -> str:
    """Where an upload under way lies. Raises ValueError: the id is none, and could lead elsewhere."""
    if not is_upload_id(upload_id):
        raise ValueError("an upload id has 32 lower-case hexadecimal digits")
    return f"{UPLOADS}{upload_id}"


def attachment(filename: str) -> str:
    """A Content-Disposition (RFC 6266) by which the reply is saved under this name, whatever is in the name."""
    clean = "".join(character for character in filename if unicodedata.category(character) not in _NEVER_SHOWN)
    plain = _NOT_IN_QUOTES.sub("_", clean)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='')}"


def _after(seconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
