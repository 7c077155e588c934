"""What an answer must hold for the form of its question: whose rows it shows, what is added up, for each of what."""

from __future__ import annotations

from collections.abc import Iterator

from services.sql.grounding.events import stands_apart
from services.sql.grounding.lexicon import FAMILY_NAMES, GIVEN_NAMES
from services.sql.grounding.logical_form import (
    ColumnOf,
    Exists,
    InPeriod,
    IsNull,
    LogicalForm,
    Measure,
    OfEach,
    OneOf,
    Operand,
    PartOfAll,
    Ratio,
    Related,
    Windowed,
)
from services.sql.grounding.mentions import Mention
from services.sql.grounding.reading_measures import is_money_word
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.reading_subject import PERSON_MARKS
from services.sql.grounding.wording import IMPERATIVES, LIGHT_WORDS
from services.sql.grounding.words import split_identifier, stem

_COMPUTED = frozenset({"sum", "avg", "median", "stddev", "variance"})
_ASKING = frozenset({"which", "what"})
_BEFORE_HEADS = frozenset("me us all the every each any of our some please list show a an".split())
PEOPLE = frozenset(
    stem(word)
    for word in "person people customer client member user passenger patient student pupil employee staff guest player "
    "rider subscriber contact visitor agent worker teacher driver author artist singer actor director manager owner "
    "doctor nurse coach candidate technician supplier vendor company team chauffeur trainer pilot winner".split()
)
_PERSONAL_NAMES = frozenset({stem("name"), stem("surname"), stem("forename")}) | GIVEN_NAMES | FAMILY_NAMES
_DOER_ENDINGS = ("er", "or", "ist", "ian", "ant", "ee")
_OVER = frozenset({"per", "for each", "for every", "in each", "of each", "by each", "in every", "within each"})


def refuse_unsound(form: LogicalForm, reading: Reading) -> None:
    """Raises Unreadable where the query, whatever else it is, is no answer to a question of this form."""
    _refuse_sums_of_dates(form, reading)
    _refuse_other_rows(form, reading)
    _refuse_no_person(form, reading)
    _refuse_keys_for_figures(form, reading)
    _refuse_lost_groups(form, reading)
    _refuse_several_for_one(form, reading)
    _refuse_other_ways(form, reading)
    _refuse_idle_nulls(form, reading)
    _refuse_times_beside(form, reading)


def refuse_unread_tables(tables: frozenset[str] | set[str], reading: Reading) -> None:
    """Raises Unreadable where the question names rows that the query, which reads `tables`, never looks at."""
    known = set(tables) | {role.name for role in reading.lexicon.roles.values() if role.target in tables}
    for item in reading.items:
        if item.kind != "table" or item.quality < 0.85 or item.values:
            continue
        if all(token.stem in LIGHT_WORDS for token in reading.tokens[item.first : item.last + 1]):
            continue
        named = {table for table, quality in item.tables.items() if quality >= item.quality - 0.3}
        if named and not named & known and not {ref[0] for ref in item.columns} & known:
            raise Unreadable(f"It is not clear what “{item.text}” has to do with the answer.")


def operands_of(form: LogicalForm) -> Iterator[Operand]:
    """What is shown, grouped by, sorted by or compared in groups."""
    yield from form.outputs
    yield from form.groups
    yield from (one.operand for one in form.order)
    yield from (measure for measure, _, _ in form.having)


def measures_of(form: LogicalForm) -> Iterator[Measure]:
    """Every measure that is shown, sorted by, or compared in a group."""
    for one in operands_of(form):
        if isinstance(one, Measure):
            yield one
        elif isinstance(one, Ratio):
            yield from (one.upper, one.lower)
        elif isinstance(one, (PartOfAll, Windowed, OfEach)):
            yield one.measure


def _refuse_sums_of_dates(form: LogicalForm, reading: Reading) -> None:
    """Only numbers are added up; a count is no part of a sum of something else."""
    for measure in measures_of(form):
        if measure.function in _COMPUTED and measure.ref is not None and not measure.unit:
            entry = reading.lexicon.columns.get(measure.ref)
            if entry is not None and not entry.is_numeric:
                raise Unreadable(f"{reading.text_of(measure.ref)} is no number that could be added up.")
    for one in form.outputs:
        if isinstance(one, Ratio) and one.combine == "difference":
            kinds = {one.upper.function == "count", one.lower.function == "count"}  # no rows are taken from a sum
            if len(kinds) == 2:
                raise Unreadable("It asks for a difference, but not of two like numbers.")


