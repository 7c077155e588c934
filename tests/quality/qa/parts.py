"""One part of an evaluation folder: its questions, and the documents that they are asked of.

Documents are files (articles/*, documents/*, pdfs/*), tables with paragraphs (contexts.jsonl), single passages
(corpus.jsonl, where there are no files), or passages that stand with each question.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.ingest.filenames import CONTENT_TYPES
from tests.quality.sql.errors import BadInput

FOLDERS = ("articles", "documents", "pdfs")
TRUE_PASSAGES, PLANTED_PASSAGES, OTHER_PASSAGES = "positive", "positive_wrong", "negative"
_PASSAGE_FIELDS = ("passages", TRUE_PASSAGES, PLANTED_PASSAGES, OTHER_PASSAGES)
_YEAR_OR_NO_NUMBER = re.compile(r"\D*(?:(?:19|20)\d\d\b\D*|\b[0-3]?\d, )*")


@dataclass(frozen=True)
class Evidence:
    """A document that holds the answer, and its page counted from 1, where one is known."""

    document: str
    page: int | None = None


@dataclass(frozen=True)
class Question:
    """One question as its line has it; `golds` are none where the documents hold no answer."""

    id: str | int
    text: str
    golds: tuple[str, ...] = ()
    needs_all: bool = False
    """Whether every gold has to be told, rather than one of them."""
    scale: str = ""
    """Of numbers in the golds, such as "million"."""
    fakes: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    scope: tuple[str, ...] = ()
    """Titles of the documents it is asked of; none means all."""


@dataclass(frozen=True)
class Document:
    """A file to upload. `title` is what questions and predictions call it."""

    title: str
    filename: str
    path: Path | None = None
    text: str = ""

    def content(self) -> bytes:
        return self.text.encode() if self.path is None else self.path.read_bytes()


@dataclass(frozen=True)
class Part:
    """What is asked, and of what."""

    folder: Path
    questions: tuple[Question, ...]
    unanswerable: tuple[Question, ...]
    documents: tuple[Document, ...]
    passages: Mapping[str, str]
    """Text of every passage that evidence names, where passages are parts of the documents."""


def read_part(data: Path, name: str, *, limit: int | None = None, told: frozenset[str] | None = None) -> Part:
    """Read `data`/`name`; with a limit, the first so many questions of each file.

    Args: told: which of the lists of passages beside a question are shown; None for all.
    Raises: BadInput: the folder, a file or a line cannot be used.
    """
    folder = data / name
    if not data.is_dir():
        raise BadInput(f"--data {data}: there is no such folder")
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in data.iterdir() if path.is_dir())) or "none"
        raise BadInput(f"--part {name}: there is no folder {folder}; parts of it: {known}")
    rows = list(read_rows(folder / "questions.jsonl"))[:limit]
    without_answer = list(read_rows(folder / "unanswerable.jsonl"))[:limit]
    if not rows and not without_answer:
        raise BadInput(f"{folder}: no questions; a part holds questions.jsonl, unanswerable.jsonl, or both")
    passages = {
        str(_value(row, "_id", where)): _text(row, "text", where) for where, row in read_rows(folder / "corpus.jsonl")
    }
    documents = list(_files(folder)) or [Document(each, f"{each}.txt", text=text) for each, text in passages.items()]
    documents += [_context(row, where) for where, row in read_rows(folder / "contexts.jsonl")]
    questions = []
    for where, row in rows:
        beside = list(_beside(row, where, told))
        documents += beside
        questions.append(_question(row, where, beside))
    if not documents:
        raise BadInput(
            f"{folder}: no documents; a part holds {', '.join(f'{each}/' for each in FOLDERS)}, contexts.jsonl, "
            f"corpus.jsonl, or lists of passages beside its questions ({', '.join(_PASSAGE_FIELDS)})"
        )
    unanswerable = tuple(_question(row, where, (), answerable=False) for where, row in without_answer)
    part = Part(folder, tuple(questions), unanswerable, tuple(documents), passages)
    _refuse_what_cannot_be_told_apart(part)
    return part


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file, each with where it stands; none of a file that is not there. Raises: BadInput."""
    if not path.is_file():
        return
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start} is no UTF-8") from error
    for number, line in enumerate(text.split("\n"), start=1):  # JSON may hold other ends of lines
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{where}: no JSON ({error})") from error
        if not isinstance(row, dict):
            raise BadInput(f'{where}: no object; a line is like {{"id": "q1", "question": "How many?", "answer": "3"}}')
        yield where, row


