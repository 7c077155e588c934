"""Word documents: everything a reader sees, once; and what must not be opened."""

import io
import zipfile

import docx
import pytest

from services.ingest.adapters.parsing.docx import parse_docx
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument
from tests.unit.ingest.files import docx_of, paragraph, table
from tests.unit.ingest.office_files import relations, zipped


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


_NUMBERING = """<w:numbering xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:abstractNum w:abstractNumId="1">
<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="2">
<w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="*"/></w:lvl></w:abstractNum>
<w:num w:numId="5"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="6"><w:abstractNumId w:val="1"/>
<w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride></w:num>
<w:num w:numId="7"><w:abstractNumId w:val="2"/></w:num>
</w:numbering>"""


def numbered(text: str, number: int, level: int = 0, style: str = "") -> str:
    return paragraph(text, style, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


def test_headings_and_items_show_the_numbers_they_are_given() -> None:
    body = (
        numbered("Scope", 5, style="berschrift1")
        + numbered("Terms", 5, 1, style="berschrift2")
        + numbered("Names", 5, 1, style="berschrift2")
        + numbered("Costs", 5, style="berschrift1")
        + numbered("starts anew", 6)
        + numbered("goes on", 6)
        + numbered("a dot", 7)
        + numbered("no list", 0)
    )

    document = parse_docx(docx_of(body, extra={"word/numbering.xml": _NUMBERING.encode()}))

    assert texts_of(document) == [
        "1. Scope",
        "1.a) Terms",
        "1.b) Names",
        "2. Costs",
        "7. starts anew",
        "8. goes on",
        "a dot",
        "no list",
    ]
    assert document.blocks[2].headings == ("1. Scope",)
    assert [block.kind for block in document.blocks[-2:]] == [BlockKind.ITEM, BlockKind.PARAGRAPH]


def test_styles_take_over_what_they_are_based_on() -> None:
    styles = """<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
    <w:style w:styleId="h2"><w:name w:val="heading 2"/></w:style>
    <w:style w:styleId="mine"><w:name w:val="Mine"/><w:basedOn w:val="h2"/></w:style>
    <w:style w:styleId="loop"><w:name w:val="Loop"/><w:basedOn w:val="loop"/></w:style></w:styles>"""
    own = paragraph("Own", properties='<w:outlineLvl w:val="0"/>')

    document = parse_docx(docx_of(paragraph("Mine", "mine") + paragraph("text", "loop") + own, styles=styles))

    assert [block.kind for block in document.blocks] == [BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.HEADING]


def test_merged_cells_are_told_where_they_reach() -> None:
    def cell(text: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph(text)}</w:tc>"

    rows = (
        cell("Region") + cell("Sales", '<w:gridSpan w:val="2"/>'),
        cell("") + cell("Spring") + cell("Autumn"),
        cell("North", '<w:vMerge w:val="restart"/>') + cell("1") + cell("2"),
        cell("", "<w:vMerge/>") + cell("3") + cell("4"),
    )
    document = parse_docx(docx_of(f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"))

    assert texts_of(document) == [
        "Region: North; Sales / Spring: 1; Sales / Autumn: 2",
        "Region: North; Sales / Spring: 3; Sales / Autumn: 4",
    ]
    assert [block.table.row for block in document.blocks if block.table] == [0, 1]


def test_a_table_in_a_cell_is_told_after_the_row_and_one_that_lays_out_is_none() -> None:
    inner = table(("Size", "Price"), ("S", "5"))
    data = (
        f"<w:tbl><w:tr><w:tc>{paragraph('Name')}</w:tc><w:tc>{paragraph('Offer')}</w:tc></w:tr>"
        f"<w:tr><w:tc>{paragraph('Ann')}</w:tc><w:tc>{paragraph('see')}{inner}</w:tc></w:tr></w:tbl>"
    )
    layout = f"<w:tbl><w:tr><w:tc>{paragraph('left')}</w:tc><w:tc>{inner}</w:tc></w:tr></w:tbl>"

    assert texts_of(parse_docx(docx_of(data))) == ["Name: Ann; Offer: see", "Size: S; Price: 5"]
    assert texts_of(parse_docx(docx_of(layout))) == ["left", "Size: S; Price: 5"]


def test_notes_follow_what_refers_to_them_and_headers_come_once_at_the_beginning() -> None:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = '<w:p><w:r><w:t>claim</w:t><w:footnoteReference w:id="2"/></w:r></w:p>' + paragraph("next")
    lines = f'<w:footnote w:id="0" w:type="separator">{paragraph("---")}</w:footnote>'
    note = f'<w:footnote w:id="2">{paragraph("the proof")}</w:footnote>'
    page = "<w:p><w:r><w:t>Page </w:t><w:instrText>PAGE</w:instrText><w:t>1</w:t></w:r></w:p>"
    extra = {
        "word/_rels/document.xml.rels": relations(
            {
                "rId1": ("header", "header1.xml"),
                "rId2": ("header", "header2.xml"),
                "rId3": ("footer", "footer1.xml"),
                "rId4": ("footnotes", "footnotes.xml"),
            }
        ).encode(),
        "word/header1.xml": f"<w:hdr {space}>{paragraph('Harbour Ltd, internal')}</w:hdr>".encode(),
        "word/header2.xml": f"<w:hdr {space}>{paragraph('Harbour Ltd, internal')}</w:hdr>".encode(),
        "word/footer1.xml": f"<w:ftr {space}>{page}</w:ftr>".encode(),
        "word/footnotes.xml": f"<w:footnotes {space}>{lines}{note}</w:footnotes>".encode(),
    }

    assert texts_of(parse_docx(docx_of(body, extra=extra))) == ["Harbour Ltd, internal", "claim", "the proof", "next"]


def test_hidden_words_are_left_out_and_formulas_are_read() -> None:
    math = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    hidden = "<w:r><w:rPr><w:vanish/></w:rPr><w:t>never shown</w:t></w:r>"
    shown = '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>E = </w:t></w:r>'
    formula = (
        f"<m:oMath {math}><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f>"
        "<m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath>"
    )

    assert texts_of(parse_docx(docx_of(f"<w:p>{hidden}{shown}{formula}</w:p>"))) == ["E = a/bc^2"]


def test_comments_are_left_out_and_the_main_part_may_have_another_name() -> None:
    comment = '<w:commentRangeStart w:id="0"/>' + paragraph("text") + '<w:commentRangeEnd w:id="0"/>'
    whole = docx_of(comment, extra={"word/comments.xml": b"<x>remark</x>"})
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    parts["word/document2.xml"] = parts.pop("word/document.xml")
    parts["_rels/.rels"] = relations({"rId1": ("officeDocument", "/word/document2.xml")})

    assert texts_of(parse_docx(whole)) == ["text"]
    assert texts_of(parse_docx(zipped(parts))) == ["text"]
