"""Comparisons with numbers, averages and extremes: "older than 30", "more than 3 orders", "above the average"."""

from __future__ import annotations

from services.sql.grounding.logical_form import (
    AnyOf,
    Compare,
    CompareColumns,
    CompareToMeasure,
    Condition,
    Measure,
    Related,
)
from services.sql.grounding.mentions import Mention
from services.sql.grounding.reading_measures import is_money_word, money_measure, usual_measure
from services.sql.grounding.reading_state import STRONG, Reading, Unreadable
from services.sql.grounding.wording import UNITS
from services.sql.grounding.words import stem

DATE_TO_SIGN = {"after": ">", "since": ">=", "before": "<", "until": "<="}
POSTFIX = ("or ", "and above", "and over", "and up")


def read_comparisons(reading: Reading) -> None:
    """Turn every comparison with a number or an aggregate into a condition; those with periods are left to dates."""
    found: list[int] = []
    for index, item in enumerate(reading.items):
        if item.used:
            continue
        if item.is_cue("compare"):
            before = len(reading.conditions)
            _comparison(reading, index)
            if len(reading.conditions) == before + 1:
                found.append(index)
                _join_by_or(reading, found)
        elif item.is_cue("between"):
            _between(reading, index)
    for index, item in enumerate(reading.items):
        if item.kind == "number" and not item.used and item.number is not None:
            _plain_number(reading, index)


def _join_by_or(reading: Reading, found: list[int]) -> None:
    """"younger than 25 or older than 60" is one condition."""  # fmt: skip
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
    if items[index].text.startswith("or ") and index > 0 and items[index - 1].kind != "number":
        operator = operator.removesuffix("=")  # "or above age 60" is a comparison of its own
    if items[index].text.startswith(POSTFIX) and index > 0 and items[index - 1].kind == "number":
        _with_number(reading, index, index - 1, operator, operand_before=index - 1)
        return
    after = reading.next_index(index, skip=("superlative",) if operator != "<>" else ())
    if after is None:
        return
    following = items[after]
    if following.period is not None and (following.kind == "period" or _reads_as_year(reading, index, after)):
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
    elif following.is_cue("aggregate"):
        _with_aggregate(reading, index, after, DATE_TO_SIGN.get(operator, operator))
    elif (
        following.kind == "column"
        and index > 0
        and items[index - 1].kind == "column"
        and operator in {">", "<", ">=", "<=", "<>", "="}
    ):
        left = reading.column_of(index - 1, wanted="numeric")
        right = reading.column_of(after, wanted="numeric", table=left.table) if left is not None else None
        if left is not None and right is not None and left != right:
            reading.conditions.append(CompareColumns(left.ref, operator, right.ref))
            reading.note(index - 1, f"{reading.text_of(left.ref)} {operator} {reading.text_of(right.ref)}")
            reading.note(index, "")
            reading.note(after, "")


def _reads_as_year(reading: Reading, cue: int, number: int) -> bool:
    """Whether a four-digit number after a comparison is a year: the operand says so, or there is none but a date."""
    item = reading.items[cue]
    if item.cue is not None and item.cue.data in {"after", "before", "since", "until"}:
        numeric = cue > 0 and reading.items[cue - 1].kind == "column" and reading.column_of(cue - 1, wanted="numeric")
        if numeric and not numeric.is_year:
            return False
        return not (number + 1 < len(reading.items) and _unit_hints(reading, number))
    return cue > 0 and reading.items[cue - 1].kind == "column" and reading.column_of(cue - 1, wanted="date") is not None


def _unit_hints(reading: Reading, number: int) -> tuple[str, ...]:
    """What the unit written after a number is about: "30 years", "100 dollars"."""
    last = reading.items[number].last
    following = [token.lower for token in reading.tokens[last + 1 : last + 4]]
    if following[:2] in (["years", "old"], ["year", "old"]) or following[:3] == ["years", "of", "age"]:
        return ("age",)
    for token in reading.tokens[last + 1 : last + 2]:
        for unit, hints in UNITS.items():
            if token.lower == unit or token.stem == stem(unit):
                return hints
    first = reading.items[number].first
    if first > 0 and reading.tokens[first - 1].lower in UNITS:
        return UNITS[reading.tokens[first - 1].lower]
    return ()


