"""What verbs and states say of rows: "never logged in", "unpaid invoices", "open tickets", "bills that were paid"."""

from __future__ import annotations

from services.sql.grounding.events import done_in
from services.sql.grounding.lexicon import ColumnEntry
from services.sql.grounding.linking import PARTICLES
from services.sql.grounding.logical_form import Compare, Exists, IsNull
from services.sql.grounding.negation_scope import bound_by, is_negated, mark_negation
from services.sql.grounding.reading_state import STRONG, Reading
from services.sql.grounding.words import are_derived, stem
from services.sql.models import ColumnKind

_BEFORE_PARTICIPLES = frozenset(
    "is are was were be been being have has had got get not never that which who ever yet recently newly".split()
)
_AFTER_VERBS = frozenset("by in on at from after before since between to with for during until the a an".split())
_BEFORE_NOUNS = frozenset(
    """
the a an of by per each every their its our most least highest lowest average total maximum minimum and for in many
much what which whose with number or, or
""".split()
)
_PARTICIPLES = frozenset(
    "sold bought paid written taught born spent made won lost held taken built sent shown given kept left begun".split()
)
ENDINGS = frozenset(
    stem(word)
    for word in """
closed completed finished ended cancelled canceled terminated paid delivered shipped returned resolved cleared
approved left retired deleted refunded settled solved fixed repaid discharged checkout
""".split()
)
DEATH = frozenset(stem(word) for word in ("death", "died", "deceased"))
_OPEN = frozenset({"current", "open", "outstanding", "ongoing", "unfinished", "unresolved", "pending", "incomplete"})
_LEADING = frozenset(stem(word) for word in ("report", "supervise", "manage", "oversee", "lead", "head"))
_STANDING = frozenset("is are was were still been remain yet have has had already".split())
REACH = 5  # tokens from a negation to its verb


def mark_verbs(reading: Reading) -> None:
    """Tell verbs from nouns: in "how many goals did each player score" no score is to be shown."""
    led = any(one.is_self and one.name in reading.mentioned_tables() for one in reading.lexicon.roles.values())
    for index, item in enumerate(reading.items[:-1]):
        following = reading.items[index + 1]
        doubled = following.kind == "column" and following.text.lower() in {"amount", "value", "total"}
        follows = doubled and item.kind == "column" and item.last + 1 == following.first
        if follows and reading.column_of(index, wanted="numeric") is not None:
            following.kind, following.used = "verb", True  # the "tip amount" is the tip
        if item.text.lower() == "worth" and reading.items[index + 1].is_cue("compare", "between"):
            item.kind, item.used = "verb", True  # "worth at least 6 credits"
    for index, item in enumerate(reading.items[1:], start=1):
        denied = reading.items[index - 1].is_cue("negation") or reading.word_before(index) == "been"
        if item.is_cue("order") and item.text == "ordered by" and denied:
            item.kind, item.cue, item.used = "word", None, True  # "never ordered by" anyone sorts nothing
    for item in reading.items:
        if led and item.kind == "word" and reading.tokens[item.first].stem in _LEADING:
            item.used = True  # "how many employees report to each manager"
    if reading.tokens and reading.tokens[0].lower in {"when", "where"}:
        return  # the verb names the date or the place that is asked for
    _mark_unknown_verb(reading)
    for index, item in enumerate(reading.items):
        if item.kind != "column" or item.values:
            continue
        is_compound = item.content == 1 and reading.tokens[item.last].lower in PARTICLES
        if is_compound or (item.first == item.last and _is_verb(reading, index)):
            item.kind = "verb"


def _mark_unknown_verb(reading: Reading) -> None:
    """In "which vendor offers the most trainings" the verb says no more than that there are some: a little doubt."""
    if not reading.tokens or reading.tokens[0].lower not in {"which", "who", "what"}:
        return
    for index, item in enumerate(reading.items[:3]):
        before = reading.items[index - 1] if index else None
        adjacent = before is not None and before.kind in {"table", "column"} and before.last + 1 == item.first
        word, after = item.text.lower(), index_after(reading, index)
        following = reading.tokens[after].lower if after < len(reading.tokens) else ""
        singular = adjacent and before is not None and not reading.tokens[before.last].lower.endswith("s")
        if item.kind == "word" and singular and word.endswith("s") and following in {"the", "most", "more", "a", "at"}:
            item.used = True
            reading.doubt *= 0.9
            return


