"""Pages of PDFs: what repeats on them, what is filled in, and which of them someone else reads."""

import math

import pytest

from services.ingest.adapters.parsing.ocr import OcrFailed, RecognisedLine
from services.ingest.adapters.parsing.pdf import PageHelp, parse_pdf
from services.ingest.adapters.parsing.pdf_document import PageImage
from services.ingest.adapters.parsing.pdf_workers import IsolatedPages
from services.ingest.composing import Piece
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, PageNote, PageProblem, ParsedDocument, TablePlace
from tests.unit.ingest.pdf_files import Sheet, pdf_of_sheets, stream

BODY = "The harbour office opens at seven and closes when the last ferry has left the pier."


class FakeEngine:
    """Reads one line on each picture, in letters of 10 points; `silent` fails."""

    def __init__(self, text: str = "Recognised words", *, silent: bool = False, sure: float = 0.98) -> None:
        self.images: list[PageImage] = []
        self._text = text
        self._sure = sure
        self._silent = silent

    def recognise(self, image: PageImage) -> list[RecognisedLine]:
        self.images.append(image)
        if self._silent:
            raise OcrFailed("text recognition failed on the page")
        return [
            RecognisedLine(100, 200, 400, 221, self._text, self._sure),
            RecognisedLine(100, 400, 400, 421, "a smudge", 0.2),
        ]


class FakeLayout:
    """Reads every page it is given as one row of a table."""

    def __init__(self, *, recognises_text: bool = False, broken: bool = False) -> None:
        self.recognises_text = recognises_text
        self.page_counts: list[int] = []
        self._broken = broken

    def read(self, pdf: bytes) -> dict[int, list[Piece]]:
        if self._broken:
            raise FileBroken("docling cannot read the file")
        count = parse_count(pdf)
        self.page_counts.append(count)
        return {
            page: [Piece(BlockKind.ROW, f"Laid out {page}", page=page + 1, table=TablePlace(0, 0, ("Name",)))]
            for page in range(count)
        }


def parse_count(pdf: bytes) -> int:
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    try:
        return len(document)
    finally:
        document.close()


def texts_of(document: ParsedDocument) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks]


def unsure_sheet() -> Sheet:
    """Rows whose cells stand in no common columns."""
    sheet = Sheet()
    rows = [(60, 180, 300), (60, 240), (60, 180, 300), (110, 350), (60, 180, 300), (150, 270), (90, 230, 340)]
    for row, lefts in enumerate(rows):
        sheet.row([f"a cell of row {row}, {place}" for place in range(len(lefts))], lefts, 100 + 16 * row)
    return sheet


def test_running_heads_are_kept_once_and_page_numbers_left_out() -> None:
    pages = [
        Sheet().text("Harbour handbook", 60, 30).text(f"{BODY} {number}", 60, 300).text(f"Page {number} of 4", 280, 815)
        for number in range(1, 5)
    ]

    document = parse_pdf(pdf_of_sheets(*pages))

    assert document.text.count("Harbour handbook") == 1
    assert "Page " not in document.text
    assert document.text.count(BODY) == 4


def test_a_foot_that_ends_each_page_at_another_height_is_one_all_the_same() -> None:
    pages = [
        Sheet().text(f"{BODY} {number * number}", 60, 60).text("Harbour report", 60, 300 + 50 * number)
        for number in range(6)
    ]

    document = parse_pdf(pdf_of_sheets(*pages))

    assert document.text.count("Harbour report") == 1
    assert document.text.count(BODY) == 6


def test_lines_at_the_top_of_pages_that_differ_by_more_than_the_page_all_stay() -> None:
    takings = (310, 205, 377, 401, 222)
    pages = [Sheet().text(f"Takings of week {7 * week}: {each}", 60, 40) for week, each in enumerate(takings)]

    document = parse_pdf(pdf_of_sheets(*[page.text(BODY, 60, 300) for page in pages]))

    assert all(f": {each}" in document.text for each in takings)


def test_a_page_number_that_says_so_is_left_out_of_short_documents_too() -> None:
    document = parse_pdf(pdf_of_sheets(Sheet().text(BODY, 60, 300).text("Page 1 of 1", 280, 815)))

    assert document.text == BODY


def test_what_repeats_in_the_middle_of_pages_or_on_two_alone_stays() -> None:
    pages = [Sheet().text("Signed and sealed", 60, 400).text("Draft", 60, 30).text(BODY, 60, 500) for _ in range(2)]
    pages += [Sheet().text("Signed and sealed", 60, 400).text(f"{BODY}{'!' * n}", 60, 500) for n in range(3)]

    document = parse_pdf(pdf_of_sheets(*pages))

    assert document.text.count("Signed and sealed") == 5
    assert document.text.count("Draft") == 2


def test_heads_that_alternate_on_left_and_right_pages_are_recognised() -> None:
    pages = [
        Sheet().text("The Pilot" if number % 2 else "Volume 7", 60, 30).text(f"{BODY} {number}", 60, 300)
        for number in range(8)
    ]

    document = parse_pdf(pdf_of_sheets(*pages))

    assert document.text.count("The Pilot") == document.text.count("Volume 7") == 1


