"""Cutting documents into chunks along their structure."""

import string
from dataclasses import replace

import pytest

from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.chunking import Chunker
from services.ingest.composing import Piece, compose
from services.ingest.models import BlockKind, EmbeddingLimits, ParsedDocument, TablePlace, TableRange
from tests.fakes.ingest import WordCounter


def paragraphs(*texts: str) -> ParsedDocument:
    return compose([Piece(BlockKind.PARAGRAPH, text) for text in texts])


def test_short_paragraphs_share_a_chunk_and_are_not_cut() -> None:
    document = paragraphs("one two six", "red old big", "run hop sit")

    chunks = Chunker(WordCounter(), max_tokens=8).chunk(document)

    assert [chunk.text for chunk in chunks] == ["one two six\n\nred old big", "run hop sit"]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    document = paragraphs("We met Dr. Who. It was fun. All of us ate. Then we left.")

    chunks = Chunker(WordCounter(), max_tokens=8).chunk(document)

    assert [chunk.text for chunk in chunks] == ["We met Dr. Who. It was fun.", "All of us ate. Then we left."]


def test_a_long_sentence_is_cut_between_words() -> None:
    document = paragraphs(" ".join(["word"] * 20))

    chunks = Chunker(WordCounter(), max_tokens=8).chunk(document)

    assert [chunk.token_count for chunk in chunks] == [8, 8, 4]


def test_a_huge_word_is_cut_between_characters() -> None:
    document = paragraphs(string.ascii_lowercase * 1_000)

    chunks = Chunker(WordCounter(), max_tokens=50).chunk(document)

    assert "".join(chunk.text for chunk in chunks) == document.text
    assert all(chunk.token_count <= 50 for chunk in chunks)


def test_a_chunk_knows_the_headings_it_stands_under() -> None:
    document = compose(
        [
            Piece(BlockKind.HEADING, "Guide", 1),
            Piece(BlockKind.HEADING, "Leave", 2),
            Piece(BlockKind.PARAGRAPH, "one two six ten one two"),
            Piece(BlockKind.HEADING, "Pay", 2),
            Piece(BlockKind.PARAGRAPH, "red old big new red old"),
        ]
    )

    chunks = Chunker(WordCounter(), max_tokens=12).chunk(document)

    assert [chunk.headings for chunk in chunks] == [("Guide", "Leave"), ("Guide", "Pay")]
    assert chunks[1].text.startswith("Pay")


def test_a_heading_is_never_parted_from_what_follows_it() -> None:
    document = compose(
        [
            Piece(BlockKind.PARAGRAPH, "one two six ten one two"),
            Piece(BlockKind.HEADING, "Pay", 1),
            Piece(BlockKind.PARAGRAPH, "red old big new red old"),
        ]
    )

    chunks = Chunker(WordCounter(), max_tokens=8).chunk(document)

    assert [chunk.text.split("\n")[0] for chunk in chunks] == ["one two six ten one two", "Pay"]


def test_a_scrap_of_text_joins_the_next_section_under_what_both_share() -> None:
    document = compose(
        [
            Piece(BlockKind.HEADING, "Guide", 1),
            Piece(BlockKind.HEADING, "A", 2),
            Piece(BlockKind.PARAGRAPH, "one"),
            Piece(BlockKind.HEADING, "B", 2),
            Piece(BlockKind.PARAGRAPH, "two"),
        ]
    )

    [chunk] = Chunker(WordCounter(), max_tokens=40).chunk(document)

    assert chunk.headings == ("Guide",)


def test_no_chunk_crosses_a_page() -> None:
    document = compose([Piece(BlockKind.PARAGRAPH, "one two", page=1), Piece(BlockKind.PARAGRAPH, "six ten", page=2)])

    chunks = Chunker(WordCounter(), max_tokens=50).chunk(document)

    assert [(chunk.page, chunk.text) for chunk in chunks] == [(1, "one two"), (2, "six ten")]


