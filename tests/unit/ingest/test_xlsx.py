"""Excel workbooks, as openpyxl-like writers and Excel itself make them, and as nobody should."""

import io
import zipfile

import pytest

from services.ingest.adapters.parsing.formats import parse_bytes
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument, TablePlace
from tests.unit.ingest.office_files import S, relations, rows_of, xlsx_of, zipped


def texts_of(document: ParsedDocument) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks]


def texts(data: bytes) -> list[str]:
    return texts_of(parse_bytes(data, "xlsx"))


def test_sheets_are_pages_under_their_names_and_rows_carry_their_header() -> None:
    stock = rows_of(["Item", "Count"], ["Pump", 3], ["Valve", 12.5])
    prices = rows_of(["Item", "Price"], ["Pump", 90])

    document = parse_bytes(xlsx_of({"Stock": stock, "Prices & more": prices}), "xlsx")

    assert texts_of(document) == [
        "Stock",
        "Item: Pump; Count: 3",
        "Item: Valve; Count: 12.5",
        "Prices & more",
        "Item: Pump; Price: 90",
    ]
    assert [block.page for block in document.blocks] == [1, 1, 1, 2, 2]
    assert document.page_count == 2
    assert document.blocks[2].table == TablePlace(0, 1, ("Item", "Count"))
    assert document.blocks[4].table == TablePlace(1, 0, ("Item", "Price"))
    assert document.blocks[4].headings == ("Prices & more",)


def test_pages_are_told_as_they_are_done() -> None:
    told: list[tuple[int, int]] = []

    parse_bytes(xlsx_of({"A": rows_of(["x"]), "B": rows_of(["y"])}), "xlsx", lambda page, of: told.append((page, of)))

    assert told == [(1, 2), (2, 2)]


def test_cells_of_every_kind_are_shown_as_the_sheet_shows_them() -> None:
    row = [
        '<c r="@" t="s"><v>1</v></c>',
        '<c r="@" t="b"><v>1</v></c>',
        '<c r="@" t="str"><f>A1&amp;"!"</f><v>made</v></c>',
        '<c r="@"><f>2*21</f><v>42</v></c>',
        '<c r="@"><f>B9*2</f></c>',
        '<c r="@" t="e"><v>#N/A</v></c>',
        '<c r="@" t="inlineStr"><is><r><t>two </t></r><r><t>runs</t></r><rPh><t>reading</t></rPh></is></c>',
        (45292, 1),
        (0.05, 2),
        (1234.5, 3),
    ]
    header = [f"c{place}" for place in range(len(row))]
    data = xlsx_of(
        {"S": rows_of(header, row)}, styles=["d/m/yyyy", "0%", '"$"#,##0.00'], shared=["never", "shared text"]
    )

    assert texts(data)[1] == (
        "c0: shared text; c1: TRUE; c2: made; c3: 42; c4: =B9*2; c5: #N/A; c6: two runs; "
        "c7: 2024-01-01; c8: 5%; c9: $1,234.50"
    )


def test_dates_may_count_from_1904() -> None:
    data = xlsx_of(
        {"S": rows_of(["Day"], [(0, 1)], [(366, 1)])}, styles=["yyyy-mm-dd"], properties='<workbookPr date1904="1"/>'
    )

    assert texts(data)[1:] == ["Day: 1904-01-01", "Day: 1905-01-01"]


def test_hidden_sheets_are_left_out_and_pages_keep_their_numbers() -> None:
    data = xlsx_of({"Open": rows_of(["a"]), "Secret": rows_of(["b"]), "Last": rows_of(["c"])}, hidden=["Secret"])

    document = parse_bytes(data, "xlsx")

    assert texts_of(document) == ["Open", "a", "Last", "c"]
    assert document.blocks[-1].page == 3
    with pytest.raises(FileWithoutText, match="hidden"):
        parse_bytes(xlsx_of({"Secret": rows_of(["b"])}, hidden=["Secret"]), "xlsx")


def test_a_title_over_a_table_is_a_heading_and_notes_stay_text() -> None:
    rows = rows_of(["Ducks per year"], ["Year", "Ducks"], [2023, 160], [2024, 180]) + rows_of(
        ["Counted by volunteers."], first=7
    )

    document = parse_bytes(xlsx_of({"S": rows}), "xlsx")

    assert texts_of(document) == [
        "S",
        "Ducks per year",
        "Year: 2023; Ducks: 160",
        "Year: 2024; Ducks: 180",
        "Counted by volunteers.",
    ]
    assert document.blocks[2].headings == ("S", "Ducks per year")
    assert document.blocks[-1].kind is BlockKind.PARAGRAPH


def test_years_name_columns_and_merged_names_stand_over_all_their_columns() -> None:
    years = rows_of(["Region", 2023, 2024], ["North", 12, 13])
    merged = (
        "<sheetData>"
        + rows_of(["Region", "Sales", None, "Staff"], [None, "Spring", "Autumn", None], ["North", 1, 2, 3])
        + '</sheetData><mergeCells count="1"><mergeCell ref="B1:C1"/></mergeCells>'
    )

    assert texts(xlsx_of({"S": years}))[1:] == ["Region: North; 2023: 12; 2024: 13"]
    assert texts(xlsx_of({"S": merged}))[1:] == ["Region: North; Sales / Spring: 1; Sales / Autumn: 2; Staff: 3"]


def test_a_value_merged_over_rows_is_told_in_each() -> None:
    rows = rows_of(["Region", "City"], ["North", "Oslo"], [None, "Bergen"], ["South", "Rome"])
    sheet = f'<sheetData>{rows}</sheetData><mergeCells><mergeCell ref="A2:A3"/></mergeCells>'

    assert texts(xlsx_of({"S": sheet}))[1:] == [
        "Region: North; City: Oslo",
        "Region: North; City: Bergen",
        "Region: South; City: Rome",
    ]


