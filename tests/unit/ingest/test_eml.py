"""Mail messages: headers, texts, what is attached, and messages in messages."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from services.ingest.adapters.parsing.formats import parse_bytes
from services.ingest.errors import FileBroken
from services.ingest.models import ParsedDocument, TablePlace
from tests.unit.ingest.files import docx_of, paragraph


def message(subject: str = "Offer", text: str = "Dear Bo,\n\nsee the offer.\n") -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "Ann <ann@example.org>", "Bo <bo@example.org>"
    made["Date"] = "Fri, 21 Nov 2025 10:00:00 +0000"
    made.set_content(text)
    return made


def parsed(made: EmailMessage | bytes) -> ParsedDocument:
    return parse_bytes(made if isinstance(made, bytes) else bytes(made), "eml")


def texts(made: EmailMessage | bytes) -> list[str]:
    document = parsed(made)
    return [document.text[block.start : block.end] for block in document.blocks]


HEADERS = "From: Ann <ann@example.org>\nTo: Bo <bo@example.org>\nDate: Fri, 21 Nov 2025 10:00:00 +0000"


def test_a_message_is_its_subject_headers_and_text() -> None:
    document = parsed(message("Angebot für März"))

    assert document.title == "Angebot für März"
    assert texts(message()) == ["Offer", HEADERS, "Dear Bo,", "see the offer."]
    assert document.blocks[-1].headings == ("Angebot für März",)


def test_of_two_forms_of_a_text_one_is_read_and_a_table_decides() -> None:
    plain = message()
    plain.add_alternative("<p>Dear Bo,</p><p>see the <b>offer</b>.</p>", subtype="html")
    table = message()
    table.add_alternative("<table><tr><th>Item</th><th>Price</th></tr><tr><td>Pump</td><td>5</td></tr></table>", "html")
    only = EmailMessage()
    only["Subject"] = "Web"
    only.set_content("<h2>News</h2><p>Hello</p><script>x()</script>", subtype="html")

    assert texts(plain)[2:] == ["Dear Bo,", "see the offer."]
    assert texts(table)[2:] == ["Item: Pump; Price: 5"]
    assert texts(only) == ["Web", "News", "Hello"]


def test_attachments_of_served_kinds_are_read_and_others_named() -> None:
    made = message()
    made.add_attachment(b"Name,Age\nAnn,5\n", maintype="text", subtype="csv", filename="people.csv")
    made.add_attachment(
        docx_of(paragraph("Plan", "berschrift1") + paragraph("words")),
        maintype="application",
        subtype="octet-stream",
        filename="C:\\files\\plan.docx",
    )
    made.add_attachment(b"City,Size\nOslo,7\n", maintype="text", subtype="csv", filename="größe.csv")
    made.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="tool.exe")
    made.add_attachment(b"no pdf", maintype="application", subtype="pdf", filename="broken.pdf")
    document = parsed(made)

    assert texts(made)[4:] == [
        "Attachment: people.csv",
        "Name: Ann; Age: 5",
        "Attachment: plan.docx",
        "Plan",
        "words",
        "Attachment: größe.csv",
        "City: Oslo; Size: 7",
        "Attachment: tool.exe",
        "Attachment: broken.pdf",
        "broken.pdf could not be read: the file is named .pdf and is something else",
    ]
    assert [block.table for block in document.blocks if block.table] == [
        TablePlace(0, 0, ("Name", "Age")),
        TablePlace(1, 0, ("City", "Size")),
    ]
    assert document.blocks[8].headings == ("Offer", "Attachment: plan.docx", "Plan")


def test_images_that_belong_to_the_text_are_left_out() -> None:
    made = message()
    made.add_related(b"\x89PNG", maintype="image", subtype="png", cid="<logo>")

    assert texts(made)[2:] == ["Dear Bo,", "see the offer."]


def test_messages_in_messages_are_read_under_their_own_subject() -> None:
    outer = message("Outer", "please read\n")
    outer.add_attachment(message("Inner", "the inner text\n"))
    document = parsed(outer)

    assert texts(outer)[2:] == ["please read", "Inner", HEADERS, "the inner text"]
    assert document.blocks[-1].headings == ("Outer", "Inner")


def test_a_message_attached_as_a_file_is_read_too_and_not_for_ever() -> None:
    made = message("0", "innermost\n")
    for depth in range(1, 12):
        outer = message(str(depth), f"text {depth}\n")
        outer.add_attachment(bytes(made), maintype="application", subtype="octet-stream", filename="inner.eml")
        made = outer

    told = texts(made)

    assert "text 11" in told
    assert any("nested deeper than 5" in text for text in told)
    assert "innermost" not in told


@pytest.mark.parametrize("depth", [10, 1_000])
def test_messages_nested_without_end_are_refused(depth: int) -> None:
    layer = b"Subject: x\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n"

    with pytest.raises(FileBroken, match="nested"):
        parsed(layer * depth + b"Subject: deep\n\ntext")


def test_parts_without_number_are_refused() -> None:
    part = b"--x\nContent-Type: text/plain\n\na\n"
    data = b"Subject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n" + part * 3_000 + b"--x--"

    with pytest.raises(FileBroken, match="parts"):
        parsed(data)


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (b"Subject: =?utf-8?q?caf=C3=A9?= =?utf-8?b?IGJhcg==?=\n\ntext", "café bar"),
        ("Subject: café\n\ntext".encode(), "café"),
        (b"Subject: =?nonsense?q?caf=E9?=\n\ntext", "caf\ufffd"),
        (b"Subject: =?utf-8?b?!!!\n\ntext", "=?utf-8?b?!!!"),
        (b"Subject: " + b"long " * 100_000 + b"\n\ntext", "long " * 39 + "long"),
    ],
)
def test_subjects_are_decoded_as_far_as_they_can_be(raw: bytes, subject: str) -> None:
    assert texts(raw)[0].startswith(subject)


@pytest.mark.parametrize(
    "head",
    [b"Content-Type: text/plain; charset=latin-1", b"Content-Type: text/plain; charset=nonsense", b"X-Other: y"],
)
def test_texts_of_unknown_encodings_are_read_where_they_can_be(head: bytes) -> None:
    assert texts(b"Subject: s\n" + head + b"\nContent-Transfer-Encoding: 8bit\n\ncaf\xe9 au lait")[-1] == "café au lait"


def test_damaged_structure_is_read_as_far_as_it_goes() -> None:
    head = b'Subject: s\nContent-Type: multipart/mixed; boundary="x"\n\n'
    data = head + b"--x\nContent-Type: text/plain\n\nbegun and never end"

    assert texts(data)[-1] == "begun and never end"
