"""The least a function can be that speaks protobuf and invokes another: the floor under the services' cold starts."""

import base64
import os
from typing import Any

import boto3
import grpc

from tests.echo import echo_service_pb2, echo_service_pb2_grpc

client = boto3.session.Session().client("lambda", region_name="us-east-1")


class Hello(echo_service_pb2_grpc.EchoServiceServicer):
    """Says back what it was told."""

    async def Echo(self, request: Any, context: Any) -> Any:
        return echo_service_pb2.EchoResponse(text=request.text)


def handler(event: dict[str, Any], context: object) -> dict[str, str]:
    if "AWS_ENDPOINT_URL_LAMBDA" in os.environ:
        client.invoke(FunctionName="hello", Payload=b"{}")["Payload"].read()
    request = echo_service_pb2.EchoRequest.FromString(base64.b64decode(event["body"]))
    reply = echo_service_pb2.EchoResponse(text=request.text).SerializeToString()
    return {"status": grpc.StatusCode.OK.name, "body": base64.b64encode(reply).decode()}
