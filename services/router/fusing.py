"""Saying in words what the sources gave, with a marker to the proof of every statement.

A sentence about rows carries `[query <id>]`, the documents' words `[<file name>, p. <page>]`. Values are copied, never
rounded, converted or added up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.router.models import Citation, DocumentAnswer, JsonValue, SqlAnswer

SHOWN_ROWS = 5
SHOWN_COLUMNS = 8
SHOWN_CHARACTERS = 120  # of one value
_NOTHING_FOUND = "Neither the documents nor the database hold an answer to this."


def sql_sentence(sql: SqlAnswer) -> str:
    """One sentence (two for a cut result) that says what the rows say."""
    if not sql.answered:
        return _ended(sql.explanation or "The database cannot answer this")
    marker = f" [query {sql.query.removeprefix('queries/')}]"
    if sql.pending:
        return f"A query on the database waits for approval{marker}."
    names = [_spoken(column.name) for column in sql.columns]
    if not sql.rows:
        return f"The database has no matching rows{marker}."
    if len(sql.rows) == 1 and not sql.truncated:
        return f"{_capitalized(_pairs(names, sql.rows[0]))}{marker}."
    count = f"More than {len(sql.rows)}" if sql.truncated else str(len(sql.rows))
    shown = "; ".join(_row(row) for row in sql.rows[:SHOWN_ROWS])
    more = len(sql.rows) - SHOWN_ROWS
    rest = "; and more" if sql.truncated and more <= 0 else f"; and {more} more" if more > 0 else ""
    listed = ", ".join(names[:SHOWN_COLUMNS]) + (", …" if len(names) > SHOWN_COLUMNS else "")
    return f"{count} rows ({listed}): {shown}{rest}{marker}."


def documents_sentences(documents: DocumentAnswer) -> str:
    """The documents' answer followed by the files and pages that back it."""
    markers = list(dict.fromkeys(_citation_marker(citation) for citation in documents.citations))
    return " ".join([_ended(documents.answer), *markers]) if documents.answered else _ended(documents.answer)


def fused_answer(sql: SqlAnswer | None, documents: DocumentAnswer | None, failed: Sequence[str] = ()) -> str:
    """One answer from both sources; what failed is said and nothing is put in its place."""
    pieces = []
    if sql is not None:
        pieces.append(sql_sentence(sql))
    if documents is not None:
        pieces.append(documents_sentences(documents))
    pieces.extend(_ended(detail) for detail in failed)
    return "\n\n".join(pieces)


def nothing_found(why: str) -> str:
    """That there is no answer, and why the database has none, as far as it says so."""
    return f"{_NOTHING_FOUND} {_ended(why)}" if why.strip() else _NOTHING_FOUND


def spoken_value(value: JsonValue) -> str:
    """A value as a person would read it, exact; long texts are cut with an ellipsis.

    >>> spoken_value(12345.5), spoken_value(100), spoken_value(None), spoken_value(True)
    ('12345.5', '100', 'empty', 'yes')
    """
    match value:
        case None:
            return "empty"
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case str():
            text = " ".join(value.split())
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def _row(row: Sequence[JsonValue]) -> str:
    spoken = ", ".join(spoken_value(value) for value in row[:SHOWN_COLUMNS])
    return f"{spoken}, …" if len(row) > SHOWN_COLUMNS else spoken


def _pairs(names: Sequence[str], row: Sequence[JsonValue]) -> str:
    pairs = [f"{name}: {spoken_value(value)}" for name, value in zip(names, row, strict=True)]
    return "; ".join([*pairs[:SHOWN_COLUMNS], *(["…"] if len(pairs) > SHOWN_COLUMNS else [])])


def _spoken(name: str) -> str:
    return name.replace("_", " ").strip() or name


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ended(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "]", "…", '"', "”", "。")) else f"{text}."


def _citation_marker(citation: Citation) -> str:
    page = f", p. {citation.page}" if citation.page is not None else ""
    return f"[{citation.filename}{page}]"