def _is_verb(reading: Reading, index: int) -> bool:
    item = reading.items[index]
    if any(reading.lexicon.columns[ref].column.kind is ColumnKind.BOOLEAN for ref in item.columns):
        return False
    word, before = item.text.lower(), reading.word_before(index)
    after = reading.tokens[item.last + 1].lower if item.last + 1 < len(reading.tokens) else ""
    previous = reading.items[index - 1] if index else None
    adjacent = previous is not None and previous.last + 1 == item.first
    if word in _PARTICIPLES or (word.endswith("ed") and len(word) > 4):
        return (
            before in _BEFORE_PARTICIPLES
            or (adjacent and previous is not None and previous.kind in {"table", "value", "verb"})
            or (adjacent and previous is not None and _follows_a_figure(reading, index))
            or (after in _AFTER_VERBS and before not in _BEFORE_NOUNS)
        )
    helped = next((one for one, token in enumerate(reading.tokens) if token.lower in {"do", "does", "did"}), None)
    if helped is not None and helped < item.first and before not in _BEFORE_NOUNS:
        return any(helped < one.first < item.first and one.kind in {"table", "value"} for one in reading.items)
    asks = reading.tokens[0].lower in {"which", "who", "what"} and previous is not None
    opens = asks and previous is not None and previous.kind in {"table", "column"}
    return opens and adjacent and index <= 2 and word.endswith("s") and after in _AFTER_VERBS


def _follows_a_figure(reading: Reading, index: int) -> bool:
    """For "weight shipped", "amount paid": the verb after a figure shows no date."""
    dated = all(reading.lexicon.columns[ref].is_date for ref in reading.items[index].columns)
    return dated and reading.column_of(index - 1, wanted="numeric") is not None


def read_states(reading: Reading) -> None:
    """Turn states into conditions on dates that are or are not there, and verbs that are denied into absent rows."""
    for index, item in enumerate(reading.items):
        if (
            item.used
            or (item.first != item.last and item.kind != "verb")
            or item.kind not in {"verb", "word", "column"}
            or any(link.entry.table in _rows_spoken_of(reading, index) for link in item.values)
        ):
            continue
        if _open(reading, index) or _undone(reading, index):
            continue
        if item.kind != "column" or reading.items[index].columns:
            _done(reading, index)
    for index, item in enumerate(reading.items):
        if item.is_cue("negation") and not item.used:
            _denied_verb(reading, index)


def _rows_spoken_of(reading: Reading, index: int) -> list[str]:
    """Tables a state may be said of: the one named right after it, the one named before, the subject."""
    items, found = reading.items, []
    if index + 1 < len(items) and items[index + 1].kind == "table" and not reading.words_between(index, index + 1):
        found.append(reading.table_of(index + 1))
    before = next((one for one in range(index - 1, -1, -1) if items[one].kind == "table"), None)
    if before is not None:
        found.append(reading.table_of(before))
    return [one for one in dict.fromkeys([*found, reading.subject]) if one]


def _is_said_of_rows(reading: Reading, index: int) -> bool:
    """Whether it stands as an adjective before rows, or after "is", "still" and the like."""
    following = reading.items[index + 1] if index + 1 < len(reading.items) else None
    stands_before = (
        following is not None and following.kind == "table" and following.first == index_after(reading, index)
    )
    return stands_before or reading.word_before(index) in _STANDING


def index_after(reading: Reading, index: int) -> int:
    """The position of the token right after an item."""
    return reading.items[index].last + 1


def _open(reading: Reading, index: int) -> bool:
    """For "open tickets": their closing date is missing, where no value or yes-or-no column says "open"."""
    item = reading.items[index]
    lives = item.text.lower() in {"alive", "living"}
    if not (lives or item.text.lower() in _OPEN) or not _is_said_of_rows(reading, index):
        return False
    for table in _rows_spoken_of(reading, index):
        entry = _ending(reading, table, DEATH if lives else ENDINGS)
        if entry is not None:
            reading.conditions.append(IsNull(entry.ref))
            reading.note(index, f"{reading.text_of(entry.ref)} is missing")
            return True
    return False


def _undone(reading: Reading, index: int) -> bool:
    """For "unpaid invoices": the date of payment is missing."""
    word = reading.items[index].text.lower()
    if _unset(reading, index, word):
        return True
    if not word.startswith("un") or len(word) < 6:
        return False
    wanted = frozenset(reading.lexicon.hits(stem(word[2:]))) | {stem(word[2:])}
    for table in _rows_spoken_of(reading, index):
        entry = _ending(reading, table, wanted)
        if entry is not None:
            reading.conditions.append(IsNull(entry.ref))
            reading.note(index, f"{reading.text_of(entry.ref)} is missing")
            return True
    return False


