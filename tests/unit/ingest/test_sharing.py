"""Two calls with the same bytes, of which the first ends before the work does."""

import asyncio

from tests.fakes.ingest_world import new_world

POLICY = b"Staff may work from home on two days a week.\n"


async def test_a_call_goes_on_alone_when_the_one_that_began_the_work_takes_it_along() -> None:
    world = new_world(outlive_calls=False)
    parsing = asyncio.Event()

    async def never_ending() -> None:
        parsing.set()
        await asyncio.Event().wait()

    world.parser.before_parsing = never_ending
    first = asyncio.create_task(world.ingest(POLICY))
    await parsing.wait()
    second = asyncio.create_task(world.ingest(POLICY))
    await asyncio.sleep(0)
    world.parser.before_parsing = None

    first.cancel()
    ingested = await asyncio.wait_for(second, 5)

    assert ingested.document.chunk_count > 0
    assert first.cancelled()
