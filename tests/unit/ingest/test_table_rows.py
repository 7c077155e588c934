"""Tables of any origin: headers, spans, and where each row stands."""

import pytest

from services.ingest.adapters.parsing.table_rows import Cell, Tables, is_number, looks_like_header, spread
from services.ingest.composing import Piece
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, TablePlace


def told(pieces: list[Piece]) -> list[str]:
    return [piece.text for piece in pieces]


@pytest.mark.parametrize(
    ("row", "following"),
    [
        (["Name", "Age"], [["Ann", "5"]]),
        (["", "North", "South"], [["2023", "1", "2"]]),
        (["Region", "2023", "2024"], [["North", "1", "2"]]),
        (["", "FY 2023", "2023/24"], [["Sales", "1", "2"]]),
        (["0", "Name", "Age"], [["1", "Ann", "5"]]),
        (["Name", "Age", ""], [["Ann", "5", ""]]),
    ],
)
def test_a_row_of_names_is_a_header(row: list[str], following: list[list[str]]) -> None:
    assert looks_like_header(row, following)


@pytest.mark.parametrize(
    ("row", "following"),
    [
        ([], []),
        (["", ""], [["a", "b"]]),
        (["Name", "name"], [["a", "b"]]),
        (["Name", "", "Age"], [["a", "b", "c"]]),
        (["Ann", "5"], [["Bo", "6"]]),
        (["Ann", "1990"], [["Bo", "1991"]]),
        (["1", "2"], [["3", "4"]]),
        (["Name", "x" * 100], [["a", "b"]]),
        (["Rule", "Nobody may enter the hall."], [["Exit", "Everybody may leave it."]]),
    ],
)
def test_a_row_of_values_is_none(row: list[str], following: list[list[str]]) -> None:
    assert not looks_like_header(row, following)


@pytest.mark.parametrize("cell", ["5", "-2.5", "1,234.50", "$3", "4 %", "(12)", "€ 5", "2020-01-05"])
def test_amounts_are_numbers(cell: str) -> None:
    assert is_number(cell)


@pytest.mark.parametrize("cell", ["", "-", "5 kg", "A1", "n/a", "Q1 2020"])
def test_names_are_none(cell: str) -> None:
    assert not is_number(cell)


def test_cells_stand_at_every_place_they_span() -> None:
    rows = [
        [Cell("a", rows=2), Cell("b", columns=2)],
        [Cell("c"), Cell("d")],
        [Cell("e", columns=3)],
    ]

    assert spread(rows) == [["a", "b", "b"], ["a", "c", "d"], ["e", "e", "e"]]
    assert spread([[Cell("x", rows=5)], []]) == [["x"], ["x"]]
    assert spread([]) == []


def test_spans_without_end_are_refused() -> None:
    row = [Cell("x", columns=1_000, rows=60_000)] * 16

    with pytest.raises(FileBroken, match="cells"):
        spread([row] * 500)


def test_rows_say_where_they_stand_and_tables_are_numbered() -> None:
    tables = Tables()
    first = list(tables.of_texts([["Name", "Age"], ["Ann", "5"], ["", ""], ["Bo", "6"]]))
    empty = list(tables.of_texts([["", ""]]))
    second = list(tables.of_texts([["1", "2"], ["3", "4"]], page=7))

    assert [piece.table for piece in first] == [TablePlace(0, 0, ("Name", "Age")), TablePlace(0, 1, ("Name", "Age"))]
    assert empty == []
    assert [piece.table for piece in second] == [TablePlace(1, 0), TablePlace(1, 1)]
    assert {piece.page for piece in second} == {7}
    assert told(second) == ["1; 2", "3; 4"]


def test_names_of_columns_that_stay_empty_are_not_lost() -> None:
    assert told(list(Tables().of_texts([["Name", "Note", "Age"], ["Ann", "", "5"]]))) == ["Name: Ann; Age: 5", "Note"]


def test_a_row_over_all_columns_before_the_header_is_the_table_s_title() -> None:
    pieces = list(
        Tables().of_cells([[Cell("Staff", columns=2)], [Cell("Name"), Cell("Age")], [Cell("Ann"), Cell("5")]])
    )

    assert told(pieces) == ["Staff", "Name: Ann; Age: 5"]
    assert pieces[0].kind is BlockKind.PARAGRAPH


def test_a_header_of_two_rows_is_joined_and_marked_rows_are_believed() -> None:
    spanned = [
        [Cell("Region", rows=2), Cell("2024", columns=2)],
        [Cell("Spring"), Cell("Autumn")],
        [Cell("North"), Cell("1"), Cell("2")],
    ]
    marked = [[Cell("1", is_header=True), Cell("1", is_header=True)], [Cell("a"), Cell("b")]]

    assert told(list(Tables().of_cells(spanned))) == ["Region: North; 2024 / Spring: 1; 2024 / Autumn: 2"]
    assert told(list(Tables().of_cells(marked))) == ["1: a; 1: b"]
    assert told(list(Tables().of_cells(marked[:1]))) == ["1; 1"]


def test_a_value_over_several_columns_is_told_once() -> None:
    rows = [[Cell("A"), Cell("B"), Cell("C")], [Cell("x", columns=2), Cell("y")]]

    assert told(list(Tables().of_cells(rows))) == ["A: x; C: y", "B"]


def test_names_that_stand_beside_their_values_are_no_header() -> None:
    marked = [
        [Cell("Name", is_header=True), Cell("Ann")],
        [Cell("Role", is_header=True), Cell("Captain"), Cell("Pilot")],
    ]
    announced = [["Name:", "Ann"], ["Role:", "Captain"]]

    assert told(list(Tables().of_cells(marked))) == ["Name: Ann", "Role: Captain; Pilot"]
    assert told(list(Tables().of_texts(announced))) == ["Name: Ann", "Role: Captain"]
