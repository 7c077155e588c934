"""The process that takes images out of PDFs: what it finds, and what becomes of it within its limits."""

from __future__ import annotations

import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from services.ingest.adapters import images_process
from services.ingest.adapters.images_process import ImagesProcess
from services.ingest.errors import FileBroken, ParsingTimeout
from services.ingest.models import FoundImage
from services.ingest.ports import ImageReader
from tests.unit.ingest.files import ENCRYPTED_PDF
from tests.unit.ingest.image_files import gray_image, gray_jpeg, jpeg_image, pdf_with, rgb_image

MEMORY_BYTES = 1024 * 1024 * 1024


def reader(*, timeout_seconds: float = 30, memory_bytes: int = MEMORY_BYTES) -> ImageReader:
    return ImagesProcess(timeout_seconds=timeout_seconds, memory_bytes=memory_bytes)


async def found_in(path: Path, data: bytes, images: ImageReader) -> list[FoundImage]:
    file = path / "original.pdf"
    file.write_bytes(data)
    async with aclosing(images.images(file)) as found:
        return [image async for image in found]


async def test_images_come_one_by_one_with_their_bytes(tmp_path: Path) -> None:
    jpeg = gray_jpeg(64, 32)
    data = pdf_with([0], [1, 2], images=[jpeg_image(64, 32, jpeg), rgb_image(20, 30), gray_image(300, 200)])

    found = await found_in(tmp_path, data, reader())

    assert [(image.page, image.width, image.height) for image in found] == [(1, 64, 32), (2, 20, 30), (2, 300, 200)]
    assert found[0].content == jpeg


async def test_a_pdf_without_images_has_none(tmp_path: Path) -> None:
    assert await found_in(tmp_path, pdf_with([], images=[]), reader()) == []


@pytest.mark.parametrize("data", [b"", b"no pdf", ENCRYPTED_PDF])
async def test_a_damaged_or_encrypted_file_is_told(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(FileBroken):
        await found_in(tmp_path, data, reader())


async def test_a_file_that_takes_more_memory_than_is_allowed_is_told(tmp_path: Path) -> None:
    # Packed small, unpacked 120 MB: what is left of this much memory after Python and PDFium takes no more.
    with pytest.raises(FileBroken):
        await found_in(
            tmp_path, pdf_with([0], images=[rgb_image(6_300, 6_300)]), reader(memory_bytes=200 * 1024 * 1024)
        )


async def test_a_file_that_takes_more_time_than_is_allowed_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParsingTimeout):
        await found_in(tmp_path, pdf_with([], images=[]), reader(timeout_seconds=0.001))


async def test_a_reader_that_is_left_early_leaves_no_process_behind(tmp_path: Path) -> None:
    file = tmp_path / "original.pdf"
    file.write_bytes(pdf_with([0, 1], images=[rgb_image(500, 500), rgb_image(600, 600)]))
    images = reader()

    for _ in range(2):  # it takes one file at a time: a turn that was not given back would be waited for in vain
        async with aclosing(images.images(file)) as found:
            assert (await anext(found)).width == 500


@pytest.mark.parametrize(
    "said",
    [
        "",
        "no json\\n",
        '{"end": 3',
        '{"page": 1, "width": 1, "height": 1, "content_type": "image/png", "size_bytes": 99999999999}\\n',
        '{"page": 1, "width": 1, "height": 1, "content_type": "text/html", "size_bytes": 1}\\nx',
        '{"page": 1, "width": 1, "height": 1, "content_type": "image/png", "size_bytes": 5}\\nx',
        "[]\\n",
        "x" * 100_000,
    ],
)
async def test_a_child_that_says_what_it_should_not_means_a_broken_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    (tmp_path / "odd_child.py").write_text(f"import sys\nsys.stdout.write('''{said}''')\n")
    monkeypatch.setattr(images_process, "_CHILD_MODULE", "odd_child")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    with pytest.raises(FileBroken):
        await found_in(tmp_path, b"", reader())
