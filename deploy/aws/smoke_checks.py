"""What is asked of a deployed system, in order, and taken away again afterwards."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws.release_errors import explained
from deploy.aws.smoke_client import CheckFailed, SmokeClient
from deploy.aws.versions import Pacing
from services.ingest.adapters.tenant_folders import tenant_folder

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PATIENCE_SECONDS = 60.0  # for functions that start cold
_POLL_SECONDS = 2.0
_EXTENSION = "txt"
_STORED = ("original.txt", "metadata.json", "chunks.json")
_DEFAULT_TENANT = "default"
_NEED_THE_DOCUMENT = ("upload again", "document question", "stored files")


@dataclass(frozen=True)
class Result:
    """How one check ended: `failure` is empty when it passed; `left_out` when it was not tried."""

    check: str
    milliseconds: float
    failure: str = ""
    left_out: bool = False


class TimeUp(BaseException):
    """The whole run has taken as long as it may; no Exception, so that no check mistakes it for its own failure."""


class SmokeChecks:
    """One run against one system, with a document that nobody else has."""

    def __init__(self, client: SmokeClient, sql_question: str, pacing: Pacing) -> None:
        self._client = client
        self._sql_question = sql_question
        self._pacing = pacing
        self._record = uuid.uuid4().hex[:12]
        self._content = (
            f"Smoke test record {self._record}\n\n"
            f"The lighthouse keeper of record {self._record} stores the brass lantern in the boathouse.\n"
        ).encode()
        self.document_id = hashlib.sha256(self._content).hexdigest()
        self._sent = self._stored = False

    def run(self, bucket: tuple[S3Client, str, str] | None) -> list[Result]:
        """All checks; what builds on a failed one is left out. `bucket` is client, name and tenant."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("health", self._health),
            ("info", self._info),
            ("upload", self._upload),
            ("upload again", self._upload_again),
            ("document question", self._ask_documents),
            ("sql question", self._ask_sql),
        ]
        if bucket is not None:
            steps.append(("stored files", lambda: self._list_files(*bucket)))
        return self._take(steps)

    def clean_up(self) -> Result | None:
        """Delete what was uploaded; None: nothing was."""
        if not self._sent:
            return None
        return self._take([("clean up", self._delete)])[0]

    def _take(self, steps: Sequence[tuple[str, Callable[[], None]]]) -> list[Result]:
        results: list[Result] = []
        try:
            for name, step in steps:
                results.append(self._tried(name, step))
        except TimeUp:
            names = [name for name, _ in steps[len(results) :]]
            results.append(Result(names[0], 0, "no time is left (--timeout-seconds)"))
            results += [Result(name, 0, left_out=True) for name in names[1:]]
        return results

    def _tried(self, name: str, step: Callable[[], None]) -> Result:
        if name in _NEED_THE_DOCUMENT and not self._stored:
            return Result(name, 0, left_out=True)
        began = self._pacing.monotonic()
        failure = ""
        try:
            step()
        except CheckFailed as error:
            failure = str(error)
        return Result(name, (self._pacing.monotonic() - began) * 1_000, failure)

    def _health(self) -> None:
        give_up = self._pacing.monotonic() + _PATIENCE_SECONDS
        while True:
            health = self._client.get("/health").expect(200)
            services = health.get("services", {})
            ailing = sorted(name for name, state in services.items() if state != "healthy")
            if health.get("status") == "healthy":
                return
            if self._pacing.monotonic() > give_up:
                raise CheckFailed(f"/health is {health.get('status')}, not healthy: {', '.join(ailing) or services}")
            self._pacing.sleep(_POLL_SECONDS)

    def _info(self) -> None:
        info = self._client.get("/info").expect(200)
        silent = sorted(name for name, value in info.get("adapters", {}).items() if value is None)
        if info.get("name") != "Diglot" or silent:
            raise CheckFailed(f"/info does not describe the system; unknown: {', '.join(silent) or 'name'}")

    def _upload(self) -> None:
        self._sent = True  # Whatever the answer: the file may be there.
        document = self._stored_document()
        self._stored = True
        if document["cache_hit"] is not False:
            raise CheckFailed("bytes that were never there before are said to have been (cache_hit true)")

    def _upload_again(self) -> None:
        document = self._stored_document()
        if document["cache_hit"] is not True:
            raise CheckFailed("the same bytes again were worked on again (cache_hit false)")

    def _stored_document(self) -> Any:
        """The answer to an upload of the document, once its job is over."""
        reply = self._client.upload("/upload", f"smoke-{self._record}.{_EXTENSION}", self._content)
        document = reply.expect(201, 202)
        if reply.status == 202:
            self._wait_for_job(str(document.get("job_id")))
            # A file that took longer than the call waits is done now; whether it was known cannot be told any more.
            return {"cache_hit": False}
        if document.get("document_id") != self.document_id:
            raise CheckFailed(f"document_id is {document.get('document_id')}, not the hash of the bytes")
        return document

    def _wait_for_job(self, job_id: str) -> None:
        give_up = self._pacing.monotonic() + _PATIENCE_SECONDS
        while True:
            job = self._client.get(f"/jobs/{quote(job_id, safe='')}").expect(200)
            if job.get("state") == "READY":
                return
            if job.get("state") in ("FAILED", "CANCELLED") or self._pacing.monotonic() > give_up:
                raise CheckFailed(f"job {job_id} is {job.get('state')}: {job.get('failure_detail', 'still at work')}")
            self._pacing.sleep(_POLL_SECONDS)

    def _ask_documents(self) -> None:
        question = f"Where does the lighthouse keeper of record {self._record} store the brass lantern?"
        answer = self._client.post("/query/documents", query=question, top_k=3).expect(200)
        cited = {source.get("metadata", {}).get("document_id") for source in answer.get("sources", [])}
        if answer.get("status") != "success" or not answer.get("answer"):
            raise CheckFailed(f"the question has no answer: {answer.get('status')}")
        if self.document_id not in cited:
            raise CheckFailed("the answer does not cite the document that holds it")

    def _ask_sql(self) -> None:
        query = self._client.post("/query/sql/generate", query=self._sql_question).expect(200)
        if not query.get("sql_generated"):
            why = query.get("explanation", "")
            raise CheckFailed(f"no SQL for {self._sql_question!r}: {why} Ask one of your own with --sql-question.")
        # Nothing ran; rejected, it waits for nobody's decision.
        self._client.post("/query/sql/execute", query_id=query["query_id"], approved=False).expect(200)

    def _list_files(self, s3: S3Client, bucket: str, tenant: str) -> None:
        home = "" if tenant == _DEFAULT_TENANT else f"tenants/{tenant_folder(tenant)}/"
        prefix = f"{home}{_EXTENSION}/{self.document_id}/"
        try:
            listing = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        except (ClientError, BotoCoreError) as error:
            raise CheckFailed(str(explained(error, f"list s3://{bucket}/{prefix}"))) from error
        found = {entry["Key"].removeprefix(prefix) for entry in listing.get("Contents", [])}
        missing = [name for name in _STORED if name not in found]
        if missing:
            raise CheckFailed(f"s3://{bucket}/{prefix} lacks {', '.join(missing)}; it has {sorted(found) or 'nothing'}")

    def _delete(self) -> None:
        self._client.delete(f"/documents/{self.document_id}").expect(200, 404)
