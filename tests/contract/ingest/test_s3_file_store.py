"""The behaviour of a store of files, on a bucket."""

# ruff: noqa: ASYNC240 -- files of tests are small

from __future__ import annotations

import asyncio
import errno
import logging
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
import pytest

from services.ingest.adapters import s3_bucket, writes_under_way
from services.ingest.adapters.s3_bucket import S3Bucket
from services.ingest.adapters.s3_files import S3Files
from services.ingest.errors import FileStoreUnavailable
from services.ingest.models import FileKey
from services.ingest.ports import FileStore
from services.transport.aws_clients import AwsClient, make_aws_client, make_boto_client
from tests.aws_server import AwsAccount
from tests.contract.ingest.file_store_contract import KEY, FileStoreContract
from tests.lambda_runtime import QuietHandler, QuietServer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "rag-cache-123456789012-us-east-1"
DEFAULT = FileKey("default", "pdf", "a" * 64)


@pytest.fixture
def s3(aws_account: AwsAccount) -> Iterator[S3Client]:
    """An operator's own client; the bucket keeps versions, as the stack's does."""
    client: S3Client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield client
    client.close()


@pytest.fixture
def client(s3: S3Client) -> Iterator[AwsClient]:
    made = make_aws_client("s3")
    yield made
    made.close()


@pytest.fixture
def files(client: AwsClient) -> FileStore:
    return S3Files(S3Bucket(client, BUCKET))


def names(s3: S3Client) -> set[str]:
    return {found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())}


def versions(s3: S3Client) -> list[Any]:
    page = s3.list_object_versions(Bucket=BUCKET)
    return [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]