def _unset(reading: Reading, index: int, word: str) -> bool:
    """For "inactive machines": the yes-or-no column of the word without its prefix says no."""
    if not word.startswith(("in", "un", "non")) or len(word) < 6 or reading.items[index].kind != "word":
        return False
    base = stem(word.removeprefix("non").removeprefix("in").removeprefix("un").lstrip("-"))
    for table in _rows_spoken_of(reading, index):
        for entry in reading.lexicon.tables[table].columns:
            if entry.column.kind is ColumnKind.BOOLEAN and base in entry.own:
                reading.conditions.append(Compare(entry.ref, "=", False))
                reading.note(index, f"{reading.text_of(entry.ref)} is false")
                return True
    return False


def _ending(reading: Reading, table: str, wanted: frozenset[str]) -> ColumnEntry | None:
    return next(
        (
            entry
            for entry in reading.lexicon.tables[table].columns
            if entry.is_date and entry.column.nullable and set(entry.own) & wanted
        ),
        None,
    )


def _done(reading: Reading, index: int) -> bool:
    """For "alarms that were cleared" and "not been cleared": the date is there, or is not."""
    item = reading.items[index]
    if item.kind == "word" or (item.values and not item.columns):
        return False
    following = reading.items[index + 1] if index + 1 < len(reading.items) else None
    most = following is not None and following.is_cue("superlative") and following.text == "most"
    done_to = reading.table_of(index + 2) if most and index + 2 < len(reading.items) else None
    if not _is_participle(item.text) or not (_is_said_of_rows(reading, index) or done_to):
        return False
    if following is not None and (following.period is not None or following.is_cue("compare", "between")):
        return False  # "closed in 2024" asks for a date, not for a state
    entry = reading.column_of(index, wanted="date")
    if entry is None or not entry.column.nullable or entry.table not in {*_rows_spoken_of(reading, index), done_to}:
        return False
    said = reading.tokens[item.first].stem
    if said not in entry.own and not any(are_derived(said, word) for word in entry.own):
        return False  # a synonym may name another step: what is sent is not yet delivered
    negated = is_negated(reading, index)
    if not negated and not set(entry.own) & ENDINGS:
        return False
    reading.conditions.append(IsNull(entry.ref, negated=not negated))
    reading.note(index, f"{reading.text_of(entry.ref)} is {'missing' if negated else 'there'}")
    if negated:
        mark_negation(reading, index)
    return True


def _is_participle(word: str) -> bool:
    return word.lower() in _PARTICIPLES or word.lower().endswith("ed")


def _denied_verb(reading: Reading, index: int) -> None:
    """For "never logged in", "never sold", "completed by nobody": a missing date, or no row of what the verb does."""
    items = reading.items
    if not reading.subject:
        return
    first, last = items[index].last + 1, min(items[index].last + 1 + REACH, len(reading.tokens))
    named = [items[one] for one in bound_by(reading, index)]
    named = [item for item in named if item.kind != "table" or item.quality >= STRONG]
    if any(item.kind in {"table", "value", "number", "quoted", "period"} for item in named):
        return  # what is denied is named, or restricted: read with the tables and values
    verb = next(
        (token for token in reading.tokens[first:last] if token.kind == "word" and token.lower not in _LIGHT), None
    )
    if verb is None:
        return
    at = next((one for one, item in enumerate(items) if item.first <= reading.tokens.index(verb) <= item.last), None)
    entry = reading.column_of(at, wanted="date") if at is not None and items[at].columns else None
    if entry is None and at is not None and items[at].columns and items[index].text == "not":
        held = reading.column_of(at)  # "technicians who are not certified": no certification
        entry = held if held is not None and held.column.nullable and held.is_text else None
    if entry is not None and entry.table == reading.subject:
        if not entry.column.nullable:
            return
        reading.conditions.append(IsNull(entry.ref))
        said = f"{reading.text_of(entry.ref)} is missing"
    else:
        table = done_in(reading, verb.stem, entry)
        if table is None:
            return
        reading.conditions.append(Exists(reading.subject, table, negated=True))
        said = f"no row of {table}"
    reading.note(index, said)
    if at is not None:
        reading.note(at, "")


_LIGHT = frozenset("been be yet ever has have had is are was were any anyone anybody".split())
