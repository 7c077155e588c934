"""One part of an evaluation folder: what is searched, what for, and what bears on each question."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.quality.sql.errors import BadInput

_PAGE_MARK = "#p"


@dataclass(frozen=True)
class Text:
    """A document that comes as text."""

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Query:
    """What is searched for."""

    id: str
    text: str


@dataclass(frozen=True)
class Part:
    """`texts` or `files`, never both. Of files pages are ranked, named `DOC#pN`: the file's name, N counted from 1."""

    folder: Path
    queries: tuple[Query, ...]
    relevant: Mapping[str, Mapping[str, int]]
    """What bears on a query and how much, by its id; each with at least one."""
    texts: tuple[Text, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def ranks_pages(self) -> bool:
        return bool(self.files)


def page_name(document: str, page: int) -> str:
    """What a page is called in rankings."""
    return f"{document}{_PAGE_MARK}{page}"


def read_part(data: Path, name: str, *, limit: int | None = None) -> Part:
    """Read the folder DATA/NAME. `limit`: the first so many queries alone.

    Raises: BadInput, which names the file and the line.
    """
    folder = data / name
    if not folder.is_dir():
        there = sorted(path.name for path in data.iterdir() if path.is_dir()) if data.is_dir() else []
        hint = f"; --part can be {', '.join(there)}" if there else ""
        raise BadInput(f"{folder} is no folder{hint}")
    if (folder / "corpus.jsonl").is_file():
        texts = tuple(_texts(folder / "corpus.jsonl"))
        queries, judged = tuple(_queries(folder / "queries.jsonl", "_id", "text")), _only_qrels(folder / "qrels")
        known: frozenset[str] | None = frozenset(each.id for each in texts)
        files: tuple[Path, ...] = ()
    elif (folder / "qrels_pages.tsv").is_file():
        texts, known, judged = (), None, folder / "qrels_pages.tsv"
        queries = tuple(_queries(folder / "questions.jsonl", "id", "question"))
        files = tuple(sorted((folder / "pdfs").glob("*.pdf")))
        if not files:
            raise BadInput(f"{folder / 'pdfs'} holds no PDF")
    else:
        raise BadInput(
            f"{folder} holds neither corpus.jsonl (with queries.jsonl and qrels/) nor qrels_pages.tsv (with "
            "questions.jsonl and pdfs/)"
        )
    relevant = _relevant(judged)
    if known is not None:
        _check_known(judged, relevant, known)
    else:
        _check_known(judged, _documents_of(judged, relevant), frozenset(path.stem for path in files))
    asked = [query for query in queries if query.id in relevant][:limit]
    if not asked:
        raise BadInput(f"{judged}: nothing in it bears on a query of this part")
    if limit is None and (unknown := sorted(relevant.keys() - {query.id for query in asked})):
        raise BadInput(f"{judged}: there is no query {unknown[0]!r}")
    return Part(folder, tuple(asked), {query.id: relevant[query.id] for query in asked}, texts, files)


def _texts(path: Path) -> Iterator[Text]:
    seen: set[str] = set()
    for place, line in _lines(path):
        text = Text(_told(line, "_id", place), str(line.get("title") or ""), str(line.get("text") or ""))
        if text.id in seen:
            raise BadInput(f"{place}: a document {text.id!r} came before")
        seen.add(text.id)
        yield text


def _queries(path: Path, id_name: str, text_name: str) -> Iterator[Query]:
    seen: set[str] = set()
    for place, line in _lines(path):
        query = Query(_told(line, id_name, place), _told(line, text_name, place))
        if query.id in seen:
            raise BadInput(f"{place}: a query {query.id!r} came before")
        seen.add(query.id)
        yield query


def _lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every line with its place; at least one."""
    count = 0
    for number, raw in enumerate(_read(path).splitlines(), start=1):
        if not raw.strip():
            continue
        place = f"{path}, line {number}"
        try:
            line = json.loads(raw)
        except ValueError as error:
            raise BadInput(f"{place}: no JSON ({error})") from error
        if not isinstance(line, dict):
            raise BadInput(f"{place}: no JSON object")
        count += 1
        yield place, line
    if not count:
        raise BadInput(f"{path} is empty")


def _told(line: Mapping[str, Any], name: str, place: str) -> str:
    value = line.get(name)
    if not isinstance(value, str | int) or not str(value).strip():
        raise BadInput(f"{place}: {name!r} is missing or blank")
    return str(value)


def _only_qrels(folder: Path) -> Path:
    paths = sorted(folder.glob("*.tsv"))
    if len(paths) != 1:
        raise BadInput(f"{folder} has to hold one .tsv file, such as test.tsv; it holds {len(paths)}")
    return paths[0]


def _relevant(path: Path) -> dict[str, dict[str, int]]:
    """The judgements with a score above 0, by query."""
    relevant: dict[str, dict[str, int]] = {}
    for number, raw in enumerate(_read(path).splitlines(), start=1):
        cells = raw.split("\t")
        if not raw.strip() or (number == 1 and not _is_whole(cells[-1])):
            continue  # the header
        if len(cells) != 3 or not _is_whole(cells[2]):
            raise BadInput(f"{path}, line {number}: not like query-id<TAB>corpus-id<TAB>score with a whole score")
        if int(cells[2]) > 0:
            relevant.setdefault(cells[0], {})[cells[1]] = int(cells[2])
    return relevant


def _documents_of(path: Path, relevant: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The same with the file in the place of the page."""
    documents: dict[str, dict[str, int]] = {}
    for query, judged in relevant.items():
        for name, gain in judged.items():
            document, mark, page = name.rpartition(_PAGE_MARK)
            if not mark or not page.isdecimal() or int(page) < 1:
                raise BadInput(f"{path}: {name!r} names no page as DOC{_PAGE_MARK}1 does")
            documents.setdefault(query, {})[document] = gain
    return documents


def _check_known(path: Path, relevant: Mapping[str, Mapping[str, int]], known: frozenset[str]) -> None:
    for query, judged in relevant.items():
        for name in judged:
            if name not in known:
                raise BadInput(f"{path}: query {query!r} names {name!r}, which is not in the part")


def _is_whole(text: str) -> bool:
    return text.strip().removeprefix("-").isdecimal()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error})") from error
