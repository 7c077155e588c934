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


COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def compound(stream: str) -> bytes:
    """An older Office file, or a closed one, as far as its name for a stream tells."""
    return COMPOUND + stream.encode("utf-16-le") + bytes(512)


@pytest.mark.parametrize(
    ("content", "extension"),
    [
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "xlsx"),
        (zipped("[Content_Types].xml", "ppt/presentation.xml"), "pptx"),
        (b"Subject: x\n\ntext", "eml"),
        (b"Received: from a\n by b\nX-Spam: no\n\ntext", "eml"),
        ("\ufeffFrom: Ann\n\ntext".encode(), "eml"),
    ],
)
def test_office_files_and_messages_pass(content: bytes, extension: str) -> None:
    check_content(content, extension)


@pytest.mark.parametrize(
    ("content", "extension", "told"),
    [
        (compound("WordDocument"), "docx", "a Word 97–2003 document; save it as .docx"),
        (compound("PowerPoint Document"), "pptx", "a PowerPoint 97–2003 presentation; save it as .pptx"),
        (compound("Workbook"), "xlsx", "an Excel 97–2003 workbook; save it as .xlsx"),
        (compound("Workbook"), "csv", "an Excel 97–2003 workbook"),
        (compound("__properties_version1.0"), "eml", "an Outlook message"),
        (compound("nothing known"), "xlsx", "older or password-protected"),
        (zipped("word/document.xml"), "xlsx", "a Word document; name it .docx"),
        (zipped("ppt/presentation.xml"), "docx", "a PowerPoint presentation; name it .pptx"),
        (b"no headers here", "eml", "does not begin with a message's headers"),
        (PNG, "eml", "a PNG image"),
    ],
)
def test_what_a_file_is_instead_is_told_with_the_way_out(content: bytes, extension: str, told: str) -> None:
    with pytest.raises(FileTypeMismatch, match=told):
        check_content(content, extension)


@pytest.mark.parametrize("extension", ["docx", "pptx", "xlsx"])
def test_a_password_is_to_be_removed(extension: str) -> None:
    with pytest.raises(FileBroken, match="protected by a password; remove it"):
        check_content(compound("EncryptedPackage"), extension)


def test_an_archive_of_millions_of_members_is_refused_before_they_are_listed() -> None:
    whole = zipped("word/document.xml", *(f"x/{number}" for number in range(5_001)))

    with pytest.raises(FileBroken, match="more than 5,000 parts"):
        check_content(whole, "pptx")


@pytest.mark.parametrize("size", [0xFFFFFFFE, 0xFFFFFFFF, 0])
def test_a_directory_that_lies_about_its_size_is_damage(size: int) -> None:
    whole = bytearray(zipped("xl/workbook.xml"))
    end = whole.rfind(b"PK\x05\x06")
    whole[end + 12 : end + 16] = size.to_bytes(4, "little")

    with pytest.raises(FileBroken, match="cut off or damaged"):
        check_content(bytes(whole), "xlsx")


def test_an_archive_with_large_numbers_is_read_too() -> None:
    whole = bytearray(zipped("xl/workbook.xml"))
    end = whole.rfind(b"PK\x05\x06")
    size = int.from_bytes(whole[end + 12 : end + 16], "little")
    record = b"PK\x06\x06" + bytes(36) + size.to_bytes(8, "little") + bytes(8)
    whole[end + 12 : end + 16] = b"\xff" * 4
    whole[end:end] = record

    check_content(bytes(whole), "xlsx")
