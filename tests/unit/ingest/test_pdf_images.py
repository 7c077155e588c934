"""What images are found in a PDF, and which are left out."""

from __future__ import annotations

import pytest

from services.ingest.adapters.parsing import pdf_images as reader
from services.ingest.adapters.parsing.pdf_images import jpeg_size, pdf_images
from services.ingest.errors import FileBroken
from tests.unit.ingest.files import ENCRYPTED_PDF
from tests.unit.ingest.image_files import gray_image, gray_jpeg, jpeg_image, pdf_with, png_rows, rgb_image


def test_each_image_is_found_once_on_the_first_page_that_shows_it() -> None:
    data = pdf_with([0, 1], [1, 0], [2], images=[rgb_image(20, 30), gray_image(40, 16), rgb_image(20, 30, b"\0\0\1")])

    found = list(pdf_images(data))

    assert [(image.page, image.width, image.height, image.content_type) for image in found] == [
        (1, 20, 30, "image/png"),
        (1, 40, 16, "image/png"),
        (3, 20, 30, "image/png"),
    ]


def test_colours_and_grays_come_out_as_they_went_in() -> None:
    coloured, gray = pdf_images(pdf_with([0, 1], images=[rgb_image(17, 16, b"\xff\x80\x01"), gray_image(18, 19, 77)]))

    assert png_rows(coloured.content) == (17, 16, 2, b"\xff\x80\x01" * (17 * 16))
    width, height, colour_type, rows = png_rows(gray.content)
    assert (width, height) == (18, 19)
    assert rows == bytes([77]) * (18 * 19 * {0: 1, 2: 3}[colour_type])


def test_a_jpeg_is_kept_as_it_is() -> None:
    jpeg = gray_jpeg(64, 32)

    (found,) = pdf_images(pdf_with([0], images=[jpeg_image(64, 32, jpeg)]))

    assert (found.content, found.content_type, found.width, found.height) == (jpeg, "image/jpeg", 64, 32)


def test_a_jpeg_is_judged_by_the_size_it_has_itself() -> None:
    flood = gray_jpeg(64, 64).replace(b"\0\x40\0\x40", b"\xff\xff\xff\xff", 1)

    assert jpeg_size(flood) == (65_535, 65_535)
    assert list(pdf_images(pdf_with([0], images=[jpeg_image(64, 64, flood)]))) == []


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\0" * 3, b"\xff\xd8" + b"\xff" * 50, b"GIF89a"]
)
def test_what_is_no_jpeg_has_no_size(content: bytes) -> None:
    assert jpeg_size(content) is None


def test_rules_and_dots_and_floods_of_pixels_are_left_out() -> None:
    images = [rgb_image(400, 2), rgb_image(15, 15), rgb_image(16, 16, claimed=(60_000, 60_000)), gray_image(16, 16)]

    found = list(pdf_images(pdf_with([0, 1, 2, 3], images=images)))

    assert [(image.width, image.height) for image in found] == [(16, 16)]


@pytest.mark.parametrize(
    ("limit", "value", "count"), [("MAX_IMAGES", 2, 2), ("MAX_OBJECTS", 3, 3), ("MAX_TOTAL_BYTES", 150, 1)]
)
def test_there_are_no_more_than_the_limits_allow(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, count: int
) -> None:
    images = [rgb_image(16, 16, bytes([0, 0, number])) for number in range(5)]
    data = pdf_with([0, 1, 2], [3, 4], images=images)
    monkeypatch.setattr(reader, limit, value)

    assert len(list(pdf_images(data))) == count


def test_an_image_that_is_damaged_does_not_keep_the_others() -> None:
    broken = [rgb_image(20, 20).replace(b"FlateDecode", b"LZWDecodeXX"), jpeg_image(20, 20, b"no JPEG at all")]

    found = list(pdf_images(pdf_with([0, 1, 2], images=[*broken, gray_image(30, 20)])))

    assert [(image.width, image.height) for image in found] == [(30, 20)]


def test_a_pdf_without_images_has_none() -> None:
    assert list(pdf_images(pdf_with([], images=[]))) == []


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", ENCRYPTED_PDF])
def test_a_damaged_or_encrypted_file_is_told(data: bytes) -> None:
    with pytest.raises(FileBroken):
        list(pdf_images(data))
