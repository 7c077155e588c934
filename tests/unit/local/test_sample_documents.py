"""The sample documents are whole, say what the examples rely on, and agree with the sample shop."""

import io
import re

import docx
import pypdfium2
import pytest

from deploy.sample.make_documents import FOLDER, read_blocks
from deploy.sample.pdf_pages import Block, pdf_of

DOCUMENTS = FOLDER / "documents"


def pages_of(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(io.BytesIO(pdf))
    try:
        return [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()


def handbook() -> str:
    return "\n".join(part.text for part in docx.Document(str(DOCUMENTS / "employee_handbook.docx")).paragraphs)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def test_there_are_four_documents_in_four_formats() -> None:
    assert sorted(path.suffix for path in DOCUMENTS.iterdir()) == [".docx", ".html", ".md", ".pdf"]


def test_the_pdf_holds_every_word_of_its_source_on_two_pages_or_more() -> None:
    pages = pages_of((DOCUMENTS / "returns_and_refunds_policy.pdf").read_bytes())
    source = read_blocks((FOLDER / "sources" / "returns_and_refunds_policy.txt").read_text(encoding="utf-8"))

    assert len(pages) >= 2
    written = words(re.sub(r"Page \d of \d", "", "\n".join(pages)))
    assert written == words("\n".join(block.text for block in source))


def test_the_handbook_is_its_source() -> None:
    source = read_blocks((FOLDER / "sources" / "employee_handbook.txt").read_text(encoding="utf-8"))

    assert handbook() == "\n".join(block.text for block in source)


@pytest.mark.parametrize(
    "sentence",
    [
        "remotely up to 3 days per week",
        "Core working hours are from 10 AM to 3 PM",
        "Full-time employees receive 15 vacation days per year",
        "Part-time employees receive 7 vacation days per year",
        "Vacation days do not roll over",
    ],
)
def test_the_handbook_says_what_the_examples_ask(sentence: str) -> None:
    assert sentence in handbook()


def test_the_complaint_procedure_gives_the_support_hours() -> None:
    text = " ".join((DOCUMENTS / "complaint_handling_procedure.html").read_text(encoding="utf-8").split())

    assert "Monday through Friday from 9 AM to 6 PM EST and on Saturday from 10 AM to 2 PM EST" in text


def test_the_segments_described_are_the_segments_of_the_shop() -> None:
    described = re.findall(
        r"^### (\w+)$", (DOCUMENTS / "customer_segments.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    allowed = re.search(r"segment IN \((.*?)\)", (FOLDER / "shop.sql").read_text(encoding="utf-8"))

    assert allowed is not None
    assert described == re.findall(r"'(\w+)'", allowed[1])


def test_a_long_text_flows_over_as_many_pages_as_it_needs() -> None:
    pages = pages_of(
        pdf_of([Block("title", "Long"), *[Block("paragraph", f"Paragraph {n}. " + "word " * 120) for n in range(60)]])
    )

    assert len(pages) >= 10
    assert words(" ".join(pages)).count("word") == 60 * 120
