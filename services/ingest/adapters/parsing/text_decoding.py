"""Bytes of unknown encoding to text, without guessing where guessing would garble."""

import codecs
import unicodedata

from services.ingest.errors import FileBroken
from services.ingest.sniffing import utf16_without_mark

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENOUGH_FOR_STATISTICS_BYTES = 32  # bytes past ASCII below which a statistical guess is worth little
_STATISTICS_SAMPLE_BYTES = 256 * 1024


def decode(data: bytes) -> str:
    """The text. Marks and UTF-8 are certain; then Windows-1252 is assumed for little text, statistics decide for more.

    Raises: FileBroken: no encoding fits.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data, encoding)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if encoding_without_mark := utf16_without_mark(data):
        return _decoded(data, encoding_without_mark)
    western = _as_western(data)
    if western is not None and _past_ascii(data) < _ENOUGH_FOR_STATISTICS_BYTES:
        return western
    guessed = _guess(data)
    if guessed is not None:
        return guessed
    if western is not None:
        return western
    raise FileBroken("the character encoding of the file cannot be told; save it as UTF-8")


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise FileBroken(f"the file says it is {encoding.upper()} and is not") from error


def _past_ascii(data: bytes) -> int:
    return sum(byte >= 0x80 for byte in data)


def _as_western(data: bytes) -> str | None:
    """The text in Windows-1252, if what is past ASCII in it is mostly letters; None when not."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    past_ascii = [character for character in text if ord(character) >= 0x80]
    plausible = sum(unicodedata.category(character)[0] in "LP" or character in "€£°§®©™ " for character in past_ascii)
    return text if plausible >= 0.8 * len(past_ascii) else None


def _guess(data: bytes) -> str | None:
    from charset_normalizer import from_bytes  # loaded for the few files that need it

    best = from_bytes(data[:_STATISTICS_SAMPLE_BYTES]).best()
    if best is None:
        return None
    try:
        return data.decode(best.encoding)
    except (UnicodeDecodeError, LookupError):
        return None
