"""Comparisons with numbers, averages and extremes: "older than 30", "more than 3 orders", "above the average"."""

from __future__ import annotations

from services.sql.grounding.comparison_operands import (
    column_before,
    counted_after,
    find_operand,
    measured_before,
    owner_of_count,
    reads_as_year,
    unit_hints,
)
from services.sql.grounding.comparison_peers import (
    SIGNS,
    deny_comparison,
    earned,
    mark_split_comparatives,
    own_limit,
    with_average_of,
    with_count_of,
    with_named_row,
    with_role,
)
from services.sql.grounding.dates import Period
from services.sql.grounding.event_counts import counts_times, times_related
from services.sql.grounding.lexicon import DATE_KINDS
from services.sql.grounding.logical_form import (
    AnyOf,
    Compare,
    CompareColumns,
    CompareToMeasure,
    Condition,
    InPeriod,
    Measure,
    Related,
)
from services.sql.grounding.reading_measures import is_money_word, money_measure, usual_measure
from services.sql.grounding.reading_numbers import read_plain_number
from services.sql.grounding.reading_state import BIRTH_WORDS, Reading, Unreadable
from services.sql.grounding.units import in_unit_of
from services.sql.grounding.words import stem

DATE_TO_SIGN = {"after": ">", "since": ">=", "before": "<", "until": "<="}


TIME_SPANS = frozenset({"day", "hour", "minute", "second", "week", "month"})
TIMED = frozenset(stem(word) for word in "duration length time age tenure delay period elapsed".split())
TIMED |= {stem(word) for word in ("day", "hour", "minute", "second", "week", "month", "year", "min", "hrs", "sec")}
POSTFIX = ("or ", "and above", "and over", "and up")


def read_comparisons(reading: Reading) -> None:
    """Turn every comparison with a number or an aggregate into a condition; those with periods are left to dates."""
    found: list[int] = []
    mark_split_comparatives(reading)
    for index, item in enumerate(reading.items):
        if item.used:
            continue
        if item.is_cue("compare"):
            deny_comparison(reading, index)
            before = len(reading.conditions)
            _comparison(reading, index)
            if len(reading.conditions) == before + 1:
                found.append(index)
                _join_by_or(reading, found)
        elif item.is_cue("between"):
            _between(reading, index)
    for index, item in enumerate(reading.items):
        if item.kind == "number" and not item.used and item.number is not None:
            read_plain_number(reading, index)


def _join_by_or(reading: Reading, found: list[int]) -> None:
    """Make one condition of "younger than 25 or older than 60"."""
    if len(found) < 2:
        return
    between = [item for item in reading.items[found[-2] : found[-1]] if item.is_cue("or", "and")]
    begins = reading.items[found[-1]].text.startswith("or ")
    if not (between or begins) or not all(item.is_cue("or") for item in between):
        return
    left, right = reading.conditions[-2:]
    reading.conditions[-2:] = [AnyOf((left, right))]
    for item in between:
        item.used = True


def _comparison(reading: Reading, index: int) -> None:
    items, cue = reading.items, reading.items[index].cue
    assert cue is not None
    operator = cue.data
    if operator in {"since", "until"} and items[index].text.startswith(("or ", "and ", "onward")):
        return  # "2018 or later" is read with the dates
    if (
        items[index].text.startswith("or ")
        and index > 0
        and (items[index - 1].kind != "number" or items[index - 1].used)
    ):
        operator = operator.removesuffix("=")  # "or above age 60" is a comparison of its own
    elif items[index].text.startswith(POSTFIX) and index > 0 and items[index - 1].kind == "number":
        _with_number(reading, index, index - 1, operator, operand_before=index - 1)
        return
    after = reading.next_index(index, skip=("superlative", "pair") if operator != "<>" else ("pair",))
    if after is None:
        return
    following = items[after]
    is_own = following.kind == "column" and reading.word_before(after) in {"their", "its", "the"} and operator in SIGNS
    if is_own and own_limit(reading, index, after, operator):
        return
    if following.values and with_named_row(reading, index, after):
        return
    if following.period is not None and (following.kind == "period" or reads_as_year(reading, index, after)):
        return  # dates are read later
    if following.kind == "number":
        _with_number(reading, index, after, DATE_TO_SIGN.get(operator, operator), operand_before=index)
    elif (
        following.kind == "column"
        and after + 1 < len(items)
        and items[after + 1].kind == "number"
        and reading.are_adjacent(after, after + 1)
    ):
        entry = reading.column_of(after, wanted="numeric")  # "above age 30"
        value = items[after + 1].number
        if entry is not None and value is not None:
            sign = DATE_TO_SIGN.get(operator, operator)
            reading.conditions.append(Compare(entry.ref, sign, value))
            reading.note(index, f"{reading.text_of(entry.ref)} {sign} {items[after + 1].text}")
            reading.note(after, "")
            reading.note(after + 1, "")
    elif following.kind == "table" and (
        with_role(reading, index, after, operator) or with_count_of(reading, index, after, operator)
    ):
        return
    elif following.kind == "column" and after + 1 < len(items) and items[after + 1].is_cue("aggregate"):
        with_average_of(reading, index, after, DATE_TO_SIGN.get(operator, operator))
    elif following.is_cue("aggregate"):
        _with_aggregate(reading, index, after, DATE_TO_SIGN.get(operator, operator))
    elif following.kind == "column" and index > 0 and items[index - 1].kind == "column" and operator in SIGNS:
        left = reading.column_of(index - 1, wanted="numeric")
        right = reading.column_of(after, wanted="numeric", table=left.table) if left is not None else None
        if left is not None and right is not None and left != right:
            reading.conditions.append(CompareColumns(left.ref, operator, right.ref))
            reading.note(index - 1, f"{reading.text_of(left.ref)} {operator} {reading.text_of(right.ref)}")
            reading.note(index, "")
            reading.note(after, "")