def test_rows_are_kept_whole_and_parted_by_line_breaks() -> None:
    document = compose([Piece(BlockKind.ROW, f"id: {number}; name: n{number}") for number in range(6)])

    chunks = Chunker(WordCounter(), max_tokens=10).chunk(document)

    assert [chunk.text.count("id:") for chunk in chunks] == [2, 2, 2]
    assert all(line.startswith("id:") for chunk in chunks for line in chunk.text.split("\n"))


def test_an_overlap_repeats_whole_sentences_within_its_limit() -> None:
    document = paragraphs("One two six. Red old big. Run hop sit. Eat all day. Now we end.")

    chunks = Chunker(WordCounter(), max_tokens=10, overlap_tokens=3).chunk(document)

    assert chunks[1].text.startswith(chunks[0].text.rsplit(". ", 1)[-1])
    assert chunks[1].start < chunks[0].end


@pytest.mark.parametrize("limit", [16, 200])
def test_tables_of_many_rows_are_cut_in_one_pass(limit: int) -> None:
    document = compose(
        Piece(BlockKind.ROW, f"id: {number}; city: Bergen; amount: {number * 7}", table=TablePlace(0, number))
        for number in range(5_000)
    )
    chunker = Chunker(WordPieceTokens(), max_tokens=limit, overlap_tokens=8)

    chunks = chunker.chunk(document)

    assert [block.table and block.table.row for block in document.blocks] == list(range(5_000))
    rows = [(chunk.table.first_row, chunk.table.last_row) for chunk in chunks if chunk.table]
    assert len(rows) == len(chunks)
    assert [first for first, _ in rows] == [0, *(last + 1 for _, last in rows[:-1])]
    assert all(chunk.token_count <= limit for chunk in chunks)


def rows(table: int, *texts: str) -> list[Piece]:
    return [Piece(BlockKind.ROW, text, table=TablePlace(table, row)) for row, text in enumerate(texts)]


def test_a_chunk_tells_its_rows_also_where_text_stands_beside_them() -> None:
    document = compose([Piece(BlockKind.HEADING, "Fares", 1), *rows(3, "day: Mon; fare: 4", "day: Tue; fare: 5")])

    [chunk] = Chunker(WordCounter(), max_tokens=40).chunk(document)

    assert chunk.table == TableRange(3, 0, 1)
    assert chunk.text.startswith("Fares")


def test_two_tables_share_no_chunk_once_the_first_is_more_than_a_scrap() -> None:
    document = compose([*rows(0, "a: one; b: two", "a: six; b: ten"), *rows(1, "c: red; d: old")])

    chunks = Chunker(WordCounter(), max_tokens=14, merge_tokens=8).chunk(document)

    assert [chunk.table for chunk in chunks] == [TableRange(0, 0, 1), TableRange(1, 0, 0)]


def test_scraps_of_two_tables_share_a_chunk_that_names_neither() -> None:
    document = compose([*rows(0, "a: one"), *rows(1, "c: red")])

    [chunk] = Chunker(WordCounter(), max_tokens=40).chunk(document)

    assert chunk.table is None


def test_a_row_that_is_too_long_is_cut_between_its_cells() -> None:
    document = compose(rows(0, "name: red old big; place: run hop sit; note: one two six"))

    chunks = Chunker(WordCounter(), max_tokens=8).chunk(document)

    assert [chunk.text for chunk in chunks] == [
        "name: red old big;",
        "place: run hop sit;",
        "note: one two six",
    ]
    assert {chunk.table for chunk in chunks} == {TableRange(0, 0, 0)}


def test_parts_of_a_row_stand_under_its_first_cells_and_share_a_chunk_with_no_other_row() -> None:
    parts = "; ".join(f"p{number}: red old" for number in range(6))
    document = compose(rows(0, "id: 1; name: Ann", f"id: 2; name: Bob; {parts}", "id: 3; name: Cid"))

    chunks = Chunker(WordCounter(), max_tokens=16).chunk(document)

    assert [(chunk.table and chunk.table.first_row, chunk.headings) for chunk in chunks] == [
        (0, ()),
        (1, ()),
        (1, ("id: 2; name: Bob; p0: red old; p1: red old; p2: red old; p3: red old",)),
        (2, ()),
    ]
    assert [chunk.table and chunk.table.last_row for chunk in chunks] == [0, 1, 1, 2]


