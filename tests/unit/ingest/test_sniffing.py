"""Is the content what the extension says?"""

import io
import zipfile

import pytest

from services.ingest.errors import FileBroken, FileTypeMismatch
from services.ingest.sniffing import check_content

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "extension"),
    [
        (b"%PDF-1.7\n", "pdf"),
        (b"\n\nrubbish before\n%PDF-1.4\n", "pdf"),
        (zipped("[Content_Types].xml", "word/document.xml"), "docx"),
        (b"plain words", "txt"),
        ("naïve".encode(), "md"),
        ("naïve".encode("latin-1"), "csv"),
        ("wide text".encode("utf-16"), "txt"),
        ("wide text".encode("utf-16-le"), "txt"),
        ("wide text".encode("utf-16-be"), "csv"),
        ("wide text".encode("utf-32"), "txt"),
        (b"{}", "json"),
        (b"<!DOCTYPE html><p>x", "html"),
        (b"a form feed\x0cand an escape\x1b[0m", "txt"),
    ],
)
def test_what_an_extension_promises_passes(content: bytes, extension: str) -> None:
    check_content(content, extension)


@pytest.mark.parametrize(
    ("content", "extension", "kind"),
    [
        (PNG, "pdf", "a PNG image"),
        (PNG, "txt", "a PNG image"),
        (b"just text", "pdf", "something else"),
        (b"%PDF-1.7\n", "txt", "a PDF"),
        (b"%PDF-1.7\n", "docx", "a PDF"),
        (zipped("xl/workbook.xml"), "docx", "an Excel workbook; name it .xlsx"),
        (zipped("notes.txt"), "docx", "without a Word document"),
        (zipped("word/document.xml"), "csv", "a ZIP or Office file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "docx", "password-protected"),
        (b"some text\x00\x01\x02 and binary", "txt", "binary data"),
        (bytes(range(32)) * 8, "md", "binary data"),
        (bytes([1, 2, 3, 4, 5]) * 20, "json", "binary data"),
        (b"\x7fELF\x02\x01\x01", "html", "a program"),
        (b"{\\rtf1 x}", "md", "an RTF document"),
    ],
)
def test_another_kind_of_file_is_refused_saying_which(content: bytes, extension: str, kind: str) -> None:
    with pytest.raises(FileTypeMismatch, match=kind) as caught:
        check_content(content, extension)
    assert caught.value.field == "content"


def test_a_word_document_that_is_cut_off_is_broken() -> None:
    whole = zipped("[Content_Types].xml", "word/document.xml")

    with pytest.raises(FileBroken):
        check_content(whole[: len(whole) // 2], "docx")
