"""Texts as conditions: "whose name contains", "starting with", "is missing", "without an email"."""

from __future__ import annotations

from services.sql.grounding.logical_form import IsNull, Matches
from services.sql.grounding.negation_scope import is_negated
from services.sql.grounding.reading_state import Reading
from services.sql.models import ColumnKind


def read_texts(reading: Reading) -> None:
    """For "whose name contains", "starting with" and "is missing"."""
    items = reading.items
    for index, item in enumerate(items):
        if item.used:
            continue
        if item.is_cue("like"):
            after = index + 1
            if after >= len(items) or not (
                items[after].kind == "quoted" or items[after].kind in {"word", "value"} or len(items[after].text) == 1
            ):
                after = -1
            text = items[after].text if after > 0 else _raw_word_after(reading, index)
            if after < 0 and index + 1 < len(items) and items[index + 1].kind in {"cue", "number"}:
                text = ""  # "contain more than 10"
            before = next((one for one in range(index - 1, max(index - 4, -1), -1) if items[one].columns), None)
            entry = reading.column_of(before, wanted="text") if before is not None else None
            if entry is None and reading.subject and reading.lexicon.tables[reading.subject].named():
                entry = reading.lexicon.tables[reading.subject].named()[0]
            if (
                not text
                or entry is None
                or item.cue is None
                or (after > 0 and items[after].kind == "value" and items[after].text.islower())
            ):
                continue
            negated = is_negated(reading, index)
            reading.conditions.append(Matches(entry.ref, item.cue.data, text, negated))
            reading.note(index, f"{reading.text_of(entry.ref)} {item.text} '{text}'")
            for one in (
                after,
                before
                if before is not None
                and reading.column_of(before, wanted="text") == entry
                and _in_clause(reading, before)
                else -1,
            ):
                if one >= 0:
                    reading.note(one, "")
        elif item.is_cue("null") and index > 0 and items[index - 1].columns:
            entry = reading.column_of(index - 1)
            if entry is not None:
                reading.conditions.append(IsNull(entry.ref, is_negated(reading, index)))
                reading.note(index - 1, f"{reading.text_of(entry.ref)} is null")
                reading.note(index, "")
        elif item.is_cue("null") and index + 1 < len(items) and items[index + 1].kind == "column":
            entry = reading.column_of(index + 1)
            if entry is not None and entry.column.nullable and not reading.words_between(index, index + 1):
                reading.conditions.append(IsNull(entry.ref, is_negated(reading, index)))
                reading.note(index, f"{reading.text_of(entry.ref)} is missing")
                reading.note(index + 1, "")
        elif item.kind == "column" and _is_had(reading, index):
            entry = reading.column_of(index)
            if entry is not None and entry.column.nullable and entry.column.kind is not ColumnKind.BOOLEAN:
                reading.conditions.append(IsNull(entry.ref, negated=True))
                reading.note(index, f"{reading.text_of(entry.ref)} is there")
        elif item.is_cue("negation") and item.text in {"no", "without", "lack", "lacks", "lacking", "not"}:
            _absent(reading, index)


def _absent(reading: Reading, index: int) -> None:
    """For "without an email", "have no phone": the column is null, as far as it may be."""
    items, after = reading.items, index + 1
    if after >= len(items) or items[after].kind != "column":
        return
    if set(reading.words_between(index, after)) - {
        "a",
        "an",
        "any",
        "the",
        "been",
        "yet",
        "have",
        "has",
        "their",
        "its",
    }:
        return
    happened = "been" in reading.words_between(index, after) or reading.word_before(after) == "yet"
    if happened and reading.column_of(after, wanted="date") is None:
        return
    if set(reading.words_between(index, after)) & {"is", "are", "was", "were"} or (
        after + 1 < len(items) and items[after + 1].values
    ):
        return
    entry = reading.column_of(after, wanted="date" if happened else "")
    if (
        entry is None
        or items[after].quality < (0.4 if happened or entry.is_key else 0.7)
        or not entry.column.nullable
        or entry.column.kind is ColumnKind.BOOLEAN
    ):
        return
    if after + 1 < len(items) and items[after + 1].kind in {"number", "quoted", "value"}:
        return
    reading.conditions.append(IsNull(entry.ref))
    reading.note(index, f"{reading.text_of(entry.ref)} is null")
    reading.note(after, "")


def _raw_word_after(reading: Reading, index: int) -> str:
    position = reading.items[index].last + 1
    if position < len(reading.tokens) and reading.tokens[position].kind in {"word", "quoted"}:
        return reading.tokens[position].text
    return ""


def _in_clause(reading: Reading, index: int) -> bool:
    return any(item.is_cue("relative") for item in reading.items[:index]) or any(
        token.lower in {"with", "where", "whose"} for token in reading.tokens[: reading.items[index].first]
    )


def _is_had(reading: Reading, index: int) -> bool:
    """For "rides used a promo code", "members with an email": the column is filled."""
    item = reading.items[index]
    following = reading.items[index + 1] if index + 1 < len(reading.items) else None
    if item.quality < 0.9 or index == 0 or reading.word_before(index) not in {"a", "an", "any"}:
        return False
    if reading.word_before(index, 2) not in {"used", "use", "uses", "with", "have", "has", "had", "left", "gave"}:
        return False
    if any(one.is_cue("negation") for one in reading.items[max(0, index - 3) : index]):
        return False
    bounded = following is not None and (
        following.kind in {"number", "quoted", "value", "period", "word", "verb"}
        or following.is_cue("compare", "between", "like", "null", "relative", "aggregate", "superlative")
    )
    return not bounded
