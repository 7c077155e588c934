"""The parts of a logical form in plain words: what is shown, and what rows must meet."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.logical_form import (
    AnyOf,
    ColumnOf,
    Compare,
    CompareColumns,
    CompareSpan,
    CompareToRow,
    Condition,
    Exists,
    InPeriod,
    IsNull,
    Matches,
    Measure,
    OfEach,
    OneOf,
    OnWeekdays,
    Operand,
    PartOfAll,
    Ratio,
    Ref,
    Related,
    Windowed,
)
from services.sql.grounding.quoting import number_literal

VERBS = {
    "sum": "total",
    "avg": "average",
    "max": "highest",
    "min": "lowest",
    "median": "median",
    "stddev": "standard deviation of",
    "variance": "variance of",
}
SIGNS = {">": "above", "<": "below", ">=": "at least", "<=": "at most", "=": "equal to", "<>": "other than"}


def say_operand(operand: Operand) -> str:
    """A column, a measure or what is made of measures."""
    if isinstance(operand, ColumnOf):
        return f"the {operand.part} of {_column(operand.ref)}" if operand.part else _column(operand.ref)
    if isinstance(operand, PartOfAll):
        return f"{say_operand(operand.measure)} in percent of the total"
    if isinstance(operand, Windowed):
        kinds = {"running": "the running total of", "change": "the change of", "growth": "the growth in percent of"}
        return f"{kinds[operand.kind]} {say_operand(operand.measure)}"
    if isinstance(operand, OfEach):
        inner = say_conditions(operand.inner)
        which = f" where {inner}" if inner else ""
        return f"{say_operand(operand.measure)} of each {_table(operand.owner)}{which}, 0 where there is none"
    if isinstance(operand, Ratio):
        upper, lower = _side(operand.upper, operand.upper_if), _side(operand.lower, operand.lower_if)
        if operand.combine == "difference":
            return f"the difference between {upper} and {lower}"
        if operand.combine == "growth":
            return f"the growth in percent to {upper} from {lower}"
        return f"{'the percentage' if operand.is_percentage else 'the ratio'} of {upper} to {lower}"
    if operand.ref is None:
        return f"the number of {_table(operand.table)}"
    name = _column(operand.ref)
    if operand.function == "count":
        return f"the number of different {name}" if operand.distinct else f"the number of {name}"
    if operand.times is not None:
        name += f" × {_column(operand.times)}"
    if operand.minus is not None and operand.unit:
        said = "time" if operand.unit == "interval" else f"time in {operand.unit}s"
        return f"the {VERBS[operand.function]} {said} from {_column(operand.minus)} to {name}"
    if operand.minus is not None:
        name += f" - {_column(operand.minus)}"
    beyond = f" over {_table(operand.table)}" if operand.ref[0] != operand.table else ""
    return f"the {VERBS[operand.function]} {name}{beyond}"


def say_condition(condition: Condition) -> str:
    """What a row must meet."""
    if isinstance(condition, AnyOf):
        return " or ".join(say_condition(one) for one in condition.conditions)
    if isinstance(condition, CompareColumns):
        return f"{_column(condition.left)} is {SIGNS[condition.operator]} {_column(condition.right)}"
    if isinstance(condition, CompareSpan):
        said = f"{SIGNS[condition.operator]} {number_literal(condition.number)} {condition.unit}s"
        return f"the time from {_column(condition.begin)} to {_column(condition.end)} is {said}"
    if isinstance(condition, Related):
        inner = say_conditions(condition.inner)
        which = f" where {inner}" if inner else ""
        wanted = f"{SIGNS[condition.operator]} {number_literal(condition.number)}"
        return f"{say_operand(condition.measure)} of each {_table(condition.owner)}{which} is {wanted}"
    if isinstance(condition, Exists):
        inner = say_conditions(condition.inner)
        which = f" where {inner}" if inner else ""
        return f"there is {'no' if condition.negated else 'some'} {_table(condition.table)}{which}"
    name = _column(condition.ref)
    if isinstance(condition, CompareToRow):
        return f"{name} is {SIGNS[condition.operator]} that of '{condition.row.values[0]}'"
    if isinstance(condition, Compare):
        value = condition.value
        said = number_literal(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
        return f"{name} is {said.lower() if isinstance(value, bool) else f'{SIGNS[condition.operator]} {said}'}"
    if isinstance(condition, OneOf):
        listed = " or ".join(f"'{value}'" for value in condition.values)
        return f"{name} is {'not ' if condition.negated else ''}{listed}"
    if isinstance(condition, Matches):
        verb = {"contains": "contain", "starts": "start with", "ends": "end with"}[condition.how]
        return f"{name} {'does not' if condition.negated else 'does'} {verb} '{condition.text}'"
    if isinstance(condition, OnWeekdays):
        return f"{name} falls on day {' or '.join(map(str, condition.days))} of the week"
    if isinstance(condition, IsNull):
        return f"{name} is {'present' if condition.negated else 'missing'}"
    if isinstance(condition, InPeriod):
        spans = " or ".join(period.text for period in condition.periods)
        return f"{name} is {'not ' if condition.negated else ''}in {spans}"
    whole = f"{say_operand(condition.measure)} of all {_table(condition.measure.table)}"
    return f"{name} is {SIGNS[condition.operator]} {whole}"


def say_conditions(conditions: Sequence[Condition]) -> str:
    """All that rows must meet, joined by "and"; empty when there is nothing."""
    said = [f"({say_condition(one)})" if isinstance(one, AnyOf) else say_condition(one) for one in conditions]
    return " and ".join(said)


def _side(measure: Measure, conditions: Sequence[Condition]) -> str:
    inner = say_conditions(conditions)
    return f"{say_operand(measure)} where {inner}" if inner else say_operand(measure)


def _table(name: str) -> str:
    return name.split(".", 1)[1]


def _column(ref: Ref) -> str:
    return f"{_table(ref[0])}.{ref[1]}"
