"""Values and texts as conditions, and what "not", "or" and "both" make of them."""

from __future__ import annotations

from dataclasses import replace

from services.sql.grounding.lexicon import ColumnEntry
from services.sql.grounding.logical_form import AnyOf, Compare, Condition, Exists, OneOf
from services.sql.grounding.mentions import Mention, ValueLink
from services.sql.grounding.negation_scope import is_negated, mark_negation
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.words import IRREGULAR
from services.sql.models import ColumnKind

CODE_WORDS = frozenset({"number", "code", "id", "key", "refer", "serial", "plate"})
ADVERBS = frozenset({"daily", "weekly", "monthly", "quarterly", "yearly", "annually"})


def read_values(reading: Reading) -> None:
    """Each named value as a condition on the column that holds it."""
    items = reading.items
    found: list[tuple[int, ValueLink | None, Condition]] = []
    for index, item in enumerate(items):
        if item.used or item.kind == "cue":
            continue
        if item.text.lower() in ADVERBS and table_beside(reading, index) not in {
            link.entry.table for link in item.values
        }:
            continue  # "monthly sales" are sales by month, whatever is billed monthly
        if item.values and not (item.kind in {"table", "column"} and not _value_wins(reading, index)):
            if item.either:
                found.append((index, None, _either(reading, index)))
                continue
            link = choose_value(reading, index)
            _absorb_named_column(reading, index, link)
            found.append((index, link, OneOf(link.entry.ref, (link.value,))))
            reading.note(index, f"{reading.text_of(link.entry.ref)} = '{link.value}'")
        elif item.kind == "quoted":
            condition = _unknown_text(reading, index, item.text)
            if condition is None:
                raise Unreadable(f"No column for “{item.text}” could be told.")
            found.append((index, None, condition))
    found.extend(_proper_names(reading))
    _combine(reading, sorted(found, key=lambda one: one[0]))
    _flags(reading)


def _either(reading: Reading, index: int) -> Condition:
    """For "matches of Ely City": at home or away. Raises Unreadable where that is denied."""
    item = reading.items[index]
    if is_negated(reading, index):
        raise Unreadable(f"It is not clear in which role “{item.text}” is meant.")
    said = " or ".join(reading.text_of(link.entry.ref) for link in item.values)
    reading.note(index, f"{said} = '{item.values[0].value}'")
    return AnyOf(tuple(OneOf(link.entry.ref, (link.value,)) for link in item.values))


def _value_wins(reading: Reading, index: int) -> bool:
    """Whether a span that is both a name of the schema and a value is meant as the value."""
    item = reading.items[index]
    beside = table_beside(reading, index)
    if beside and any(link.entry.table == beside for link in item.values):
        flags = [ref for ref in item.columns if ref[0] == beside]
        if not any(reading.lexicon.columns[ref].column.kind is ColumnKind.BOOLEAN for ref in flags):
            return True  # "active subscriptions" where a subscription's status may be active
    if _stands_before_figure(reading, index):
        return True  # "paid amounts" are those of what is paid
    if _is_dated_state(reading, index):
        return True
    by = item.first > 1 and reading.word_before(index) == "by" and reading.word_before(index, 2)
    done = by and (by.endswith("ed") or by in IRREGULAR)
    if done and item.text.lower().endswith("s") and any(link.entry.table == reading.subject for link in item.values):
        return True  # "messages sent by agents" where a message tells who it is from
    is_state = reading.word_before(index) in {"is", "are", "was", "were", "been", "be", "still", "already", "currently"}
    spoken_of = reading.subject or _table_before(reading, index)
    own = [link for link in item.values if link.entry.table == spoken_of and link.value.lower() == item.text.lower()]
    if is_state and any(link.entry.ref in item.columns for link in own):
        return True  # "agents who are senior" where the seniority has that very value
    if is_state and any(link.entry.table == spoken_of for link in item.values):
        return not any(ref[0] == spoken_of for ref in item.columns)  # "flights were cancelled": their own status
    if item.quality >= 0.95 and not any(link.value == item.text for link in item.values):
        return False
    token = reading.tokens[item.first]
    if token.is_capitalised and item.first > 0 and any(link.value == item.text for link in item.values):
        return True
    return item.quality < 0.75


