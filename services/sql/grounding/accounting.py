"""Every word that narrows what is asked must be accounted for: one left out would answer another question.

A word that nothing in the database stands for says something of the rows asked about wherever it stands before them
("happy customers") or is said of them ("are reserved"). However much else links, it is no smaller a part of the
question. Only words of a closed list, verbs that no more than tie two linked parts together ("books published after
2010"), and what has no content of its own may be passed over.
"""

from __future__ import annotations

from services.sql.grounding.reading_state import TRADE_VERBS, Reading, Unreadable
from services.sql.grounding.words import IRREGULAR, stem

# Nouns and adverbs that add nothing to the rows they speak of.
HARMLESS = frozenset(
    stem(word)
    for word in """
anything something everything percent fleet catalog catalogue range actually really simply basically kindly
altogether roughly approximately overall please thanks
""".split()
)
# What says "address" or "date" behind the column that holds it, and adds nothing to it.
DOUBLES = {"address": frozenset({"email", "mail", "home", "ip", "web"}), "date": frozenset({"birth"})}
# What a number is called once more behind its name: "fuel consumption".
MEASURED = frozenset({"consumption", "usage", "figure", "figures", "reading", "readings"})
OTHER_PARTICIPLES = frozenset("seen known drawn thrown worn sworn torn cut set put read heard found brought".split())
# Adjectives without content in "the first names of the new table", which narrow the rows they are said of.
NARROWING = frozenset({"new", "newly", "recent", "recently", "current"})
STATE_VERBS = frozenset("is are was were be been being get got still yet not never currently already now".split())
NEGATING = ("in", "un", "non", "dis", "ir", "im")
_NO_NEGATION = frozenset(
    """
invoice invoices income incomes index information insurance install inventory input inside insight intake interval
interest internet image images import imports impact unit units union university uniform universe discount discounts
display district districts distance distances discipline dispatch disease diseases disk dish dishes industry infant
incident incidents inspection instrument instructor interview interviews improvement
""".split()
)
_OPPOSITES = tuple(
    tuple(frozenset(stem(word) for word in side.split()) for side in line.split("|"))
    for line in (
        "active | inactive idle dormant disabled suspended",
        "open opened | closed shut",
        "late overdue delayed | early punctual prompt",
        "full | empty vacant",
        "old | new young",
        "cheap inexpensive | expensive costly dear",
        "paid | unpaid owed owing outstanding due",
        "public | private secret",
        "enabled | disabled",
        "present | absent missing",
        "sold | bought unsold",
        "approved accepted | rejected refused declined denied",
        "start begin started | end finish ended finished",
        "first | last",
        "high top highest | low bottom lowest",
        "best | worst",
        "most more | least less fewest fewer",
        "buyer customer | seller vendor supplier",
        "arrival arrive arriving | departure depart departing",
        "income revenue profit | expense cost loss",
        "credit | debit",
        "won win winner | lost loss loser lose",
        "home | away",
        "male man | female woman",
        "alive living | dead deceased",
        "permanent | temporary",
        "online | offline",
        "domestic national | foreign international",
        "successful success | failed failure unsuccessful",
        "entry enter | exit leave",
        "upload | download",
        "hired | fired dismissed",
        "borrowed lent | returned",
        "safe | dangerous unsafe",
        "used | unused new",
        "valid | invalid expired",
    )
)


def are_opposed(one: str, other: str) -> bool:
    """Whether two words deny each other: by a prefix or "-less", or as a pair that everybody knows."""
    left, right = one.lower(), other.lower()
    for word, base in ((left, right), (right, left)):
        rest = denied_base(word)
        if rest and (stem(rest) == stem(base) or base.startswith(rest[: max(4, len(rest) - 2)])):
            return True
        if word.endswith("less") and len(word) > 6 and base.startswith(word[:-4]):
            return True
    stems = stem(left), stem(right)
    return any(
        (stems[0] in side and stems[1] in against) or (stems[1] in side and stems[0] in against)
        for side, against in _OPPOSITES
    )


def denied_base(word: str) -> str:
    """What is left of a word without a prefix that denies it: "unpaid" → paid; empty when there is no such prefix."""
    lower = word.lower()
    for prefix in NEGATING if lower not in _NO_NEGATION else ():
        rest = lower.removeprefix(prefix).lstrip("-")
        if lower.startswith(prefix) and len(rest) >= 4:
            return rest
    return ""