def _with_number(reading: Reading, index: int, number: int, operator: str, *, operand_before: int) -> None:
    value = reading.items[number].number
    assert value is not None
    measure_at = _measured_before(reading, operand_before)
    if measure_at is not None:
        _related(reading, measure_at, index, number, operator, value)
        return
    if _counted_after(reading, number) is not None and not _column_before(reading, operand_before):
        _count_after(reading, index, number, operator, value)
        return
    operand = _operand(reading, index, number, operand_before)
    if operand is None:
        raise Unreadable(f"It is not clear what “{reading.items[index].text} {reading.items[number].text}” is about.")
    table, column = operand
    reading.conditions.append(Compare((table, column), operator, value))
    reading.note(index, f"{reading.text_of((table, column))} {operator} {reading.items[number].text}")
    reading.note(number, "")


def _measured_before(reading: Reading, index: int) -> int | None:
    """The index of a count or an aggregate that ends right before: "whose number of orders is more than"."""
    items = reading.items
    if index >= 2 and items[index - 1].kind in {"table", "column"} and items[index - 2].is_cue("count", "aggregate"):
        if index == 2 and items[index - 2].is_cue("count") and not items[index - 2].text.startswith("number"):
            return None
        head = index - 2
        opened = any(
            items[one].is_cue("relative", "compare") or reading.words_between(one, one + 1)[:1] == ["with"]
            for one in range(head)
        )
        return head if opened else None
    if index >= 1 and is_money_word(reading, index - 1) and items[index - 1].kind in {"word", "column"}:
        return (
            index - 1
            if any(items[one].is_cue("relative") for one in range(index)) and money_measure(reading, index - 1, "sum")
            else None
        )
    return None


def _column_before(reading: Reading, index: int) -> bool:
    return index > 0 and reading.items[index - 1].kind == "column" and not reading.items[index - 1].used and reading.column_of(index - 1, wanted="ordered") is not None and reading.are_adjacent(index - 1, index)  # fmt: skip


def _counted_after(reading: Reading, number: int) -> str | None:
    """The table counted by a number: "3 orders", "3 different products"."""
    after = reading.next_index(number, skip=("distinct",))
    if after is None or reading.words_between(number, after)[:1] not in (
        [],
        ["different"],
        ["distinct"],
        ["of"],
        ["other"],
    ):
        return None
    item = reading.items[after]
    if item.kind == "table" and item.quality >= 0.5:
        return reading.table_of(after)
    return None


def _count_after(reading: Reading, index: int, number: int, operator: str, value: float) -> None:
    after = reading.next_index(number, skip=("distinct",))
    table = _counted_after(reading, number)
    assert after is not None
    assert table is not None
    owner = _owner(reading, index, table)
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
    """"whose total order amount is over 1000", "with an average rating above 4"."""  # fmt: skip
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
    owner = _owner(reading, head, measure.table)
    if owner is None:
        reading.having.append((measure, operator, value))
    else:
        reading.conditions.append(Related(owner, measure, operator, value))
    for one in {head, head + 1 if item.kind == "cue" else head, index, number}:
        reading.note(one, "")
    reading.notes.append(
        f"“{item.text}” → {measure.function} over {measure.table.split('.', 1)[1]} {operator} {reading.items[number].text}"
    )


def _owner(reading: Reading, before: int, measured: str) -> str | None:
    """Whose rows are counted: the nearest table named before, else the subject."""
    for index in range(before - 1, -1, -1):
        if reading.items[index].kind == "table" and not reading.items[index].used:
            table = reading.table_of(index)
            if table is not None and table != measured:
                return table
    for index in range(before - 1, -1, -1):
        if reading.items[index].kind == "column" and not reading.items[index].used:
            entry = reading.column_of(index)
            if entry is not None and entry.table != measured:
                return entry.table
    return reading.subject if reading.subject and reading.subject != measured else None


