"""Words of a question that its query leaves out or takes for something else: wishes, amounts, trades, asides."""

from __future__ import annotations

from itertools import pairwise

from services.sql.grounding.lexicon import COMMENT_QUALITY
from services.sql.grounding.logical_form import (
    ColumnOf,
    CompareToMeasure,
    Exists,
    LogicalForm,
    Measure,
    OneOf,
    PartOfAll,
    Ratio,
    Related,
)
from services.sql.grounding.reading_measures import is_money_word
from services.sql.grounding.reading_state import TRADE_TABLES, TRADE_VERBS, Reading, Unreadable
from services.sql.grounding.reading_subject import PERSON_MARKS
from services.sql.grounding.soundness import PEOPLE, operands_of
from services.sql.grounding.words import IRREGULAR, stem

_FLOWS = frozenset(stem(word) for word in "revenue sales spending income turnover earnings".split())
_MONEY = stem("money")
_PERSONS = frozenset("people persons individuals".split())
_AVAILABLE = stem("available")


def refuse_unread_words(form: LogicalForm, reading: Reading) -> None:
    """Raises Unreadable where a word says what the query does not."""
    _refuse_half_pairs(form, reading)
    _refuse_asides(reading)
    _refuse_unread_money(reading)
    _refuse_what_they_do(form, reading)
    _refuse_half_of_both(form, reading)
    _refuse_what_is_traded(form, reading)
    _refuse_unread_wishes(form, reading)
    _refuse_lost_shares(form, reading)
    _refuse_other_counts(form, reading)


def _refuse_asides(reading: Reading) -> None:
    """A word that only a comment knows, right before a name, narrows it: "bad reviews", "the fleet plan"."""
    for index, item in enumerate(reading.items[:-1]):
        following = reading.items[index + 1]
        if item.kind != "column" or item.first != item.last or item.quality > COMMENT_QUALITY:
            continue
        if item.last + 1 != following.first or (index and reading.items[index - 1].is_cue("superlative")):
            continue
        told = [reading.lexicon.columns[ref] for ref in item.columns]
        if any(reading.tokens[item.first].stem in one.own for one in told):
            continue  # its own word, though one of several
        of_kinds = following.kind == "column" and any(one.is_text and one.ref in following.columns for one in told)
        if of_kinds or (following.kind == "table" and not any(one.is_date for one in told)):
            raise Unreadable(f"It is not clear what “{item.text}” says of “{following.text}”.")
    for place, token in enumerate(reading.tokens):
        if token.stem != _AVAILABLE or token.kind != "word":
            continue
        holder = next((item for item in reading.items if item.first <= place <= item.last), None)
        if holder is not None and holder.used and holder.kind != "word":
            continue
        rest = [one for one in reading.tokens[place + 1 :] if one.kind != "sign"]
        names = any(item.first == place + 1 and item.kind == "table" for item in reading.items)
        said = place > 0 and any(one.lower in {"are", "is", "were", "was"} for one in reading.tokens[:place])
        if names or (said and not rest):
            raise Unreadable(f"Nothing in the database stands for “{token.text}”.")


def _refuse_unread_money(reading: Reading) -> None:
    """For "total revenue by channel" a count is no revenue."""
    read = any(item.used and is_money_word(reading, index) for index, item in enumerate(reading.items))
    for index, item in enumerate(reading.items):
        if read and reading.tokens[item.first].stem == _MONEY:
            continue  # "spent the most money"
        if not item.used and item.kind in {"word", "column"} and is_money_word(reading, index):
            sold = reading.tokens[item.first].lower in IRREGULAR or item.text.lower().endswith("ed")
            if not sold or any(one.is_cue("aggregate") for one in reading.items[max(0, index - 1) : index]):
                raise Unreadable(f"It is not clear which number “{item.text}” is.")


def _refuse_what_is_traded(form: LogicalForm, reading: Reading) -> None:
    """For "how many laptops did we sell" one row of products is no sale; "what did Ann order" asks for things."""
    stems = {token.stem for token in reading.tokens} & TRADE_VERBS
    tokens = [token.lower for token in reading.tokens]
    if not stems or not form.subject:
        return
    trades = bool(TRADE_TABLES & set(reading.lexicon.tables[form.subject].stems))
    if tokens[:2] in (["what", "did"], ["what", "do"], ["what", "does"]):
        own = all(isinstance(one, ColumnOf) and one.table == form.subject for one in form.outputs)
        if trades and own and not form.order:
            raise Unreadable("It asks for what was traded, and only that something was could be told.")
    sold = "sell" in stems and not trades and not any(isinstance(one, (Exists, Related)) for one in form.conditions)
    counts = [one for one in form.outputs if isinstance(one, Measure) and one.function == "count" and one.ref is None]
    offered = "do" in tokens and not form.conditions  # "how many products do we sell" asks for the range itself
    if sold and not offered and tokens[:2] == ["how", "many"] and any(one.table == form.subject for one in counts):
        raise Unreadable("It is not clear how many were sold.")


def _refuse_unread_wishes(form: LogicalForm, reading: Reading) -> None:
    """For "what is the weight of …" and "when was the last …": the weight, and the last one, have to be read."""
    words = [token.lower for token in reading.tokens]
    first = reading.items[0] if reading.items else None
    unread = first is not None and first.first <= 3 and not first.used and first.kind == "column"
    names = {entry.ref for table in reading.lexicon.tables.values() for entry in table.named()}
    only_names = all(isinstance(one, ColumnOf) and one.ref in names for one in form.outputs)
    if words[:2] == ["what", "is"] and first is not None and unread and first.quality < 0.6 and only_names:
        raise Unreadable(f"It is not clear what in the database is the “{first.text}”.")
    timed = {"first", "last", "latest"}
    extremes = [item for item in reading.items if item.is_cue("superlative") and item.text in timed]
    if words[0] == "when" and extremes and not form.order and all(isinstance(one, ColumnOf) for one in form.outputs):
        raise Unreadable(f"It is not clear which is the “{extremes[0].text}”.")


