"""Tables in PDFs: ruled and aligned, their headers, and where their rows stand."""

from collections.abc import Sequence

from services.ingest.adapters.parsing.pdf import parse_pdf
from services.ingest.models import BlockKind, ParsedDocument, TablePlace
from tests.unit.ingest.pdf_files import Sheet, pdf_of_sheets

LEFTS = (60, 300, 400, 500)


def rows_of(document: ParsedDocument) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks if block.kind is BlockKind.ROW]


def places_of(document: ParsedDocument) -> list[TablePlace | None]:
    return [block.table for block in document.blocks if block.kind is BlockKind.ROW]


def aligned(rows: Sequence[Sequence[str]], *, top: float = 100, sheet: Sheet | None = None) -> Sheet:
    sheet = sheet or Sheet()
    for place, cells in enumerate(rows):
        sheet.row(cells, LEFTS[: len(cells)], top + 16 * place)
    return sheet


def test_years_above_numbers_are_the_header_and_the_first_column_needs_no_name() -> None:
    sheet = aligned([("", "2025", "2024"), ("Ferry tickets", "1,204", "1,187"), ("Freight", "(310)", "95")])

    document = parse_pdf(pdf_of_sheets(sheet))

    assert rows_of(document) == ["Ferry tickets; 2025: 1,204; 2024: 1,187", "Freight; 2025: (310); 2024: 95"]
    assert places_of(document) == [TablePlace(0, row, ("", "2025", "2024")) for row in range(2)]


def test_a_name_over_several_columns_stands_before_the_name_of_each() -> None:
    sheet = Sheet().text("Year ended 31 May", 370, 80)
    aligned([("", "2025", "2024", "2023"), ("Berths", "12", "11", "9"), ("Moorings", "40", "41", "38")], sheet=sheet)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert rows_of(document)[0] == (
        "Berths; Year ended 31 May 2025: 12; Year ended 31 May 2024: 11; Year ended 31 May 2023: 9"
    )


def test_a_currency_belongs_to_the_number_after_it() -> None:
    sheet = Sheet().row(("Item", "Price"), (60, 300), 100)
    for place, (name, amount) in enumerate([("Anchor", "120"), ("Rope", "14"), ("Oars", "38")], start=1):
        sheet.text(name, 60, 100 + 16 * place).text("$", 300, 100 + 16 * place).text(amount, 360, 100 + 16 * place)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert rows_of(document) == ["Item: Anchor; Price: $ 120", "Item: Rope; Price: $ 14", "Item: Oars; Price: $ 38"]


def test_a_label_between_rows_is_a_row_and_one_that_goes_on_below_is_one_label() -> None:
    sheet = Sheet().row(("", "2025", "2024"), (60, 300, 400), 100)
    sheet.row(("Boats", "7", "6"), (60, 300, 400), 116).text("Running costs:", 60, 132)
    sheet.text("Insurance of boats that are", 60, 148).row(("hired out", "95", "90"), (60, 300, 400), 159)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert rows_of(document) == [
        "Boats; 2025: 7; 2024: 6",
        "Running costs:",
        "Insurance of boats that are hired out; 2025: 95; 2024: 90",
    ]


def test_a_caption_above_a_table_names_no_column() -> None:
    caption = "Statement of the harbour's takings in thousands of crowns, except where it says otherwise"
    sheet = Sheet().text(caption, 60, 84).text("Annex 2", 500, 84)
    aligned([("", "2025", "2024"), ("Dues", "41", "39"), ("Fines", "3", "2")], sheet=sheet)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert rows_of(document)[-2:] == ["Dues; 2025: 41; 2024: 39", "Fines; 2025: 3; 2024: 2"]


def test_cells_of_a_ruled_table_keep_their_lines_together() -> None:
    xs, ys = (60, 200, 320, 500), (100, 130, 170, 210)
    sheet = Sheet().grid(xs, ys)
    sheet.row(("Part", "Number", "Remark"), (64, 204, 324), 118)
    sheet.text("Rudder", 64, 148).text("R-11", 204, 148).text("fits boats of", 324, 144).text("all sizes", 324, 158)
    sheet.text("Tiller", 64, 188).text("T-2", 204, 188).text("ash", 324, 188)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert rows_of(document) == [
        "Part: Rudder; Number: R-11; Remark: fits boats of all sizes",
        "Part: Tiller; Number: T-2; Remark: ash",
    ]


def test_cells_parted_by_a_line_alone_are_cells() -> None:
    sheet = Sheet().grid((60, 110, 160, 210), (100, 116, 132, 148))
    for top, cells in (
        (112, ("Pier", "Depth", "Berths")),
        (128, ("North", "4.20", "16")),
        (144, ("South", "3.10", "9")),
    ):
        sheet.text(cells[0], 82, top).text(cells[1], 113, top).text(cells[2], 163, top)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert rows_of(document) == ["Pier: North; Depth: 4.20; Berths: 16", "Pier: South; Depth: 3.10; Berths: 9"]


def test_names_above_a_ruled_table_without_a_header_are_its_header() -> None:
    sheet = Sheet().row(("Season", "2025", "2024"), (64, 304, 404), 90)
    sheet.grid((60, 300, 400, 500), (100, 120, 140, 160))
    for place, cells in enumerate([("Spring", "12", "10"), ("Summer", "30", "28"), ("Autumn", "14", "15")]):
        sheet.row(cells, (64, 304, 404), 114 + 20 * place)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert rows_of(document) == [
        "Season: Spring; 2025: 12; 2024: 10",
        "Season: Summer; 2025: 30; 2024: 28",
        "Season: Autumn; 2025: 14; 2024: 15",
    ]


def test_a_table_that_goes_on_over_the_page_keeps_its_header_and_its_number() -> None:
    first = aligned([("", "2025", "2024"), ("Adults", "41", "39"), ("Children", "3", "2")])
    second = aligned([("Dogs", "12", "14"), ("Bicycles", "8", "5")], top=60)
    third = aligned([("", "2025", "2024"), ("Cars", "1", "4"), ("Vans", "6", "7")], top=400)

    document = parse_pdf(pdf_of_sheets(first, second, third.text("What follows is another table.", 60, 60)))

    assert rows_of(document)[2:4] == ["Dogs; 2025: 12; 2024: 14", "Bicycles; 2025: 8; 2024: 5"]
    assert [(place.table, place.row) for place in places_of(document) if place] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 0),
        (1, 1),
    ]


def test_a_frame_around_text_is_no_table() -> None:
    sheet = Sheet().grid((50, 545), (90, 140)).text("A notice stands in a frame of its own.", 60, 110)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert [block.kind for block in document.blocks] == [BlockKind.PARAGRAPH]


def test_lines_of_contents_are_no_table_and_stand_apart() -> None:
    sheet = Sheet()
    for place, name in enumerate(["Tides", "Locks", "Fees"]):
        sheet.text(f"{name} {'.' * 60} {place + 3}", 60, 100 + 14 * place)

    document = parse_pdf(pdf_of_sheets(sheet))

    assert document.text.split("\n\n") == ["Tides … 3", "Locks … 4", "Fees … 5"]
