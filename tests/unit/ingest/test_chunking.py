"""Cutting documents into chunks: nothing lost, nothing too long, structure kept."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.chunking import Chunker
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileWithoutText
from services.ingest.models import BlockKind, Chunk, ParsedDocument
from services.ingest.ports import TokenCounter
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
pieces = st.lists(
    st.builds(Piece, kinds, texts, st.just(0), st.none())
    | st.builds(Piece, st.just(BlockKind.HEADING), texts, st.integers(1, 4), st.none()),
    min_size=1,
    max_size=12,
)


def assert_promises(document: ParsedDocument, chunks: tuple[Chunk, ...], counter: TokenCounter, limit: int) -> None:
    covered = bytearray(len(document.text))
    for index, chunk in enumerate(chunks):
        assert chunk.index == index
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.text.strip()
        assert [chunk.token_count] == counter.count_all([chunk.text])
        assert chunk.token_count <= limit
        covered[chunk.start : chunk.end] = b"\x01" * (chunk.end - chunk.start)
    lost = [character for character, seen in zip(document.text, covered, strict=True) if not seen]
    assert not [character for character in lost if not character.isspace()]
    assert [chunk.start for chunk in chunks] == sorted(chunk.start for chunk in chunks)


@settings(max_examples=150, deadline=None)
@given(pieces, st.sampled_from([16, 40, 200]), st.sampled_from([0, 10]))
def test_no_character_is_lost_and_no_chunk_too_long_in_the_models_tokens(
    found: list[Piece], limit: int, overlap: int
) -> None:
    try:
        document = compose(found)
    except FileWithoutText:
        return

    chunks = Chunker(WORDPIECE, max_tokens=limit, overlap_tokens=overlap).chunk(document)

    assert_promises(document, chunks, WORDPIECE, limit)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=600))
def test_any_text_at_all_keeps_the_promises(text: str) -> None:
    try:
        document = compose([Piece(BlockKind.PARAGRAPH, text)])
    except FileWithoutText:
        return

    chunks = Chunker(WORDPIECE, max_tokens=16).chunk(document)

    assert_promises(document, chunks, WORDPIECE, 16)


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
        [Piece(BlockKind.ROW, f"id: {number}; city: Bergen; amount: {number * 7}") for number in range(5_000)]
    )

    chunks = Chunker(WORDPIECE, max_tokens=limit).chunk(document)

    assert_promises(document, chunks, WORDPIECE, limit)
