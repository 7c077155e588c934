"""Word documents: everything a reader sees, once; and what must not be opened."""

import io
import zipfile

import docx
import pytest

from services.ingest.adapters.parsing.docx import parse_docx
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument
from tests.unit.ingest.files import docx_of, paragraph, table


def texts_of(document: ParsedDocument) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks]


def test_headings_are_told_by_their_style_in_any_language_of_word() -> None:
    document = parse_docx(
        docx_of(
            paragraph("Handbuch", "berschrift1")
            + paragraph("Urlaub", "berschrift2")
            + paragraph("Tage", "Eigene")
            + paragraph("Fünfzehn Tage.")
        )
    )

    assert document.blocks[-1].headings == ("Handbuch", "Urlaub", "Tage")
    assert document.title == "Handbuch"


def test_rows_of_a_table_carry_their_header() -> None:
    document = parse_docx(docx_of(table(("Name", "Days"), ("Ann", "15"), ("Bo", "7"))))

    assert texts_of(document) == ["Name: Ann; Days: 15", "Name: Bo; Days: 7"]


def test_a_table_without_header_keeps_its_cells() -> None:
    assert texts_of(parse_docx(docx_of(table(("1", "2"), ("3", "4"))))) == ["1; 2", "3; 4"]


def test_list_items_are_told_from_paragraphs() -> None:
    document = parse_docx(docx_of(paragraph("item", properties="<w:numPr/>") + paragraph("text")))

    assert [block.kind for block in document.blocks] == [BlockKind.ITEM, BlockKind.PARAGRAPH]


def test_deleted_words_and_field_codes_are_not_read_and_inserted_ones_are() -> None:
    body = (
        "<w:p><w:r><w:t>kept </w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:r><w:instrText>PAGE</w:instrText></w:r>"
        "<w:r><w:tab/><w:t>tabbed</w:t></w:r></w:p>"
        "<w:sdt><w:sdtContent>" + paragraph("controlled") + "</w:sdtContent></w:sdt>"
    )

    assert texts_of(parse_docx(docx_of(body))) == ["kept new tabbed", "controlled"]


def test_text_boxes_and_footnotes_are_read_once() -> None:
    alternate = (
        '<w:p><w:r><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<mc:Choice><w:txbxContent>{paragraph('boxed')}</w:txbxContent></mc:Choice>"
        f"<mc:Fallback><w:txbxContent>{paragraph('boxed')}</w:txbxContent></mc:Fallback>"
        "</mc:AlternateContent></w:r><w:r><w:t>beside</w:t></w:r></w:p>"
    )
    notes = (
        '<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:footnote>{paragraph('a note')}</w:footnote></w:footnotes>"
    )

    document = parse_docx(docx_of(alternate, extra={"word/footnotes.xml": notes.encode()}))

    assert texts_of(document) == ["beside", "boxed", "a note"]


def test_a_document_as_word_itself_writes_it() -> None:
    source = docx.Document()
    source.core_properties.title = "The title"
    source.add_heading("Leave", 1)
    source.add_paragraph("Fifteen days.")
    source.add_paragraph("roll over", style="List Bullet")
    buffer = io.BytesIO()
    source.save(buffer)

    document = parse_docx(buffer.getvalue())

    assert texts_of(document) == ["Leave", "Fifteen days.", "roll over"]
    assert document.title == "The title"
    assert document.blocks[1].headings == ("Leave",)


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "http://localhost:9/x.dtd">',
    ],
)
def test_entities_are_refused_before_they_are_expanded(prologue: str) -> None:
    with pytest.raises(FileBroken, match="entities"):
        parse_docx(docx_of("<w:p><w:r><w:t>&e;&b;</w:t></w:r></w:p>", prologue=prologue))


def test_a_part_that_swells_out_of_proportion_is_refused() -> None:
    with pytest.raises(FileBroken, match="unpacks to too much"):
        parse_docx(docx_of(paragraph("text"), extra={"word/media/image1.bin": bytes(20_000_000)}))


def test_too_many_parts_are_refused() -> None:
    with pytest.raises(FileBroken, match="parts"):
        parse_docx(docx_of(paragraph("text"), extra={f"x/{number}": b"" for number in range(5_001)}))


@pytest.mark.parametrize("name", ["../../outside.xml", "/etc/outside.xml"])
def test_a_part_whose_name_leads_out_is_refused(name: str) -> None:
    with pytest.raises(FileBroken, match="leads out"):
        parse_docx(docx_of(paragraph("text"), extra={name: b"x"}))


def test_a_part_larger_than_it_declares_is_refused() -> None:
    data = bytearray(docx_of(paragraph("text" * 1_000)))
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        real_size = archive.getinfo("word/document.xml").file_size
    lie = (10).to_bytes(4, "little")
    data = data.replace(real_size.to_bytes(4, "little"), lie)

    with pytest.raises(FileBroken):
        parse_docx(bytes(data))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_off_is_refused(share: float) -> None:
    whole = docx_of(paragraph("text " * 500))

    with pytest.raises(FileBroken):
        parse_docx(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("document", [b"", b"<w:x", b"plain", b"<a><b></a>"])
def test_a_document_part_that_is_no_xml_is_refused(document: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", document)

    with pytest.raises(FileBroken):
        parse_docx(buffer.getvalue())


def test_an_empty_document_has_no_text() -> None:
    with pytest.raises(FileWithoutText):
        parse_docx(docx_of(paragraph("")))
