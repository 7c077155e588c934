"""Is the content what the extension says? Looked up in the bytes alone, before anything is stored or parsed."""

import io
import zipfile

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
_PDF_HEADER_WITHIN_BYTES = 1024  # readers accept rubbish before the header up to here
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
_CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b"))
_MAX_CONTROL_SHARE = 0.02
_UTF16_SAMPLE_BYTES = 4096
_UTF16_ZERO_SHARE = 0.3  # Latin text in UTF-16 has a zero in nearly every second byte


def check_content(content: bytes, extension: str) -> None:
    """Let the content pass as a file of that kind, or say what it is instead.

    Raises:
        FileTypeMismatch: it is another kind of file.
        FileBroken: it is of that kind and cut off or damaged.
    """
    if extension == "pdf":
        if b"%PDF-" not in content[:_PDF_HEADER_WITHIN_BYTES]:
            raise FileTypeMismatch(f"the file is named .pdf and is {_kind_of(content)}")
    elif extension == "docx":
        _check_docx(content)
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
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    return "something else"


def _check_docx(content: bytes) -> None:
    if not content.startswith(b"PK\x03\x04"):
        raise FileTypeMismatch(f"the file is named .docx and is {_kind_of(content)}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, RuntimeError, OSError, EOFError) as error:
        raise FileBroken("the .docx file is cut off or damaged") from error
    if "word/document.xml" not in members:
        raise FileTypeMismatch("the file is named .docx and is a ZIP file without a Word document in it")


def _check_text(content: bytes, extension: str) -> None:
    kind = _kind_of(content)
    if kind != "something else":
        raise FileTypeMismatch(f"the file is named .{extension} and is {kind}")
    if content.startswith(_BYTE_ORDER_MARKS) or utf16_without_mark(content):
        return
    if b"\x00" in content:
        raise FileTypeMismatch(f"the file is named .{extension} and holds binary data")
    control_count = len(content) - len(content.translate(None, _CONTROL_BYTES))
    if control_count > len(content) * _MAX_CONTROL_SHARE:
        raise FileTypeMismatch(f"the file is named .{extension} and holds binary data")