def _refuse_lost_shares(form: LogicalForm, reading: Reading) -> None:
    """A share is no sum, and the average of months is none of single rows."""
    shares = any(isinstance(one, (PartOfAll, Ratio)) for one in operands_of(form)) or bool(form.share_of)
    for place, token in enumerate(reading.tokens):
        held = any(item.first <= place <= item.last and item.used for item in reading.items)
        if token.lower == "share" and not shares and not held:
            raise Unreadable("It asks for a share, but not of what.")
    for index, item in enumerate(reading.items[:-1]):
        average = item.is_cue("aggregate") and item.cue is not None and item.cue.data == "avg"
        flowing = reading.tokens[reading.items[index + 1].first].stem in _FLOWS
        if average and flowing and any(one.is_cue("group") and one.text == "per" for one in reading.items):
            raise Unreadable("It is not clear over what the average is taken.")


def _refuse_other_counts(form: LogicalForm, reading: Reading) -> None:
    """For "how many toys did customers buy" customers are no toys; "never sold" denies no kind of product."""
    counts = {one.table for one in form.outputs if isinstance(one, Measure) and one.function == "count"}
    for index, item in enumerate(reading.items[:-1]):
        following = reading.items[index + 1]
        plural = following.kind == "value" and following.text.lower().endswith("s")
        owners = {link.entry.table for link in following.values}
        counted = item.is_cue("count") and plural and following.first == item.last + 1
        if counted and counts and not counts & owners:
            raise Unreadable(f"It is not clear how many “{following.text}” there are.")
        if item.is_cue("negation") and reading.tokens[item.last + 1].stem in TRADE_VERBS and form.subject:
            own = any(isinstance(one, OneOf) and one.negated and one.ref[0] == form.subject for one in form.conditions)
            if own and not any(isinstance(one, Exists) and one.negated for one in form.conditions):
                raise Unreadable(f"It is not clear what “{item.text}” denies.")


def _refuse_half_of_both(form: LogicalForm, reading: Reading) -> None:
    """Where both of two are asked for, two have to be found."""
    names = {entry.ref for table in reading.lexicon.tables.values() for entry in table.named()}
    only_names = all(isinstance(one, ColumnOf) and one.ref in names for one in form.outputs)
    if not any(item.is_cue("both") for item in reading.items) or not (only_names or len(form.outputs) == 1):
        return
    if len(form.conditions) < 2 and not any(isinstance(one, OneOf) and len(one.values) > 1 for one in form.conditions):
        raise Unreadable("It asks for both of two, and only one could be told.")


def _refuse_what_they_do(form: LogicalForm, reading: Reading) -> None:
    """For "what did guests say about …" the guests are no answer; nor are counted rows for "how many people"."""
    words = [token.lower for token in reading.tokens]
    doer = next((item for item in reading.items if item.first in {2, 3} and item.kind == "table"), None)
    if words[0] == "what" and words[1:2] and words[1] in {"did", "do", "does"} and doer is not None:
        named = {entry.ref for table in doer.tables for entry in reading.lexicon.tables[table].named()}
        if form.outputs and all(isinstance(one, ColumnOf) and one.ref in named for one in form.outputs):
            raise Unreadable(f"It is not clear what “{doer.text}” did.")
    if words[:2] == ["how", "many"] and words[2:3] and words[2] in _PERSONS and form.subject:
        people = reading.lexicon.tables[form.subject]
        known = set(people.stems) & PEOPLE or any(set(one.own) & PERSON_MARKS for one in people.columns)
        if not known:
            raise Unreadable(f"It is not clear who the “{words[2]}” are.")


def _refuse_half_pairs(form: LogicalForm, reading: Reading) -> None:
    """For "issued and paid in 2025" one date is not enough; "the phone number" is no number of what came by phone."""
    items = reading.items
    for index, item in enumerate(items[:-1]):
        following = items[index + 1]
        beside = item.last + 1 == following.first
        tables = {link.entry.table for link in item.values}
        if item.kind == "value" and item.used and beside and following.kind == "column" and following.used:
            named = reading.tokens[following.first].lower in {"number", "address", "name", "code"}
            if named and following.first == following.last and not tables & {ref[0] for ref in following.columns}:
                raise Unreadable(f"Nothing in the database stands for “{item.text} {following.text}”.")
        last = items[index + 2] if index + 2 < len(items) else None
        joined = following.is_cue("and") and last is not None and last.used and not item.used
        dated = [
            bool(one.columns) and all(reading.lexicon.columns[ref].is_date for ref in one.columns)
            for one in (item, last)
            if one is not None
        ]
        if joined and all(dated) and item.kind in {"column", "verb"}:
            raise Unreadable(f"It is not clear when it was “{item.text}”.")
    words = [token.lower for token in reading.tokens]
    own = any(pair in (("of", "their"), ("of", "its"), ("of", "his")) for pair in pairwise(words))
    if own and any(isinstance(one, CompareToMeasure) for one in form.conditions):
        raise Unreadable("It compares each row with those beside it in a way this reader cannot tell.")
