"""Reading: from the mentions of a question to its logical form, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.doer_nouns import read_doer_nouns
from services.sql.grounding.event_counts import read_bare_counts
from services.sql.grounding.events import nest_times
from services.sql.grounding.finishing import finish_outputs, pass_over_paying, show_groups_chosen_within
from services.sql.grounding.join_paths import JoinGraph
from services.sql.grounding.leftovers import check_nothing_is_left, refuse_contradictions
from services.sql.grounding.lexicon import Lexicon
from services.sql.grounding.logical_form import (
    ColumnOf,
    Compare,
    CompareColumns,
    LogicalForm,
    Measure,
    Operand,
    Ordering,
)
from services.sql.grounding.mentions import Mention
from services.sql.grounding.question_forms import asks_for_likeness, asks_what_one_may_do, goes_on, is_explaining
from services.sql.grounding.reading_alternatives import join_alternatives
from services.sql.grounding.reading_comparisons import read_comparisons
from services.sql.grounding.reading_contrasts import read_choices_within_groups, read_contrasts
from services.sql.grounding.reading_exclusives import read_only
from services.sql.grounding.reading_goods import read_goods
from services.sql.grounding.reading_groups import has_aggregate, read_groups
from services.sql.grounding.reading_links import link_loose_tables
from services.sql.grounding.reading_measures import is_money_word, money_measure
from services.sql.grounding.reading_occasions import read_occasions, read_weekdays
from services.sql.grounding.reading_orders import read_order
from services.sql.grounding.reading_outputs import read_outputs
from services.sql.grounding.reading_periods import read_periods
from services.sql.grounding.reading_periods_apart import read_once_not_again
from services.sql.grounding.reading_rates import mark_rates
from services.sql.grounding.reading_ratios import read_differences, read_growth, read_ratios
from services.sql.grounding.reading_rows import are_kinds, count_rows_by, read_contents, read_row_limit
from services.sql.grounding.reading_shares import read_share
from services.sql.grounding.reading_sides import choose_side, mark_sides, read_sold_more
from services.sql.grounding.reading_spans import read_spans
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.reading_states import mark_verbs, read_states
from services.sql.grounding.reading_subject import find_subject
from services.sql.grounding.reading_superlatives import read_superlatives
from services.sql.grounding.reading_texts import read_texts
from services.sql.grounding.reading_values import read_values
from services.sql.grounding.reading_windows import group_by_window, mark_windows, read_windows
from services.sql.grounding.reading_zeros import keep_zeros, mark_zeros
from services.sql.grounding.words import IRREGULAR, Token

DIRECTIONS = (
    ({"oldest", "youngest"}, ("age",)),
    ({"earliest", "latest", "newest", "recent", "chronological", "chronologically"}, ("date", "year", "time")),
    ({"cheapest", "expensive"}, ("price", "cost", "amount", "fee")),
)
NOUN_ENDINGS = ("tive", "tion", "ment", "er", "or", "ist", "ness", "ity", "ship", "ure", "ance", "ence", "cy", "ee")
LOW_ROWS = 10  # how many rows "low on stock" shows when nothing says what counts as low


def read_question(
    tokens: Sequence[Token], mentions: list[Mention], lexicon: Lexicon, graph: JoinGraph
) -> tuple[LogicalForm, Reading]:
    """The logical form and the state it was read in. Raises Unreadable."""
    reading = Reading(tokens, mentions, lexicon, graph)
    _refuse_what_cannot_be_said(reading)
    mark_rates(reading)
    mark_zeros(reading)
    mark_windows(reading)
    read_doer_nouns(reading)
    find_subject(reading)
    read_contents(reading)
    read_row_limit(reading)
    count_rows_by(reading)
    read_spans(reading)
    _refuse_unknown_kind(reading)
    mark_verbs(reading)
    mark_sides(reading)
    read_goods(reading)
    read_sold_more(reading)
    read_once_not_again(reading)
    read_texts(reading)
    read_states(reading)
    _read_low(reading)
    read_order(reading)
    read_differences(reading)
    read_occasions(reading)
    read_superlatives(reading)
    read_growth(reading)
    read_ratios(reading)
    read_bare_counts(reading)
    read_comparisons(reading)
    read_values(reading)
    read_only(reading)
    _settle_subject(reading)
    read_periods(reading)
    read_weekdays(reading)
    join_alternatives(reading)
    read_groups(reading)
    group_by_window(reading)
    read_contrasts(reading)
    read_outputs(reading)
    read_choices_within_groups(reading)
    link_loose_tables(reading)
    nest_times(reading)
    read_share(reading)
    choose_side(reading)
    finish_outputs(reading)
    pass_over_paying(reading)
    show_groups_chosen_within(reading)
    keep_zeros(reading)
    _default_order(reading)
    read_windows(reading)
    _doubt_compounds(reading)
    check_nothing_is_left(reading)
    refuse_contradictions(reading)
    return _form(reading), reading


def _refuse_what_cannot_be_said(reading: Reading) -> None:
    for item in reading.items:
        if item.is_cue("definition") and item.first == 0 and is_explaining(reading.tokens):
            raise Unreadable("It asks for an explanation, not for data.")
    if goes_on(reading.tokens):
        raise Unreadable("It goes on from something said before, which is not kept: ask it as a whole.")
    if asks_for_likeness(reading.tokens):
        raise Unreadable("It compares rows with other rows in a way this reader cannot tell.")
    if asks_what_one_may_do(reading.tokens):
        raise Unreadable("It asks what one may or must do, not for data.")


def _refuse_unknown_kind(reading: Reading) -> None:
    """In "which sales representative" the noun that says what is wanted is the last one: unlinked, nothing is known."""
    if not reading.tokens or reading.tokens[0].lower not in {"which", "what", "whose", "who"}:
        return
    named = next(
        (
            index
            for index, item in enumerate(reading.items)
            if item.kind in {"table", "column"} or is_money_word(reading, index)
        ),
        None,
    )
    if named is None or named + 1 >= len(reading.items):
        return
    item, head = reading.items[named], reading.items[named + 1]
    word = head.text.lower()
    known = not head.content and not word.endswith(NOUN_ENDINGS)
    if head.kind != "word" or head.used or known or head.first != item.last + 1 or word.endswith(("ed", "ing", "s")):
        return
    is_singular = not reading.tokens[item.last].lower.endswith("s") and word not in IRREGULAR
    if is_singular or word.endswith(NOUN_ENDINGS):
        raise Unreadable(f"Nothing in the database stands for “{item.text} {head.text}”.")


def _settle_subject(reading: Reading) -> None:
    """Without a table named, the subject is that of the first column, measure or condition."""
    if reading.subject:
        return
    for index, item in enumerate(reading.items):
        if item.kind == "column" and item.quality >= 0.5 and (entry := reading.column_of(index)) is not None:
            reading.subject = entry.table
            return
        if is_money_word(reading, index) and (measure := money_measure(reading, index, "sum")) is not None:
            reading.subject = measure.table
            return
    for output in reading.outputs:
        reading.subject = output.table
        return
    for condition in reading.conditions:
        ref = getattr(condition, "ref", None)
        if ref is not None:
            reading.subject = ref[0]
            return


def _read_low(reading: Reading) -> None:
    """For "low on stock", "out of stock": few of a number, or none."""
    for index, item in enumerate(reading.items):
        if index > 0 and item.kind == "column" and reading.word_before(index) == "in" and not has_aggregate(reading):
            held = reading.column_of(index, wanted="numeric")
            if held is not None and item.content == 1 and set(held.own) & {"stock", "inventori"}:
                reading.conditions.append(Compare(held.ref, ">", 0.0))
                reading.note(index, f"{reading.text_of(held.ref)} > 0")
                continue
        signed = {"negative": "<", "positive": ">"}.get(item.text.lower(), "")
        if signed and item.kind == "word" and index + 1 < len(reading.items) and reading.are_adjacent(index, index + 1):
            held = reading.column_of(index + 1, wanted="numeric")
            if held is not None:
                reading.conditions.append(Compare(held.ref, signed, 0.0))
                reading.note(index, f"{reading.text_of(held.ref)} {signed} 0")
                reading.note(index + 1, "")
                continue
        if not item.is_cue("low", "zero") or index + 1 >= len(reading.items):
            continue
        entry = reading.column_of(index + 1, wanted="numeric")
        if entry is None or not reading.are_adjacent(index, index + 1):
            continue
        if item.is_cue("zero"):
            reading.conditions.append(Compare(entry.ref, "=", 0.0))
            reading.note(index, f"{reading.text_of(entry.ref)} = 0")
        else:
            limit = next(
                (
                    one
                    for one in reading.lexicon.tables[entry.table].columns
                    if one.is_numeric and one != entry and set(one.own) & {"reorder", "minimum", "threshold", "safeti"}
                ),
                None,
            )
            if limit is not None:
                reading.conditions.append(CompareColumns(entry.ref, "<=", limit.ref))
            else:
                reading.limit = LOW_ROWS
                reading.doubt *= 0.85
                reading.notes.append(
                    f"the {LOW_ROWS} rows with the lowest {reading.text_of(entry.ref)}, since no limit is known"
                )
            reading.order.append(Ordering(ColumnOf(entry.ref), False))
            reading.note(index, f"low {reading.text_of(entry.ref)}")
        reading.note(index + 1, "")
        reading.subject = reading.subject or entry.table


def _doubt_compounds(reading: Reading) -> None:
    """In "opening hours" and "phone number" an unlinked noun behind a linked word says that something else is meant."""
    for index, item in enumerate(reading.items):
        if index and item.kind == "column" and item.quality < 0.85 and reading.items[index - 1].last + 1 == item.first:
            entry = reading.column_of(index)
            if (
                entry is not None
                and reading.items[index - 1].tables
                and entry.table not in reading.items[index - 1].tables
            ):
                reading.doubt *= 0.55  # "return rate" is no price of anything
        if item.kind != "word" or not item.content or item.used or index == 0:
            continue
        before = reading.items[index - 1]
        is_verb = item.text.lower().endswith(("ed", "ing")) or reading.tokens[
            item.first
        ].stem != item.text.lower().removesuffix("s")
        if before.kind in {"table", "column"} and before.last + 1 == item.first and not is_verb:
            reading.doubt *= 0.6


def _default_order(reading: Reading) -> None:
    """A direction without a key sorts by the measure, or by what is shown first; time runs forward."""
    for item in reading.items:
        if (
            item.is_cue("direction", "order")
            and not item.used
            and item.cue is not None
            and not reading.order
            and reading.outputs
        ):
            key = _natural_key(reading, item.text)
            descending = item.cue.data == "desc"
            by_age = bool({"oldest", "youngest"} & set(item.text.split()))
            if by_age and isinstance(key, ColumnOf) and reading.lexicon.columns[key.ref].is_date:
                descending = not descending  # the oldest were born first
            reading.order.append(Ordering(key, descending))
            item.used = True
    if reading.tokens[0].lower == "rank" and not reading.order and reading.outputs:
        reading.order.append(Ordering(_natural_key(reading, ""), True))
    timed = [group for group in reading.groups if group.part and group.part != "weekday"]
    if timed and not reading.order:
        reading.order.extend(Ordering(group, False) for group in timed)


def _natural_key(reading: Reading, wording: str) -> Operand:
    """What a direction alone is about: the measure; a number when it says "largest first"; else what comes first."""
    for output in reading.outputs:
        if not isinstance(output, ColumnOf):
            return output
    for words, hints in DIRECTIONS:
        if set(wording.split()) & words and reading.subject:
            entry = reading.find_attribute(reading.subject, hints, "ordered")
            if entry is None and hints == ("age",):
                entry = reading.find_attribute(reading.subject, ("birth", "born"), "date")
                entry = entry or reading.date_column([reading.subject])
            if entry is not None:
                return ColumnOf(entry.ref)
    sized = {"largest", "smallest", "highest", "lowest", "low", "high"} & set(wording.split())
    numbers = [
        one for one in reading.outputs if isinstance(one, ColumnOf) and reading.lexicon.columns[one.ref].is_numeric
    ]
    compared = [
        ColumnOf(one.ref)
        for one in reading.conditions
        if isinstance(one, Compare) and one.ref[0] == reading.subject and reading.lexicon.columns[one.ref].is_numeric
    ]
    if sized and not numbers and len(compared) == 1:
        return compared[0]  # "companies with more than 1000 employees, largest first"
    return numbers[-1] if sized and numbers else reading.outputs[0]


def _form(reading: Reading) -> LogicalForm:
    if not reading.outputs and not reading.share:
        raise Unreadable("It is not clear what to show.")
    if reading.share and reading.groups:
        raise Unreadable("It asks for shares of several groups.")
    count = Measure("count", reading.subject)
    if (reading.groups and not reading.within) and any(
        isinstance(one.operand, ColumnOf) and one.operand not in reading.groups for one in reading.order
    ):
        raise Unreadable("It asks for one row of each group.")
    figures_only = not reading.groups and any(isinstance(one, Measure) for one in reading.outputs)
    if figures_only and any(isinstance(one.operand, ColumnOf) for one in reading.order):
        raise Unreadable("It asks for a figure over all rows and for one of them.")
    if reading.offset and reading.limit is None:
        raise Unreadable("It asks for the second or third of something that has no order.")
    plain = [one for one in reading.outputs if isinstance(one, ColumnOf)]
    distinct = reading.distinct or _asks_for_values(reading) or are_kinds(reading)
    return LogicalForm(
        outputs=(count,) if reading.share else tuple(reading.outputs),
        conditions=tuple(dict.fromkeys(reading.conditions)),
        groups=() if reading.share else tuple(reading.groups),
        having=tuple(reading.having),
        order=() if reading.share else tuple(reading.order),
        limit=reading.limit,
        offset=reading.offset,
        within=tuple(reading.within),
        distinct=distinct and len(plain) == len(reading.outputs) and not reading.groups,
        share_of=tuple(dict.fromkeys(reading.share)),
        subject=reading.subject,
    )


def _asks_for_values(reading: Reading) -> bool:
    """Whether each value is wanted once: "Which countries do customers come from", but not "names of customers"."""
    if len(reading.outputs) != 1 or not isinstance(reading.outputs[0], ColumnOf) or reading.order:
        return False
    entry = reading.lexicon.columns[reading.outputs[0].ref]
    first = next((token.lower for token in reading.tokens), "")
    head = next((item for item in reading.items if item.kind in {"table", "column"}), None)
    names_rows = entry.is_name or entry.is_key
    return (
        first in {"which", "what"}
        and head is not None
        and head.kind == "column"
        and not names_rows
        and entry.ref in head.columns
        and head.first <= 1
    )
