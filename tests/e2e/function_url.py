"""What a Lambda Function URL does: HTTP requests to events of payload version 2.0, and replies back."""

import base64
import json
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.lambda_cluster import LambdaCluster


class FunctionUrl(httpx.BaseTransport):
    """Sends an httpx request to a function of the cluster, as AWS does when its URL is called."""

    def __init__(self, cluster: LambdaCluster, function: str) -> None:
        self._cluster = cluster
        self._function = function

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        result = self._cluster.invoke(self._function, json.dumps(event_of(request)).encode())
        if result.error is not None:
            raise AssertionError(
                f"{self._function} failed: {result.payload.decode()}\n{self._cluster.logs(self._function)}"
            )
        reply: dict[str, Any] = json.loads(result.payload)
        body = reply.get("body", "")
        content = base64.b64decode(body) if reply.get("isBase64Encoded") else body.encode()
        return httpx.Response(reply["statusCode"], headers=reply.get("headers", {}), content=content)


def event_of(request: httpx.Request) -> dict[str, Any]:
    """The event of a request; the body is always base64, as AWS sends everything that is not surely text."""
    url = urlsplit(str(request.url))
    headers = {name.lower(): value for name, value in request.headers.items()}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": url.path,
        "rawQueryString": url.query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": "local.lambda-url.us-east-1.on.aws",
            "domainPrefix": "local",
            "http": {
                "method": request.method,
                "path": url.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": "6f1b0f3c-0000-4000-8000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:08:00:00 +0000",
            "timeEpoch": 1795248000000,
        },
        "body": base64.b64encode(request.read()).decode(),
        "isBase64Encoded": True,
    }