def refuse_unaccounted(reading: Reading) -> None:
    """Raises Unreadable for a word that says something of the rows and that no part of the query stands for."""
    for index, item in enumerate(reading.items):
        if item.kind != "word" or item.used:
            continue
        word = item.text.lower()
        if word in NARROWING:
            if _narrows(reading, index) and not _is_dated(reading):
                item.content = 1
                raise Unreadable(_missing(item.text))
            continue
        if item.content and not _is_harmless(reading, index):
            raise Unreadable(_missing(item.text))
    _refuse_repeated(reading)
    _refuse_sold_out(reading)


def _missing(text: str) -> str:
    return f"Nothing in the database stands for “{text}”."


def _is_harmless(reading: Reading, index: int) -> bool:
    item = reading.items[index]
    token = reading.tokens[item.first]
    if token.stem in HARMLESS:
        return True
    before = reading.word_before(index)
    if before in DOUBLES.get(token.lower, ()):
        return True
    tables = {word for table in reading.mentioned_tables() for word in reading.lexicon.tables[table].stems}
    if tables & set(reading.lexicon.hits(token.stem)):
        return True  # the same rows named again
    if token.lower in MEASURED and index > 0 and reading.are_adjacent(index - 1, index):
        measured = reading.column_of(index - 1, wanted="numeric")
        if measured is not None and not reading.words_between(index - 1, index):
            return True
    return _is_verb(token.lower, token.stem) and not _narrows(reading, index)


def _is_verb(word: str, known: str) -> bool:
    is_form = (
        (word.endswith("ed") and len(word) > 4)
        or word in IRREGULAR
        or word in OTHER_PARTICIPLES
        or known in TRADE_VERBS
    )
    return is_form and not word.startswith("un")


def _narrows(reading: Reading, index: int) -> bool:
    """Whether the word stands right before what it is said of, or alone behind "is" or "are"."""
    item = reading.items[index]
    after = index + 1
    while after < len(reading.items) and reading.items[after].kind == "word":
        if reading.words_between(after - 1, after):
            break
        after += 1
    following = reading.items[after] if after < len(reading.items) else None
    joined = following is not None and not reading.words_between(after - 1, after)
    if joined and following is not None and following.kind in {"table", "column", "value"}:
        verb_of_subject = index > 0 and reading.items[index - 1].kind == "table" and following.kind != "table"
        return not verb_of_subject
    is_said = reading.word_before(index) in STATE_VERBS
    rest = reading.tokens[item.last + 1].lower if item.last + 1 < len(reading.tokens) else ""
    return is_said and rest in {"", "?", ",", "and", "or", "now", "yet", "today", "right", "currently"}


def _is_dated(reading: Reading) -> bool:
    """Whether a period or an order by time says what is new."""
    return bool(reading.order) or any(item.period is not None and item.used for item in reading.items)


def _refuse_repeated(reading: Reading) -> None:
    """In "books that are reserved" the verb is no second name of the books, whatever "reserve" means elsewhere."""
    named: set[str] = set()
    for index, item in enumerate(reading.items):
        if item.kind != "table":
            continue
        word = item.text.lower()
        is_said = reading.word_before(index) in STATE_VERBS and word.endswith("ed")
        if is_said and item.quality < 0.95 and set(item.tables) & named:
            item.kind, item.content, item.used = "word", 1, False
            raise Unreadable(_missing(item.text))
        named.update(item.tables)


def _refuse_sold_out(reading: Reading) -> None:
    """What is "sold out", "checked out" or "phased out" is not what was sold; it has to be read by a stage."""
    for at, token in enumerate(reading.tokens[:-1]):
        if reading.tokens[at + 1].lower != "out" or not _is_verb(token.lower, token.stem):
            continue
        item = next((one for one in reading.items if one.first <= at <= one.last), None)
        read = item is not None and (item.last > at or (item.used and item.kind in {"column", "value", "verb"}))
        if not read:
            if item is not None:
                item.kind, item.content, item.used = "word", 1, False
            raise Unreadable(_missing(f"{token.text} out"))