class TestS3Files(FileStoreContract):
    @pytest.fixture
    def files(self, client: AwsClient) -> FileStore:
        return S3Files(S3Bucket(client, BUCKET))

    async def test_files_lie_where_the_layout_says(self, files: FileStore, s3: S3Client) -> None:
        for key in (DEFAULT, FileKey("Müller & Co", "pdf", "a" * 64)):
            await files.save_original(key, b"%PDF-1.7")
            await files.save_record(key, "metadata.json", b"{}")
            await files.save_record(key, "chunks.json", b"[]")

        beside = [f"pdf/{'a' * 64}/{name}" for name in ("original.pdf", "metadata.json", "chunks.json")]
        assert names(s3) == {*beside, *(f"tenants/M%C3%BCller%20%26%20Co/{name}" for name in beside)}

    async def test_objects_say_what_they_are(self, files: FileStore, s3: S3Client) -> None:
        await files.save_original(DEFAULT, b"%PDF-1.7")
        await files.save_record(DEFAULT, "chunks.json", b"[]")

        kinds = {name.rpartition("/")[2]: s3.head_object(Bucket=BUCKET, Key=name)["ContentType"] for name in names(s3)}
        assert kinds == {"original.pdf": "application/pdf", "chunks.json": "application/json"}

    @pytest.mark.parametrize("tenant", ["株" * 200, "x" * 256, "=" * 200])
    async def test_a_tenant_with_a_long_name_has_a_folder_of_its_own(self, files: FileStore, tenant: str) -> None:
        key, neighbour = FileKey(tenant, "txt", "c" * 64), FileKey(f"{tenant}2", "txt", "c" * 64)
        await files.save_original(key, b"bytes")
        await files.save_original(neighbour, b"other bytes")

        async with files.fetched(key) as path:
            assert path is not None
            assert path.read_bytes() == b"bytes"

    async def test_a_fetched_file_is_gone_afterwards(
        self, files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        await files.save_original(DEFAULT, b"bytes")

        async with files.fetched(DEFAULT) as path:
            assert path is not None
            assert path.is_relative_to(tmp_path)
            assert path.exists()

        assert list(tmp_path.iterdir()) == []

    async def test_delete_erases_every_version_and_mark(self, files: FileStore, s3: S3Client) -> None:
        for content in (b"first", b"second", b"third"):
            await files.save_original(DEFAULT, content)
            await files.save_record(DEFAULT, "chunks.json", content)
        s3.delete_object(Bucket=BUCKET, Key=f"pdf/{'a' * 64}/original.pdf")
        await files.save_original(KEY, b"another tenant's")

        await files.delete(DEFAULT)

        assert [version["Key"] for version in versions(s3)] == [f"tenants/red/pdf/{'a' * 64}/original.pdf"]

    async def test_delete_erases_more_than_one_call_takes(
        self, files: FileStore, s3: S3Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(s3_bucket, "_REMOVED_AT_ONCE", 2)
        for number in range(5):
            s3.put_object(Bucket=BUCKET, Key=f"pdf/{'a' * 64}/images/{number}.png", Body=b"")

        await files.delete(DEFAULT)

        assert versions(s3) == []

    async def test_delete_takes_no_document_whose_id_begins_alike(self, files: FileStore) -> None:
        longer = FileKey("default", "pdf", "a" * 64 + "b")
        await files.save_original(longer, b"bytes")

        await files.delete(DEFAULT)

        async with files.fetched(longer) as path:
            assert path is not None


@pytest.mark.parametrize("work", ["save_original", "fetched", "load_record", "delete"])
async def test_a_bucket_that_is_missing_is_told_to_operators_and_not_to_users(
    client: AwsClient, caplog: pytest.LogCaptureFixture, work: str
) -> None:
    files = S3Files(S3Bucket(client, "rag-cache-nowhere"))

    async def fetch() -> None:
        async with files.fetched(DEFAULT):
            pass

    works: dict[str, Callable[[], Awaitable[object]]] = {
        "save_original": lambda: files.save_original(DEFAULT, b"bytes"),
        "fetched": fetch,
        "load_record": lambda: files.load_record(DEFAULT, "chunks.json"),
        "delete": lambda: files.delete(DEFAULT),
    }
    with caplog.at_level(logging.ERROR), pytest.raises(FileStoreUnavailable) as caught:
        await works[work]()

    assert str(caught.value) == "the file store cannot be reached at the moment"
    record = caplog.records[-1]
    assert record.message == "file_store.misconfigured"
    assert (vars(record)["cause"], vars(record)["bucket"]) == ("the bucket does not exist", "rag-cache-nowhere")
    assert await files.is_reachable() is False


async def test_a_store_that_is_away_is_told_as_unavailable(
    aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    away = make_aws_client("s3")
    files = S3Files(S3Bucket(away, BUCKET))

    with pytest.raises(FileStoreUnavailable):
        await files.save_original(DEFAULT, b"bytes")
    assert await files.is_reachable() is False
    away.close()


async def test_an_error_of_whoever_reads_a_fetched_file_stays_theirs(files: FileStore) -> None:
    await files.save_original(DEFAULT, b"bytes")

    with pytest.raises(OSError, match="the reader's own"):
        async with files.fetched(DEFAULT):
            raise OSError("the reader's own")


class Answers(QuietHandler):
    """A store that answers as told, one after the other, and then for ever as the last time."""

    told: ClassVar[list[tuple[int, bytes, int]]] = []

    def answer(self) -> None:
        self.body()
        status, payload, missing = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload) + missing))
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()
        self.close_connection = bool(missing)

    do_GET = do_PUT = do_HEAD = answer  # noqa: N815 -- the names that the base class looks for


@pytest.fixture
def telling(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., S3Files]]:
    """Makes a store whose server gives these answers: status, body, and bytes missing at its end."""
    server = QuietServer(Answers)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{server.address}")
    client = make_aws_client("s3")

    def tell(*answers: tuple[int, bytes, int]) -> S3Files:
        monkeypatch.setattr(Answers, "told", list(answers))
        return S3Files(S3Bucket(client, BUCKET))

    yield tell
    client.close()
    server.stop()


