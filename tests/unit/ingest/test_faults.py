"""A part that is away for a moment, at whichever step: what is repeated ends as if it had never been away."""

import asyncio
from typing import Any

import pytest

from services.ingest.errors import FileStoreUnavailable, IndexUnavailable, IngestError, JobStoreUnavailable
from services.ingest.models import DocumentState, JobState, PageRequest
from tests.fakes.ingest_world import World, new_world

OLD = b"# Leave\n\nFull time: 15 days.\n\nPart time: 7 days."
NEW = b"# Leave\n\nFull time: 20 days.\n\nPart time: 9 days.\n\nTemporary staff: none."
AWAY: dict[str, IngestError] = {
    "jobs": JobStoreUnavailable("away"),
    "registry": JobStoreUnavailable("away"),
    "files": FileStoreUnavailable("away"),
    "indexer": IndexUnavailable("away"),
}
STEPS = [
    *(("jobs", method) for method in ("create", "advance", "finish", "get", "join", "cancel", "claim_due")),
    *(("registry", method) for method in ("publish", "point", "hold_deletion", "remove")),
    *(("files", method) for method in ("save_original", "fetched", "save_record", "delete")),
    *(("indexer", method) for method in ("index", "delete")),
]


def break_once(world: World, part: str, method: str, *, at: int) -> None:
    """Have the `at`-th call of a method fail as if its part were away."""
    target: Any = getattr(world, part)
    strike, calls = target.trouble.strike, 0

    def struck(called: str) -> None:
        nonlocal calls
        calls += called == method
        if called == method and calls == at:
            raise AWAY[part]
        strike(called)

    target.trouble.strike = struck


async def settle(world: World) -> None:
    """What workers do in the time that follows."""
    for _ in range(3):
        world.clock.pass_seconds(3600)
        await asyncio.gather(world.workers.take_up_due(), world.deleting.settle_all(), return_exceptions=True)


async def state_of(world: World) -> dict[str, Any]:
    documents = [await world.document_of(content) for content in (OLD, NEW)]
    jobs = await world.jobs.list_newest_first("red", PageRequest(99))
    return {
        "names": [document and document.filenames for document in documents],
        "ready": [document is not None and document.state is DocumentState.READY for document in documents],
        "texts": [world.texts_of(content) for content in (OLD, NEW)],
        "shown": dict(world.indexer.filenames),
        "files": sorted(key.document_id for key in world.files.originals),
        "records": sorted((key.document_id, name) for key, name in world.files.records),
        "unsettled": await world.registry.list_unsettled(limit=9),
        "open_jobs": [job for job in jobs if not job.state.is_final],
    }


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize(("part", "method"), STEPS)
async def test_replacing_a_document_ends_the_same_whatever_was_away_once(part: str, method: str, at: int) -> None:
    wanted, world = new_world(), new_world()
    for each in (wanted, world):
        await each.ingest(OLD)
    break_once(world, part, method, at=at)

    await wanted.ingest(NEW)
    await asyncio.gather(world.ingest(NEW), return_exceptions=True)
    await settle(world)
    await asyncio.gather(world.ingest(NEW), return_exceptions=True)
    await settle(world)

    assert await state_of(world) == await state_of(wanted)
    assert (await state_of(world))["texts"][0] == []


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(("part", "method"), STEPS)
async def test_deleting_a_document_ends_the_same_whatever_was_away_once(part: str, method: str, at: int) -> None:
    world = new_world()
    await world.ingest(OLD)
    document = await world.document_of(OLD)
    assert document is not None
    break_once(world, part, method, at=at)

    await asyncio.gather(world.ingesting.delete("red", document.document_id), return_exceptions=True)
    await settle(world)
    await asyncio.gather(world.ingesting.delete("red", document.document_id), return_exceptions=True)
    await settle(world)

    assert await world.nothing_left_of(OLD)
    assert await world.registry.list_unsettled(limit=9) == []
    assert world.indexer.filenames == {}


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize(("part", "method"), STEPS)
async def test_a_job_that_nobody_waits_for_ends_ready_whatever_was_away_once(part: str, method: str, at: int) -> None:
    world = new_world(outlive_calls=False)
    break_once(world, part, method, at=at)
    for _ in range(2):  # whoever was told that it did not go sends it again
        await asyncio.gather(
            world.ingesting.start(tenant="red", subject="ann", filename="notes.txt", content=OLD),
            return_exceptions=True,
        )
    await settle(world)
    await settle(world)

    [newest, *_] = await world.jobs.list_newest_first("red", PageRequest(9))
    document = await world.document_of(OLD)
    assert newest.state is JobState.READY
    assert document is not None
    assert document.filenames == ("notes.txt",)
    assert len(world.texts_of(OLD)) == document.chunk_count > 0
