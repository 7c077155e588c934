"""What every store of files does, whatever keeps them."""

import asyncio
from pathlib import Path

import pytest

from services.ingest.erasures import ErasedFiles
from services.ingest.models import DocumentImage, FileKey
from services.ingest.ports import FileStore

KEY = FileKey("red", "pdf", "a" * 64)
IMAGE = DocumentImage("e" * 64, 1, 20, 10, "image/png", 6)
OTHER = FileKey("red", "pdf", "b" * 64)


class FileStoreContract:
    @pytest.fixture
    def files(self) -> FileStore:
        raise AssertionError("a suite must say which store it is about")

    async def test_a_stored_file_comes_back_as_a_path_with_its_extension(self, files: FileStore) -> None:
        await files.save_original(KEY, b"\x00\xffbytes")

        async with files.fetched(KEY) as path:
            assert path is not None
            assert path.read_bytes() == b"\x00\xffbytes"
            assert path.suffix == ".pdf"

    async def test_a_file_that_was_never_stored_is_told_as_none(self, files: FileStore) -> None:
        await files.save_original(OTHER, b"other")

        async with files.fetched(KEY) as path:
            assert path is None

    async def test_storing_again_replaces_the_bytes(self, files: FileStore) -> None:
        await files.save_original(KEY, b"first")
        await files.save_original(KEY, b"second")

        async with files.fetched(KEY) as path:
            assert path is not None
            assert path.read_bytes() == b"second"

    async def test_a_file_is_taken_from_a_path_and_stays_when_that_goes(self, files: FileStore, tmp_path: Path) -> None:
        source = tmp_path / "upload.part"
        source.write_bytes(b"many bytes")

        await files.save_original(KEY, source)
        source.unlink()

        async with files.fetched(KEY) as path:
            assert path is not None
            assert path.read_bytes() == b"many bytes"

    async def test_a_part_of_the_original_is_read(self, files: FileStore) -> None:
        await files.save_original(KEY, b"0123456789")

        assert await files.read_original(KEY, 0, 4) == b"0123"
        assert await files.read_original(KEY, 8, 4) == b"89"
        assert await files.read_original(OTHER, 0, 4) is None

    async def test_records_are_kept_apart_from_the_original_and_from_each_other(self, files: FileStore) -> None:
        await files.save_record(KEY, "metadata.json", b"{}")
        await files.save_record(KEY, "chunks.json", b"[]")

        assert await files.load_record(KEY, "metadata.json") == b"{}"
        assert await files.load_record(KEY, "chunks.json") == b"[]"
        assert await files.load_record(OTHER, "chunks.json") is None
        async with files.fetched(KEY) as path:
            assert path is None

    async def test_images_are_kept_beside_the_original_and_go_with_it(self, files: FileStore) -> None:
        await files.save_original(KEY, b"%PDF-1.7")
        await files.save_image(KEY, IMAGE, b"pixels")

        assert await files.load_image(KEY, IMAGE) == b"pixels"
        assert await files.load_image(OTHER, IMAGE) is None
        await files.delete(KEY)
        assert await files.load_image(KEY, IMAGE) is None

    async def test_delete_removes_everything_of_one_document_and_nothing_else(self, files: FileStore) -> None:
        for key in (KEY, OTHER):
            await files.save_original(key, b"bytes")
            await files.save_record(key, "chunks.json", b"[]")

        await files.delete(KEY)

        assert await files.load_record(KEY, "chunks.json") is None
        assert await files.load_record(OTHER, "chunks.json") == b"[]"
        async with files.fetched(KEY) as path, files.fetched(OTHER) as other_path:
            assert path is None
            assert other_path is not None

    async def test_delete_tells_what_it_removed_and_nothing_is_counted_afterwards(self, files: FileStore) -> None:
        for content in (b"%PDF-1.6", b"%PDF-1.7"):
            await files.save_original(KEY, content)
        await files.save_record(KEY, "chunks.json", b"[]")
        await files.save_image(KEY, IMAGE, b"pixels")
        assert await files.count(KEY) >= 3

        erased = await files.delete(KEY)

        assert (erased.file_count, erased.image_count) == (2, 1)
        assert await files.count(KEY) == 0

    async def test_delete_of_nothing_is_no_error(self, files: FileStore) -> None:
        await files.delete(KEY)

        assert await files.delete(KEY) == ErasedFiles(0, 0)

    @pytest.mark.parametrize("tenant", ["..", ".", "a/b", "../red", "Müller & Söhne", "red\\blue"])
    async def test_tenants_do_not_see_each_other_whatever_they_are_called(self, files: FileStore, tenant: str) -> None:
        key = FileKey(tenant, "pdf", "a" * 64)
        await files.save_original(KEY, b"of red")
        await files.save_original(key, b"of another")

        await files.delete(key)

        async with files.fetched(KEY) as path, files.fetched(key) as other_path:
            assert path is not None
            assert path.read_bytes() == b"of red"
            assert other_path is None

    async def test_writers_of_the_same_file_at_the_same_time_leave_one_whole_file(self, files: FileStore) -> None:
        contents = [bytes([number]) * 100_000 for number in range(6)]

        await asyncio.gather(*(files.save_original(KEY, content) for content in contents))

        async with files.fetched(KEY) as path:
            assert path is not None
            assert path.read_bytes() in contents

    async def test_a_store_that_works_says_so(self, files: FileStore) -> None:
        assert await files.is_reachable() is True
        assert files.kind in ("local", "s3")
