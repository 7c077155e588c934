"""What every registry of documents does, whatever keeps it."""

import asyncio
from dataclasses import replace

import pytest

from services.ingest.errors import LeaseLost
from services.ingest.models import (
    NO_JOB,
    Document,
    DocumentState,
    DocumentTotals,
    Job,
    PageNote,
    PageProblem,
    PageRequest,
    Pointed,
)
from services.ingest.ports import DocumentRegistry
from tests.fakes.ingest_stores import Clock

A, B, C = "a" * 64, "b" * 64, "c" * 64
LONG = 60.0


def document(document_id: str = A, *, tenant: str = "red", indexed_filename: str = "one.txt") -> Document:
    return Document(
        tenant=tenant,
        document_id=document_id,
        extension="txt",
        content_type="text/plain",
        size_bytes=100,
        chunk_count=2,
        token_count=30,
        job_id="1" * 32,
        title="Title",
        page_count=None,
        indexed_filename=indexed_filename,
    )


def job(document_id: str = A) -> Job:
    now = Clock().now()
    return Job("2" * 32, "red", "ann", document_id, "txt", "one.txt", create_time=now, update_time=now)


async def publish(registry: DocumentRegistry, document_id: str = A, filename: str = "one.txt") -> Pointed:
    pointed = await registry.publish(document(document_id, indexed_filename=filename), filename)
    assert pointed is not None
    return pointed


async def held(registry: DocumentRegistry, document_id: str = A) -> str:
    """The token of the removal of a document."""
    token = await registry.hold_deletion("red", document_id, lease_seconds=LONG)
    assert token is not None
    return token


