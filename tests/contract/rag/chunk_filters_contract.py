"""How every index of chunks narrows a search, whatever keeps it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.rag.models import ChunkId, DocumentFacts, SearchFilters
from services.rag.ports import ChunkIndex
from tests.contract.rag.indexed_chunks import EAST, GUIDE, NORTH, NOTES, UP, indexed, search, write

LEDGER = "documents/" + "c" * 64
MARCH, JUNE = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 6, 1, 12, tzinfo=UTC)
QUOTED = """x' OR '1'='1"; DROP TABLE chunks; -- %s %(tenant)s {} $in \\"""


async def fill(index: ChunkIndex) -> None:
    """A guide of March, notes of June with two tags, and a ledger of which nothing was told."""
    guide, notes = DocumentFacts("Guide", "md", ("travel",), MARCH), DocumentFacts("", "pdf", ("travel", QUOTED), JUNE)
    await index.write(write(indexed(0, "ferry", EAST), indexed(1, "ferry moss", UP), facts=guide))
    await index.write(write(indexed(0, "ferry", NORTH), document=NOTES, filename=QUOTED, facts=notes))
    await index.write(write(indexed(0, "ferry", EAST), document=LEDGER, filename="ledger.csv"))
    await index.write(write(indexed(0, "ferry", EAST), tenant="blue", facts=guide))


async def found(index: ChunkIndex, filters: SearchFilters, *, documents: tuple[str, ...] = ()) -> set[str]:
    """The documents found, of which both legs give the same where there are two."""
    retrieved = await search(index, EAST, ["ferry"], filters=filters, documents=documents)
    by_meaning = {chunk.document for chunk in retrieved.by_meaning}
    assert not retrieved.by_words or {chunk.document for chunk in retrieved.by_words} == by_meaning
    return by_meaning


class ChunkFiltersContract:
    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            (SearchFilters(), {GUIDE, NOTES, LEDGER}),
            (SearchFilters(filenames=("guide.md", "ledger.csv", "absent.md")), {GUIDE, LEDGER}),
            (SearchFilters(filenames=("GUIDE.md",)), set()),
            (SearchFilters(filenames=(QUOTED,)), {NOTES}),
            (SearchFilters(extensions=("pdf", "xlsx")), {NOTES}),
            (SearchFilters(extensions=("xlsx",)), set()),
            (SearchFilters(tags=("travel",)), {GUIDE, NOTES}),
            (SearchFilters(tags=("travel", QUOTED)), {NOTES}),
            (SearchFilters(tags=("travel", "absent")), set()),
            (SearchFilters(create_time_from=MARCH), {GUIDE, NOTES}),
            (SearchFilters(create_time_from=MARCH + timedelta(microseconds=1)), {NOTES}),
            (SearchFilters(create_time_before=JUNE), {GUIDE}),
            (SearchFilters(create_time_before=JUNE + timedelta(microseconds=1)), {GUIDE, NOTES}),
            (SearchFilters(create_time_from=MARCH, create_time_before=JUNE), {GUIDE}),
            (SearchFilters(create_time_from=MARCH.astimezone(timezone(timedelta(hours=5)))), {GUIDE, NOTES}),
            (SearchFilters(("guide.md",), ("md",), ("travel",), MARCH, JUNE), {GUIDE}),
            (SearchFilters(("guide.md",), ("pdf",)), set()),
        ],
        ids=[  # sets are written in another order by every process
            "none",
            "filenames",
            "filename in other case",
            "quoted filename",
            "extensions",
            "absent extension",
            "tag",
            "quoted tag",
            "absent tag",
            "from",
            "just after from",
            "before",
            "just before before",
            "from and before",
            "from elsewhere",
            "all at once",
            "other extension of a filename",
        ],
    )
    async def test_a_search_finds_only_documents_that_pass_every_filter(
        self, index: ChunkIndex, filters: SearchFilters, expected: set[str]
    ) -> None:
        await fill(index)

        assert await found(index, filters) == expected

    async def test_filters_and_names_of_documents_hold_together(self, index: ChunkIndex) -> None:
        await fill(index)

        assert await found(index, SearchFilters(tags=("travel",)), documents=(NOTES, LEDGER)) == {NOTES}
        assert await found(index, SearchFilters(extensions=("md",)), documents=(NOTES,)) == set()

    async def test_filters_show_no_tenant_the_chunks_of_another(self, index: ChunkIndex) -> None:
        await fill(index)
        theirs = SearchFilters(filenames=("guide.md",), tags=("travel",))

        retrieved = await search(index, EAST, ["ferry"], tenant="blue", filters=theirs)
        nobody = await search(index, EAST, ["ferry"], tenant=QUOTED, filters=theirs)

        assert retrieved.by_meaning == (ChunkId(GUIDE, 0),)
        assert nobody.chunks == {}

    async def test_a_filter_is_applied_before_the_best_are_taken(self, index: ChunkIndex) -> None:
        await index.write(write(*(indexed(place, f"ferry {place}", EAST) for place in range(20))))
        await index.write(write(indexed(0, "ferry", UP), document=NOTES, filename="notes.md"))

        retrieved = await search(index, EAST, ["ferry"], limit=3, filters=SearchFilters(filenames=("notes.md",)))

        assert retrieved.by_meaning == (ChunkId(NOTES, 0),)

    async def test_facts_told_later_count_for_chunks_stored_before(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "ferry", EAST), facts=DocumentFacts("", "md", ("old",), MARCH)))

        await index.write(write(chunk_count=1, filename="new.md", facts=DocumentFacts("", "md", ("new",), MARCH)))

        assert await found(index, SearchFilters(tags=("old",))) == set()
        assert await found(index, SearchFilters(filenames=("new.md",), tags=("new",))) == {GUIDE}
