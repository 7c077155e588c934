"""Images of documents: extracted once, listed, read, and never a document's undoing."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from services.ingest.errors import (
    DocumentNotFound,
    FileBroken,
    FileStoreUnavailable,
    ImageNotFound,
    IngestError,
    NameInvalid,
    PageTokenInvalid,
)
from services.ingest.models import DocumentState, JobState
from tests.fakes.ingest_world import World, id_of, new_world, settled
from tests.unit.ingest.test_working import until

PDF = b"%PDF-1.7\n\nIn pictures:\nimage one\nimage two\nimage one\n"
NAME = f"documents/{id_of(PDF)}"
ONE, TWO = (hashlib.sha256(line).hexdigest() for line in (b"image one", b"image two"))


async def ingest_pdf(world: World) -> None:
    await world.ingest(PDF, "pictures.pdf")
    await settled()


def metadata(world: World) -> Any:
    return json.loads(world.files.records[world.key_of(PDF, "pdf"), "metadata.json"])


async def listed(world: World, **options: Any) -> list[tuple[str, int]]:
    wanted: dict[str, Any] = {"page_size": 0, "page_token": "", **options}
    images, _ = await world.imaging.images("red", NAME, **wanted)
    return [(image.image_id, image.page) for image in images]


@pytest.mark.parametrize("outlive_calls", [True, False])
async def test_images_of_a_pdf_are_there_once_it_is_ready(outlive_calls: bool) -> None:
    world = new_world(outlive_calls=outlive_calls)
    await ingest_pdf(world)
    await until(lambda: "images" in metadata(world))

    assert await listed(world) == [(ONE, 4), (TWO, 5)]
    image, content = await world.imaging.read("red", f"{NAME}/images/{TWO}")
    assert (image.image_id, content) == (TWO, b"image two")
    assert metadata(world)["images"] == {"image_count": 2}
    assert metadata(world)["filename"] == "pictures.pdf"


async def test_extracting_again_reads_nothing_again() -> None:
    world = new_world(outlive_calls=False)
    await ingest_pdf(world)

    assert len(await world.imaging.extract("red", NAME)) == 2
    assert len(await world.restarted().imaging.extract("red", NAME)) == 2

    assert world.image_reader.read_count == 1


async def test_images_of_another_version_of_the_reader_are_extracted_anew() -> None:
    world = new_world(outlive_calls=False)
    await ingest_pdf(world)
    world.imaging.fingerprint = "images-2"

    assert await listed(world) == []
    assert len(await world.imaging.extract("red", NAME)) == 2
    assert world.image_reader.read_count == 2


async def test_files_of_other_kinds_have_no_images() -> None:
    world = new_world()
    text = b"In pictures:\nimage one\n"
    document = (await world.ingest(text, "pictures.txt")).document
    await settled()

    assert await world.imaging.extract("red", f"documents/{document.document_id}") == ()
    assert world.image_reader.read_count == 0


async def test_a_list_goes_on_where_its_page_ended() -> None:
    world = new_world(outlive_calls=False)
    await ingest_pdf(world)

    first, token = await world.imaging.images("red", NAME, page_size=1, page_token="")
    second, end = await world.imaging.images("red", NAME, page_size=1, page_token=token)

    assert [image.image_id for image in (*first, *second)] == [ONE, TWO]
    assert end == ""


@pytest.mark.parametrize("token", ["x", "WzFd", "WyJpbWFnZXMveCIsIDFd", "W10", "bnVsbA"])
async def test_a_token_that_is_none_of_this_list_is_refused(token: str) -> None:
    world = new_world(outlive_calls=False)
    await ingest_pdf(world)

    with pytest.raises(PageTokenInvalid):
        await listed(world, page_token=token)


@pytest.mark.parametrize(
    "error",
    [FileBroken("damaged"), FileStoreUnavailable("away"), RuntimeError("an odd one")],
    ids=lambda e: type(e).__name__,
)
async def test_what_goes_wrong_is_noted_and_fails_no_document(error: Exception) -> None:
    world = new_world(outlive_calls=False)
    world.image_reader.error = error

    await ingest_pdf(world)

    job = await world.job_of(PDF)
    assert job is not None
    assert job.state is JobState.READY
    assert set(metadata(world)["images"]) == {"failure_reason"}
    world.image_reader.error = None
    assert len(await world.imaging.extract("red", NAME)) == 2
    assert metadata(world)["images"] == {"image_count": 2}


async def test_a_call_does_not_wait_for_images_longer_than_it_may() -> None:
    world = new_world(outlive_calls=False)
    world.imaging.wait_seconds = 0.02
    never = asyncio.Event()
    world.image_reader.before_each = never.wait

    await ingest_pdf(world)

    world.image_reader.before_each = None
    assert await listed(world) == []
    assert len(await world.imaging.extract("red", NAME)) == 2


async def test_a_function_of_its_own_does_it_when_there_is_one() -> None:
    asked: list[str] = []

    class Elsewhere:
        async def extract(self, document_id: str) -> int:
            asked.append(document_id)
            return 7

    world = new_world(outlive_calls=False)
    world.imaging.elsewhere = Elsewhere()

    await ingest_pdf(world)

    assert asked == [id_of(PDF)]
    assert world.image_reader.read_count == 0


async def test_a_function_of_its_own_that_fails_is_noted() -> None:
    class Elsewhere:
        async def extract(self, document_id: str) -> int:
            raise FileStoreUnavailable("away")

    world = new_world(outlive_calls=False)
    world.imaging.elsewhere = Elsewhere()

    await ingest_pdf(world)

    assert set(metadata(world)["images"]) == {"failure_reason"}


async def test_images_go_with_their_document() -> None:
    world = new_world(outlive_calls=False)
    await ingest_pdf(world)

    await world.ingesting.delete("red", id_of(PDF))

    assert await world.nothing_left_of(PDF, "pdf")


async def test_a_document_that_is_deleted_meanwhile_leaves_no_image_behind() -> None:
    world = new_world(outlive_calls=False)
    world.image_reader.error = FileBroken("not now")
    await ingest_pdf(world)
    world.image_reader.error = None

    async def delete() -> None:
        world.image_reader.before_each = None
        await world.ingesting.delete("red", id_of(PDF))

    world.image_reader.before_each = delete
    with pytest.raises(DocumentNotFound):
        await world.imaging.extract("red", NAME)

    assert await world.nothing_left_of(PDF, "pdf")


async def test_a_document_that_is_deleted_while_its_last_image_is_stored_leaves_nothing_behind() -> None:
    world = new_world(outlive_calls=False)
    world.image_reader.error = FileBroken("not now")
    await ingest_pdf(world)
    world.image_reader.error = None
    save = world.files.save_record

    async def late(*arguments: Any) -> None:
        world.files.save_record = save  # type: ignore[method-assign]
        await world.ingesting.delete("red", id_of(PDF))
        await save(*arguments)

    world.files.save_record = late  # type: ignore[method-assign, assignment]
    with pytest.raises(DocumentNotFound):
        await world.imaging.extract("red", NAME)

    assert await world.nothing_left_of(PDF, "pdf")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", NameInvalid),
        (f"{NAME}/images/1", NameInvalid),
        (f"{NAME}/images/../../x", NameInvalid),
        (f"{NAME}/images/{'0' * 64}", ImageNotFound),
        (f"documents/{'0' * 64}/images/{ONE}", DocumentNotFound),
    ],
)
async def test_an_image_that_is_not_there_is_told(name: str, error: type[IngestError]) -> None:
    world = new_world(outlive_calls=False)
    await ingest_pdf(world)

    with pytest.raises(error):
        await world.imaging.read("red", name)


async def test_another_tenants_images_are_not_told_from_none() -> None:
    world = new_world(outlive_calls=False)
    await ingest_pdf(world)

    for call in (
        world.imaging.extract("blue", NAME),
        world.imaging.images("blue", NAME, page_size=0, page_token=""),
        world.imaging.read("blue", f"{NAME}/images/{ONE}"),
    ):
        with pytest.raises(DocumentNotFound):
            await call


async def test_a_document_that_is_being_deleted_shows_no_images() -> None:
    world = new_world(outlive_calls=False)
    await ingest_pdf(world)
    await world.registry.mark_deleting("red", id_of(PDF))

    with pytest.raises(DocumentNotFound):
        await listed(world)
    document = await world.document_of(PDF)
    assert document is not None
    assert document.state is DocumentState.DELETING


async def test_what_goes_on_at_the_end_is_stopped_and_done_when_somebody_asks() -> None:
    world = new_world(outlive_calls=True)
    never = asyncio.Event()
    world.image_reader.before_each = never.wait
    await ingest_pdf(world)

    await world.imaging.close()
    world.image_reader.before_each = None

    assert len(await world.restarted().imaging.extract("red", NAME)) == 2


async def test_images_that_a_killed_process_did_not_come_to_are_taken_out_by_another() -> None:
    world = new_world()
    world.image_reader.before_each = asyncio.Event().wait
    await ingest_pdf(world)
    await until(lambda: world.image_reader.read_count == 1)
    successor = world.restarted()

    await successor.imaging.resume()
    assert successor.image_reader.read_count == 0  # the other may be at it
    world.clock.pass_seconds(successor.imaging.resume_after_seconds + 1)
    await successor.imaging.resume()
    world.clock.pass_seconds(successor.imaging.resume_after_seconds + 1)
    await successor.imaging.resume()

    assert successor.image_reader.read_count == 1
    assert await listed(successor) == [(ONE, 4), (TWO, 5)]
    await world.imaging.close()


async def test_images_of_a_document_that_is_gone_are_due_no_more() -> None:
    world = new_world()
    world.image_reader.before_each = asyncio.Event().wait
    await ingest_pdf(world)
    await world.imaging.close()
    await world.ingesting.delete("red", id_of(PDF))
    world.clock.pass_seconds(world.imaging.resume_after_seconds + 1)

    await world.restarted().imaging.resume()

    world.clock.pass_seconds(world.imaging.resume_after_seconds + 1)
    assert await world.jobs.take_images_due(after_seconds=0) is None
    assert await world.nothing_left_of(PDF, "pdf")


@pytest.mark.parametrize(("error", "comes_again"), [(FileBroken("odd"), False), (FileStoreUnavailable("away"), True)])
async def test_images_that_could_not_be_taken_out_are_due_while_another_time_may_do(
    error: IngestError, comes_again: bool
) -> None:
    world = new_world(outlive_calls=False)
    world.image_reader.error = error
    await ingest_pdf(world)
    world.clock.pass_seconds(world.imaging.resume_after_seconds + 1)

    due = await world.jobs.take_images_due(after_seconds=world.imaging.resume_after_seconds)

    assert (due is not None) is comes_again
