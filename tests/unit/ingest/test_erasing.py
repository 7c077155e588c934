"""What a removal tells and what it leaves; how one version of a document takes the place of another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from services.ingest.errors import DocumentNotFound, FileStoreUnavailable, IndexUnavailable
from services.ingest.models import DocumentState, JobState
from tests.fakes.ingest_world import World, id_of, new_world, settled

OLD, NEW = b"Fifteen days.\n\nOf leave.", b"Twenty days.\n\nOf leave."


async def test_a_receipt_counts_what_was_removed_and_says_that_it_is_gone() -> None:
    world = new_world()
    await world.ingest(OLD, "leave.txt")
    await world.ingest(OLD, "days.txt")
    before = len(world.texts_of(OLD))

    erasure = await world.ingesting.delete("red", id_of(OLD))

    assert erasure.document_id == id_of(OLD)
    assert erasure.filenames == ("leave.txt", "days.txt")
    assert erasure.chunks.chunk_count == before
    assert erasure.files.file_count == 3
    assert erasure.verified
    assert await world.nothing_left_of(OLD)
    with pytest.raises(DocumentNotFound):
        await world.ingesting.delete("red", id_of(OLD))


async def test_what_is_still_there_at_a_second_look_is_told_and_removed_by_a_worker() -> None:
    world = new_world()
    await world.ingest(OLD)
    world.indexer.remaining = 1

    erasure = await world.ingesting.delete("red", id_of(OLD))

    assert not erasure.verified
    document = await world.document_of(OLD)
    assert document is not None
    assert document.state is DocumentState.DELETING
    world.indexer.remaining = 0
    await world.deleting.settle_all()
    assert await world.nothing_left_of(OLD)


async def test_files_that_are_still_there_at_a_second_look_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = new_world()
    await world.ingest(OLD)

    async def one_left(key: object) -> int:
        return 1

    monkeypatch.setattr(world.files, "count", one_left)

    assert not (await world.ingesting.delete("red", id_of(OLD))).verified
    monkeypatch.undo()
    await world.deleting.settle_all()
    assert await world.nothing_left_of(OLD)


@pytest.mark.parametrize("call", ["delete", "count"])
async def test_a_file_store_that_goes_away_in_between_is_told_and_finished_by_a_worker(call: str) -> None:
    world = new_world()
    await world.ingest(OLD)
    world.files.trouble.errors[call] = FileStoreUnavailable("away")

    with pytest.raises(FileStoreUnavailable):
        await world.ingesting.delete("red", id_of(OLD))
    world.files.trouble.errors.clear()
    await world.deleting.settle_all()

    assert await world.nothing_left_of(OLD)


async def test_new_bytes_under_the_name_are_the_next_version_and_the_former_is_gone() -> None:
    world = new_world()
    await world.ingest(OLD, "leave.txt")

    ingested = await world.ingest(NEW, "leave.txt")

    assert ingested.document.version == 2
    assert world.indexer.shown() == {id_of(NEW)}
    assert await world.nothing_left_of(OLD)


async def watched(world: World, work: Sequence[asyncio.Task[object]]) -> list[frozenset[str]]:
    """What a search would have found at each moment until the work was done."""
    seen = [frozenset(world.indexer.shown())]
    while not all(task.done() for task in work):
        await asyncio.sleep(0)
        seen.append(frozenset(world.indexer.shown()))
    return seen


async def test_a_search_finds_either_the_old_version_or_the_new_one_at_any_moment() -> None:
    world = new_world()
    await world.ingest(OLD, "leave.txt")

    replacing = asyncio.create_task(world.ingest(NEW, "leave.txt"))
    seen = await watched(world, [replacing])

    assert set(seen) == {frozenset({id_of(OLD)}), frozenset({id_of(NEW)})}


async def test_the_new_version_is_found_when_it_is_told_to_be_ready() -> None:
    world = new_world()
    await world.ingest(OLD, "leave.txt")
    finish = world.jobs.finish
    found: list[set[str]] = []

    async def watched_finish(*args: object, **kwargs: object) -> bool:
        found.append(world.indexer.shown())
        return await finish(*args, **kwargs)  # type: ignore[arg-type]

    world.jobs.finish = watched_finish  # type: ignore[method-assign]
    await world.ingest(NEW, "leave.txt")

    assert found == [{id_of(NEW)}]


@pytest.mark.parametrize("call", ["delete", "show"])
async def test_an_index_that_goes_away_at_the_change_leaves_one_of_both_and_the_job_to_be_done(call: str) -> None:
    world = new_world()
    await world.ingest(OLD, "leave.txt")
    world.indexer.trouble.errors[call] = IndexUnavailable("away")
    with pytest.raises(IndexUnavailable):
        await world.ingest(NEW, "leave.txt")
    between = world.indexer.shown()
    world.indexer.trouble.errors.clear()
    world.clock.pass_seconds(60)

    await world.workers.take_up_due(may_begin=lambda: True)

    job = await world.job_of(NEW)
    assert job is not None
    assert job.state is JobState.READY
    assert len(between) == 1
    assert world.indexer.shown() == {id_of(NEW)}
    assert await world.nothing_left_of(OLD)


async def test_a_process_that_ends_before_the_change_leaves_it_to_whoever_removes_the_former() -> None:
    world = new_world()
    await world.ingest(OLD, "leave.txt")
    world.indexer.trouble.errors["delete"] = IndexUnavailable("away")
    with pytest.raises(IndexUnavailable):
        await world.ingest(NEW, "leave.txt")
    assert world.indexer.shown() == {id_of(OLD)}
    world.indexer.trouble.errors.clear()

    await world.restarted().deleting.settle_all()

    assert world.indexer.shown() == {id_of(NEW)}


async def test_the_same_bytes_under_two_names_stay_until_the_last_name_goes() -> None:
    world = new_world()
    await world.ingest(OLD, "leave.txt")
    await world.ingest(OLD, "days.txt")

    await world.ingest(NEW, "leave.txt")
    both = world.indexer.shown()
    await world.ingest(NEW, "days.txt")

    assert both == {id_of(OLD), id_of(NEW)}
    assert world.indexer.shown() == {id_of(NEW)}
    assert await world.nothing_left_of(OLD)


async def test_a_version_that_fails_leaves_the_former_as_it_was() -> None:
    world = new_world()
    await world.ingest(OLD, "leave.txt")

    with pytest.raises(Exception, match="the file is broken"):
        await world.ingest(b"broken", "leave.txt")

    document = await world.document_of(OLD)
    assert document is not None
    assert (document.state, document.filenames, document.version) == (DocumentState.READY, ("leave.txt",), 1)
    assert world.indexer.shown() == {id_of(OLD)}


async def test_replacing_while_the_former_version_is_still_ingested_ends_with_the_latter() -> None:
    world = new_world()
    gate = asyncio.Event()
    world.indexer.before_indexing = gate.wait
    first = asyncio.create_task(world.ingest(OLD, "leave.txt"))
    await settled()
    second = asyncio.create_task(world.ingest(NEW, "leave.txt"))
    await settled()

    gate.set()
    await asyncio.gather(first, second, return_exceptions=True)  # the former may be replaced before it is told of
    await world.deleting.settle_all()

    ready = [text for text in (OLD, NEW) if await world.document_of(text) is not None]
    assert world.indexer.shown() == {id_of(text) for text in ready}
    assert len(ready) == 1


@pytest.mark.parametrize("doomed", [OLD, NEW])
async def test_deleting_one_version_during_the_change_leaves_the_other_or_none(doomed: bytes) -> None:
    world = new_world()
    await world.ingest(OLD, "leave.txt")
    gate = asyncio.Event()
    world.indexer.before_indexing = gate.wait
    replacing = asyncio.create_task(world.ingest(NEW, "leave.txt"))
    await settled()

    deleting = asyncio.create_task(world.ingesting.delete("red", id_of(doomed)))
    await settled()
    gate.set()
    await asyncio.gather(replacing, deleting, return_exceptions=True)
    await world.deleting.settle_all()

    left = NEW if doomed == OLD else OLD
    assert world.indexer.shown() == {id_of(left)}
    assert await world.nothing_left_of(doomed)
    assert (await world.ingesting.delete("red", id_of(left))).verified
