"""Looking up documents, jobs and counts; pages."""

import base64
import json

import pytest

from services.ingest.errors import DocumentNotFound, JobNotFound, NameInvalid, PageTokenInvalid
from services.ingest.models import JobState
from services.ingest.reading import Reading
from tests.fakes.ingest_world import World, id_of, new_world


def reading_of(world: World) -> Reading:
    return Reading(jobs=world.jobs, registry=world.registry, files=world.files, counter=world.runner)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "documents/",
        "documents/abc",
        f"documents/{'A' * 64}",
        f"jobs/{'a' * 64}",
        f"documents/{'a' * 64}/x",
        f"documents/{'a' * 64}\n",
    ],
)
async def test_a_name_that_is_no_documents_is_refused(name: str) -> None:
    with pytest.raises(NameInvalid) as caught:
        await reading_of(new_world()).document("red", name)
    assert caught.value.field == "name"


@pytest.mark.parametrize("name", ["", "jobs/1", f"documents/{'a' * 64}", f"jobs/{'g' * 32}"])
async def test_a_name_that_is_no_jobs_is_refused(name: str) -> None:
    with pytest.raises(NameInvalid):
        await reading_of(new_world()).job("red", name)


async def test_what_is_unknown_or_anothers_or_being_deleted_is_not_found() -> None:
    world = new_world()
    ingested = await world.ingest(b"text")
    reading = reading_of(world)
    name, job_name = f"documents/{ingested.document.document_id}", f"jobs/{ingested.job_id}"

    assert (await reading.document("red", name)).filenames == ("notes.txt",)
    assert (await reading.job("red", job_name)).state is JobState.READY
    with pytest.raises(DocumentNotFound):
        await reading.document("blue", name)
    with pytest.raises(JobNotFound):
        await reading.job("blue", job_name)
    await world.registry.mark_deleting("red", id_of(b"text"))
    with pytest.raises(DocumentNotFound):
        await reading.document("red", name)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_pages_cover_the_list_once_and_the_last_has_no_token(size: int) -> None:
    world = new_world()
    for number in range(6):
        await world.ingest(b"text %d" % number, f"{number}.txt")
    reading = reading_of(world)
    seen: list[str] = []
    token = ""

    for _ in range(10):
        documents, token = await reading.documents("red", page_size=size, page_token=token)
        assert len(documents) <= size
        seen += [document.filenames[0] for document in documents]
        if not token:
            break

    assert seen == [f"{number}.txt" for number in reversed(range(6))]


async def test_page_sizes_out_of_range_are_brought_into_it() -> None:
    world = new_world()
    for number in range(3):
        await world.ingest(b"text %d" % number, f"{number}.txt")

    for size in (0, -5, 10_000, 2**31 - 1):
        assert len((await reading_of(world).job_list("red", page_size=size, page_token=""))[0]) == 3


def token_of(*place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "....",
        "é",
        token_of("documents", "2026-01-01T00:00:00+00:00", "a"),
        token_of("jobs", "yesterday", "a"),
        token_of("jobs", "2026-01-01T00:00:00", "a"),
        token_of("jobs", "0001-01-01T00:00:00+23:59", "a" * 32),
        token_of("jobs", "2026-01-01T00:00:00+00:00", 7),
        token_of("jobs", "2026-01-01T00:00:00+00:00", "a\x00"),
        token_of("jobs", "2026-01-01T00:00:00+00:00", "\ud800" * 32),
        token_of("jobs"),
        token_of(),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b"7").decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
async def test_a_token_not_from_this_list_is_refused(token: str) -> None:
    with pytest.raises(PageTokenInvalid) as caught:
        await reading_of(new_world()).job_list("red", page_size=1, page_token=token)
    assert caught.value.field == "page_token"


async def test_stats_count_what_is_ready_and_what_was_parsed() -> None:
    world = new_world()
    await world.ingest(b"text one", "a.txt")
    await world.ingest(b"text one", "b.txt")
    await world.ingest(b"text 22", "c.txt")
    with pytest.raises(Exception, match="broken"):
        await world.ingest(b"broken", "d.txt")

    stats = await reading_of(world).stats("red")

    assert (stats.documents.document_count, stats.documents.total_size_bytes) == (2, 15)
    assert dict(stats.jobs_by_state) == {JobState.READY: 2, JobState.FAILED: 1}
    assert stats.parsed_file_count == 2
    assert stats.uptime_seconds >= 0
