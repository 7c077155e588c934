"""Is the content what the extension says? Looked up in the bytes alone, before anything is stored or parsed."""

import re
import struct
from collections.abc import Iterator

from services.ingest.errors import FileBroken, FileTypeMismatch

# First bytes → what such a file is called. Only kinds that people really rename or mix up.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP or Office file"),
    (b"PK\x05\x06", "an empty ZIP file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an older or password-protected Office file"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh91AY", "a bzip2 archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"{\\rtf", "an RTF document"),
    (b"SQLite format 3\x00", "a database"),
)
# The folder that each kind of Office file keeps its document in, and what such a file is called.
_OFFICE = {
    "docx": ("word/", "a Word document"),
    "pptx": ("ppt/", "a PowerPoint presentation"),
    "xlsx": ("xl/", "an Excel workbook"),
}
# What older and protected Office files call their streams, in UTF-16: kind, and how to come by a file that is read.
_COMPOUND_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_COMPOUND = (
    ("WordDocument", "a Word 97–2003 document", ".docx"),
    ("PowerPoint Document", "a PowerPoint 97–2003 presentation", ".pptx"),
    ("Workbook", "an Excel 97–2003 workbook", ".xlsx"),
    ("Book", "an Excel 5 workbook", ".xlsx"),
    ("__properties_version1.0", "an Outlook message", ".eml"),
)
_PDF_HEADER_WITHIN_BYTES = 1024  # readers accept rubbish before the header up to here
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
_CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b"))
_MAX_CONTROL_SHARE = 0.02
_UTF16_SAMPLE_BYTES = 4096
_UTF16_ZERO_SHARE = 0.3  # Latin text in UTF-16 has a zero in nearly every second byte
_MAX_MEMBERS = 5_000
_ZIP_END, _ZIP64_END, _ZIP_ENTRY = b"PK\x05\x06", b"PK\x06\x06", b"PK\x01\x02"
# A line that every message has at least one of, among its first ones.
_MAIL_HEADER = re.compile(
    rb"^(?:from|to|cc|subject|date|received|return-path|delivered-to|message-id|mime-version|content-type|reply-to|"
    rb"sender|x-[!-9;-~]+)[ \t]*:",
    re.I | re.M,
)
_MAIL_HEADER_WITHIN_BYTES = 8192


def check_content(content: bytes, extension: str) -> None:
    """Let the content pass as a file of that kind, or say what it is instead.

    Raises:
        FileTypeMismatch: it is another kind of file.
        FileBroken: it is of that kind and cut off, damaged, or protected by a password.
    """
    if extension == "pdf":
        if b"%PDF-" not in content[:_PDF_HEADER_WITHIN_BYTES]:
            raise FileTypeMismatch(f"the file is named .pdf and is {_kind_of(content)}")
    elif extension in _OFFICE:
        _check_office(content, extension)
    else:
        _check_text(content, extension)


def utf16_without_mark(content: bytes) -> str | None:
    """ "utf-16-le" or "utf-16-be" when the bytes look like Latin text in it, without a byte order mark."""
    sample = content[:_UTF16_SAMPLE_BYTES]
    half = len(sample) // 2
    if half == 0 or len(content) % 2:
        return None
    zeros_even, zeros_odd = sample[0::2].count(0), sample[1::2].count(0)
    if zeros_odd >= half * _UTF16_ZERO_SHARE and zeros_even == 0:
        return "utf-16-le"
    if zeros_even >= half * _UTF16_ZERO_SHARE and zeros_odd == 0:
        return "utf-16-be"
    return None


def _kind_of(content: bytes) -> str:
    if content.startswith(_COMPOUND_MAGIC):
        for stream, kind, _ in _COMPOUND:
            if stream.encode("utf-16-le") in content:
                return kind
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    return "something else"


def _check_office(content: bytes, extension: str) -> None:
    if content.startswith(_COMPOUND_MAGIC):
        _refuse_compound(content, extension)
    if not content.startswith(b"PK\x03\x04"):
        raise FileTypeMismatch(f"the file is named .{extension} and is {_kind_of(content)}")
    folders = {name.lower().partition(b"/")[0] + b"/" for name in _member_names(content, extension)}
    own_folder, own_kind = _OFFICE[extension]
    if own_folder.encode() in folders:
        return
    for other, (folder, kind) in _OFFICE.items():
        if folder.encode() in folders:
            raise FileTypeMismatch(f"the file is named .{extension} and is {kind}; name it .{other}")
    raise FileTypeMismatch(f"the file is named .{extension} and is a ZIP file without {own_kind} in it")


def _refuse_compound(content: bytes, extension: str) -> None:
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise FileBroken(
            f"the .{extension} file is protected by a password; remove it in the program it was made with "
            "(File > Info > Protect, Encrypt with Password, leave it empty), save, and upload the file again"
        )
    for stream, kind, way_out in _COMPOUND:
        if stream.encode("utf-16-le") in content:
            raise FileTypeMismatch(f"the file is named .{extension} and is {kind}; save it as {way_out}")


def _member_names(content: bytes, extension: str) -> Iterator[bytes]:
    """The names in the archive's directory. Read by hand: a library would first make an object of each of millions.

    Raises: FileBroken: there is no such directory, or it lists more than any Office file has.
    """
    end = content.rfind(_ZIP_END)
    if end < 0 or len(content) < end + 22:
        raise FileBroken(f"the .{extension} file is cut off or damaged")
    size, place = struct.unpack_from("<L", content, end + 12)[0], end
    if size == 0xFFFFFFFF:
        place = content.rfind(_ZIP64_END, 0, end)
        if place < 0 or len(content) < place + 56:
            raise FileBroken(f"the .{extension} file is cut off or damaged")
        size = struct.unpack_from("<Q", content, place + 40)[0]
    place -= size
    for count in range(_MAX_MEMBERS + 1):
        if place < 0 or content[place : place + 4] != _ZIP_ENTRY or len(content) < place + 46:
            if count == 0:
                raise FileBroken(f"the .{extension} file is cut off or damaged")
            return
        name_length, extra_length, comment_length = struct.unpack_from("<HHH", content, place + 28)
        yield content[place + 46 : place + 46 + name_length]
        place += 46 + name_length + extra_length + comment_length
    raise FileBroken(f"the .{extension} file has more than {_MAX_MEMBERS:,} parts")


def _check_text(content: bytes, extension: str) -> None:
    kind = _kind_of(content)
    if kind != "something else":
        raise FileTypeMismatch(f"the file is named .{extension} and is {kind}")
    if extension == "eml" and not _MAIL_HEADER.search(
        content[:_MAIL_HEADER_WITHIN_BYTES].removeprefix(b"\xef\xbb\xbf")
    ):
        raise FileTypeMismatch("the file is named .eml and does not begin with a message's headers, like Subject: …")
    if content.startswith(_BYTE_ORDER_MARKS) or utf16_without_mark(content):
        return
    if b"\x00" in content:
        raise FileTypeMismatch(f"the file is named .{extension} and holds binary data")
    control_count = len(content) - len(content.translate(None, _CONTROL_BYTES))
    if control_count > len(content) * _MAX_CONTROL_SHARE:
        raise FileTypeMismatch(f"the file is named .{extension} and holds binary data")
