"""PDFs with images, written by hand."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence


def pdf_with(*pages: Sequence[int], images: Sequence[bytes]) -> bytes:
    """A PDF whose pages show a line of text and the images of these numbers; each image is an object of `*_image`."""
    first_page, first_image = 4, 4 + 2 * len(pages)
    names = " ".join(f"/I{number} {first_image + number} 0 R" for number in range(len(images)))
    kids = " ".join(f"{first_page + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, shown in enumerate(pages):
        drawn = "".join(f"q 100 0 0 100 50 {50 + 10 * place} cm /I{place} Do Q\n" for place in shown)
        content = f"BT /F1 12 Tf 50 700 Td (Page {number + 1} has pictures.) Tj ET\n{drawn}".encode()
        objects += [
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {first_page + 2 * number + 1} 0 R"
            f"/Resources<</Font<</F1 3 0 R>>/XObject<<{names}>>>>>>".encode(),
            _stream(b"", content),
        ]
    objects += images
    body = b"%PDF-1.7\n"
    places = []
    for number, each in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n".encode() + each + b"\nendobj\n"
    table = b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    size = len(objects) + 1
    return body + (
        f"xref\n0 {size}\n0000000000 65535 f \n".encode()
        + table
        + f"trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF".encode()
    )


def rgb_image(width: int, height: int, colour: bytes = b"\xff\x80\x00", *, claimed: tuple[int, int] = (0, 0)) -> bytes:
    """One colour; `claimed` is the size that the file says it has, where that is another."""
    said = claimed if any(claimed) else (width, height)
    return _image(*said, "/ColorSpace/DeviceRGB/Filter/FlateDecode", zlib.compress(colour * (width * height)))


def gray_image(width: int, height: int, level: int = 128) -> bytes:
    pixels = bytes([level]) * (width * height)
    return _image(width, height, "/ColorSpace/DeviceGray/Filter/FlateDecode", zlib.compress(pixels))


def jpeg_image(width: int, height: int, jpeg: bytes) -> bytes:
    return _image(width, height, "/ColorSpace/DeviceGray/Filter/DCTDecode", jpeg)


def gray_jpeg(width: int, height: int) -> bytes:
    """A baseline JPEG of one gray: every block says "as the one before, and no detail" in two bits."""
    blocks = -(-width // 8) * -(-height // 8)
    bits = "0" * (2 * blocks)
    bits += "1" * (-len(bits) % 8)
    one_code = bytes([1, *[0] * 15, 0])
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xDB, b"\0" + b"\1" * 64),
            _segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"),
            _segment(0xC4, b"\x00" + one_code),
            _segment(0xC4, b"\x10" + one_code),
            _segment(0xDA, b"\1\1\0\0\x3f\0"),
            int(bits, 2).to_bytes(len(bits) // 8, "big"),
            b"\xff\xd9",
        )
    )


def png_rows(png: bytes) -> tuple[int, int, int, bytes]:
    """Width, height, colour type and unfiltered rows of a PNG as ours are written."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, packed, header = 8, b"", b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + data)
        packed += data if name == b"IDAT" else b""
        header = data if name == b"IHDR" else header
        at += 12 + length
    width, height, depth, colour_type = struct.unpack(">IIBB", header[:10])
    assert depth == 8
    stride = 1 + width * {0: 1, 2: 3, 6: 4}[colour_type]
    raw = zlib.decompress(packed)
    assert {raw[row * stride] for row in range(height)} == {0}
    return width, height, colour_type, b"".join(raw[row * stride + 1 : (row + 1) * stride] for row in range(height))


def _image(width: int, height: int, facts: str, data: bytes) -> bytes:
    told = f"/Type/XObject/Subtype/Image/Width {width}/Height {height}/BitsPerComponent 8{facts}"
    return _stream(told.encode(), data)


def _stream(facts: bytes, data: bytes) -> bytes:
    return b"<<" + facts + f"/Length {len(data)}>>stream\n".encode() + data + b"\nendstream"


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data
