"""What every store of uploads does, whatever keeps them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.errors import OffsetInvalid
from services.ingest.uploads import REMEMBERED_FOR, FileUpload, UploadStore

NOW = datetime.now(UTC)
UPLOAD = FileUpload(
    upload_id="1" * 32,
    tenant="red",
    subject="ann",
    filename="Größe.pdf",
    extension="pdf",
    content_type="application/pdf",
    size_bytes=10,
    sha256="a" * 64,
    expire_time=NOW + timedelta(minutes=5),
    tags=("a", "ü"),
)
ID = UPLOAD.upload_id
ONE, TWO = "a" * 32, "b" * 32


async def received(store: UploadStore, upload_id: str = ID) -> bytes | None:
    async with store.received(upload_id) as path:
        return path.read_bytes() if path is not None else None


async def sent(store: UploadStore, sending: str) -> bytes | None:
    async with store.sent(ID, sending) as path:
        return path.read_bytes() if path is not None else None


class UploadStoreContract:
    @pytest.fixture
    def store(self) -> UploadStore:
        raise AssertionError("a suite must say which store it is about")

    async def test_an_upload_is_found_as_it_was_opened(self, store: UploadStore) -> None:
        await store.open(UPLOAD)

        assert await store.find(ID) == UPLOAD
        assert await store.find("2" * 32) is None
        assert await received(store) is None

    async def test_pieces_make_the_file_when_their_sending_is_sealed(self, store: UploadStore) -> None:
        await store.open(UPLOAD)
        await store.append(ID, ONE, 0, b"012345")
        await store.append(ID, ONE, 6, b"6789")

        assert await sent(store, ONE) == b"0123456789"
        assert (await received(store), await store.sealed(ID)) == (None, "")
        assert await store.seal(ID, ONE)
        assert (await received(store), await store.sealed(ID)) == (b"0123456789", ONE)

    async def test_a_piece_that_comes_twice_is_there_once(self, store: UploadStore) -> None:
        await store.open(UPLOAD)
        await store.append(ID, ONE, 0, b"01234")
        await store.append(ID, ONE, 5, b"56789")
        await store.append(ID, ONE, 5, b"56789")

        assert await sent(store, ONE) == b"0123456789"

    async def test_two_sendings_do_not_mix_and_one_of_them_counts(self, store: UploadStore) -> None:
        await store.open(UPLOAD)
        await store.append(ID, ONE, 0, b"one")
        await store.append(ID, TWO, 0, b"two")
        await store.append(ID, ONE, 3, b"!")

        assert (await sent(store, ONE), await sent(store, TWO)) == (b"one!", b"two")
        assert await store.seal(ID, TWO)
        assert not await store.seal(ID, ONE)
        assert await store.seal(ID, TWO)
        assert await received(store) == b"two"

    async def test_a_gap_is_told(self, store: UploadStore) -> None:
        await store.open(UPLOAD)
        await store.append(ID, ONE, 0, b"01234")

        async def append_past_a_gap() -> None:
            await store.append(ID, ONE, 7, b"789")
            await sent(store, ONE)  # a store that keeps pieces apart sees it here

        with pytest.raises(OffsetInvalid) as caught:
            await append_past_a_gap()
        assert caught.value.metadata == {"offset": "5"}

    async def test_a_sending_that_is_dropped_is_gone(self, store: UploadStore) -> None:
        await store.open(UPLOAD)
        await store.append(ID, ONE, 0, b"01234")

        await store.drop(ID, ONE)
        await store.drop(ID, ONE)

        assert await sent(store, ONE) is None

    async def test_a_completed_upload_is_remembered_without_its_bytes(self, store: UploadStore) -> None:
        await store.open(UPLOAD)
        await store.append(ID, ONE, 0, b"0123456789")
        await store.seal(ID, ONE)

        await store.complete(UPLOAD.completed_by("7" * 32))

        found = await store.find(ID)
        assert found is not None
        assert found.job_id == "7" * 32
        assert await received(store) is None
        assert await sent(store, ONE) is None

    async def test_removing_leaves_nothing_and_can_be_repeated(self, store: UploadStore) -> None:
        await store.open(UPLOAD)
        await store.append(ID, ONE, 0, b"0123456789")
        await store.seal(ID, ONE)

        await store.remove(ID)
        await store.remove(ID)

        assert (await store.find(ID), await received(store), await store.sealed(ID)) == (None, None, "")

    async def test_sweeping_spares_what_is_open(self, store: UploadStore) -> None:
        await store.open(UPLOAD)
        await store.append(ID, ONE, 0, b"0123456789")

        await store.sweep(NOW)

        assert await store.find(ID) == UPLOAD
        assert await sent(store, ONE) == b"0123456789"


def ended(ago: timedelta, upload_id: str = ID) -> FileUpload:
    """An upload whose time was over so long before NOW."""
    return replace(UPLOAD, upload_id=upload_id, expire_time=NOW - ago)


LONG_AGO = REMEMBERED_FOR + timedelta(minutes=1)
