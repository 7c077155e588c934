"""Questions that are none: orders to change what the database holds."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.words import Token

ONLY_READING = "Only reading is possible: this asks for a change of the data."

_POLITE = frozenset("please kindly now then just could can would will you we i want need to like lets let us".split())
_ALWAYS = frozenset(
    "delete erase insert update drop truncate alter modify overwrite purge rename append amend upsert".split()
)
# Words that may also begin a question: "Set of products by price", "Change in revenue", "Cancelled orders".
_WITH_OBJECT = frozenset(
    "set change remove add create increase decrease raise lower reduce replace cancel assign move copy clear reset"
    " grant revoke approve reject close reopen mark archive restore transfer merge register enroll pay refund ship"
    " deactivate activate block unblock correct fix edit".split()
)
_ACTING = frozenset(
    "stop finish complete confirm make book start end open begin send notify promote hire fire rent buy sell check"
    " cancel assign charge refund invite schedule reserve".split()
)
_OBJECT_BEGINS = frozenset(
    "the a an all any every each this that these those our my their his her its new another one customer order price"
    " everyone everything".split()
)
_NO_OBJECT = frozenset("of in for by over between from per rate percentage since date".split())


def orders_a_change(tokens: Sequence[Token]) -> bool:
    """Whether a text begins with a verb said to the one who answers that would change rows or tables."""
    words = [token.lower for token in tokens if token.kind != "sign"]
    while words and words[0] in _POLITE:
        words = words[1:]
    if len(words) < 2:
        return False
    verb, following = words[0], words[1]
    if _acts(tokens, words):
        return True
    if following in _NO_OBJECT and verb not in {"delete", "truncate", "insert", "purge", "erase"}:
        return False
    one_row = len(words) == 3 and words[2].isdigit()  # "Cancel booking 12"
    return verb in _ALWAYS or (verb in _WITH_OBJECT and (following in _OBJECT_BEGINS or one_row))


def _acts(tokens: Sequence[Token], words: Sequence[str]) -> bool:
    """Whether a verb of doing is said of one row or one person: "Stop project 5", "Book a room for Anna"."""
    if words[0] not in _ACTING or any(token.text == "?" for token in tokens):
        return False
    begin = next(at for at, token in enumerate(tokens) if token.lower == words[0])
    rest = [token for token in tokens[begin + 1 :] if token.kind != "sign"]
    if rest and rest[0].lower in {"in", "out"} and words[0] == "check":
        rest = rest[1:]
    if not rest:
        return False
    one_row = len(rest) == 2 and rest[1].text.isdigit() and not rest[0].lower.endswith("s")
    person = len(rest) > 1 and rest[0].is_capitalised and rest[1].is_capitalised and begin == 0
    return one_row or person or rest[0].lower in {"a", "an", "another"}