def _is_dated_state(reading: Reading, index: int) -> bool:
    """Whether a word that is a state of the rows and part of a date's name stands where only the state is meant."""
    item = reading.items[index]
    dated = bool(item.columns) and all(reading.lexicon.columns[ref].is_date for ref in item.columns)
    exact = any(link.value.lower() == item.text.lower() for link in item.values)
    if not dated or not exact or item.first != item.last:
        return False
    following = reading.items[index + 1] if index + 1 < len(reading.items) else None
    if following is not None and (following.period is not None or following.is_cue("compare", "between")):
        return False
    before = reading.items[index - 1] if index else None
    does = before is not None and before.kind == "table" and before.last + 1 == item.first and following is not None
    return reading.word_before(index) in {"still", "is", "are", "was", "were"} or (
        does and following is not None and following.is_cue("superlative", "compare")
    )


def _table_before(reading: Reading, index: int) -> str:
    """The table of the column named before an item, where the question names no table."""
    for before in range(index - 1, -1, -1):
        if reading.items[before].kind == "column" and (entry := reading.column_of(before)) is not None:
            return entry.table
    return ""


def _stands_before_figure(reading: Reading, index: int) -> bool:
    """Whether a state stands right before a number of its own table, and names no number itself."""
    items = reading.items
    if index + 1 >= len(items) or items[index + 1].kind != "column" or reading.words_between(index, index + 1):
        return False
    figure = reading.column_of(index + 1, wanted="numeric")
    dated = all(reading.lexicon.columns[ref].is_date for ref in items[index].columns)
    return figure is not None and dated and any(link.entry.table == figure.table for link in items[index].values)


def table_beside(reading: Reading, index: int) -> str:
    """The table whose name stands right after an item, as after an adjective; empty when there is none."""
    items, at, after = reading.items, index, index + 1
    while after + 1 < len(items) and items[after].is_cue("and", "or") and (items[after + 1].values):
        at, after = after + 1, after + 2  # "an active and a cancelled subscription"
    if after >= len(items) or items[after].kind != "table":
        return ""
    return "" if reading.words_between(at, after) else reading.table_of(after) or ""


def choose_value(reading: Reading, index: int) -> ValueLink:
    """The column a value is meant in: one named beside it, one of a table the question names, one nearby."""
    item = reading.items[index]
    mentioned = reading.mentioned_tables()
    stands_before = table_beside(reading, index)
    beside: dict[tuple[str, str], float] = {}
    for other in (index - 1, index + 1, index - 2):
        if 0 <= other < len(reading.items) and reading.items[other].columns:
            for ref, quality in reading.items[other].columns.items():
                beside[ref] = max(beside.get(ref, 0.0), quality * (1.0 if other != index - 2 else 0.4))

    def score(link: ValueLink) -> tuple[float, int, str]:
        entry = link.entry
        points = link.quality + 0.8 * beside.get(entry.ref, 0.0)
        if entry.table in mentioned:
            points += 0.3
        if entry.table == reading.subject:
            points += 0.15
        if entry.table == stands_before:
            points += 0.5
        anchors = [*mentioned, *([reading.subject] if reading.subject else [])]
        nearest = min((reading.graph.distance(entry.table, one) for one in anchors), default=0)
        points -= 0.06 * min(nearest, 5) + (0.6 if nearest >= 99 else 0.0)
        before = index - 2 if index > 1 and reading.items[index - 1].text == "from" else index - 1
        if before >= 0 and reading.items[before].kind == "table":
            points += 0.35 * reading.items[before].tables.get(entry.table, 0.0)  # "authors from Germany"
        if entry.is_name:
            points += 0.03
        return points, -len(entry.column.values), entry.table + entry.column.name

    return max(item.values, key=score)


