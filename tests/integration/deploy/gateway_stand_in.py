"""A gateway that answers as the real one does, or badly in one chosen way."""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.lambda_api import REGION
from tests.lambda_runtime import QuietHandler, QuietServer

_ADAPTERS = {"embedding_model": "minilm", "chunk_index": "pgvector", "sql_generator": "grounded"}


@dataclass
class GatewayStandIn:
    """Its documents, and its faults."""

    ailing: set[str] = field(default_factory=set)  # parts that /health calls unhealthy
    unknown_adapters: set[str] = field(default_factory=set)
    forgetful: bool = False  # the same bytes are worked on again
    confused: bool = False  # document ids are not hashes
    uncited: bool = False  # answers cite another document
    wordless: bool = False  # no SQL for any question
    jobs_to_wait_for: int = 0  # uploads are answered with a job that takes so many looks
    failed_job: bool = False
    drips: bool = False  # answers never end
    api_key: str = ""  # required when set
    token: str = ""
    secret_key: str = ""  # AWS signatures are required when set
    documents: dict[str, bytes] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = QuietServer(_handler_of(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return f"http://{self._server.address}"

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        """Status and document."""
        self.asked.append(f"{method} {path}")
        if self.secret_key and not self._signed(method, path, headers, body):
            return 403, {"Message": "Forbidden"}
        if path != "/health" and self.api_key and headers.get("x-api-key") != self.api_key:
            return 401, {"reason": "API_KEY_INVALID"}
        if path != "/health" and self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"reason": "TOKEN_INVALID"}
        match method, path:
            case "GET", "/health":
                states = {part: "unhealthy" if part in self.ailing else "healthy" for part in ("rag_service", "x")}
                return 200, {"status": "degraded" if self.ailing else "healthy", "services": states}
            case "GET", "/info":
                adapters = {name: None if name in self.unknown_adapters else it for name, it in _ADAPTERS.items()}
                return 200, {"name": "Diglot", "adapters": adapters}
            case "POST", "/upload":
                return self._upload(body)
            case "POST", "/query/documents":
                return 200, self._answer(json.loads(body)["query"])
            case "POST", "/query/sql/generate":
                return 200, {"explanation": "No table."} if self.wordless else {"query_id": "q1", "sql_generated": "S"}
            case "POST", "/query/sql/execute":
                assert json.loads(body)["approved"] is False
                self.rejected.append(json.loads(body)["query_id"])
                return 200, {"status": "rejected"}
            case "GET", "/jobs/j1":
                self.jobs_to_wait_for -= 1
                if self.failed_job:
                    return 200, {"state": "FAILED", "failure_detail": "The disk is full."}
                return 200, {"state": "PARSING" if self.jobs_to_wait_for > 0 else "READY"}
        if method == "DELETE" and self.documents.pop(path.removeprefix("/documents/"), None) is not None:
            return 200, {"verified": True}
        return 404, {"reason": "NOT_FOUND"}

    def _upload(self, body: bytes) -> tuple[int, Any]:
        content = body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
        document_id = hashlib.sha256(content).hexdigest()
        known = document_id in self.documents and not self.forgetful
        self.documents[document_id] = content
        if self.jobs_to_wait_for > 0 or self.failed_job:
            return 202, {"job_id": "j1"}
        return 201, {"document_id": "7" if self.confused else document_id, "cache_hit": known}

    def _answer(self, question: str) -> dict[str, Any]:
        record = re.findall(r"record (\w+)", question)[0].encode()
        holding = [document_id for document_id, content in self.documents.items() if record in content]
        sources = [{"metadata": {"document_id": "other" if self.uncited else document_id}} for document_id in holding]
        return {"status": "success", "answer": "In the boathouse.", "sources": sources}

    def _signed(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
        """Whether the signature is what the holder of the secret key would have made."""
        given = headers.get("authorization", "")
        names = re.findall(r"SignedHeaders=([a-z0-9;-]+)", given)
        if not names:
            return False
        signed = {name: headers[name] for name in names[0].split(";")}
        request = AWSRequest(method=method, url=f"{self.url}{path}", data=body, headers=signed)
        request.context["timestamp"] = headers["x-amz-date"]
        signer = SigV4Auth(Credentials("local", self.secret_key), "lambda", REGION)
        expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return given.endswith(f"Signature={expected}") and f"/{REGION}/lambda/aws4_request" in given


def _handler_of(gateway: GatewayStandIn) -> type[QuietHandler]:
    class Endpoint(QuietHandler):
        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def do_DELETE(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.body()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document = gateway.answer(self.command, self.path, headers, body)
            payload = b"" if document is None else json.dumps(document).encode()
            if not gateway.drips:
                self.reply(status, payload)
                return
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            while True:  # until the caller hangs up
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.05)

    return Endpoint