def _with_number(reading: Reading, index: int, number: int, operator: str, *, operand_before: int) -> None:
    value = reading.items[number].number
    assert value is not None
    if counts_times(reading, number):
        if times_related(reading, index, number, operator, value):
            return
        if reading.items[number].text.lower() in {"once", "twice"}:
            raise Unreadable(f"It is not clear what happened “{reading.items[number].text}”.")
    pay = earned(reading, operand_before)
    if pay is not None:
        reading.conditions.append(Compare(pay, operator, value))
        reading.note(index, f"{reading.text_of(pay)} {operator} {reading.items[number].text}")
        reading.note(number, "")
        return
    measure_at = measured_before(reading, operand_before)
    if measure_at is not None:
        _related(reading, measure_at, index, number, operator, value)
        return
    if counted_after(reading, number) is not None and not column_before(reading, operand_before):
        _count_after(reading, index, number, operator, value)
        return
    if _by_birth(reading, index, number, operator, value):
        return
    operand = find_operand(reading, index, number, operand_before)
    if operand is None:
        raise Unreadable(f"It is not clear what “{reading.items[index].text} {reading.items[number].text}” is about.")
    table, column = operand
    _refuse_other_units(reading, operand, number)
    value *= in_unit_of(reading, operand, number)
    reading.conditions.append(Compare((table, column), operator, value))
    reading.note(index, f"{reading.text_of((table, column))} {operator} {reading.items[number].text}")
    reading.note(number, "")


def _by_birth(reading: Reading, index: int, number: int, operator: str, value: float) -> bool:
    """For "older than 60" where only dates of birth are known: who was born more than 60 years ago."""
    cue = reading.items[index].cue
    aged = (cue is not None and cue.hints == ("age",)) or unit_hints(reading, number) == ("age",)
    if not aged or not reading.subject or value != int(value) or operator not in {">", "<", ">=", "<="}:
        return False
    columns = reading.lexicon.tables[reading.subject].columns
    born = [one for one in columns if one.column.kind in DATE_KINDS and set(one.own) & BIRTH_WORDS]
    if len(born) != 1 or reading.find_attribute(reading.subject, ("age",), "numeric") is not None:
        return False
    day = f"CURRENT_DATE - INTERVAL '{int(value)} years'"
    older = operator in {">", ">="}
    told = f"{'more' if older else 'less'} than {int(value)} years ago"
    period = Period("", day, told) if older else Period(day, "", told)
    reading.conditions.append(InPeriod(born[0].ref, (period,)))
    reading.note(index, f"{reading.text_of(born[0].ref)} {period.text}")
    reading.note(number, "")
    for item in reading.items[number + 1 : number + 3]:
        if item.text.lower() in {"years", "year", "old", "age"}:
            item.used = True
    return True


def _refuse_other_units(reading: Reading, operand: tuple[str, str], number: int) -> None:
    """Raises Unreadable where days or hours are compared with what is no length of time and is not named either."""
    after = reading.items[number].last + 1
    unit = reading.tokens[after].lower.removesuffix("s") if after < len(reading.tokens) else ""
    entry = reading.lexicon.columns[operand]
    said = {token.stem for token in reading.tokens} | TIMED
    if unit in TIME_SPANS and not (set(entry.own) | entry.comment) & said:
        raise Unreadable(f"It is not clear what lasts {reading.items[number].text} {reading.tokens[after].text}.")


def _count_after(reading: Reading, index: int, number: int, operator: str, value: float) -> None:
    after = reading.next_index(number, skip=("distinct",))
    table = counted_after(reading, number)
    assert after is not None
    assert table is not None
    owner = owner_of_count(reading, index, table)
    if owner is None:
        grouped = next(
            (i for i in range(index) if reading.items[i].kind == "column" and not reading.items[i].used), None
        )
        entry = reading.column_of(grouped, table=table) if grouped is not None else None
        if entry is None:
            raise Unreadable(f"It is not clear whose “{reading.items[after].text}” are counted.")
        reading.having.append((Measure("count", table), operator, value))
    else:
        reading.conditions.append(Related(owner, Measure("count", table), operator, value))
    reading.note(index, f"number of {table.split('.', 1)[1]} {operator} {reading.items[number].text}")
    reading.note(number, "")
    reading.note(after, "")


