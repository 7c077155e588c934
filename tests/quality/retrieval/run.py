"""One run: everything indexed as uploads are, every query searched for, rankings written and measured."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any, TextIO

from services.ingest.composing import Piece, compose
from services.ingest.errors import FileRefused, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument
from services.rag.errors import RequestInvalid
from services.rag.models import ChunkId, FoundChunk, Retrieved
from services.rag.requests import read_question
from services.rag.searching import fuse
from tests.quality.document_library import TENANT, Library, open_library
from tests.quality.retrieval.figures import figures_of
from tests.quality.retrieval.parts import Part, Query, Text, page_name, read_part
from tests.quality.sql.errors import BadInput
from tests.quality.sql.scratch import scratch_postgres

MOST = 100
# So many chunks of each leg, that the documents among them are MOST: a long one gives several.
_DEPTH = 2 * MOST
_REPORT_EVERY_SECONDS = 20.0
_HYBRID, _MEANING, _WORDS = "hybrid", "meaning alone", "words alone"


@dataclass(frozen=True)
class Options:
    """What to run."""

    data: Path
    part: str
    out: Path
    limit: int | None = None


@dataclass(frozen=True)
class Report:
    """All figures of a run: those of the search that is served, and of both its legs alone."""

    title: str
    legs: dict[str, dict[str, float]]
    further: dict[str, Any]

    def as_figures(self) -> dict[str, Any]:
        """Everything; what is served stands first and without a prefix."""
        alone = {
            f"{name.removesuffix(' alone')}_{measure}": value
            for name, figures in self.legs.items()
            if name != _HYBRID
            for measure, value in figures.items()
        }
        return {**self.legs[_HYBRID], **alone, **self.further}

    def as_text(self) -> str:
        """A table in Markdown that reads well without being rendered too."""
        measures = list(self.legs[_HYBRID])
        lines = [f"### {self.title}", ""]
        lines += [_row("", measures), _row("---", ["---:"] * len(measures))]
        lines += [_row(name, [f"{figures[each]:.4f}" for each in measures]) for name, figures in self.legs.items()]
        lines += ["", *(f"{name.replace('_', ' ').capitalize()}: {value}." for name, value in self.further.items())]
        return "\n".join(lines) + "\n"


async def evaluate(options: Options) -> Report:
    """Run it. Progress is told on stderr.

    Raises: BadInput, RunFailed.
    """
    part = read_part(options.data, options.part, limit=options.limit)
    began = time.monotonic()
    with _open_out(options.out) as out, scratch_postgres() as postgres:
        async with open_library(postgres.store_urls()["rag"]) as library:
            refused = await _index(library, part)
            indexed_seconds = time.monotonic() - began
            chunks = (await library.indexing.statistics(TENANT)).chunk_count
            rankings = await _search(library, part)
        for query in part.queries:
            out.write(dumps({"query_id": query.id, "ranking": rankings[_HYBRID][query.id]}, ensure_ascii=False) + "\n")
    title = f"retrieval {options.data.resolve().name}, {options.part}"
    further = {
        "queries": len(part.queries),
        "documents": len(part.texts) + len(part.files),
        "refused_documents": refused,
        "chunks": chunks,
        "index_seconds": round(indexed_seconds, 1),
        "search_seconds": round(time.monotonic() - began - indexed_seconds, 1),
    }
    legs = {name: figures_of(each, part.relevant, pages=part.ranks_pages) for name, each in rankings.items()}
    return Report(title, legs, further)


async def _index(library: Library, part: Part) -> int:
    """Index everything; the number of documents that hold nothing to index."""
    refused = 0
    say = _Progress(len(part.texts) + len(part.files), "documents indexed")
    for text in part.texts:
        try:
            await library.add_parsed(text.id, _parsed(text), filename=f"{text.id[:200]}.txt")
        except FileWithoutText:  # some collections keep an id whose text was lost
            refused += 1
        say.one_more()
    for path in part.files:
        try:
            await library.add_file(path.stem, path.read_bytes(), filename=path.name)
        except FileRefused as error:
            _say(f"{path.name} is refused: {error}")
            refused += 1
        say.one_more()
    return refused


def _parsed(text: Text) -> ParsedDocument:
    """A text as a parser gives one, its title where titles are kept."""
    return compose([Piece(BlockKind.PARAGRAPH, text.text)], title=text.title)


async def _search(library: Library, part: Part) -> dict[str, dict[str, list[str]]]:
    """Rankings of names by query, for what is served and for each leg alone."""
    rankings: dict[str, dict[str, list[str]]] = {_HYBRID: {}, _MEANING: {}, _WORDS: {}}
    name_of = _names(library, pages=part.ranks_pages)
    say = _Progress(len(part.queries), "queries searched for")
    for query in part.queries:
        retrieved = await _retrieve(library, query)
        legs: dict[str, Sequence[ChunkId]] = {
            _HYBRID: [scored.found.id for scored in fuse(retrieved)],
            _MEANING: retrieved.by_meaning,
            _WORDS: retrieved.by_words,
        }
        for leg, chunks in legs.items():
            names = dict.fromkeys(name_of(retrieved.chunks[chunk]) for chunk in chunks)
            rankings[leg][query.id] = list(names)[:MOST]
        say.one_more()
    return rankings


async def _retrieve(library: Library, query: Query) -> Retrieved:
    """As `Searching.find` searches, but with both legs in sight."""
    try:
        question = read_question(query.text)
    except RequestInvalid as error:
        raise BadInput(f"query {query.id!r}: {error}") from error
    _, retrieved = await library.searching.both_legs(TENANT, question, depth=_DEPTH)
    return retrieved


def _names(library: Library, *, pages: bool) -> Callable[[FoundChunk], str]:
    def name_of(found: FoundChunk) -> str:
        title = library.titles[found.document]
        return page_name(title, found.chunk.page or 1) if pages else title

    return name_of


class _Progress:
    """Tells how far a run is, now and then."""

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what = total, what
        self._done, self._told_at = 0, time.monotonic()

    def one_more(self) -> None:
        self._done += 1
        if self._done == self._total or time.monotonic() - self._told_at > _REPORT_EVERY_SECONDS:
            self._told_at = time.monotonic()
            _say(f"{self._done} of {self._total} {self._what}")


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name:14} | " + " | ".join(f"{cell:>10}" for cell in cells) + " |"


@contextmanager
def _open_out(path: Path) -> Iterator[TextIO]:
    """Before anything is done, so that a run of minutes does not end in a folder that is not there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        out = path.open("w", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--out {path}: cannot be written ({error.strerror})") from error
    with out:
        yield out


def _say(line: str) -> None:
    print(f"tests.quality.retrieval: {line}", file=sys.stderr, flush=True)
