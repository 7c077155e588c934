"""Requests to a deployed gateway: with an API key or a token, signed when its URL asks for that, bounded in time."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

if TYPE_CHECKING:
    from botocore.auth import SigV4Auth

_TIMEOUT_SECONDS = (
    120  # to connect, and between two bytes: a cold start of everything behind the gateway, and an upload that waits
)
_BODY_SHOWN_CHARACTERS = 300
_FUNCTION_URL = re.compile(r"https://[a-z0-9]+\.lambda-url\.(?P<region>[a-z0-9-]+)\.on\.aws")


class CheckFailed(Exception):
    """The system does not do what it should; the text is for the person who deployed it."""


@dataclass(frozen=True)
class Reply:
    """An answer; `document` is its JSON object, empty when it is none."""

    status: int
    text: str
    document: Mapping[str, Any]

    def expect(self, *statuses: int) -> Mapping[str, Any]:
        """The JSON, when the status is one of these. Raises CheckFailed."""
        if self.status not in statuses:
            raise CheckFailed(f"answered with {self.status}{_hint(self.status)}: {self.text[:_BODY_SHOWN_CHARACTERS]}")
        if not self.document and self.status != 204:
            raise CheckFailed(f"answered with {self.status} and no JSON: {self.text[:_BODY_SHOWN_CHARACTERS]}")
        return self.document


class SmokeClient:
    """Speaks to one gateway. `headers` are sent with every request; `signer` signs them afterwards."""

    def __init__(self, url: str, headers: Mapping[str, str], signer: SigV4Auth | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = dict(headers)
        self._signer = signer

    def get(self, path: str) -> Reply:
        """Raises CheckFailed: no answer."""
        return self._send("GET", path)

    def delete(self, path: str) -> Reply:
        """Raises CheckFailed: no answer."""
        return self._send("DELETE", path)

    def post(self, path: str, **fields: Any) -> Reply:
        """POST a JSON object. Raises CheckFailed: no answer."""
        return self._send("POST", path, json.dumps(fields).encode(), "application/json")

    def upload(self, path: str, filename: str, content: bytes) -> Reply:
        """POST one file as a form does. Raises CheckFailed: no answer."""
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
            "Content-Type: text/plain\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return self._send("POST", path, body, f"multipart/form-data; boundary={boundary}")

    def _send(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> Reply:
        from botocore.awsrequest import AWSRequest
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        headers = {**self._headers, **({"Content-Type": content_type} if content_type else {})}
        request = AWSRequest(method=method, url=f"{self._url}{path}", data=body, headers=headers)
        session = URLLib3Session(timeout=_TIMEOUT_SECONDS, proxies=get_environ_proxies(self._url))
        try:
            if self._signer is not None:
                self._signer.add_auth(request)
            answer = session.send(request.prepare())
            text = answer.content.decode(errors="replace")
        except BotoCoreError as error:
            raise CheckFailed(f"{method} {path} got no answer: {error}") from error
        finally:
            session.close()
        try:
            document = json.loads(text)
        except ValueError:
            document = {}
        return Reply(answer.status_code, text, document if isinstance(document, dict) else {})


def make_signer(url: str, region: str) -> SigV4Auth:
    """A signer for a Function URL with auth AWS_IAM, by the credentials boto3 finds.

    Raises ValueError: no credentials, or no region.
    """
    import boto3
    from botocore.auth import SigV4Auth

    credentials = boto3.session.Session().get_credentials()
    if credentials is None:
        raise ValueError("--aws-iam needs AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret")
    found = _FUNCTION_URL.match(url)
    region = found["region"] if found else region
    if not region:
        raise ValueError("--aws-iam cannot tell the region from --url: set AWS_REGION, for example us-east-1")
    return SigV4Auth(credentials, "lambda", region)


def _hint(status: int) -> str:
    """What a status of the platform or of the gateway means for whoever runs this."""
    match status:
        case 401:
            return " (the key is missing or unknown: see --api-key-env and --token-env)"
        case 403:
            return " (not admitted: does the URL need --aws-iam, or the key a role?)"
        case 404:
            return " (is --url the gateway's?)"
        case 502 | 503 | 504:
            return " (a function behind it does not answer: see /health and the functions' logs)"
    return ""
