"""One run: documents parsed and indexed, questions asked, predictions written, answers judged."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from deploy.local.embedded_postgres import EmbeddedPostgres
from deploy.local.errors import PostgresFailed
from services.ingest.errors import FileRefused
from services.rag.errors import RequestInvalid
from services.rag.models import Answer
from tests.quality.document_library import TENANT, Library, open_library
from tests.quality.qa.figures import Report, measured
from tests.quality.qa.parts import Evidence, Part, Question, read_part
from tests.quality.qa.scoring import Given
from tests.quality.sql.errors import BadInput, RunFailed

_REPORT_EVERY_SECONDS = 20.0
_DISAGREEMENT = "Sources disagree"


@dataclass(frozen=True)
class Options:
    """What to run. `store` keeps the index for a later run; `passages` names the lists of passages that are shown."""

    data: Path
    part: str
    out: Path
    limit: int | None = None
    store: Path | None = None
    passages: frozenset[str] | None = None


async def evaluate(options: Options) -> Report:
    """Run it. Progress is told on stderr.

    Raises: BadInput, RunFailed.
    """
    part = read_part(options.data, options.part, limit=options.limit, told=options.passages)
    with _open_out(options.out) as out, scratch_store(options.store) as url:
        report, given = await measure(part, url, title=f"{options.data.resolve().name}, {options.part}")
        write_predictions(out, part, given)
    return report


async def measure(part: Part, store_url: str, *, title: str) -> tuple[Report, dict[str | int, Given]]:
    """Index the documents of a part in a store, put its questions, and judge what is answered. Raises: BadInput."""
    began = time.monotonic()
    async with open_library(store_url) as library:
        refused = await add_documents(library, part)
        given = await ask_all(library, part)
    report = measured(title, part.questions, part.unanswerable, given)
    report.further = {
        "disagreements_told": sum(each.text.startswith(_DISAGREEMENT) for each in given.values()),
        "documents": len(part.documents),
        "documents_refused": refused,
        "seconds": round(time.monotonic() - began, 1),
    }
    return report, given


async def add_documents(library: Library, part: Part) -> int:
    """Index every document of a part; returns how many are refused, which is told."""
    refused = 0
    told_at = time.monotonic()
    for number, document in enumerate(part.documents):
        try:
            await library.add_file(document.title, document.content(), filename=document.filename)
        except FileRefused as error:
            refused += 1
            _say(f"{document.title}: {error}")
        if time.monotonic() - told_at > _REPORT_EVERY_SECONDS:
            told_at = time.monotonic()
            _say(f"{number + 1} of {len(part.documents)} documents indexed")
    if refused == len(part.documents):
        raise BadInput(f"{part.folder}: none of its documents can be read")
    return refused


async def ask_all(library: Library, part: Part) -> dict[str | int, Given]:
    """The answer to every question of a part."""
    names = {title: name for name, title in library.titles.items()}
    everything = [*part.questions, *part.unanswerable]
    given: dict[str | int, Given] = {}
    told_at = time.monotonic()
    for question in everything:
        scope = [names[title] for title in question.scope if title in names]
        try:
            answer = await library.answering.answer(TENANT, question.text, documents=scope)
        except RequestInvalid as error:
            raise BadInput(f"{part.folder}: question {question.id!r} cannot be asked: {error}") from error
        given[question.id] = as_given(answer, library.titles, part.passages)
        if time.monotonic() - told_at > _REPORT_EVERY_SECONDS:
            told_at = time.monotonic()
            _say(f"{len(given)} of {len(everything)} questions asked")
    return given


def as_given(answer: Answer, titles: Mapping[str, str], passages: Mapping[str, str]) -> Given:
    """An answer as it is judged. A citation of a text that stands in a named passage is one of that passage."""
    cited = [(titles[each.chunk.document], each.page, each.quote) for each in answer.citations]
    read = [(titles[each.found.document], each.found.chunk.page, each.found.chunk.text) for each in answer.sources]
    return Given(
        answer.text,
        not answer.answered,
        tuple(dict.fromkeys(each for title, page, text in cited for each in _evidence(title, page, text, passages))),
        tuple(dict.fromkeys(each for title, page, text in read for each in _evidence(title, page, text, passages))),
    )


def _evidence(title: str, page: int | None, text: str, passages: Mapping[str, str]) -> Iterator[Evidence]:
    quoted = " ".join(text.split())
    holding = [
        name for name, passage in passages.items() if quoted in (told := " ".join(passage.split())) or told in quoted
    ]
    for name in [title] if title in passages or not holding else holding:
        yield Evidence(name, page)


def write_predictions(out: TextIO, part: Part, given: Mapping[str | int, Given]) -> None:
    """A line for each question, as score_qa.py reads it."""
    for question in (*part.questions, *part.unanswerable):
        out.write(json.dumps(prediction(question, given[question.id]), ensure_ascii=False) + "\n")
    out.flush()


def prediction(question: Question, given: Given) -> dict[str, object]:
    sources = [{"doc": each.document} | ({"page": each.page} if each.page else {}) for each in given.sources]
    return {"id": question.id, "answer": given.text, "refused": given.refused, "sources": sources}


@contextmanager
def scratch_store(keep: Path | None = None) -> Iterator[str]:
    """Where a PostgreSQL for the run can be reached; its data are kept in a folder, or gone after the run.

    Raises: RunFailed.
    """
    sockets = Path(tempfile.mkdtemp(prefix="dg-qa-"))
    data = keep.resolve() if keep else sockets / "pg"
    data.parent.mkdir(parents=True, exist_ok=True)
    (sockets / "s").mkdir(mode=0o700)
    server = EmbeddedPostgres(data, sockets / "s")
    try:
        server.start()
        yield server.url("postgres")
    except PostgresFailed as error:
        raise RunFailed(f"the scratch PostgreSQL fails: {error}") from error
    finally:
        server.stop(timeout_seconds=10)
        shutil.rmtree(sockets, ignore_errors=True)


def _open_out(path: Path) -> TextIO:
    """Opened before the work is done rather than found wanting after it. Raises BadInput."""
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
            _say(f"--out: made the folder {path.parent}")
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--out {path}: cannot be written ({error.strerror})") from error


def _say(line: str) -> None:
    print(f"tests.quality.qa: {line}", file=sys.stderr, flush=True)
