"""Loads the handler as the Lambda runtime does, and calls it as a caller would: prints a line of JSON for each call."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from protos.ingest.v1.ingest_service_pb2 import GetStatsRequest, IngestDocumentRequest
from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from services.ingest.handler import handler
from services.transport.identity import Caller, ClaimSigner, acting_as
from services.transport.lambda_channel import LambdaChannel
from services.transport.lambda_invoke import InvokeReply
from services.transport.outgoing import OutgoingCalls, OutgoingChannel
from services.transport.settings import TransportSettings


class Context:
    """What the handler asks of the runtime."""

    aws_request_id = "1"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


class InThisProcess:
    """Invokes the handler, through JSON."""

    async def invoke(self, function: str, payload: bytes, timeout_seconds: float) -> InvokeReply:
        reply: dict[str, Any] = await asyncio.to_thread(handler, json.loads(payload), Context())
        return InvokeReply(json.dumps(reply).encode())

    async def close(self) -> None:
        pass


async def main() -> None:
    settings = TransportSettings()
    calls = OutgoingCalls(signer=ClaimSigner(settings.internal_key.get_secret_value()), timeout_seconds=30)
    async with OutgoingChannel(LambdaChannel("ingest", InThisProcess(), claim_checks=None), calls) as channel:
        stub: Any = IngestServiceStub(channel)
        with acting_as(Caller("red", "ann", frozenset({"user"}))):
            for name in ("a.txt", "b.txt"):
                request = IngestDocumentRequest(filename=name, content=b"Fifteen days a year.")
                reply = await stub.IngestDocument(request)
                print(json.dumps({"cache_hit": reply.cache_hit, "filenames": list(reply.document.filenames)}))
            stats = await stub.GetStats(GetStatsRequest())
            print(json.dumps({"jobs": dict(stats.jobs_by_state), "parsed": stats.parsed_file_count}))


if __name__ == "__main__":
    asyncio.run(main())
