"""Whether a version answers, asked directly, before or while callers reach it."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from grpc_health.v1 import health_pb2

from deploy.aws.parts import function_name
from deploy.aws.release_errors import VersionUnfit, explained
from deploy.aws.versions import Pacing
from services.transport.envelope import pack_call, unpack_reply
from services.transport.errors import TransportError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_PAUSE_SECONDS = 3.0
_TIMEOUT_MS = 30_000.0
_CHECK_METHOD = "/grpc.health.v1.Health/Check"
# "" is the service itself: its settings were accepted and its wiring opened. The others reach what it depends on.
_CHECKS = {"rag": ("", "embedder", "chunk_index")}
_PAYLOAD_SHOWN_CHARACTERS = 500


class VersionProbe:
    """Invokes versions of one stack's functions by number."""

    def __init__(self, client: LambdaClient, prefix: str, pacing: Pacing) -> None:
        self._client = client
        self._prefix = prefix
        self._pacing = pacing

    def check(self, part: str, version: str) -> None:
        """A few attempts, so that a slow first start is no verdict. Raises VersionUnfit, AwsRefused."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if part == "gateway":
                    self._check_gateway(part, version)
                else:
                    for check in _CHECKS.get(part, ("",)):
                        self._check_service(part, version, check)
                return
            except VersionUnfit as error:
                if attempt == _ATTEMPTS:
                    raise
                logger.warning("%s; asking again", error)
                self._pacing.sleep(_PAUSE_SECONDS)

    def _check_gateway(self, part: str, version: str) -> None:
        reply = self._invoke(part, version, json.dumps(_health_request()).encode())
        status, body = reply.get("statusCode"), reply.get("body")
        if status != 200:
            raise self._unfit(part, version, f"answers GET /health with {status}: {body}")
        try:
            health = json.loads(body or "")
        except ValueError:
            raise self._unfit(part, version, f"answers GET /health with no JSON: {body}") from None
        if health.get("status") != "healthy":
            # It asks the functions that are live now, not the new ones: their state is no fault of this version.
            logger.warning("%s version %s: /health says %s", part, version, health)

    def _check_service(self, part: str, version: str, check: str) -> None:
        request = health_pb2.HealthCheckRequest(service=check).SerializeToString()
        payload = asyncio.run(pack_call(_CHECK_METHOD, (), _TIMEOUT_MS, request, None))
        document = self._invoke(part, version, payload)
        try:
            reply = asyncio.run(unpack_reply(json.dumps(document).encode(), None))
        except TransportError as error:
            raise self._unfit(part, version, f"answers with no envelope: {error}") from error
        if reply.status is not grpc.StatusCode.OK:
            raise self._unfit(part, version, f"answers the health check with {reply.status.name}: {reply.details}")
        serving = health_pb2.HealthCheckResponse.FromString(reply.messages[0]).status
        if serving != health_pb2.HealthCheckResponse.SERVING:
            raise self._unfit(part, version, f"says that {check or 'it'} does not serve")

    def _invoke(self, part: str, version: str, payload: bytes) -> dict[str, Any]:
        function = function_name(self._prefix, part)
        try:
            reply = self._client.invoke(FunctionName=function, Qualifier=version, Payload=payload)
            content = reply["Payload"].read()
        except (ClientError, BotoCoreError) as error:
            raise explained(error, f"invoke {function} version {version}") from error
        shown = content[:_PAYLOAD_SHOWN_CHARACTERS].decode(errors="replace")
        if reply.get("FunctionError"):
            raise self._unfit(part, version, f"fails: {shown}")
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._unfit(part, version, f"answers with no JSON object: {shown}")
        return document

    def _unfit(self, part: str, version: str, what: str) -> VersionUnfit:
        function = function_name(self._prefix, part)
        return VersionUnfit(f"{function} version {version} {what}. Its log group is /aws/lambda/{function}.")


def _health_request() -> dict[str, Any]:
    """GET /health as a Function URL sends it (payload version 2.0)."""
    host = "release.lambda-url.local"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/health",
        "rawQueryString": "",
        "headers": {"host": host, "accept": "application/json"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "release",
            "domainName": host,
            "domainPrefix": "release",
            "http": {
                "method": "GET",
                "path": "/health",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "diglot-release",
            },
            "requestId": "release",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1767225600000,
        },
        "isBase64Encoded": False,
    }