def _operand(reading: Reading, index: int, number: int, before: int) -> tuple[str, str] | None:
    """The column a number is compared with: named before, named after, hinted by the adjective or the unit."""
    items, cue = reading.items, reading.items[index].cue
    assert cue is not None
    for earlier in range(before - 1, max(before - 4, -1), -1):
        item = items[earlier]
        if item.kind in {"column", "table"} and item.columns and not item.used:
            entry = reading.column_of(earlier, wanted="numeric")
            if entry is not None and (item.kind == "column" or before - earlier == 1):
                reading.note(earlier, "")
                return entry.ref
        if item.kind in {"table", "value", "number"} or item.is_cue("and", "relative", "or"):
            break
    tables = [table for table in (_owner(reading, index, ""), reading.subject) if table]
    if _unit_hints(reading, number) == ("age",):
        for table in [*tables, *reading.mentioned_tables()]:
            if (entry := reading.find_attribute(table, ("age",), "numeric")) is not None:
                return entry.ref
    after = number + 1
    if after < len(items) and items[after].columns and reading.are_adjacent(number, after):
        entry = reading.column_of(after, wanted="numeric")
        if entry is not None:
            reading.note(after, "")
            return entry.ref
    for hints in (cue.hints, _unit_hints(reading, number)):
        for table in [*tables, *reading.mentioned_tables()]:
            entry = reading.find_attribute(table, hints, "numeric") if hints else None
            if entry is not None:
                return entry.ref
    loose = [one for one in range(max(0, before - 3), before) if items[one].columns and not items[one].used]
    for one in reversed(loose):
        entry = reading.column_of(one, wanted="numeric")
        if entry is not None:
            reading.note(one, "")
            return entry.ref
    if not cue.hints and tables and cue.data in {">", "<", ">=", "<="}:
        entry = usual_measure(reading, tables[0])
        if entry is not None:
            reading.doubt *= 0.85
            return entry.ref
    return None


def _with_aggregate(reading: Reading, index: int, aggregate: int, operator: str) -> None:
    """"above the average age", "older than the average": against an aggregate over the whole table."""  # fmt: skip
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
    operand = _operand(reading, index, numbers[1], index)
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


def _plain_number(reading: Reading, index: int) -> None:
    """A number beside a column equals it: "with 3 bedrooms", "rating of 5", "id 12"."""
    items = reading.items
    item = items[index]
    if item.period is not None and not (index > 0 and _is_number_column(reading, index - 1)):
        return
    if item.text.isalpha() and not (index + 1 < len(items) and items[index + 1].columns):
        return
    candidates: list[tuple[int, Mention]] = []
    if index > 1 and items[index - 1].text == "either" and items[index - 2].columns:
        candidates.append((index - 2, items[index - 2]))
        items[index - 1].used = True
    if index > 0 and items[index - 1].columns and reading.are_adjacent(index - 1, index):
        candidates.append((index - 1, items[index - 1]))
    if index + 1 < len(items) and items[index + 1].columns and reading.are_adjacent(index, index + 1):
        candidates.append((index + 1, items[index + 1]))
    for at, one in candidates:
        entry = reading.column_of(at) if one.kind == "column" else None
        if (
            entry is None
            or one.used
            or not (entry.column.kind.value in {"integer", "number"} or (entry.is_key and entry.is_text))
        ):
            continue
        assert item.number is not None
        equal: Condition = Compare(entry.ref, "=", item.number)
        while index + 2 < len(items) and items[index + 1].is_cue("or") and items[index + 2].number is not None:
            other = items[index + 2].number
            assert other is not None
            equal = AnyOf((equal, Compare(entry.ref, "=", other)))
            reading.note(index + 1, "")
            reading.note(index + 2, "")
            index += 2
        reading.conditions.append(equal)
        item.used = True
        reading.note(at, f"{reading.text_of(entry.ref)} = {item.text}")
        reading.note(index, "")
        return
    counted = _counted_after(reading, index)
    if counted is not None and any(items[one].is_cue("relative") for one in range(index)):
        owner = _owner(reading, index, counted)
        if owner is not None and item.number is not None:
            reading.conditions.append(Related(owner, Measure("count", counted), "=", item.number))
            reading.note(index, f"number of {counted.split('.', 1)[1]} = {item.text}")
            reading.note(index + 1, "")


def _is_number_column(reading: Reading, index: int) -> bool:
    entry = (
        reading.column_of(index)
        if reading.items[index].kind == "column" and reading.items[index].quality >= STRONG
        else None
    )
    return entry is not None and not entry.is_date and entry.column.kind.value in {"integer", "number"} and reading.are_adjacent(index, index + 1)  # fmt: skip