class DocumentRegistryContract:
    @pytest.fixture
    def registry(self) -> DocumentRegistry:
        raise AssertionError("a suite must say which registry it is about")

    async def test_a_published_document_is_ready_under_its_name(self, registry: DocumentRegistry) -> None:
        pointed = await publish(registry)

        found = await registry.get("red", A)
        assert found == pointed.document
        assert found is not None
        assert found.create_time is not None
        wanted = replace(
            document(), filenames=("one.txt",), create_time=found.create_time, update_time=found.update_time
        )
        assert found == wanted
        assert (pointed.orphan, pointed.renamed) == (None, None)

    async def test_publishing_again_changes_nothing_but_the_facts(self, registry: DocumentRegistry) -> None:
        first = await publish(registry)

        again = await registry.publish(replace(document(), chunk_count=5), "one.txt")

        assert again is not None
        assert again.document.chunk_count == 5
        assert again.document.create_time == first.document.create_time
        assert again.document.filenames == ("one.txt",)

    async def test_names_that_join_are_listed_oldest_first(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")

        await registry.point("red", "b.txt", A)
        pointed = await registry.point("red", "a.txt", A)

        assert pointed is not None
        assert pointed.document.filenames == ("one.txt", "b.txt", "a.txt")

    async def test_a_name_that_points_there_already_keeps_its_age(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")
        await registry.point("red", "two.txt", A)

        pointed = await registry.point("red", "one.txt", A)

        assert pointed is not None
        assert pointed.document.filenames == ("one.txt", "two.txt")

    async def test_a_name_cannot_point_to_what_is_not_ready(self, registry: DocumentRegistry) -> None:
        await publish(registry, A)
        await registry.mark_deleting("red", A)

        assert await registry.point("red", "one.txt", A) is None
        assert await registry.point("red", "one.txt", B) is None
        assert await registry.publish(document(A), "one.txt") is None

    async def test_a_document_that_loses_its_last_name_becomes_deleting(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")

        pointed = await publish(registry, B, "one.txt")

        assert pointed.document.filenames == ("one.txt",)
        assert pointed.orphan is not None
        assert (pointed.orphan.document_id, pointed.orphan.state) == (A, DocumentState.DELETING)
        assert [found.document_id for found in await registry.list_ready("red", PageRequest(10))] == [B]

    async def test_a_document_that_keeps_a_name_is_renamed(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")
        await registry.point("red", "two.txt", A)

        pointed = await publish(registry, B, "one.txt")

        assert pointed.orphan is None
        assert pointed.renamed is not None
        assert (pointed.renamed.document_id, pointed.renamed.filenames) == (A, ("two.txt",))
        assert [found.document_id for found in await registry.list_unsettled(limit=10)] == [A]

    async def test_a_renaming_is_settled_once_the_index_shows_the_new_name(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")
        await registry.point("red", "two.txt", A)
        await publish(registry, B, "one.txt")

        await registry.mark_indexed_filename("red", A, "two.txt")

        assert await registry.list_unsettled(limit=10) == []

    async def test_losing_a_name_the_index_does_not_show_renames_nothing(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")
        await registry.point("red", "two.txt", A)

        pointed = await publish(registry, B, "two.txt")

        assert (pointed.orphan, pointed.renamed) == (None, None)
        assert await registry.list_unsettled(limit=10) == []

    async def test_deleting_drops_the_names_and_can_be_repeated(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")

        first = await registry.mark_deleting("red", A)
        again = await registry.mark_deleting("red", A)

        assert first is not None
        assert again is not None
        assert (first.state, first.filenames) == (DocumentState.DELETING, ())
        assert again.state is DocumentState.DELETING
        assert await registry.mark_deleting("red", C) is None

    async def test_only_what_is_deleting_is_forgotten(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")
        await publish(registry, B, "two.txt")
        await registry.mark_deleting("red", B)

        tokens = [await registry.hold_deletion("red", document_id, lease_seconds=LONG) for document_id in (A, B, C)]
        removed = [await registry.remove("red", document_id, tokens[1] or "") for document_id in (A, B, C)]

        assert [token is not None for token in tokens] == [False, True, False]
        assert removed == [False, True, False]
        assert await registry.get("red", A) is not None
        assert await registry.get("red", B) is None

    async def test_a_forgotten_document_can_come_again(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")
        await registry.mark_deleting("red", A)
        await registry.remove("red", A, await held(registry))

        pointed = await publish(registry, A, "one.txt")

        assert pointed.document.filenames == ("one.txt",)

    async def test_a_job_without_a_document_can_be_condemned(self, registry: DocumentRegistry) -> None:
        condemned = await registry.condemn(job(A))

        assert (condemned.state, condemned.document_id, condemned.extension) == (DocumentState.DELETING, A, "txt")
        assert await registry.publish(document(A), "one.txt") is None
        assert [found.document_id for found in await registry.list_unsettled(limit=10)] == [A]

    async def test_what_could_not_be_read_and_tags_stay_with_a_document(self, registry: DocumentRegistry) -> None:
        notes = (PageNote(3, PageProblem.PAGE_BROKEN, "page 3 is damaged"),)
        await registry.publish(replace(document(A), tags=("leave", "2025"), page_notes=notes), "one.txt")

        found = await registry.get("red", A)

        assert found is not None
        assert (found.tags, found.page_notes) == (("leave", "2025"), notes)

    async def test_a_removal_is_in_one_hand_at_a_time(self, registry: DocumentRegistry) -> None:
        await registry.condemn(job(A))

        taken = await asyncio.gather(*(registry.hold_deletion("red", A, lease_seconds=LONG) for _ in range(4)))

        [token] = [each for each in taken if each is not None]
        await registry.keep_deletion("red", A, token, lease_seconds=LONG)
        with pytest.raises(LeaseLost):
            await registry.keep_deletion("red", A, "somebody else", lease_seconds=LONG)
        await registry.let_deletion_go("red", A, "somebody else")
        assert await registry.hold_deletion("red", A, lease_seconds=LONG) is None
        await registry.let_deletion_go("red", A, token)
        assert await registry.hold_deletion("red", A, lease_seconds=LONG) not in (None, token)
        assert await registry.remove("red", A, token) is False
        assert await registry.get("red", A) is not None

    async def test_a_removal_whose_hold_ran_out_passes_to_another(self, registry: DocumentRegistry) -> None:
        await registry.condemn(job(A))
        first = await registry.hold_deletion("red", A, lease_seconds=-LONG)
        assert first is not None

        second = await held(registry)

        assert await registry.remove("red", A, first) is False
        assert await registry.remove("red", A, second) is True

    async def test_marking_again_leaves_a_removal_in_its_hands(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")
        await registry.mark_deleting("red", A)
        token = await held(registry)

        await registry.mark_deleting("red", A)
        await registry.condemn(job(A))

        assert await registry.hold_deletion("red", A, lease_seconds=LONG) is None
        assert await registry.remove("red", A, token) is True

    async def test_a_ready_document_can_be_spared_when_its_job_is_condemned(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")

        assert await registry.condemn_unready(job(A)) is None
        condemned = await registry.condemn_unready(job(B))

        assert condemned is not None
        assert condemned.state is DocumentState.DELETING
        assert await registry.publish(document(B), "two.txt") is None
        found = await registry.get("red", A)
        assert found is not None
        assert (found.state, found.filenames) == (DocumentState.READY, ("one.txt",))

    async def test_what_only_chunks_were_to_be_removed_of_can_be_condemned_whole(
        self, registry: DocumentRegistry
    ) -> None:
        chunks_only = await registry.condemn(replace(job(A), job_id=NO_JOB))

        whole = await registry.condemn(replace(job(A), extension="md"))
        again = await registry.condemn(replace(job(A), job_id=NO_JOB))

        assert (chunks_only.job_id, chunks_only.extension) == (NO_JOB, "txt")
        assert (whole.job_id, whole.extension) == (again.job_id, again.extension) == ("2" * 32, "md")

    async def test_condemning_a_known_document_marks_it(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")

        condemned = await registry.condemn(job(A))

        assert (condemned.state, condemned.size_bytes, condemned.filenames) == (DocumentState.DELETING, 100, ())

    async def test_a_document_that_takes_a_name_counts_one_version_more_and_is_known_to_the_former(
        self, registry: DocumentRegistry
    ) -> None:
        await publish(registry, A, "one.txt")
        second = await registry.publish(document(B), "one.txt")
        again = await registry.publish(document(B), "one.txt")
        third = await registry.publish(document(C), "one.txt")

        assert second is not None
        assert second.orphan is not None
        assert (second.document.version, second.orphan.version, second.orphan.successor) == (2, 1, B)
        assert again is not None
        assert (again.document.version, again.orphan) == (2, None)
        assert third is not None
        assert third.orphan is not None
        assert (third.document.version, third.orphan.successor) == (3, C)
        unsettled = {found.document_id: found.successor for found in await registry.list_unsettled(limit=9)}
        assert {A: B, B: C}.items() <= unsettled.items()
        still = await registry.mark_deleting("red", A)
        assert still is not None
        assert still.successor == B

    async def test_a_name_tells_whose_it_is(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")
        await publish(registry, B, "two.txt")

        named = await registry.named("red", "one.txt")

        assert named is not None
        assert named.document_id == A
        assert await registry.named("red", "three.txt") is None
        assert await registry.named("blue", "one.txt") is None
        await registry.mark_deleting("red", A)
        assert await registry.named("red", "one.txt") is None

    async def test_tenants_have_names_and_documents_of_their_own(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")

        pointed = await registry.publish(document(B, tenant="blue"), "one.txt")

        assert pointed is not None
        assert pointed.orphan is None
        assert await registry.get("blue", A) is None
        assert await registry.mark_deleting("blue", A) is None
        assert await registry.count("blue") == DocumentTotals(1, 100)

    async def test_pages_go_from_newest_to_oldest_and_show_only_what_is_ready(self, registry: DocumentRegistry) -> None:
        for letter in "abcd":
            await publish(registry, letter * 64, f"{letter}.txt")
        await registry.mark_deleting("red", "c" * 64)

        first = await registry.list_ready("red", PageRequest(2))
        last = first[-1]
        assert last.create_time is not None
        second = await registry.list_ready("red", PageRequest(2, (last.create_time, last.document_id)))

        assert [found.document_id[0] for found in [*first, *second]] == ["d", "b", "a"]

    async def test_only_ready_documents_are_counted(self, registry: DocumentRegistry) -> None:
        await publish(registry, A, "one.txt")
        await publish(registry, B, "two.txt")
        await registry.mark_deleting("red", B)

        assert await registry.count("red") == DocumentTotals(1, 100)

    async def test_names_that_move_at_the_same_time_end_with_one_owner_each(self, registry: DocumentRegistry) -> None:
        ids = [letter * 64 for letter in "abcdef"]

        await asyncio.gather(
            *(
                registry.publish(document(document_id, indexed_filename=name), name)
                for document_id in ids
                for name in ("x.txt", "y.txt")
            )
        )

        owners = {
            name: [
                found.document_id
                for found in await registry.list_ready("red", PageRequest(10))
                if name in found.filenames
            ]
            for name in ("x.txt", "y.txt")
        }
        assert all(len(owning) == 1 for owning in owners.values())
        assert all(found.filenames for found in await registry.list_ready("red", PageRequest(10)))
