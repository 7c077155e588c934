"""Joining what parsers find to one text."""

from collections.abc import Iterator

import pytest

from services.ingest.composing import Piece, clean_text, compose
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, PageNote, PageProblem, TablePlace


def heading(text: str, level: int) -> Piece:
    return Piece(BlockKind.HEADING, text, level)


def test_a_heading_closes_those_of_its_level_and_below() -> None:
    document = compose(
        [
            heading("A", 1),
            heading("A1", 2),
            heading("A1a", 3),
            heading("A2", 2),
            Piece(BlockKind.PARAGRAPH, "text"),
            heading("B", 1),
            Piece(BlockKind.PARAGRAPH, "text"),
        ]
    )

    assert [block.headings for block in document.blocks] == [
        (),
        ("A",),
        ("A", "A1"),
        ("A",),
        ("A", "A2"),
        (),
        ("B",),
    ]


def test_rows_and_items_stand_line_by_line_and_all_else_apart() -> None:
    document = compose(
        [
            Piece(BlockKind.PARAGRAPH, "p"),
            Piece(BlockKind.ROW, "r1"),
            Piece(BlockKind.ROW, "r2"),
            Piece(BlockKind.ITEM, "i1"),
            Piece(BlockKind.ITEM, "i2"),
        ]
    )

    assert document.text == "p\n\nr1\nr2\n\ni1\ni2"


def test_the_first_outermost_heading_serves_as_title_where_there_is_none() -> None:
    assert compose([heading(" The  Guide ", 2), Piece(BlockKind.PARAGRAPH, "x")]).title == "The Guide"
    assert compose([heading("The Guide", 1)], title="Given\n title").title == "Given title"


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("0001018724-18-000005", "The Guide"),
        (" - ", "The Guide"),
        ("Q4 2023", "The Guide"),
        ("年報", "年報"),
        ("Go", "Go"),
    ],
)
def test_a_title_without_a_word_is_none(given: str, title: str) -> None:
    assert compose([heading("The Guide", 1)], title=given).title == title


def test_a_row_keeps_its_place_and_notes_of_pages_are_taken_last() -> None:
    notes: list[PageNote] = []
    note = PageNote(2, PageProblem.PAGE_BROKEN, "Page 2 is damaged.")
    place = TablePlace(1, 4, ("day", "fare"))

    def pieces() -> Iterator[Piece]:
        yield Piece(BlockKind.ROW, "day: Mon; fare: 4", page=1, table=place)
        notes.append(note)

    document = compose(pieces(), page_notes=notes)

    assert document.blocks[0].table == place
    assert document.page_notes == (note,)


def test_characters_that_no_text_holds_are_left_out() -> None:
    assert clean_text("a\x00b\x07c\ud800d\ufeffe\x85") == "abcde"
    assert clean_text("co\xadoperate\r\nnext\rlast\x0cpage") == "cooperate\nnext\nlast\npage"
    assert clean_text("e\u0301") == "\u00e9"


def test_more_text_than_can_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.composing.MAX_TEXT_CHARACTERS", 100)

    with pytest.raises(FileBroken, match="100 characters"):
        compose(Piece(BlockKind.ROW, "header: value") for _ in range(1_000_000))


@pytest.mark.parametrize("text", ["", " \n\t", "---", "\x00\x01", "* * *"])
def test_a_file_without_a_letter_or_digit_has_no_text(text: str) -> None:
    with pytest.raises(FileWithoutText):
        compose([Piece(BlockKind.PARAGRAPH, text)])
