"""Cutting any document into chunks: nothing lost, nothing too long, structure kept."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.chunking import Chunker
from services.ingest.composing import Piece, compose
from services.ingest.cutting import MAX_CHARACTERS_PER_TOKEN, MAX_WORD_CHARACTERS
from services.ingest.errors import FileWithoutText
from services.ingest.models import Block, BlockKind, Chunk, ParsedDocument, TablePlace, TableRange

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
        above = chunk.headings[:-1] if begins_within_a_row(chunk, document) else chunk.headings
        assert all(block.headings[: len(above)] == above for block in inside if is_body(block))
        covered[chunk.start : chunk.end] = b"\x01" * (chunk.end - chunk.start)
    lost = [character for character, seen in zip(document.text, covered, strict=True) if not seen]
    assert not [character for character in lost if not character.isspace()]
    assert [chunk.start for chunk in chunks] == sorted(chunk.start for chunk in chunks)
    assert [chunk.end for chunk in chunks] == sorted({chunk.end for chunk in chunks})
    for block in document.blocks:
        if block.kind is BlockKind.ROW and fits_whole(document.text[block.start : block.end], chunker):
            holders = [chunk for chunk in chunks if chunk.start < block.end and chunk.end > block.start]
            assert [(chunk.start <= block.start, chunk.end >= block.end) for chunk in holders] == [(True, True)]


def begins_within_a_row(chunk: Chunk, document: ParsedDocument) -> bool:
    return any(block.kind is BlockKind.ROW and block.start < chunk.start < block.end for block in document.blocks)


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