def _refuse_other_rows(form: LogicalForm, reading: Reading) -> None:
    """For "which agent …" and "list the reviews …": agents and reviews are to be seen, not something beside them."""
    head = _head(reading)
    if head is None or form.share_of:
        return
    if not any(isinstance(one, ColumnOf) for one in form.outputs):
        figures = {measure.table for measure in measures_of(form)}
        opens = reading.tokens[0].lower in IMPERATIVES or head.first == 0
        if opens and not form.groups and not figures & set(head.tables):
            raise Unreadable(f"It asks for {head.text}, and no rows of them could be told.")
        return
    wanted = {table for table, quality in head.tables.items() if quality >= head.quality - 0.15}
    wanted |= {link.entry.table for link in head.values}
    roles = reading.lexicon.roles
    wanted |= {roles[one].target for one in wanted if one in roles}
    shown = {one.table for one in (*form.outputs, *form.groups) if isinstance(one, ColumnOf)}
    shown |= {measure.table for measure in measures_of(form)} if form.groups and head.first == 0 else set()
    shown |= {roles[one].target for one in shown if one in roles}
    keys = {
        edge.target
        for one in form.outputs
        if isinstance(one, ColumnOf)
        for edge in reading.graph.edges.get(one.table, ())
        if edge.to_one and edge.source_columns == (one.ref[1],)
    }
    itself = any(isinstance(one, ColumnOf) and head.columns.get(one.ref, 0) >= 0.75 for one in form.outputs)
    if not wanted & (shown | keys) and not itself:
        raise Unreadable(f"It asks for {head.text}, and no rows of them could be told.")


def _head(reading: Reading) -> Mention | None:
    """The rows that the beginning of a question asks for: "which agents", "list all reviews"; None where it is unsure.

    A name beside it says that something of them is asked for instead: "list the agents' names".
    """
    tokens, items = reading.tokens, reading.items
    first = tokens[0].lower
    if items and items[0].first == 0 and items[0].kind == "table" and items[0].quality >= 0.85:
        return items[0] if tokens[items[0].last].lower.endswith("s") and not is_money_word(reading, 0) else None
    if first not in _ASKING and (first not in IMPERATIVES or first in {"count", "order", "sort", "rank"}):
        return None
    place = 1
    while place < len(tokens) and (tokens[place].lower in _BEFORE_HEADS or tokens[place].kind == "number"):
        place += 1
    at = next((one for one, item in enumerate(items) if item.first == place), None)
    if at is None:
        return None
    head = items[at]
    if first in _ASKING and head.kind == "value" and head.text.lower().endswith("s") and place == 1:
        return head if len({link.entry.table for link in head.values}) == 1 else None
    if head.kind != "table" or head.quality < 0.75 or (first in _ASKING and place > 2):
        return None
    after = items[at + 1] if at + 1 < len(items) else None
    beside = after is not None and after.first == head.last + 1
    plural = tokens[head.last].lower.endswith("s")
    compound = after is not None and after.kind in {"column", "table"} and not (plural and first in _ASKING)
    if beside and after is not None and (compound or after.is_cue("count", "pair")):
        return None
    return None if tokens[head.last + 1 : head.last + 2] and tokens[head.last + 1].lower in {"'", "s"} else head


def _refuse_no_person(form: LogicalForm, reading: Reading) -> None:
    """Who did it is a person or a firm, by name: the subject of a ticket is nobody."""
    if reading.tokens[0].lower != "who" or not form.outputs:
        return
    for one in form.outputs:
        if not isinstance(one, ColumnOf):
            continue
        table, entry = reading.lexicon.tables[one.table], reading.lexicon.columns[one.ref]
        people = any(set(other.own) & PERSON_MARKS for other in table.columns) or set(table.stems) & PEOPLE
        role = reading.lexicon.roles.get(one.table)
        pieces = split_identifier(entry.column.name)
        doers = any(piece.endswith(_DOER_ENDINGS) for piece in pieces) or bool(set(entry.own) & PEOPLE)
        said = doers and entry.is_text and not entry.is_key
        if people or role is not None or said or (set(entry.own) & _PERSONAL_NAMES and entry.is_text):
            return
    raise Unreadable("It asks who, and nobody could be told.")


def _refuse_keys_for_figures(form: LogicalForm, reading: Reading) -> None:
    """For "what is the highest total fare" the number of a row is no fare."""
    words = [token.lower for token in reading.tokens[:3]]
    opens = words[:1] == ["what"] and words[1:2] and words[1] in {"is", "was", "are", "were"}
    first = reading.items[0] if reading.items else None
    if not opens or first is None or not first.is_cue("superlative", "aggregate") or first.first > 3:
        return
    shown = [one for one in form.outputs if isinstance(one, ColumnOf)]
    if shown and all(reading.lexicon.columns[one.ref].is_key for one in shown) and len(shown) == len(form.outputs):
        following = reading.items[1] if len(reading.items) > 1 else None
        if following is None or not set(following.tables) & {one.table for one in shown}:
            raise Unreadable(f"It is not clear which figure is the “{first.text}”.")