def test_bold_lines_are_headings_below_larger_ones_where_bold_is_rare() -> None:
    sheet = Sheet().text("Tariffs", 60, 60, size=18).text("Small craft", 60, 100, bold=True).text(BODY, 60, 120)
    sheet.text("Large craft", 60, 160, bold=True).text(BODY, 60, 180).text("Bold, but a sentence.", 60, 220, bold=True)

    document = parse_pdf(pdf_of_sheets(sheet.text(BODY, 60, 260)))

    assert [block.headings for block in document.blocks if block.kind is BlockKind.PARAGRAPH] == [
        ("Tariffs", "Small craft"),
        *[("Tariffs", "Large craft")] * 3,
    ]


def test_a_document_that_is_all_bold_has_no_bold_headings() -> None:
    sheet = Sheet()
    for place in range(6):
        sheet.text(f"A bold line that says something, number {place}", 60, 100 + 40 * place, bold=True)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert {block.kind for block in document.blocks} == {BlockKind.PARAGRAPH}


def test_bullets_are_items() -> None:
    sheet = Sheet().text("\u2022", 60, 100).text("a lamp", 75, 100).text("\u2022", 60, 113).text("a bell", 75, 113)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert [block.kind for block in document.blocks] == [BlockKind.ITEM] * 2
    assert texts_of(document) == ["• a lamp", "• a bell"]


def test_a_word_broken_at_a_hyphen_keeps_it_where_the_document_writes_it_so() -> None:
    sheet = Sheet().text("A well-known pier, and the harbour", 60, 100)
    sheet.text("The pier is well-", 60, 140).text("known, and the har-", 60, 152).text("bour is not.", 60, 164)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert texts_of(document)[1] == "The pier is well-known, and the harbour is not."


def test_values_of_fields_stand_where_the_fields_are_and_passwords_nowhere() -> None:
    form_fields = [
        _field(b"/FT/Tx/T(name)/V(Ingrid Holm)", 150, 92),
        _field(b"/FT/Tx/T(secret)/Ff 8192/V(hunter2)", 150, 132),
        _field(b"/FT/Btn/T(agrees)/V/Yes/AS/Yes/AP<</N<</Yes null/Off null>>>>", 150, 172),
        _field(b"/FT/Tx/T(hidden)/F 2/V(not shown)", 150, 212),
    ]
    sheet = Sheet().text("Name", 60, 102).text("Code", 60, 142).text("Agrees", 60, 182)
    sheet.annotations = "/Annots[7 0 R 8 0 R 9 0 R 10 0 R]"

    document = parse_pdf(pdf_of_sheets(sheet, fields=form_fields))

    assert "Name | Ingrid Holm" in document.text
    assert "Agrees | ☒" in document.text
    assert "hunter2" not in document.text
    assert "not shown" not in document.text


def _field(entries: bytes, left: int, top: int) -> bytes:
    rectangle = b"[%d %d %d %d]" % (left, 842 - top - 12, left + 200, 842 - top)
    return b"<</Type/Annot/Subtype/Widget/Rect%s%s>>" % (rectangle, entries)


def test_ligatures_are_letters() -> None:
    mapping = b"1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfchar <66> <FB01> endbfchar"
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 8 0 R>>"
    sheet = Sheet(operators=["BT /L 10 Tf 60 700 Td (fn and f) Tj ET"], resources="/Font<</L 7 0 R>>")

    document = parse_pdf(
        pdf_of_sheets(sheet, fields=[font, stream(mapping)]).replace(b"<</F 4 0 R/B 5 0 R>>/Font", b"")
    )

    assert "fi" in document.text
    assert "\ufb01" not in document.text


def test_text_from_right_to_left_is_read_in_its_order() -> None:
    # Letters A to F stand for the first six Hebrew ones; the file draws them as they stand, from the left.
    letters = b" ".join(b"<%02X> <%04X>" % (0x41 + place, 0x5D0 + place) for place in range(6))
    mapping = b"1 begincodespacerange <00> <FF> endcodespacerange 6 beginbfchar %s endbfchar" % letters
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 8 0 R>>"
    sheet = Sheet(operators=["BT /L 10 Tf 60 700 Td (FED CBA) Tj ET"], resources="/Font<</L 7 0 R>>")

    document = parse_pdf(
        pdf_of_sheets(sheet, fields=[font, stream(mapping)]).replace(b"<</F 4 0 R/B 5 0 R>>/Font", b"")
    )

    assert document.text == "אבג דהו"


def test_a_scanned_page_without_an_engine_is_noted_and_the_others_are_read() -> None:
    document = parse_pdf(pdf_of_sheets(Sheet().text(BODY, 60, 100), Sheet().image(), Sheet()))

    [note] = document.page_notes
    assert (note.page, note.reason) == (2, PageProblem.SCANNED_WITHOUT_OCR)
    assert "OCR" in note.detail
    assert document.text == BODY


def test_a_document_of_scans_is_refused_naming_pages_and_what_would_help() -> None:
    with pytest.raises(FileWithoutText, match=r"pages 1-3, 5.*INGEST_OCR_ENGINE"):
        parse_pdf(pdf_of_sheets(*[Sheet().image()] * 3, Sheet(), Sheet().image()))


