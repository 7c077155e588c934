"""How far a "not" reaches: it binds the nearest thing, and what stands behind that stays as it is said."""

from __future__ import annotations

from services.sql.grounding.mentions import Mention
from services.sql.grounding.reading_state import Reading
from services.sql.grounding.words import IRREGULAR

NEGATION_REACH = 6  # items
_JOINING = frozenset({"or", "and", ",", "nor", "neither", "either", "and/or"})


def is_negated(reading: Reading, index: int) -> bool:
    """Whether a "not" before reaches this item; it does not reach past the next clause, nor past what it denies."""
    items = reading.items
    for before in range(index - 1, max(index - NEGATION_REACH, -1), -1):
        if items[before].is_cue("negation"):
            return _binds(reading, before, index)
        if (
            items[before].is_cue("relative")
            and before + 1 < index
            and not any(items[one].is_cue("negation") for one in range(before, index))
        ):
            return False
        if items[before].text == "," or (
            items[before].is_cue("and") and items[before - 1].values == () and items[before].text != ","
        ):
            return False
    return False


def _binds(reading: Reading, negation: int, index: int) -> bool:
    """Whether nothing that could be denied itself stands between: "without orders in Germany" denies no Germany."""
    items = reading.items
    own = set(items[index].columns) | {link.entry.ref for link in items[index].values}
    tables = {ref[0] for ref in own}
    for between in range(negation + 1, index):
        item = items[between]
        if item.kind == "cue" or _is_verb(item):
            continue
        if item.values or item.period is not None or item.kind in {"quoted", "number"}:
            if not _listed(reading, between, index):
                return False
            continue
        others = item.kind == "column" and item.columns and not own & set(item.columns)
        rows = item.kind == "table" and item.quality >= 0.7 and tables and not tables & set(item.tables)
        if others or rows:
            return False
    return True


def _is_verb(item: Mention) -> bool:
    word = item.text.lower()
    return item.kind in {"verb", "word"} or (not item.values and (word.endswith("ed") or word in IRREGULAR))


def _listed(reading: Reading, first: int, last: int) -> bool:
    """Whether two items belong to one list: "not from France or Germany"."""
    words = reading.words_between(first, last)
    said = {item.text for item in reading.items[first + 1 : last]} | set(words)
    return bool(said) and bool(said & _JOINING) and said <= _JOINING | {"in", "from", "the"}
