"""The behaviour of a store of files, on the fake and on a folder."""

# ruff: noqa: ASYNC240 -- files of tests are small

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from services.ingest.adapters import local_files
from services.ingest.adapters.local_files import LocalFiles
from services.ingest.errors import FileStoreUnavailable, StorageFull
from services.ingest.models import FileKey
from services.ingest.ports import FileStore
from tests.contract.ingest.file_store_contract import KEY, FileStoreContract
from tests.fakes.ingest import FakeFileStore


class TestFakeFileStore(FileStoreContract):
    @pytest.fixture
    def files(self) -> FileStore:
        return FakeFileStore()


class TestLocalFiles(FileStoreContract):
    @pytest.fixture
    def files(self, tmp_path: Path) -> FileStore:
        return LocalFiles(tmp_path / "files")

    async def test_files_lie_where_the_layout_says(self, tmp_path: Path) -> None:
        files = LocalFiles(tmp_path)

        await files.save_original(KEY, b"bytes")
        await files.save_record(KEY, "chunks.json", b"[]")

        found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
        assert found == {f"red/pdf/{'a' * 64}/original.pdf", f"red/pdf/{'a' * 64}/chunks.json"}

    @pytest.mark.parametrize("tenant", ["..", "../../etc", "a/../../b", "/abs"])
    async def test_no_tenant_leads_out_of_the_folder(self, tmp_path: Path, tenant: str) -> None:
        await LocalFiles(tmp_path / "files").save_original(FileKey(tenant, "txt", "c" * 64), b"bytes")

        assert {path.name for path in tmp_path.iterdir()} == {"files"}
        assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1

    @pytest.mark.parametrize("tenant", ["株" * 200, "x" * 256, "=" * 200])
    async def test_a_tenant_with_a_long_name_has_a_folder_of_its_own(self, tmp_path: Path, tenant: str) -> None:
        files, neighbour = LocalFiles(tmp_path), f"{tenant}2"
        await files.save_original(FileKey(tenant, "txt", "c" * 64), b"bytes")
        await files.save_original(FileKey(neighbour, "txt", "c" * 64), b"other bytes")

        async with files.fetched(FileKey(tenant, "txt", "c" * 64)) as path:
            assert path is not None
            assert path.read_bytes() == b"bytes"
        assert len(list(tmp_path.iterdir())) == 2

    async def test_what_a_killed_process_wrote_of_a_file_goes_with_the_next_one_and_what_is_being_written_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = LocalFiles(tmp_path)
        await files.save_record(KEY, "chunks.json", b"[1]")
        [record] = tmp_path.rglob("chunks.json")
        abandoned, other = record.with_name(".chunks.json.0.tmp"), record.with_name(".metadata.json.0.tmp")
        for path in (abandoned, other):
            path.write_bytes(b"half")

        await files.save_record(KEY, "chunks.json", b"[2]")
        assert abandoned.exists()  # it may be under way
        monkeypatch.setattr(local_files, "_ABANDONED_AFTER_SECONDS", -1)
        await files.save_record(KEY, "chunks.json", b"[3]")

        assert (abandoned.exists(), other.exists()) == (False, True)
        assert await files.load_record(KEY, "chunks.json") == b"[3]"

    async def test_delete_leaves_no_empty_folders(self, tmp_path: Path) -> None:
        files = LocalFiles(tmp_path)
        await files.save_original(KEY, b"bytes")

        await files.delete(KEY)

        assert list(tmp_path.iterdir()) == []

    async def test_a_full_disk_is_told_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = LocalFiles(tmp_path)

        def no_room(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "no room")

        monkeypatch.setattr(os, "fsync", no_room)

        with pytest.raises(StorageFull):
            await files.save_original(KEY, b"bytes")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    async def test_a_failed_write_leaves_the_former_file_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = LocalFiles(tmp_path)
        await files.save_original(KEY, b"former")

        def breaks(descriptor: int) -> None:
            raise OSError(errno.EIO, "broken")

        monkeypatch.setattr(os, "fsync", breaks)

        with pytest.raises(FileStoreUnavailable):
            await files.save_original(KEY, b"new")
        async with files.fetched(KEY) as path:
            assert path is not None
            assert path.read_bytes() == b"former"

    async def test_a_folder_that_is_a_file_is_told_as_unavailable(self, tmp_path: Path) -> None:
        (tmp_path / "files").write_text("in the way")
        files = LocalFiles(tmp_path / "files")

        with pytest.raises(FileStoreUnavailable):
            await files.save_original(KEY, b"bytes")
        assert await files.is_reachable() is False

    async def test_what_an_abandoned_write_was_still_writing_is_deleted_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files, arrived, opened, flush = LocalFiles(tmp_path), threading.Event(), threading.Event(), os.fsync

        def slow(descriptor: int) -> None:
            arrived.set()
            assert opened.wait(10)
            flush(descriptor)

        monkeypatch.setattr(os, "fsync", slow)
        saving = asyncio.create_task(files.save_record(KEY, "chunks.json", b"[]"))
        assert await asyncio.to_thread(arrived.wait, 10)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving

        deleting = asyncio.create_task(files.delete(KEY))
        await asyncio.sleep(0)
        opened.set()
        await deleting

        assert list(tmp_path.iterdir()) == []
