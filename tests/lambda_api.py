"""Lambda's own API on this machine, as far as releases use it: functions, versions, aliases, direct invokes.

    with LambdaApi("diglot") as api:
        boto3.client("lambda", endpoint_url=api.endpoint_url) ...
        api.functions["diglot-rag"].live_version

It speaks Lambda's REST wire format, so that the real SDK is at work, and keeps its rules: versions are immutable and
only made when image or configuration changed, aliases point to versions that exist, RevisionId is compared and set,
weights are shares, descriptions have 256 characters. Faults are set on the object; see `Faults`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from grpc_health.v1 import health_pb2_grpc

from services.transport.health import HealthServicer
from services.transport.lambda_server import LambdaServer
from tests.lambda_runtime import QuietHandler, QuietServer

PARTS = ("rag", "sql", "ingest", "images", "router", "gateway")
ACCOUNT = "123456789012"
REGION = "us-east-1"
_MAX_DESCRIPTION_CHARACTERS = 256
_ROOT = "/2015-03-31/functions/"


class Refusal(Exception):
    """An error of the API."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class ReplyLost(Exception):
    """The connection ends before an answer."""


@dataclass
class Faults:
    """What goes wrong. Operations have the SDK's names ("UpdateAlias")."""

    throttled: Counter[str] = field(default_factory=Counter)  # so many next calls of the operation
    conflicting: Counter[str] = field(default_factory=Counter)  # an update is in progress
    lost_replies: Counter[str] = field(default_factory=Counter)  # done, but the answer does not arrive
    denied: set[str] = field(default_factory=set)
    slow_updates: int = 0  # configuration reads for which an update or version stays in progress
    broken_setup: set[str] = field(default_factory=set)  # image digests that Lambda cannot set up
    crashing: set[str] = field(default_factory=set)  # image digests whose invokes fail
    not_serving: set[str] = field(default_factory=set)  # image digests that answer, but not well
    unreachable: bool = False  # every connection is cut
    before_write: Callable[[str, str], None] = lambda operation, function: None
    after_write: Callable[[str, str], None] = lambda operation, function: None


@dataclass
class Function:
    """One function; version numbers map to the image each was published with."""

    name: str
    image: str
    versions: dict[str, str] = field(default_factory=dict)
    live_version: str = ""
    weights: dict[str, float] = field(default_factory=dict)
    description: str = ""
    revision: int = 0
    polls_left: int = 0
    invoked: list[str] = field(default_factory=list)  # qualifiers, in order

    @property
    def state(self) -> tuple[str, dict[str, float]]:
        """Who answers callers."""
        return self.live_version, dict(self.weights)