def _refuse_lost_groups(form: LogicalForm, reading: Reading) -> None:
    """For "average rating per hotel" one figure over all hotels is no answer."""
    figures = any(not isinstance(one, ColumnOf) for one in form.outputs)
    if not figures or form.groups or form.within:
        return
    for index, item in enumerate(reading.items[:-1]):
        following = reading.items[index + 1]
        measured = index > 0 and reading.items[index - 1].number is not None
        named = following.kind in {"table", "column"} and following.first == item.last + 1
        if item.is_cue("group") and item.text in _OVER and not item.used and not measured and named:
            raise Unreadable(f"It is not clear how to tell the figures for each {following.text}.")


def _refuse_several_for_one(form: LogicalForm, reading: Reading) -> None:
    """For "what is the score of the Billing team", which has many: how they become one is not said."""
    words = [token.lower for token in reading.tokens[:3]]
    if words[:2] != ["what", "is"] or form.groups or form.order or form.limit or len(form.outputs) != 1:
        return
    shown = form.outputs[0]
    if not isinstance(shown, ColumnOf) or form.distinct:
        return
    entry = reading.lexicon.columns[shown.ref]
    said = next((item for item in reading.items if shown.ref in item.columns and item.used), None)
    plural = said is not None and reading.tokens[said.last].lower.endswith("s")
    if not entry.is_numeric or said is None or plural:
        return
    for condition in form.conditions:
        if not isinstance(condition, OneOf) or condition.negated or len(condition.values) != 1:
            continue
        other = condition.ref[0]
        if other != shown.table and reading.lexicon.columns[condition.ref].is_name:
            many = reading.graph.path((other,), shown.table, to_one=True) is None
            if many and reading.graph.path((shown.table,), other, to_one=True) is not None:
                raise Unreadable(f"There are many “{said.text}” of “{condition.values[0]}”; which figure is not said.")


def _refuse_other_ways(form: LogicalForm, reading: Reading) -> None:
    """For "clients who bought products of Sonora" the brand must be that of what was bought, not of something rated."""
    loose = [one for one in form.conditions if isinstance(one, Exists) and not one.inner and not one.negated]
    for one in loose:
        for other in form.conditions:
            ref = getattr(other, "ref", None)
            if other is one or ref is None or ref[0] in {form.subject, one.table}:
                continue
            if reading.graph.path((one.owner,), ref[0], to_one=True) is not None:
                continue
            way = reading.graph.path((one.owner,), ref[0]) or ()
            there = reading.graph.path((one.owner,), one.table) or ()
            if any(ref[0] in {edge.source, edge.target} for edge in there):
                continue  # it lies on the way to what is named
            passed = {edge.target for edge in way} | {edge.source for edge in way}
            if one.table not in passed and reading.graph.path((one.table,), ref[0]):
                raise Unreadable("It is not clear by which way the rows it names belong together.")


def _refuse_idle_nulls(form: LogicalForm, reading: Reading) -> None:
    """What is never missing says nothing of "empty flats"; the value of parts is none of their columns unless named."""
    inner = [within for one in form.conditions if isinstance(one, Exists) for within in one.inner]
    for condition in (*form.conditions, *inner):
        if isinstance(condition, IsNull) and not condition.negated:
            entry = reading.lexicon.columns.get(condition.ref)
            if entry is not None and not entry.column.nullable:
                raise Unreadable(f"{reading.text_of(condition.ref)} is never missing.")
    for place, token in enumerate(reading.tokens[:-1]):
        following = reading.tokens[place + 1].lower
        if token.lower in {"value", "worth"} and following == "of":
            read = any(item.first <= place <= item.last and item.used for item in reading.items)
            if not read and not any(isinstance(one, Measure) and one.function != "count" for one in form.outputs):
                raise Unreadable(f"It is not clear which number “{token.text}” is.")


def _refuse_times_beside(form: LogicalForm, reading: Reading) -> None:
    """For "did not buy books in 2025" the time belongs to the buying that is denied or counted, not beside it."""
    far = [
        one
        for one in form.conditions
        if isinstance(one, InPeriod)
        and form.subject
        and not stands_apart(reading, one)
        and reading.graph.path((form.subject,), one.ref[0], to_one=True) is None
    ]
    others = [
        one
        for one in form.conditions
        if (isinstance(one, Exists) and one.negated and one.inner) or (isinstance(one, Related) and one.number > 0)
    ]
    if far and any(not isinstance(one, Related) or one.owner == form.subject for one in others):
        raise Unreadable("It is not clear whether the time belongs to what is denied or counted.")