def _absorb_named_column(reading: Reading, index: int, link: ValueLink) -> None:
    """In "country is France" and "the category Laptops" the column's name says where the value is, not what to show."""
    for other in (index - 1, index + 1):
        if not 0 <= other < len(reading.items) or reading.items[other].used:
            continue
        item = reading.items[other]
        if item.kind not in {"column", "table"} or not item.columns or link.entry.ref not in item.columns:
            continue
        if item.columns[link.entry.ref] < 0.45:
            continue
        between_words = reading.words_between(min(index, other), max(index, other))
        if other < index and (
            set(between_words)
            <= {
                "is",
                "are",
                "was",
                "equals",
                "by",
                "with",
                "from",
                "in",
                "either",
                "the",
                "of",
                "as",
                "being",
                "s",
                "named",
                "called",
                "be",
                "a",
                "an",
            }
        ):
            if item.kind == "column" or item.columns[link.entry.ref] > item.tables.get(link.entry.table, 0):
                item.used = True
        elif other > index and not between_words and item.kind == "column":
            item.used = True


def _unknown_text(reading: Reading, index: int, text: str) -> Condition | None:
    """A text that is no known value equals the column named beside it, or the name of a table beside it."""
    items = reading.items
    before = items[index - 1] if index else None
    if before is not None and before.last + 1 == items[index].first:
        of_owner = before.owner and reading.tokens[before.last].stem in reading.lexicon.tables[before.owner].stems
        table = reading.table_of(index - 1) if before.kind == "table" else before.owner if of_owner else None
        code = _code_of(reading, table or "")
        if code is not None:
            reading.note(index, f"{reading.text_of(code.ref)} = '{text}'")
            return OneOf(code.ref, (text,), ignore_case=True)
    for other in (index - 1, index + 1, index - 2):
        if 0 <= other < len(items) and items[other].columns and not items[other].used and items[other].kind == "column":
            entry = reading.column_of(other, wanted="text")
            if entry is not None and (other == index - 2 or reading.are_adjacent(min(index, other), max(index, other))):
                reading.note(other, "")
                reading.note(index, f"{reading.text_of(entry.ref)} = '{text}'")
                return OneOf(entry.ref, (text,), ignore_case=True)
    tables = [
        reading.table_of(one)
        for one in (index - 1, index + 1, index - 2)
        if 0 <= one < len(items) and items[one].kind == "table"
    ]
    for table in [*tables, reading.subject]:
        names = reading.lexicon.tables[table].named() if table else ()
        if names and not names[0].column.values_complete:
            reading.note(index, f"{reading.text_of(names[0].ref)} = '{text}'")
            reading.doubt *= 0.85
            if len(names) == 2 and " " in text:
                first, last = text.split(" ", 1)
                reading.conditions.append(OneOf(names[0].ref, (first,), ignore_case=True))
                return OneOf(names[1].ref, (last,), ignore_case=True)
            return OneOf(names[0].ref, (text,), ignore_case=True)
    return None


def _code_of(reading: Reading, table: str) -> ColumnEntry | None:
    """The text by which people tell rows of a nameless table apart: a flight's number, an order's code."""
    if not table or reading.lexicon.tables[table].named():
        return None
    codes = [
        entry
        for entry in reading.lexicon.tables[table].columns
        if entry.is_text and not entry.column.values_complete and set(entry.own) & CODE_WORDS
    ]
    return codes[0] if len(codes) == 1 else None