def _related(reading: Reading, head: int, index: int, number: int, operator: str, value: float) -> None:
    """For "whose total order amount is over 1000", "with an average rating above 4"."""
    item = reading.items[head]
    measure: Measure | None
    if item.is_cue("count"):
        table = reading.table_of(head + 1)
        entry = None if table else reading.column_of(head + 1)
        measure = (
            Measure("count", table)
            if table
            else Measure("count", entry.table, entry.ref, distinct=True)
            if entry
            else None
        )
    elif item.is_cue("aggregate"):
        assert item.cue is not None
        entry = reading.column_of(head + 1, wanted="numeric")
        if entry is None and is_money_word(reading, head + 1):
            measure = money_measure(reading, head + 1, item.cue.data)
        else:
            measure = Measure(item.cue.data, entry.table, entry.ref) if entry is not None else None
        if measure is None and (table := reading.table_of(head + 1)) is not None:
            measure = Measure("count", table)
    else:
        measure = money_measure(reading, head, "sum")
    if measure is None:
        raise Unreadable(f"It is not clear what “{item.text}” is taken over.")
    owner = owner_of_count(reading, head, measure.table)
    if owner is None:
        reading.having.append((measure, operator, value))
    else:
        reading.conditions.append(Related(owner, measure, operator, value))
    for one in {head, head + 1 if item.kind == "cue" else head, index, number}:
        reading.note(one, "")
    reading.notes.append(
        f"“{item.text}” → {measure.function} over {measure.table} {operator} {reading.items[number].text}"
    )


def _with_aggregate(reading: Reading, index: int, aggregate: int, operator: str) -> None:
    """For "above the average age", "older than the average": against an aggregate over the whole table."""
    items, cue = reading.items, reading.items[aggregate].cue
    assert cue is not None
    after = aggregate + 1
    entry = None
    if after < len(items) and items[after].columns and reading.are_adjacent(aggregate, after):
        entry = reading.column_of(after, wanted="numeric")
        if entry is not None:
            reading.note(after, "")
            if (
                after + 1 < len(items)
                and items[after + 1].kind == "table"
                and "of" in reading.words_between(after, after + 1)
            ):
                reading.note(after + 1, "")
    if entry is None and index > 0 and items[index - 1].columns:
        entry = reading.column_of(index - 1, wanted="numeric")
    elif index > 0 and items[index - 1].kind == "column" and entry is not None:
        left = reading.column_of(index - 1, wanted="numeric")
        if left == entry:
            reading.note(index - 1, "")
    if entry is None and reading.subject and (compare := items[index].cue) is not None:
        entry = reading.find_attribute(reading.subject, compare.hints, "numeric") or usual_measure(
            reading, reading.subject
        )
    if entry is None:
        raise Unreadable(f"It is not clear which {items[aggregate].text} is meant.")
    if (
        index > 0
        and items[index - 1].kind == "column"
        and reading.column_of(index - 1, wanted="numeric") == entry
        and any(items[one].is_cue("relative") for one in range(index))
    ):
        reading.note(index - 1, "")
    condition: Condition = CompareToMeasure(entry.ref, operator, Measure(cue.data, entry.table, entry.ref))
    reading.conditions.append(condition)
    reading.note(index, f"{reading.text_of(entry.ref)} {operator} the {items[aggregate].text} of all")
    reading.note(aggregate, "")


def _between(reading: Reading, index: int) -> None:
    items = reading.items
    numbers = [one for one in range(index + 1, min(index + 4, len(items))) if items[one].kind in {"number", "period"}]
    if len(numbers) < 2:
        return
    low, high = items[numbers[0]], items[numbers[1]]
    if low.kind == "period" or high.kind == "period":
        return
    if low.period is not None and high.period is not None and not _column_is_number(reading, index):
        return  # years: read as dates
    items[index].cue = items[index].cue
    operand = find_operand(reading, index, numbers[1], index)
    if operand is None or low.number is None or high.number is None:
        raise Unreadable("It is not clear what lies between the two numbers.")
    reading.conditions.append(Compare(operand, ">=", min(low.number, high.number)))
    reading.conditions.append(Compare(operand, "<=", max(low.number, high.number)))
    reading.note(index, f"{reading.text_of(operand)} between {low.text} and {high.text}")
    for one in range(index + 1, numbers[1] + 1):
        reading.note(one, "")


def _column_is_number(reading: Reading, index: int) -> bool:
    if index == 0 or not reading.items[index - 1].columns:
        return False
    entry = reading.column_of(index - 1, wanted="numeric")
    return entry is not None and not entry.is_year
