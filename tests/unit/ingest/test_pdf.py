"""PDFs: text in reading order, headings, rows, and what cannot be read."""

import pytest

from services.ingest.adapters.parsing.pdf import parse_pdf
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument, TablePlace
from tests.unit.ingest.files import ENCRYPTED_PDF, Words, lines, pdf_of

LEFT = [f"The left column tells its story in line {number} of it" for number in range(8)]
RIGHT = [f"The right column has another story, now line {number}" for number in range(8)]


def texts_of(document: ParsedDocument) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks]


def test_lines_of_a_paragraph_are_joined_and_paragraphs_kept_apart() -> None:
    document = parse_pdf(pdf_of([*lines(["One sentence over", "two lines."]), *lines(["Another paragraph."], top=180)]))

    assert texts_of(document) == ["One sentence over two lines.", "Another paragraph."]


def test_words_broken_at_a_lines_end_are_mended() -> None:
    document = parse_pdf(pdf_of(lines(["We need some co-", "operation on the Jean-", "Paul matter."])))

    assert document.text == "We need some cooperation on the Jean-Paul matter."


def test_pages_are_counted_and_told() -> None:
    document = parse_pdf(pdf_of(lines(["First page."]), [], lines(["Third page."])))

    assert document.page_count == 3
    assert [block.page for block in document.blocks] == [1, 3]


@pytest.mark.parametrize("drawn_in_turn", [False, True])
def test_columns_are_read_one_after_the_other_however_they_were_drawn(drawn_in_turn: bool) -> None:
    title = [Words("A title over both columns", 180, 60, 11)]
    left, right = lines(LEFT, left=50, size=9), lines(RIGHT, left=310, size=9)
    drawn = [word for pair in zip(left, right, strict=True) for word in pair] if drawn_in_turn else left + right

    document = parse_pdf(pdf_of(title + drawn))

    assert texts_of(document)[0] == "A title over both columns"
    assert document.text.index(LEFT[-1]) < document.text.index(RIGHT[0])
    assert " | " not in document.text


def test_rows_of_a_table_stay_together_cell_by_cell() -> None:
    cells = [("Region", "2024", "2025"), ("North", "120", "140"), ("South", "95", "99"), ("West", "7", "8")]
    words = [
        Words(cell, 60 + 150 * place, 100 + 20 * row)
        for row, row_cells in enumerate(cells)
        for place, cell in enumerate(row_cells)
    ]

    document = parse_pdf(pdf_of(words))

    assert texts_of(document) == [
        "Region: North; 2024: 120; 2025: 140",
        "Region: South; 2024: 95; 2025: 99",
        "Region: West; 2024: 7; 2025: 8",
    ]
    assert {block.kind for block in document.blocks} == {BlockKind.ROW}
    assert [block.table for block in document.blocks] == [
        TablePlace(0, row, ("Region", "2024", "2025")) for row in range(3)
    ]


@pytest.mark.parametrize("marker", ["•", "-", "1.", "(a)", "12)"])
def test_a_list_marker_is_no_cell(marker: str) -> None:
    items = [Words(marker, 60, 100), Words("Short item", 90, 100), Words(marker, 60, 140), Words("Another", 90, 140)]

    document = parse_pdf(pdf_of(items))

    assert texts_of(document) == [f"{marker} Short item", f"{marker} Another"]


def test_larger_letters_are_headings_by_size() -> None:
    body = ["Body text that goes on for a while so that it outweighs", "all the headings on this page by far."]
    document = parse_pdf(
        pdf_of(
            [
                Words("Handbook", 60, 60, 24),
                Words("Leave", 60, 110, 16),
                *lines(body, top=140),
                Words("Pay", 60, 200, 16),
                *lines(body, top=230),
            ]
        )
    )

    assert [block.kind for block in document.blocks].count(BlockKind.HEADING) == 3
    assert document.blocks[-1].headings == ("Handbook", "Pay")
    assert document.title == "Handbook"


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_lines_are_read_in_order_however_the_page_is_turned(rotation: int) -> None:
    document = parse_pdf(pdf_of(lines(["first line of it", "second line of it"]), rotation=rotation))

    assert document.text == "first line of it second line of it"


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_text_that_runs_another_way_is_read_whole_and_last(turn: int) -> None:
    stamp = Words("Draft of May 2026", 30, 400, 11, turn)

    document = parse_pdf(pdf_of([stamp, *lines(["Upright text of the page, and much more of it."])]))

    assert texts_of(document) == ["Upright text of the page, and much more of it.", "Draft of May 2026"]


def test_an_encrypted_file_is_refused_saying_so() -> None:
    with pytest.raises(FileBroken, match="encrypted"):
        parse_pdf(ENCRYPTED_PDF)


@pytest.mark.parametrize("data", [b"%PDF-1.7", b"%PDF-1.7\n" + b"\x00" * 500, b"%PDF-1.4\ntrailer<</Root 1 0 R>>"])
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(FileBroken):
        parse_pdf(data)


def test_pages_with_nothing_on_them_are_refused_saying_so() -> None:
    with pytest.raises(FileWithoutText, match="empty"):
        parse_pdf(pdf_of([], []))