def _proper_names(reading: Reading) -> list[tuple[int, ValueLink | None, Condition]]:
    """Runs of capitalised words that nothing stands for, such as a customer's name that was not sampled."""
    found: list[tuple[int, ValueLink | None, Condition]] = []
    items = reading.items
    index = 0
    while index < len(items):
        item = items[index]
        if item.kind != "word" or item.used or not reading.tokens[item.first].is_capitalised or item.first == 0:
            index += 1
            continue
        end = index
        while (
            end + 1 < len(items)
            and items[end + 1].kind == "word"
            and items[end + 1].first == items[end].last + 1
            and reading.tokens[items[end + 1].first].is_capitalised
        ):
            end += 1
        text = " ".join(reading.tokens[one].text for one in range(item.first, items[end].last + 1))
        condition = _unknown_text(reading, index, text)
        if condition is not None:
            for one in range(index, end + 1):
                items[one].used = True
            reading.doubt *= 0.8
            found.append((index, None, condition))
        index = end + 1
    return found


def _combine(reading: Reading, found: list[tuple[int, ValueLink | None, Condition]]) -> None:
    """Join values of one column by "or"; "both" on a many-sided table needs a row for each."""
    items = reading.items
    both = any(item.is_cue("both") for item in items)
    has_or = {index for index, item in enumerate(items) if item.is_cue("or")}
    pending: list[tuple[int, Condition]] = []
    for index, _, condition in found:
        if is_negated(reading, index) and isinstance(condition, OneOf):
            condition = replace(condition, negated=True)
            mark_negation(reading, index)
        last = pending[-1] if pending else None
        if last is not None and isinstance(condition, OneOf) and isinstance(last[1], OneOf):
            joined_by_or = any(last[0] < position < index for position in has_or)
            if joined_by_or:
                _use(items, last[0], index)
            near = index - last[0] <= 4
            if last[1].ref == condition.ref and last[1].negated == condition.negated and not both:
                far = _is_far(reading, condition.ref[0])
                if joined_by_or or condition.negated or (near and not far):
                    pending[-1] = (index, replace(last[1], values=(*last[1].values, *condition.values)))
                    continue
            elif joined_by_or and near:
                pending[-1] = (index, AnyOf((last[1], condition)))
                continue
        pending.append((index, condition))
    for index, condition in pending:
        reading.conditions.append(_negated_far(reading, condition))
        reading.placed[reading.conditions[-1]] = index
    for item in items:
        if item.is_cue("both"):
            item.used = True


def _use(items: list[Mention], first: int, last: int) -> None:
    for item in items[first:last]:
        if item.is_cue("or"):
            item.used = True


def _is_far(reading: Reading, table: str) -> bool:
    """Whether the subject has many rows of the table."""
    return (
        bool(reading.subject)
        and reading.subject != table
        and reading.graph.path((reading.subject,), table, to_one=True) is None
    )


def _negated_far(reading: Reading, condition: Condition) -> Condition:
    """For "customers who never bought a laptop": no related row is a laptop, not some row is none."""
    if not isinstance(condition, OneOf) or not condition.negated:
        return condition
    if not _is_far(reading, condition.ref[0]):
        return condition
    return Exists(reading.subject, condition.ref[0], (replace(condition, negated=False),), negated=True)


def _flags(reading: Reading) -> None:
    """Yes-or-no columns: "active customers", "products that are not discontinued"."""
    for index, item in enumerate(reading.items):
        if item.used or item.kind not in {"column", "cue"} or not item.columns:
            continue
        entry = reading.column_of(index)
        if entry is None or entry.column.kind is not ColumnKind.BOOLEAN:
            continue
        said_of_rows = bool(table_beside(reading, index))
        if (index == 0 and not said_of_rows) or (index > 0 and reading.items[index - 1].is_cue("aggregate")):
            continue
        truth = not is_negated(reading, index)
        if not truth:
            mark_negation(reading, index)
        reading.conditions.append(Compare(entry.ref, "=", truth))
        reading.note(index, f"{reading.text_of(entry.ref)} is {str(truth).lower()}")