def fault(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>secret words of S3</Message></Error>".encode()


async def test_a_download_that_breaks_off_is_begun_again(telling: Callable[..., S3Files]) -> None:
    files = telling((200, b"half", 4), (200, b"the whole", 0))

    async with files.fetched(DEFAULT) as path:
        assert path is not None
        assert path.read_bytes() == b"the whole"


async def test_a_download_that_always_breaks_off_is_told(
    telling: Callable[..., S3Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files = telling((200, b"half", 4))

    with pytest.raises(FileStoreUnavailable):
        async with files.fetched(DEFAULT):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_a_store_that_throttles_is_told_as_unavailable(telling: Callable[..., S3Files]) -> None:
    with pytest.raises(FileStoreUnavailable):
        await telling((503, fault("SlowDown"), 0)).save_original(DEFAULT, b"bytes")


async def test_a_role_that_may_not_is_told_to_operators_and_not_to_users(
    telling: Callable[..., S3Files], caplog: pytest.LogCaptureFixture
) -> None:
    files = telling((403, fault("AccessDenied"), 0))

    with caplog.at_level(logging.ERROR), pytest.raises(FileStoreUnavailable) as caught:
        await files.save_record(DEFAULT, "chunks.json", b"[]")

    assert str(caught.value) == "the file store cannot be reached at the moment"
    assert vars(caplog.records[-1])["cause"] == "the role may not do this in the bucket"
    assert "secret words" not in caplog.text


async def test_no_room_for_a_fetched_file_is_told_as_unavailable_and_the_operator_learns_why(
    files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await files.save_original(DEFAULT, b"bytes")

    def full(**_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "secret"))

    monkeypatch.setattr(tempfile, "mkdtemp", full)

    with caplog.at_level(logging.ERROR), pytest.raises(FileStoreUnavailable) as caught:
        async with files.fetched(DEFAULT):
            pass

    assert "secret" not in str(caught.value)
    assert vars(caplog.records[-1])["code"] == "ENOSPC"


@dataclass
class Gate:
    """Holds calls of one operation up, in their threads, from the moment it is closed."""

    arrived: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def __call__(self, **_: object) -> None:
        self.arrived.set()
        assert self.opened.wait(10)


@pytest.fixture
def gated(s3: S3Client) -> Iterator[Callable[[str], tuple[S3Files, Gate]]]:
    """Makes a store whose calls of an operation wait at a gate."""
    gates: list[tuple[AwsClient, Gate]] = []

    def make(operation: str) -> tuple[S3Files, Gate]:
        boto_client, gate = make_boto_client("s3", read_timeout_seconds=10, max_concurrent_calls=4), Gate()
        boto_client.meta.events.register(f"before-send.s3.{operation}", gate)
        client = AwsClient(boto_client, max_concurrent_calls=4)
        gates.append((client, gate))
        return S3Files(S3Bucket(client, BUCKET)), gate

    yield make
    for client, gate in gates:
        gate.opened.set()
        client.close()


async def abandoned(work: Coroutine[Any, Any, object], gate: Gate) -> None:
    """The work has arrived at the gate, and nobody waits for it any more."""
    task = asyncio.create_task(work)
    assert await asyncio.to_thread(gate.arrived.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_calls_that_hang_keep_no_check_of_health_waiting(
    gated: Callable[[str], tuple[S3Files, Gate]],
) -> None:
    files, gate = gated("PutObject")
    saving = [asyncio.create_task(files.save_record(DEFAULT, f"{number}.json", b"")) for number in range(9)]
    assert await asyncio.to_thread(gate.arrived.wait, 10)

    assert await files.is_reachable()

    gate.opened.set()
    await asyncio.gather(*saving)


async def test_what_an_abandoned_write_was_still_sending_is_deleted_too(
    gated: Callable[[str], tuple[S3Files, Gate]], s3: S3Client
) -> None:
    files, gate = gated("PutObject")
    await abandoned(files.save_record(DEFAULT, "chunks.json", b"[]"), gate)

    deleting = asyncio.create_task(files.delete(DEFAULT))
    await asyncio.sleep(0)
    gate.opened.set()
    await deleting

    assert versions(s3) == []


async def test_a_deletion_does_not_wait_for_ever_for_an_abandoned_write(
    gated: Callable[[str], tuple[S3Files, Gate]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes_under_way, "PATIENCE_SECONDS", 0.01)
    files, gate = gated("PutObject")
    await abandoned(files.save_record(DEFAULT, "chunks.json", b"[]"), gate)

    with pytest.raises(FileStoreUnavailable):
        await files.delete(DEFAULT)


async def test_an_abandoned_deletion_takes_nothing_that_came_after_it(
    gated: Callable[[str], tuple[S3Files, Gate]], files: FileStore, s3: S3Client
) -> None:
    await files.save_original(DEFAULT, b"former")
    frozen, gate = gated("ListObjectVersions")
    await abandoned(frozen.delete(DEFAULT), gate)
    await files.delete(DEFAULT)

    await files.save_original(DEFAULT, b"sent again")
    gate.opened.set()
    await asyncio.to_thread(frozen._bucket._client._threads.shutdown)

    assert len(versions(s3)) == 1