def test_tables_parted_by_an_empty_row_or_standing_side_by_side_are_told_apart() -> None:
    below = rows_of(["Name", "Age"], ["Ann", 5]) + rows_of(["City", "Size"], ["Oslo", 7], first=4)
    beside = rows_of(
        ["Name", "Age", None, "City", "Size"],
        ["Ann", 5, None, "Oslo", 7],
        ["Bo", 6],
    )

    document = parse_bytes(xlsx_of({"S": below}), "xlsx")
    assert [block.table.table for block in document.blocks if block.table] == [0, 1]
    assert texts(xlsx_of({"S": beside}))[1:] == ["Name: Ann; Age: 5", "Name: Bo; Age: 6", "City: Oslo; Size: 7"]


def test_a_table_of_the_sheet_says_itself_how_many_rows_of_header_it_has() -> None:
    extra = {
        "xl/worksheets/_rels/sheet1.xml.rels": relations({"rId1": ("table", "../tables/table1.xml")}),
        "xl/tables/table1.xml": f'<table xmlns="{S}" ref="A1:B3" headerRowCount="1"/>',
    }
    rows = rows_of([1990, 1991], [5, 6], [7, 8])

    assert texts(xlsx_of({"S": rows}, extra=extra))[1:] == ["1990: 5; 1991: 6", "1990: 7; 1991: 8"]


def test_a_long_sheet_is_told_row_by_row() -> None:
    rows = rows_of(["Number", "Square"], *([n, n * n] for n in range(3_000))) + rows_of(
        ["Other", "Table"], ["a", "b"], first=3_010
    )

    document = parse_bytes(xlsx_of({"S": rows}), "xlsx")

    assert len(document.blocks) == 3_002
    last = document.blocks[3_000]
    assert document.text[last.start : last.end] == "Number: 2999; Square: 8994001"
    assert last.table == TablePlace(0, 2_999, ("Number", "Square"))
    assert document.blocks[-1].table == TablePlace(1, 0, ("Other", "Table"))


def test_a_workbook_of_the_strict_edition_is_read() -> None:
    data = xlsx_of({"S": rows_of(["Item", "Count"], ["Pump", 3])})
    strict = b"http://purl.oclc.org/ooxml/spreadsheetml/main"
    parts = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name != "[Content_Types].xml":
                content = archive.read(name).replace(S.encode(), strict)
                parts[name] = content.replace(
                    b"http://schemas.openxmlformats.org/officeDocument/2006",
                    b"http://purl.oclc.org/ooxml/officeDocument",
                )

    assert texts(zipped(parts)) == ["S", "Item: Pump; Count: 3"]


def test_a_sheet_that_says_it_is_as_large_as_can_be_costs_nothing() -> None:
    sheet = f'<dimension ref="A1:XFD1048576"/><sheetData>{rows_of(["Item", "Count"], ["Pump", 3])}</sheetData>'
    far = '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>far away</t></is></c></row>'
    whole = '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'
    merged = f"<sheetData>{rows_of(['Item'], ['Pump'])}{far}</sheetData>{whole}"

    assert texts(xlsx_of({"S": sheet}))[1:] == ["Item: Pump; Count: 3"]
    assert texts(xlsx_of({"S": rows_of(["Item"]) + far}))[1:] == ["Item", "far away"]
    assert "far away" in texts(xlsx_of({"S": merged}))


@pytest.mark.parametrize(
    "prologue",
    ['<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY e "&a;&a;">]>'],
)
def test_entities_of_sheets_are_refused(prologue: str) -> None:
    sheet = '<row r="1"><c r="A1" t="inlineStr"><is><t>&e;</t></is></c></row>'

    with pytest.raises(FileBroken, match="entities"):
        parse_bytes(xlsx_of({"S": sheet}, prologue=prologue), "xlsx")


def test_entities_of_shared_texts_are_refused() -> None:
    shared = f'<!DOCTYPE sst [<!ENTITY e SYSTEM "file:///etc/passwd">]><sst xmlns="{S}"><si><t>&e;</t></si></sst>'
    data = xlsx_of({"S": rows_of(['<c r="@" t="s"><v>0</v></c>'])}, extra={"xl/sharedStrings.xml": shared})

    with pytest.raises(FileBroken, match="entities"):
        parse_bytes(data, "xlsx")


def test_more_columns_than_a_sheet_can_have_are_refused() -> None:
    cells = "".join("<c><v>1</v></c>" for _ in range(20_000))

    with pytest.raises(FileBroken, match="16,384"):
        parse_bytes(xlsx_of({"S": f'<row r="1">{cells}</row>'}), "xlsx")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_workbook_cut_off_is_refused(share: float) -> None:
    whole = xlsx_of({"S": rows_of(*([n, f"text {n}"] for n in range(500)))})

    with pytest.raises(FileBroken):
        parse_bytes(whole[: int(len(whole) * share)], "xlsx")


def test_what_a_workbook_points_to_and_does_not_hold_is_left_out() -> None:
    data = zipped(
        {
            "_rels/.rels": relations({"rId1": ("officeDocument", "xl/workbook.xml")}),
            "xl/workbook.xml": f'<workbook xmlns="{S}"><sheets><sheet name="S" sheetId="1"/></sheets></workbook>',
        }
    )

    with pytest.raises(FileWithoutText):
        parse_bytes(data, "xlsx")
    with pytest.raises(FileBroken, match="no workbook"):
        parse_bytes(zipped({"xl/other.xml": "<x/>"}), "xlsx")
