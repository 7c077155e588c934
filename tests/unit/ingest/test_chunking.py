"""Cutting documents into chunks: nothing lost, nothing too long, structure kept."""

import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.chunking import Chunker
from services.ingest.composing import Piece, compose
from services.ingest.cutting import MAX_CHARACTERS_PER_TOKEN, MAX_WORD_CHARACTERS
from services.ingest.errors import FileWithoutText
from services.ingest.models import Block, BlockKind, Chunk, EmbeddingLimits, ParsedDocument, TablePlace, TableRange
from tests.fakes.ingest import WordCounter

WORDPIECE = WordPieceTokens()

kinds = st.sampled_from([kind for kind in BlockKind if kind is not BlockKind.HEADING])
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    [
        "word",
        "Sentence.",
        "end!",
        "한국어",
        "日本語の文章です。",
        "naïve",
        "x" * 250,
        "e.g.",
        "1,234.56",
        "\n\n",
        "🙂🙂",
    ]
)
texts = st.lists(words, min_size=1, max_size=60).map(" ".join)
pages = st.integers(1, 3) | st.none()
places = st.builds(TablePlace, st.integers(0, 2), st.integers(0, 9))
pieces = st.lists(
    st.builds(Piece, kinds, texts, st.just(0), pages)
    | st.builds(Piece, st.just(BlockKind.HEADING), texts, st.integers(1, 4), pages)
    | st.builds(Piece, st.just(BlockKind.ROW), texts, st.just(0), pages, places),
    min_size=1,
    max_size=12,
)
chunkers = st.builds(
    Chunker,
    st.just(WORDPIECE),
    max_tokens=st.sampled_from([16, 40, 192]),
    merge_tokens=st.sampled_from([0, 30, 256]),
    overlap_tokens=st.sampled_from([0, 5, 24]),
    max_bytes=st.sampled_from([None, 120]),
)


def assert_promises(document: ParsedDocument, chunks: tuple[Chunk, ...], chunker: Chunker) -> None:
    covered = bytearray(len(document.text))
    counter, limit = chunker.counter, chunker.max_tokens
    for index, chunk in enumerate(chunks):
        assert chunk.index == index
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.text.strip()
        assert [chunk.token_count] == counter.count_all([chunk.text])
        assert chunk.token_count <= limit
        assert chunker.max_bytes is None or len(chunk.text.encode()) <= chunker.max_bytes
        inside = [block for block in document.blocks if block.start < chunk.end and block.end > chunk.start]
        assert {block.page for block in inside} == {chunk.page}
        rows = [block.table for block in inside if block.table]
        tables = {place.table for place in rows}
        assert chunk.table == (TableRange(tables.pop(), rows[0].row, rows[-1].row) if len(tables) == 1 else None)
        assert all(block.headings[: len(chunk.headings)] == chunk.headings for block in inside if is_body(block))
        covered[chunk.start : chunk.end] = b"\x01" * (chunk.end - chunk.start)
    lost = [character for character, seen in zip(document.text, covered, strict=True) if not seen]
    assert not [character for character in lost if not character.isspace()]
    assert [chunk.start for chunk in chunks] == sorted(chunk.start for chunk in chunks)
    assert [chunk.end for chunk in chunks] == sorted({chunk.end for chunk in chunks})
    for block in document.blocks:
        if block.kind is BlockKind.ROW and fits_whole(document.text[block.start : block.end], chunker):
            holders = [chunk for chunk in chunks if chunk.start < block.end and chunk.end > block.start]
            assert [(chunk.start <= block.start, chunk.end >= block.end) for chunk in holders] == [(True, True)]


def is_body(block: Block) -> bool:
    return block.kind is not BlockKind.HEADING


def fits_whole(text: str, chunker: Chunker) -> bool:
    """Whether a text is well within every limit of a chunker."""
    [count] = chunker.counter.count_all([text])
    is_short = count <= chunker.max_tokens and len(text) <= chunker.max_tokens * MAX_CHARACTERS_PER_TOKEN
    has_room = chunker.max_bytes is None or len(text.encode()) <= chunker.max_bytes
    return is_short and has_room and max(map(len, text.split())) <= MAX_WORD_CHARACTERS


@settings(max_examples=200, deadline=None)
@given(pieces, chunkers)
def test_random_documents_are_cut_without_loss_within_limits_and_along_their_structure(
    found: list[Piece], chunker: Chunker
) -> None:
    try:
        document = compose(found)
    except FileWithoutText:
        return

    chunks = chunker.chunk(document)

    assert_promises(document, chunks, chunker)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=600))
def test_any_text_at_all_keeps_the_promises(text: str) -> None:
    try:
        document = compose([Piece(BlockKind.PARAGRAPH, text)])
    except FileWithoutText:
        return

    chunker = Chunker(WORDPIECE, max_tokens=16)

    assert_promises(document, chunker.chunk(document), chunker)


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
    chunker = Chunker(WORDPIECE, max_tokens=limit, overlap_tokens=8)

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