def _files(folder: Path) -> Iterator[Document]:
    for name in FOLDERS:
        for path in sorted((folder / name).glob("*")) if (folder / name).is_dir() else ():
            if path.suffix.lstrip(".").lower() in CONTENT_TYPES:
                yield Document(path.stem, path.name, path)


def _context(row: Mapping[str, Any], where: str) -> Document:
    """A page of a table and the paragraphs around it."""
    title = str(_value(row, "id", where))
    table, paragraphs = row.get("table") or [], row.get("paragraphs") or []
    if not _is_list_of(table, list) or not _is_list_of(paragraphs, str):
        raise BadInput(f'{where}: "table" is no list of rows of cells, or "paragraphs" no list of texts')
    rows, in_header = [], True
    for cells in table:
        in_header = in_header and not _is_data(cells)
        tag = "th" if in_header else "td"
        rows.append(f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>")
    told = [f"<table>{''.join(rows)}</table>", *(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)]
    return Document(title, f"{title}.html", text=f"<!doctype html><body>{''.join(told)}</body>")


def _is_data(cells: list[object]) -> bool:
    """Whether a row has values: its first cell names them, and one of the others is a number but no year."""
    first, *others = [str(cell).strip() for cell in cells] or [""]
    return bool(first) and any(not _YEAR_OR_NO_NUMBER.fullmatch(cell) for cell in others)


def _beside(row: Mapping[str, Any], where: str, told: frozenset[str] | None) -> Iterator[Document]:
    seen = set()
    for field in _PASSAGE_FIELDS:
        texts = row.get(field) or []
        if not isinstance(texts, list):
            raise BadInput(f'{where}: "{field}" is no list of passages')
        for place, text in enumerate(_flat(texts)):
            if text.strip() and text not in seen and (told is None or field in told):
                seen.add(text)
                yield Document(f"{row.get('id')}/{field}/{place}", f"{field}-{place}.txt", text=text)


def _question(
    row: Mapping[str, Any], where: str, beside: "list[Document] | tuple[Document, ...]", *, answerable: bool = True
) -> Question:
    identity = row.get("id")
    if isinstance(identity, bool) or not isinstance(identity, (str, int)) or identity == "":
        raise BadInput(f'{where}: "id" is no text and no number, for example "q1"')
    text = _text(row, "question", where)
    scope = tuple(document.title for document in beside) or ((str(row["context"]),) if row.get("context") else ())
    if not answerable:
        return Question(identity, text, scope=scope)
    answers = row.get("answers") or row.get("answer")
    golds = tuple(map(str, _flat(answers if isinstance(answers, list) else [answers])))
    if answers is None or not any(gold.strip() for gold in golds):
        raise BadInput(f'{where}: neither "answers" nor "answer" holds one, for example "answers": ["1897"]')
    fakes = row.get("fakeanswer") or []
    return Question(
        identity,
        text,
        golds,
        needs_all=row.get("answer_type") == "multi-span",
        scale=str(row.get("scale") or ""),
        fakes=tuple(map(str, _flat(fakes if isinstance(fakes, list) else [fakes]))),
        evidence=tuple(_evidence(row, where)),
        scope=scope,
    )


def _evidence(row: Mapping[str, Any], where: str) -> Iterator[Evidence]:
    entries = row.get("evidence") or []
    if not _is_list_of(entries, dict):
        raise BadInput(f'{where}: "evidence" is no list of objects, for example [{{"doc": "report", "page": 0}}]')
    for entry in entries:
        page = entry.get("page")
        yield Evidence(str(_value(entry, "doc", where)), page + 1 if isinstance(page, int) else None)
    if not entries and row.get("doc"):
        yield Evidence(str(row["doc"]))


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _is_list_of(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _value(row: Mapping[str, Any], name: str, where: str) -> object:
    value = row.get(name)
    if value is None or value == "":
        raise BadInput(f'{where}: "{name}" is missing')
    return value


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f'{where}: "{name}" is no text or empty')
    return value


def _refuse_what_cannot_be_told_apart(part: Part) -> None:
    for kind, names in (
        ("id", [str(question.id) for question in (*part.questions, *part.unanswerable)]),
        ("document", [document.title for document in part.documents]),
    ):
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            raise BadInput(f"{part.folder}: the {kind} {twice!r} occurs twice, so predictions could not be told apart")
    titles = {document.title for document in part.documents}
    for question in (*part.questions, *part.unanswerable):
        for title in question.scope:
            if title not in titles:
                raise BadInput(f"{part.folder}: question {question.id!r} is asked of {title!r}, which is not there")