def test_a_scan_with_a_stamp_is_a_scan_and_keeps_the_stamp() -> None:
    document = parse_pdf(pdf_of_sheets(Sheet().image().text("Received 4 May", 60, 40)))

    assert document.text == "Received 4 May"
    assert [note.reason for note in document.page_notes] == [PageProblem.SCANNED_WITHOUT_OCR]


def test_an_engine_reads_the_scans_alone_and_they_stay_in_their_place() -> None:
    engine = FakeEngine()
    pdf = pdf_of_sheets(Sheet().text("Before.", 60, 100), Sheet().image(), Sheet().text("After.", 60, 100))

    document = parse_pdf(pdf, help_with=PageHelp(ocr=engine))

    assert texts_of(document) == ["Before.", "Recognised words", "After."]
    assert [block.page for block in document.blocks] == [1, 2, 3]
    assert document.page_notes == ()
    [image] = engine.images
    assert len(image.pixels) == image.width * image.height


@pytest.mark.parametrize(
    ("page_help", "reason"),
    [
        (PageHelp(ocr=FakeEngine(silent=True)), PageProblem.OCR_FAILED),
        (PageHelp(ocr=FakeEngine(), until=-math.inf), PageProblem.OCR_FAILED),
    ],
)
def test_a_scan_that_is_not_recognised_is_noted(page_help: PageHelp, reason: PageProblem) -> None:
    document = parse_pdf(pdf_of_sheets(Sheet().text(BODY, 60, 100), Sheet().image()), help_with=page_help)

    assert [(note.page, note.reason) for note in document.page_notes] == [(2, reason)]


def test_a_scan_on_which_nothing_is_recognised_is_refused_saying_so() -> None:
    with pytest.raises(FileWithoutText, match="found none"):
        parse_pdf(pdf_of_sheets(Sheet().image()), help_with=PageHelp(ocr=FakeEngine(sure=0.1)))


def test_only_pages_whose_tables_are_unsure_go_to_layout_models() -> None:
    layout = FakeLayout()
    pdf = pdf_of_sheets(Sheet().text(BODY, 60, 100), unsure_sheet(), Sheet().image(), unsure_sheet())

    document = parse_pdf(pdf, help_with=PageHelp(layout=layout))

    assert layout.page_counts == [2]
    assert texts_of(document) == [BODY, "Laid out 0", "Laid out 1"]
    assert [(block.page, block.table) for block in document.blocks][1:] == [
        (2, TablePlace(0, 0, ("Name",))),
        (4, TablePlace(1, 0, ("Name",))),
    ]
    assert [note.page for note in document.page_notes] == [3]


def test_layout_models_that_recognise_text_get_the_scans_too() -> None:
    layout, engine = FakeLayout(recognises_text=True), FakeEngine()

    document = parse_pdf(
        pdf_of_sheets(Sheet().image(), Sheet().text(BODY, 60, 100)), help_with=PageHelp(ocr=engine, layout=layout)
    )

    assert texts_of(document) == ["Laid out 0", BODY]
    assert engine.images == []


def test_what_layout_models_cannot_read_the_light_path_has_read() -> None:
    document = parse_pdf(pdf_of_sheets(unsure_sheet()), help_with=PageHelp(layout=FakeLayout(broken=True)))

    assert "a cell of row 0, 0" in document.text


def test_a_page_counts_as_done_when_whoever_reads_it_is_done() -> None:
    told: list[tuple[int, int]] = []
    pdf = pdf_of_sheets(Sheet().image(), Sheet().text(BODY, 60, 100), Sheet().image())

    parse_pdf(
        pdf,
        help_with=PageHelp(ocr=FakeEngine()),
        on_page=lambda page, page_count: told.append((page, page_count)),
    )

    assert told == [(1, 3), (2, 3), (3, 3)]


def test_processes_read_as_this_one_does() -> None:
    pages = [Sheet().text("Harbour handbook", 60, 30).text(f"{BODY} {number}", 60, 300) for number in range(40)]
    pdf = pdf_of_sheets(*pages, Sheet().image(), unsure_sheet())
    told: list[int] = []

    isolated = parse_pdf(
        pdf,
        help_with=PageHelp(ocr=FakeEngine()),
        open_pages=lambda data: IsolatedPages(data, max_workers=2),
        on_page=lambda page, _: told.append(page),
    )

    assert isolated == parse_pdf(pdf, help_with=PageHelp(ocr=FakeEngine()))
    assert told == list(range(1, 43))


def test_a_page_that_is_damaged_is_noted_and_the_others_are_read() -> None:
    pdf = pdf_of_sheets(Sheet().text(BODY, 60, 100), Sheet().text("Lost", 60, 100), Sheet().text("Third", 60, 100))

    document = parse_pdf(pdf.replace(b"9 0 R 11 0 R]", b"5 0 R 11 0 R]"))

    assert document.page_notes == (PageNote(2, PageProblem.PAGE_BROKEN, "the page is damaged and could not be read"),)
    assert texts_of(document) == [BODY, "Third"]
