"""Uploads past a request: opened, sent piece by piece, checked, completed once."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.errors import (
    ChecksumInvalid,
    ContentTypeInvalid,
    FileEmpty,
    FilenameInvalid,
    FileStoreUnavailable,
    FileTooLarge,
    FileTypeMismatch,
    FileTypeUnsupported,
    FileWithoutText,
    IndexUnavailable,
    NameInvalid,
    OffsetInvalid,
    SendingInvalid,
    TagsInvalid,
    UploadExpired,
    UploadMismatch,
    UploadNotFound,
    UploadReceived,
    UploadUnfinished,
)
from services.ingest.models import DocumentState, JobState
from services.ingest.uploading import Uploading
from tests.fakes.ingest_uploads import FakeUploadStore
from tests.fakes.ingest_world import World, id_of, new_world

TEXT = b"Fifteen days of leave a year."
ONE, TWO = "a" * 32, "b" * 32


class Desk:
    """A world with a desk for uploads, at a time that tests set."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or new_world()
        self.store = FakeUploadStore()
        self.now = datetime(2026, 5, 4, tzinfo=UTC)
        self.uploading = Uploading(
            store=self.store,
            ingesting=self.world.ingesting,
            jobs=self.world.jobs,
            registry=self.world.registry,
            max_file_bytes=10_000,
            open_seconds=600,
            clock=lambda: self.now,
        )

    async def opened(
        self, content: bytes = TEXT, *, filename: str = "leave.txt", size: int | None = None, sha256: str | None = None
    ) -> str:
        upload, signed = await self.uploading.create(
            tenant="red",
            subject="ann",
            filename=filename,
            size_bytes=len(content) if size is None else size,
            sha256=hashlib.sha256(content).hexdigest() if sha256 is None else sha256,
            tags=["hr"],
        )
        assert signed is None
        return f"uploads/{upload.upload_id}"

    async def worked(self) -> None:
        """Return when the work that was begun is done."""
        await asyncio.gather(*(effort.task for effort in list(self.world.bringing._efforts.values())))

    async def send(self, name: str, content: bytes = TEXT, *, sending: str = ONE, piece: int = 8) -> bool:
        is_whole = False
        for at in range(0, len(content), piece):
            _, is_whole = await self.uploading.write(
                "red", name, sending=sending, offset=at, content=content[at : at + piece]
            )
        return is_whole


async def test_a_file_sent_in_pieces_becomes_a_document_without_being_waited_for() -> None:
    desk = Desk()
    name = await desk.opened()

    assert await desk.send(name)
    started = await desk.uploading.complete("red", name)
    await desk.worked()

    document = await desk.world.document_of(TEXT)
    assert document is not None
    assert document.state is DocumentState.READY
    assert (document.filenames, document.tags) == (("leave.txt",), ("hr",))
    assert (started.job.document_id, started.job.subject) == (id_of(TEXT), "ann")
    assert desk.store.parts == {}


async def test_completing_again_answers_with_the_same_job_at_any_time() -> None:
    desk = Desk()
    name = await desk.opened()
    await desk.send(name)

    first, *others = await asyncio.gather(*(desk.uploading.complete("red", name) for _ in range(4)))
    await desk.worked()
    desk.now += timedelta(hours=3)
    last = await desk.uploading.complete("red", name)

    assert {each.job.job_id for each in (first, *others, last)} == {first.job.job_id}
    assert last.job.state is JobState.READY
    assert last.document is not None
    assert len(desk.world.parser.parsed) == 1


async def test_a_process_that_ends_before_it_remembers_the_job_finds_it_again() -> None:
    desk = Desk()
    name = await desk.opened()
    await desk.send(name)
    desk.store.trouble.errors["complete"] = FileStoreUnavailable("away")
    with pytest.raises(FileStoreUnavailable):
        await desk.uploading.complete("red", name)
    desk.store.trouble.errors.clear()
    await desk.worked()

    again = await desk.uploading.complete("red", name)

    assert again.job.state is JobState.READY
    assert len(await desk.world.jobs.count_by_state("red")) == 1
    assert len(desk.world.parser.parsed) == 1


