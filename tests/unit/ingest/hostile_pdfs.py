"""PDFs made to take more than they should: memory, time, pages, depth. Small files, made when a test needs them."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from tests.unit.ingest.pdf_files import pdf_of_content, pdf_of_objects, stream

HELLO = b"BT /F 12 Tf 50 700 Td (hello world) Tj ET"


def _unpacks_to(block: bytes, times: int) -> bytes:
    """Packed data of `block` so many times: packed once, since a block after a full flush stands for itself."""
    packer = zlib.compressobj(9)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    body = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + body * times + packer.flush()


def _packed(block: bytes, times: int, *, twice: bool = False) -> bytes:
    """A stream that unpacks to `block` so many times."""
    data = _unpacks_to(block, times)
    if twice:
        return stream(zlib.compress(data, 9), b"/Filter[/FlateDecode/FlateDecode]")
    return stream(data, b"/Filter/FlateDecode")


def flate_bomb() -> bytes:
    """A page whose content unpacks to 1 GB of blanks."""
    return pdf_of_content(_packed(b" " * (1 << 20), 1024))


def nested_flate_bomb() -> bytes:
    """The same, packed twice, which makes a file of a few kilobytes."""
    return pdf_of_content(_packed(b" " * (1 << 20), 1024, twice=True))


def many_letters() -> bytes:
    """A page of some hundred million letters."""
    return pdf_of_content(_packed((b"BT /F 12 Tf 10 10 Td (" + b"a" * 48 + b") Tj ET\n") * 10_000, 60))


def forms_within_forms() -> bytes:
    """Ten drawings of ten drawings of ten, twelve times over."""
    levels = 12
    objects = []
    for level in range(levels):
        content = b"/X Do " * 10 if level < levels - 1 else b"BT /F 9 Tf 1 1 Td (ha) Tj ET"
        resources = b"/Resources<</Font<</F 4 0 R>>/XObject<</X %d 0 R>>>>" % (7 + level)
        objects.append(stream(content, b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]" + resources))
    return pdf_of_content(stream(b"/X Do " * 10), more=objects)


def pixel_flood() -> bytes:
    """A picture of 20,000 by 20,000 points in colour, which is 1.2 GB."""
    entries = b"/Type/XObject/Subtype/Image/Width 20000/Height 20000/BitsPerComponent 8/ColorSpace/DeviceRGB"
    picture = stream(_unpacks_to(bytes(1 << 20), 1150), entries + b"/Filter/FlateDecode")
    return pdf_of_content(stream(b"500 0 0 500 0 0 cm /X Do"), more=[picture])


def hundred_thousand_pages() -> bytes:
    kids = b" ".join(b"3 0 R" for _ in range(100_000))
    return pdf_of_objects(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[%s]/Count 100000>>" % kids,
            b"<</Type/Page/Parent 2 0 R>>",
        ]
    )


def deep_page_tree() -> bytes:
    depth = 20_000
    nodes = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % (place + 3) for place in range(depth)]
    return pdf_of_objects([b"<</Type/Catalog/Pages 2 0 R>>", *nodes, b"<</Type/Page/MediaBox[0 0 99 99]>>"])


def deep_arrays() -> bytes:
    return pdf_of_content(b"[" * 500_000)


def open_states() -> bytes:
    """Two million saved states of graphics that are never given back."""
    return pdf_of_content(stream(b"q " * 2_000_000, packed=True))


def tables_of_places_in_a_loop() -> bytes:
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
        b"xref\n0 1\n0000000000 65535 f \ntrailer<</Size 3/Root 1 0 R/Prev 87>>\nstartxref\n87\n%%EOF"
    )


def packed_objects_bomb() -> bytes:
    """A stream of objects that unpacks to 1 GB as soon as the document is opened."""
    objects = stream(_unpacks_to(b" " * (1 << 20), 1024), b"/Type/ObjStm/N 1/First 10/Filter/FlateDecode")
    return (
        b"%PDF-1.5\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n3 0 obj" + objects + b"endobj\ntrailer<</Root 1 0 R>>"
    )


def bombs_among_pages(count: int = 6) -> bytes:
    """Pages of two words, each followed by a page that cannot be read within bounds."""
    kids = b" ".join([b"3 0 R", b"6 0 R"] * count)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 4 0 R>>>>/Contents %d 0 R>>"
    return pdf_of_objects(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, 2 * count),
            page % 5,
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            stream(HELLO),
            page % 7,
            _packed(b" " * (1 << 20), 1024),
        ]
    )


def with_script_and_attachment() -> bytes:
    """A page, a script that runs for ever when the document is opened, and a file in the document."""
    return pdf_of_objects(
        [
            b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(while(true){})>>"
            b"/Names<</EmbeddedFiles<</Names[(x)6 0 R]>>>>>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 4 0 R>>>>/Contents 5 0 R>>",
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            stream(HELLO),
            b"<</Type/Filespec/F(x.txt)/EF<</F 7 0 R>>>>",
            stream(b"words of the attachment", b"/Type/EmbeddedFile"),
        ]
    )


def huge_page() -> bytes:
    return pdf_of_content(stream(HELLO), box=b"[0 0 1e30 1e30]")


REFUSED: dict[str, Callable[[], bytes]] = {
    "flate_bomb": flate_bomb,
    "nested_flate_bomb": nested_flate_bomb,
    "many_letters": many_letters,
    "forms_within_forms": forms_within_forms,
    "hundred_thousand_pages": hundred_thousand_pages,
    "deep_page_tree": deep_page_tree,
    "deep_arrays": deep_arrays,
    "open_states": open_states,
    "tables_of_places_in_a_loop": tables_of_places_in_a_loop,
    "packed_objects_bomb": packed_objects_bomb,
    "pixel_flood": pixel_flood,
}