def test_a_heading_stays_with_a_row_that_has_to_be_cut() -> None:
    document = compose([Piece(BlockKind.HEADING, "Staff", 1), *rows(0, "; ".join(["name: red old"] * 6))])

    chunks = Chunker(WordCounter(), max_tokens=10).chunk(document)

    assert chunks[0].text.startswith("Staff\n\nname:")
    assert [chunk.headings[0] for chunk in chunks] == ["Staff"] * len(chunks)


def sections(*texts: str) -> ParsedDocument:
    return compose(
        piece
        for place, text in enumerate(texts)
        for piece in (Piece(BlockKind.HEADING, f"S{place}", 1), Piece(BlockKind.PARAGRAPH, text))
    )


def test_small_sections_share_a_chunk_as_long_as_they_fit_whole() -> None:
    document = sections("one two six", "red old big", "run hop sit")

    chunks = Chunker(WordCounter(), max_tokens=10).chunk(document)

    assert [chunk.text.split() for chunk in chunks] == [
        ["S0", "one", "two", "six", "S1", "red", "old", "big"],
        ["S2", "run", "hop", "sit"],
    ]


def test_a_section_that_is_large_enough_shares_its_chunk_with_no_other() -> None:
    document = sections("one two six", "red old big", "run hop sit")

    chunks = Chunker(WordCounter(), max_tokens=20, merge_tokens=4).chunk(document)

    assert [chunk.text.split()[0] for chunk in chunks] == ["S0", "S1", "S2"]


def test_a_list_is_cut_between_its_items() -> None:
    document = compose([Piece(BlockKind.ITEM, f"{number}. red old big. run") for number in range(4)])

    chunks = Chunker(WordCounter(), max_tokens=12).chunk(document)

    assert [line[0] for chunk in chunks for line in chunk.text.split("\n")] == ["0", "1", "2", "3"]
    assert all(line.endswith("run") for chunk in chunks for line in chunk.text.split("\n"))


def test_rows_are_not_repeated_in_an_overlap() -> None:
    document = compose(rows(0, *(f"id: {number}" for number in range(6))))

    chunks = Chunker(WordCounter(), max_tokens=4, overlap_tokens=2).chunk(document)

    assert [chunk.text for chunk in chunks] == ["id: 0\nid: 1", "id: 2\nid: 3", "id: 4\nid: 5"]


def test_an_overlap_takes_the_last_sentences_out_of_a_paragraph_that_was_kept_whole() -> None:
    document = paragraphs("One two six. Red old.", "Run hop sit eat all. Now end.")

    chunks = Chunker(WordCounter(), max_tokens=9, overlap_tokens=3).chunk(document)

    assert [chunk.text for chunk in chunks] == [
        "One two six. Red old.",
        "Red old.\n\nRun hop sit eat all. Now end.",
    ]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (EmbeddingLimits("words", 256), (192, 24, None)),
        (EmbeddingLimits("words", 8_191), (512, 50, None)),
        (EmbeddingLimits("other", 8_191), (512, 50, 6_144)),
    ],
)
def test_chunks_leave_a_quarter_of_what_the_model_reads_for_their_header(
    limits: EmbeddingLimits, expected: tuple[int, int, int | None]
) -> None:
    chunker = Chunker(WordCounter(), max_tokens=512, overlap_tokens=50).within(limits)

    assert (chunker.max_tokens, chunker.overlap_tokens, chunker.max_bytes) == expected


def test_whatever_changes_how_text_is_cut_changes_the_fingerprint() -> None:
    chunker = Chunker(WordCounter())
    others = [
        replace(chunker, max_tokens=100),
        replace(chunker, merge_tokens=100),
        replace(chunker, overlap_tokens=10),
        replace(chunker, max_bytes=100),
    ]

    assert len({each.fingerprint for each in [chunker, *others]}) == 5
