"""Images that a PDF embeds, by pypdfium2: JPEG as it is, anything else as PNG."""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from services.ingest.errors import FileBroken
from services.ingest.models import FoundImage

# Differs whenever other images are found in the same bytes.
IMAGES_VERSION = 1

MIN_SIDE_PIXELS = 16  # below are rules, dots and spacers
MAX_IMAGE_PIXELS = 40_000_000
MAX_IMAGE_BYTES = 16 * 1024 * 1024
MAX_IMAGES = 500
MAX_TOTAL_BYTES = 128 * 1024 * 1024
MAX_OBJECTS = 20_000  # looked at, repeated ones too
_MAX_DEPTH = 5
_JPEG = ["DCTDecode"]
# Markers of a JPEG's start of frame; the others in this range begin tables (ITU T.81, table B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def pdf_images(data: bytes) -> Iterator[FoundImage]:
    """Each image once, where it is shown first. What is damaged, too small or too large is passed over.

    Raises: FileBroken: the file is damaged or encrypted.
    """
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise FileBroken("the PDF is damaged or encrypted and cannot be opened") from error
    seen: set[bytes] = set()
    looked_at = found = total_bytes = 0
    for number in range(len(document)):
        try:
            page = document[number]
        except pypdfium2.PdfiumError:
            continue
        for image in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=_MAX_DEPTH):
            looked_at += 1
            if looked_at > MAX_OBJECTS:
                return
            try:
                read = _read_image(pdfium, image, number + 1, seen)
            except pypdfium2.PdfiumError:
                continue
            if read is None:
                continue
            found, total_bytes = found + 1, total_bytes + len(read.content)
            if found > MAX_IMAGES or total_bytes > MAX_TOTAL_BYTES:
                return
            yield read
        page.close()


def _read_image(pdfium: Any, image: Any, page: int, seen: set[bytes]) -> FoundImage | None:
    """The image; None when it was seen before or is not wanted."""
    width, height = image.get_px_size()
    if not _is_wanted(width, height):
        return None
    raw_bytes = pdfium.FPDFImageObj_GetImageDataRaw(image, None, 0)
    if raw_bytes > MAX_TOTAL_BYTES:
        return None
    # Logos stand on every page: decoded once. The size tells apart what shares its bytes by chance, as blank ones do.
    raw = image.get_data()
    print_ = hashlib.sha256(raw).digest() + struct.pack(">II", width, height)
    if print_ in seen:
        return None
    seen.add(print_)
    if image.get_filters(skip_simple=True) == _JPEG:
        content = bytes(image.get_data(decode_simple=True))
        size = jpeg_size(content)
        if size is not None:
            wanted = _is_wanted(*size) and len(content) <= MAX_IMAGE_BYTES
            return FoundImage(page, *size, "image/jpeg", content) if wanted else None
    bitmap = image.get_bitmap()
    if not _is_wanted(bitmap.width, bitmap.height):
        return None
    content = _png(pdfium, bitmap)
    if len(content) > MAX_IMAGE_BYTES:
        return None
    return FoundImage(page, bitmap.width, bitmap.height, "image/png", content)


def _is_wanted(width: int, height: int) -> bool:
    return min(width, height) >= MIN_SIDE_PIXELS and width * height <= MAX_IMAGE_PIXELS


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Width and height as the JPEG itself has them, which whoever shows it goes by; None when it is none."""
    if content[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(content):
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + max(2, int.from_bytes(content[at + 2 : at + 4], "big"))
    return None


def _png(pdfium: Any, bitmap: Any) -> bytes:
    """A bitmap of PDFium's, whose colours stand in the order blue, green, red, as a PNG."""
    width, height, stride, channels = bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels
    pixels = bytes(bitmap.buffer)
    alpha = bitmap.format == pdfium.FPDFBitmap_BGRA
    colour_type, out_channels = (0, 1) if channels == 1 else (6, 4) if alpha else (2, 3)
    packer = zlib.compressobj(6)
    packed: list[bytes] = []
    for row in range(height):
        line = pixels[row * stride : row * stride + width * channels]
        if channels > 1:
            turned = bytearray(width * out_channels)
            for channel, place in enumerate((2, 1, 0, 3)[:out_channels]):
                turned[channel::out_channels] = line[place::channels]
            line = bytes(turned)
        packed.append(packer.compress(b"\0" + line))
    packed.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", b"".join(packed)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