async def test_bytes_that_are_known_already_are_completed_with_their_document() -> None:
    desk = Desk()
    await desk.world.ingest(TEXT, "first.txt")
    name = await desk.opened()
    await desk.send(name)

    started = await desk.uploading.complete("red", name)

    assert started.document is not None
    assert started.document.filenames == ("first.txt", "leave.txt")
    assert len(desk.world.parser.parsed) == 1


@pytest.mark.parametrize(
    ("sent", "expected", "found"),
    [
        (TEXT[:-1] + b"!", f"SHA-256 {hashlib.sha256(TEXT).hexdigest()}", "SHA-256"),
        (TEXT + b" More.", "29 bytes", "bytes or more"),
    ],
)
async def test_other_bytes_than_announced_are_told_with_both_and_may_be_sent_anew(
    sent: bytes, expected: str, found: str
) -> None:
    desk = Desk()
    name = await desk.opened()

    with pytest.raises(UploadMismatch) as caught:
        await desk.send(name, sent)

    assert f"expected {expected}" in str(caught.value)
    assert found in str(caught.value).partition(", found ")[2]
    with pytest.raises(UploadUnfinished):
        await desk.uploading.complete("red", name)
    assert await desk.send(name, sending=TWO)
    await desk.uploading.complete("red", name)


async def test_what_came_is_checked_again_before_it_is_taken() -> None:
    desk = Desk()
    name = await desk.opened()
    await desk.send(name)
    desk.store.parts[name.removeprefix("uploads/"), ONE] = TEXT[::-1]

    with pytest.raises(UploadMismatch):
        await desk.uploading.complete("red", name)
    assert await desk.world.job_of(TEXT) is None


async def test_a_file_that_is_not_what_its_name_says_is_refused_when_it_is_completed() -> None:
    desk = Desk()
    name = await desk.opened(b"%PDF-1.7 and so on")
    await desk.send(name, b"%PDF-1.7 and so on")

    with pytest.raises(FileTypeMismatch):
        await desk.uploading.complete("red", name)


async def test_bytes_that_have_come_whole_are_not_taken_twice() -> None:
    desk = Desk()
    name = await desk.opened()
    await desk.send(name)

    with pytest.raises(UploadReceived):
        await desk.send(name, sending=TWO)
    assert await desk.uploading.write("red", name, sending=ONE, offset=24, content=TEXT[24:]) == (29, True)
    await desk.uploading.complete("red", name)
    with pytest.raises(UploadReceived):
        await desk.send(name, sending=TWO)


async def test_an_upload_ends_with_its_time() -> None:
    desk = Desk()
    name = await desk.opened()
    await desk.send(name)
    desk.now += timedelta(minutes=11)

    with pytest.raises(UploadExpired):
        await desk.uploading.complete("red", name)
    with pytest.raises(UploadExpired):
        await desk.send(name)
    await desk.uploading.sweep()
    with pytest.raises(UploadExpired):
        await desk.uploading.complete("red", name)
    assert desk.store.parts == {}
    desk.now += timedelta(days=2)
    await desk.uploading.sweep()
    with pytest.raises(UploadNotFound):
        await desk.uploading.complete("red", name)


async def test_an_upload_that_has_not_come_is_unfinished() -> None:
    desk = Desk()
    name = await desk.opened()

    with pytest.raises(UploadUnfinished):
        await desk.uploading.complete("red", name)
    await desk.uploading.write("red", name, sending=ONE, offset=0, content=TEXT[:5])
    with pytest.raises(UploadUnfinished):
        await desk.uploading.complete("red", name)
    with pytest.raises(UploadUnfinished):
        await desk.uploading.ingest("red", name)


