"""One part of an evaluation folder: its questions, those without an answer, and the dumps of its databases."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.quality.sql.errors import BadInput

_LONGEST_NAME_BYTES = 63  # of an identifier in PostgreSQL


@dataclass(frozen=True)
class Question:
    """One question as its line has it. `gold_sql` is every acceptable query; none where there is no answer."""

    id: str | int
    db: str
    text: str
    category: str
    gold_sql: tuple[str, ...] = ()
    ordered: bool = False
    instructions: str = ""
    """Extra rules that a system may be given."""


@dataclass(frozen=True)
class Part:
    """What is asked, and of what. Only databases that questions name have a dump here."""

    folder: Path
    questions: tuple[Question, ...]
    unanswerable: tuple[Question, ...]
    dumps: Mapping[str, Path]
    missing: tuple[str, ...]
    """Databases that questions name and that have no dump."""

    @property
    def by_database(self) -> dict[str, list[Question]]:
        """Every question whose database is there, in the order of the files, by database."""
        grouped: dict[str, list[Question]] = {}
        for question in (*self.questions, *self.unanswerable):
            if question.db in self.dumps:
                grouped.setdefault(question.db, []).append(question)
        return grouped


def read_part(data: Path, name: str, *, limit: int | None = None) -> Part:
    """Read `data`/`name`; with a limit, the first so many questions of each file.

    Raises: BadInput: the folder, a file or a line cannot be used.
    """
    folder = data / name
    if not data.is_dir():
        raise BadInput(f"--data {data}: there is no such folder")
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in data.iterdir() if path.is_dir())) or "none"
        raise BadInput(f"--part {name}: there is no folder {folder}; parts of it: {known}")
    questions = _read_questions(folder / "questions.jsonl", answerable=True)
    unanswerable = _read_questions(folder / "unanswerable.jsonl", answerable=False)
    if not questions and not unanswerable:
        raise BadInput(f"{folder}: no questions; a part holds questions.jsonl, unanswerable.jsonl, or both")
    _refuse_repeated_ids(folder, (*questions, *unanswerable))
    asked, asked_without_answer = questions[:limit], unanswerable[:limit]
    named = dict.fromkeys(question.db for question in (*asked, *asked_without_answer))
    dumps = {db: path for db in named if (path := folder / "databases" / f"{db}.sql").is_file()}
    if not dumps:
        raise BadInput(f"{folder / 'databases'}: no dump of any database that the questions name, such as {named}")
    missing = tuple(db for db in named if db not in dumps)
    return Part(folder, tuple(asked), tuple(asked_without_answer), dumps, missing)


def _read_questions(path: Path, *, answerable: bool) -> list[Question]:
    if not path.is_file():
        return []
    questions = [_read_question(row, where, answerable=answerable) for where, row in _rows(path)]
    if not questions:
        raise BadInput(f"{path}: it holds no question; remove the file, or fill it")
    return questions


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file, each with where it stands. Lines end with a line feed alone: JSON may hold others."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start} is no UTF-8") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{where}: no JSON ({error})") from error
        if not isinstance(row, dict):
            raise BadInput(f'{where}: no object; a line is like {{"id": "q1", "db": "shop", "question": "How many?"}}')
        yield where, row


def _read_question(row: dict[str, Any], where: str, *, answerable: bool) -> Question:
    identity = row.get("id")
    if isinstance(identity, bool) or not isinstance(identity, (str, int)) or identity == "":
        raise BadInput(f'{where}: "id" is no text and no number, for example "q1"')
    db = _text(row, "db", where)
    if "/" in db or "\0" in db or db.startswith(".") or len(db.encode()) > _LONGEST_NAME_BYTES:
        raise BadInput(f'{where}: "db" is no name of a database, for example "shop"')
    question = Question(
        id=identity,
        db=db,
        text=_text(row, "question", where),
        category=str(row.get("category")),
        ordered=bool(row.get("ordered", False)),
        instructions=str(row.get("instructions") or ""),
    )
    return replace(question, gold_sql=_gold(row, where)) if answerable else question


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f'{where}: "{name}" is no text or empty')
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f'{where}: "{name}" holds half a character, at {error.start}') from error
    return value


def _gold(row: Mapping[str, Any], where: str) -> tuple[str, ...]:
    given = row.get("gold_sql")
    golds = [given] if isinstance(given, str) else given
    if not isinstance(golds, list) or not golds or not all(isinstance(gold, str) and gold.strip() for gold in golds):
        raise BadInput(f'{where}: "gold_sql" is no list of queries, for example ["SELECT 1"]')
    return tuple(golds)


def _refuse_repeated_ids(folder: Path, questions: tuple[Question, ...]) -> None:
    seen: set[str | int] = set()
    for question in questions:
        if question.id in seen:
            raise BadInput(f"{folder}: the id {question.id!r} occurs twice, so predictions could not be told apart")
        seen.add(question.id)