class LambdaApi:
    """The functions of one stack, each at version 1 and `live` there."""

    def __init__(self, prefix: str = "diglot", parts: tuple[str, ...] = PARTS) -> None:
        self.functions = {
            f"{prefix}-{part}": Function(f"{prefix}-{part}", image_of(part, 1), {"1": image_of(part, 1)}, "1")
            for part in parts
        }
        self.faults = Faults()
        self.calls: list[str] = []
        self.writes: list[tuple[str, str]] = []
        self._lock = threading.RLock()
        self._server: QuietServer | None = None

    @property
    def endpoint_url(self) -> str:
        assert self._server is not None, "the API is not running"
        return f"http://{self._server.address}"

    @property
    def state(self) -> dict[str, tuple[str, dict[str, float]]]:
        """By function, who answers callers."""
        return {name: function.state for name, function in self.functions.items()}

    def dangling(self) -> list[str]:
        """Functions whose alias points to a version that does not exist, or splits its calls."""
        return [
            name
            for name, function in self.functions.items()
            if function.live_version not in function.versions or function.weights
        ]

    def __enter__(self) -> Self:
        self._server = QuietServer(_handler_of(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.stop()

    def answer(self, operation: str, name: str, rest: str, query: dict[str, str], body: bytes) -> Any:
        """Do one call. Raises Refusal, ReplyLost."""
        if self.faults.unreachable:
            raise ReplyLost
        self.calls.append(operation)
        if operation in self.faults.denied:
            raise Refusal(403, "AccessDeniedException", f"User is not authorized to perform: lambda:{operation}")
        if _take(self.faults.throttled, operation):
            raise Refusal(429, "TooManyRequestsException", "Rate Exceeded.")
        if name not in self.functions:
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
            raise Refusal(404, "ResourceNotFoundException", f"Function not found: {arn}")
        function = self.functions[name]
        if operation == "Invoke":
            return self._invoke(function, query.get("Qualifier", "$LATEST"), body)
        given = json.loads(body) if body else {}
        if operation not in ("UpdateAlias", "UpdateFunctionCode", "PublishVersion"):
            with self._lock:
                return self._read(operation, function, rest, query)
        self.faults.before_write(operation, name)
        if _take(self.faults.conflicting, operation):
            message = "The operation cannot be performed at this time. An update is in progress for resource"
            raise Refusal(409, "ResourceConflictException", message)
        with self._lock:
            reply = self._write(operation, function, given)
            self.writes.append((operation, name))
        self.faults.after_write(operation, name)
        if _take(self.faults.lost_replies, operation):
            raise ReplyLost
        return reply

    def _read(self, operation: str, function: Function, rest: str, query: dict[str, str]) -> Any:
        match operation:
            case "GetAlias":
                if rest != "aliases/live" or not function.live_version:
                    raise Refusal(404, "ResourceNotFoundException", f"Cannot find alias arn: {function.name}:live")
                return _alias(function)
            case "ListVersionsByFunction":
                return {"Versions": [_configuration(function, version) for version in ("$LATEST", *function.versions)]}
        version = query.get("Qualifier", "$LATEST")
        if version != "$LATEST" and version not in function.versions:
            raise Refusal(404, "ResourceNotFoundException", f"Function not found: {function.name}:{version}")
        found = _configuration(function, version)
        if function.polls_left > 0:
            function.polls_left -= 1
            found |= {"State": "Pending"} if version != "$LATEST" else {"LastUpdateStatus": "InProgress"}
        elif _digest(function.image) in self.faults.broken_setup:
            reason = "The image's entry point is not an executable"
            found |= {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": reason}
        return found

    def _write(self, operation: str, function: Function, given: dict[str, Any]) -> Any:
        match operation:
            case "UpdateFunctionCode":
                function.image = given["ImageUri"]
                function.polls_left = self.faults.slow_updates
                return _configuration(function, "$LATEST")
            case "PublishVersion":
                return self._publish(function, given)
        return _move(function, given)

    def _publish(self, function: Function, given: dict[str, Any]) -> Any:
        built = _configuration(function, "$LATEST")["CodeSha256"]
        if given.get("CodeSha256", built) != built:
            message = f"CodeSHA256 ({given['CodeSha256']}) is different from current CodeSHA256 in $LATEST ({built})."
            raise Refusal(400, "InvalidParameterValueException", message)
        newest = max(function.versions, key=int, default="0")
        if function.versions.get(newest) != function.image:
            newest = str(int(newest) + 1)
            function.versions[newest] = function.image
            function.polls_left = self.faults.slow_updates
        return _configuration(function, newest)

    def _invoke(self, function: Function, qualifier: str, body: bytes) -> Any:
        image = function.image if qualifier == "$LATEST" else function.versions.get(qualifier)
        if image is None:
            raise Refusal(404, "ResourceNotFoundException", f"Function not found: {function.name}:{qualifier}")
        function.invoked.append(qualifier)
        if _digest(image) in self.faults.crashing:
            raise FunctionFailed({"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"})
        serves = _digest(image) not in self.faults.not_serving
        event = json.loads(body)
        if function.name.endswith("-gateway"):
            assert (event["version"], event["rawPath"]) == ("2.0", "/health")
            health = {"status": "healthy"} if serves else {"title": "Service Unavailable"}
            return {"statusCode": 200 if serves else 503, "body": json.dumps(health), "isBase64Encoded": False}
        return asyncio.run(_health(event, serves=serves))


class FunctionFailed(Exception):
    """The function itself failed; the payload tells how."""

    def __init__(self, payload: dict[str, str]) -> None:
        super().__init__()
        self.payload = payload


def image_of(part: str, build: int) -> str:
    """The URI by digest of a part's image; the functions `images` and `ingest` share one."""
    service = "ingest" if part == "images" else part
    digest = hashlib.sha256(f"{service}-{build}".encode()).hexdigest()
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/diglot-{service}@sha256:{digest}"


async def _health(event: dict[str, Any], *, serves: bool) -> dict[str, Any]:
    """What a service of ours answers to a health check."""

    async def check() -> bool:
        return serves

    server = LambdaServer()
    checks = {"": check, "embedder": check, "chunk_index": check}
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer("diglot", checks, watchable=False), server)
    return await server.handle(event, remaining_ms=30_000)


def _digest(image: str) -> str:
    return image.rpartition("@")[2]


def _take(counter: Counter[str], operation: str) -> bool:
    if counter[operation] <= 0:
        return False
    counter[operation] -= 1
    return True


def _alias(function: Function) -> dict[str, Any]:
    return {
        "AliasArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function.name}:live",
        "Name": "live",
        "FunctionVersion": function.live_version,
        "Description": function.description,
        "RevisionId": f"revision-{function.revision}",
        # AWS leaves the routing out when there is none.
        **({"RoutingConfig": {"AdditionalVersionWeights": function.weights}} if function.weights else {}),
    }


def _move(function: Function, given: dict[str, Any]) -> dict[str, Any]:
    if given.get("RevisionId", f"revision-{function.revision}") != f"revision-{function.revision}":
        message = "The RevisionId provided does not match the latest RevisionId. Call the GetAlias API to retrieve it"
        raise Refusal(412, "PreconditionFailedException", message)
    version = given.get("FunctionVersion", function.live_version)
    weights = given.get("RoutingConfig", {}).get("AdditionalVersionWeights", function.weights)
    for wanted in (version, *weights):
        if wanted not in function.versions:
            raise Refusal(404, "ResourceNotFoundException", f"Function not found: {function.name}:{wanted}")
    if version in weights or not all(0 <= share <= 1 for share in weights.values()):
        raise Refusal(400, "InvalidParameterValueException", "Invalid routing configuration")
    if len(given.get("Description", "")) > _MAX_DESCRIPTION_CHARACTERS:
        raise Refusal(400, "ValidationException", "Member must have length less than or equal to 256")
    function.live_version, function.weights = version, dict(weights)
    function.description = given.get("Description", function.description)
    function.revision += 1
    return _alias(function)


def _configuration(function: Function, version: str) -> dict[str, Any]:
    image = function.image if version == "$LATEST" else function.versions[version]
    return {
        "FunctionName": function.name,
        "FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function.name}:{version}",
        "Version": version,
        "PackageType": "Image",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "CodeSha256": _digest(image).removeprefix("sha256:"),
    }


_OPERATIONS = {
    ("GET", "configuration"): "GetFunctionConfiguration",
    ("PUT", "code"): "UpdateFunctionCode",
    ("GET", "versions"): "ListVersionsByFunction",
    ("POST", "versions"): "PublishVersion",
    ("GET", "aliases"): "GetAlias",
    ("PUT", "aliases"): "UpdateAlias",
    ("POST", "invocations"): "Invoke",
}


def _handler_of(api: LambdaApi) -> type[QuietHandler]:
    class Endpoint(QuietHandler):
        def do_GET(self) -> None:
            self._serve()

        def do_PUT(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            url = urlsplit(self.path)
            name, _, rest = unquote(url.path.removeprefix(_ROOT)).partition("/")
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            body = self.body()
            try:
                operation = _OPERATIONS[self.command, rest.partition("/")[0]]
                payload = api.answer(operation, name, rest, query, body)
            except ReplyLost:
                self.close_connection = True
            except FunctionFailed as failure:
                self.reply(200, json.dumps(failure.payload).encode(), {"X-Amz-Function-Error": "Unhandled"})
            except Refusal as refusal:
                document = json.dumps({"Type": "User", "Message": str(refusal), "message": str(refusal)}).encode()
                self.reply(refusal.status, document, {"X-Amzn-ErrorType": refusal.kind})
            else:
                created = self.command == "POST" and rest == "versions"
                self.reply(201 if created else 200, json.dumps(payload).encode())

    return Endpoint