async def test_a_foreign_upload_is_not_told_from_an_unknown_one() -> None:
    desk = Desk()
    name = await desk.opened()
    await desk.send(name)
    told = []
    for tenant, asked in (("blue", name), ("red", f"uploads/{'7' * 32}")):
        with pytest.raises(UploadNotFound) as caught:
            await desk.uploading.complete(tenant, asked)
        with pytest.raises(UploadNotFound):
            await desk.uploading.write(tenant, asked, sending=ONE, offset=0, content=b"x")
        told.append(str(caught.value))

    assert told[0] == told[1]


@pytest.mark.parametrize("name", ["", "uploads/", "uploads/../x", f"documents/{'7' * 32}", f"uploads/{'G' * 32}"])
async def test_what_is_no_upload_name_is_told(name: str) -> None:
    with pytest.raises(NameInvalid):
        await Desk().uploading.complete("red", name)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"filename": "a/b.txt"}, FilenameInvalid),
        ({"filename": "a.exe"}, FileTypeUnsupported),
        ({"size_bytes": 0}, FileEmpty),
        ({"size_bytes": 10_001}, FileTooLarge),
        ({"sha256": "A" * 64}, ChecksumInvalid),
        ({"content_type": "text/plain\r\nX: 1"}, ContentTypeInvalid),
        ({"tags": [""]}, TagsInvalid),
    ],
)
async def test_an_upload_that_could_not_be_completed_is_refused_at_once(
    given: dict[str, object], error: type[Exception]
) -> None:
    desk = Desk()
    wanted = {"filename": "a.txt", "size_bytes": 1, "sha256": "a" * 64, **given}

    with pytest.raises(error):
        await desk.uploading.create(tenant="red", subject="ann", **wanted)  # type: ignore[arg-type]
    assert desk.store.uploads == {}


@pytest.mark.parametrize(
    ("sending", "offset", "content", "error"),
    [
        ("x", 0, b"x", SendingInvalid),
        (ONE, 0, b"", SendingInvalid),
        (ONE, -1, b"x", OffsetInvalid),
        (ONE, 7, b"x", OffsetInvalid),
    ],
)
async def test_a_piece_that_cannot_be_one_is_refused(
    sending: str, offset: int, content: bytes, error: type[Exception]
) -> None:
    desk = Desk()
    name = await desk.opened()

    with pytest.raises(error):
        await desk.uploading.write("red", name, sending=sending, offset=offset, content=content)


async def test_an_upload_that_is_waited_for_becomes_a_document_and_is_forgotten() -> None:
    desk = Desk()
    name = await desk.opened()
    await desk.send(name)

    ingested = await desk.uploading.ingest("red", name)

    assert ingested.document.document_id == id_of(TEXT)
    assert not ingested.cache_hit
    assert desk.store.parts == {}
    again = await desk.uploading.ingest("red", name)
    assert (again.document, again.job_id, again.cache_hit) == (ingested.document, ingested.job_id, True)


async def test_an_upload_whose_index_is_away_is_kept_for_the_next_call() -> None:
    desk = Desk()
    desk.world.indexer.trouble.errors["index"] = IndexUnavailable("away")
    name = await desk.opened()
    await desk.send(name)

    with pytest.raises(IndexUnavailable):
        await desk.uploading.ingest("red", name)
    desk.world.indexer.trouble.errors.clear()

    assert (await desk.uploading.ingest("red", name)).document.document_id == id_of(TEXT)
    assert desk.store.parts == {}


async def test_an_upload_that_is_waited_for_is_forgotten_when_its_file_is_refused() -> None:
    desk = Desk()
    desk.world.parser.error = FileWithoutText("nothing to read")
    name = await desk.opened()
    await desk.send(name)

    with pytest.raises(FileWithoutText):
        await desk.uploading.ingest("red", name)
    assert (desk.store.uploads, desk.store.parts) == ({}, {})
