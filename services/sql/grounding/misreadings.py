"""Readings that are queries, but not of what was asked: refused by the shape of the question and of the query."""

from __future__ import annotations

from typing import NoReturn

from services.sql.grounding.lexicon import COMMENT_QUALITY
from services.sql.grounding.logical_form import (
    ColumnOf,
    Compare,
    Exists,
    InPeriod,
    LogicalForm,
    Measure,
    OneOf,
    tables_of,
)
from services.sql.grounding.mentions import Mention
from services.sql.grounding.reading_exclusives import ONLY
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.thesaurus import PRICE_WORDS, QUANTITY_WORDS
from services.sql.grounding.words import IRREGULAR, split_identifier, stem

_STOCK = frozenset({stem("stock"), stem("inventory")})
_RATINGS = frozenset({"rating", "ratings"})
_OF_RATINGS = ("rat", "score", "star", "grade", "mark", "review")
_BUYING = frozenset("have has had buy buys order orders purchase purchases visit visits use uses play plays".split())
_SHARING = frozenset("have has had share shares sharing with having".split())


def refuse_misreadings(form: LogicalForm, reading: Reading) -> None:
    """Raises Unreadable when the query would answer another question than the one that was asked."""
    _refuse_other_meanings(form, reading)
    _refuse_denied_groups(form, reading)
    _refuse_mixed_periods(form, reading)
    _refuse_only(form, reading)
    _refuse_other_stock(form, reading)
    _refuse_other_shapes(form, reading)


def _refuse_other_meanings(form: LogicalForm, reading: Reading) -> None:
    """A rating is no rate, a shipping cost no price, and a comment that has "late" in it does not tell what is late."""
    for index, item in enumerate(reading.items):
        if item.kind != "column" or not item.used:
            continue
        entry = reading.column_of(index)
        if entry is None:
            continue
        word, known = reading.tokens[item.last].lower, reading.tokens[item.last].stem
        pieces = split_identifier(entry.column.name)
        if word in _RATINGS and not any(piece.startswith(_OF_RATINGS) for piece in pieces):
            _refuse_words(item)
        before = reading.items[index - 1] if index and item.first == reading.items[index - 1].last + 1 else None
        half = before is not None and before.kind == "column" and before.quality <= COMMENT_QUALITY
        narrowed = before is not None and (before.kind in {"word", "verb", "value"} or half)
        other = half and before is not None and before.columns.get(entry.ref, 0.0) == 0.0
        if narrowed and before is not None and known in PRICE_WORDS and (known not in entry.own or other):
            _refuse_words(before, item)
        head = _head(reading)
        asks_rows = head is not None and head is not item
        shown = ColumnOf(entry.ref) in form.outputs
        if asks_rows and shown and item.quality <= COMMENT_QUALITY and known not in entry.own:
            _refuse_words(item)


def _refuse_words(*items: Mention) -> NoReturn:
    for item in items:
        item.kind, item.content, item.used = "word", 1, False
    raise Unreadable(f"Nothing in the database stands for “{' '.join(item.text for item in items)}”.")


def _head(reading: Reading) -> Mention | None:
    """The table named right behind "which" or "what" at the beginning."""
    if reading.tokens[0].lower not in {"which", "what"}:
        return None
    return next((item for item in reading.items if item.first == 1 and item.kind == "table"), None)


def _refuse_denied_groups(form: LogicalForm, reading: Reading) -> None:
    """For "which countries have no Premium customers": what one row denies another row of the country may have."""
    if not form.distinct or reading.tokens[0].lower not in {"which", "what"}:
        return
    if any(item.is_cue("negation") for item in reading.items) and form.conditions:
        raise Unreadable("It asks which values none of the rows has, which one condition on rows cannot say.")


def _refuse_mixed_periods(form: LogicalForm, reading: Reading) -> None:
    """For "no orders in 2026 but orders in 2025": one denial must not take in both."""
    dated = [one.negated for one in form.conditions if isinstance(one, Exists) and _is_dated(one)]
    if sorted(dated) == [False, True]:
        return
    words = [token.lower for token in reading.tokens]
    denies = [item for item in reading.items if item.is_cue("negation")]
    if not denies or "but" not in words:
        return
    at = words.index("but")
    sides = [[one for one in reading.items if (one.first > at) is later and one.period] for later in (False, True)]
    if all(sides):
        raise Unreadable("It denies something of one time and asks for it at another, which is not told apart here.")


def _is_dated(condition: Exists) -> bool:
    return any(isinstance(one, InPeriod) for one in condition.inner)


def _refuse_only(form: LogicalForm, reading: Reading) -> None:
    """Who "only bought books" has bought nothing else, which is more than some book."""
    if any(isinstance(one, Exists) and one.negated and _denies_a_value(one) for one in form.conditions):
        return
    for at, token in enumerate(reading.tokens):
        if token.lower not in ONLY:
            continue
        beside = [reading.tokens[one] for one in (at - 1, at + 1) if 0 <= one < len(reading.tokens)]
        does = any(
            one.kind == "word" and (one.lower.endswith("ed") or one.lower in IRREGULAR or one.lower in _BUYING)
            for one in beside
        )
        closes = at > 0 and all(one.kind == "sign" for one in reading.tokens[at + 1 :])  # "bought electronics only"
        if not does and not closes and token.lower == "only":
            continue
        tables = {table for condition in form.conditions for table in tables_of(condition)} - {form.subject}
        if any(form.subject and reading.graph.path((form.subject,), one, to_one=True) is None for one in tables):
            raise Unreadable(f"It is not clear what “{token.text}” leaves out.")


def _denies_a_value(condition: Exists) -> bool:
    return any(isinstance(one, OneOf) and one.negated for one in condition.inner)


def _refuse_other_stock(form: LogicalForm, reading: Reading) -> None:
    """What is in stock is not what was ordered, though both are quantities of items."""
    if not any(token.stem in _STOCK for token in reading.tokens):
        return
    stock = [entry for entry in reading.lexicon.columns.values() if entry.is_numeric and _STOCK & set(entry.own)]
    holders = {entry.table for entry in stock}
    if not stock:
        return
    refs = [one.ref for one in form.conditions if isinstance(one, Compare)]
    refs += [one.ref for one in form.outputs if isinstance(one, Measure) and one.ref is not None]
    others = [ref for ref in refs if set(reading.lexicon.columns[ref].own) & QUANTITY_WORDS and ref[0] not in holders]
    rows = [one for one in form.outputs if isinstance(one, Measure) and one.ref is None and one.table not in holders]
    named = {entry.ref for entry in stock} & {ref for one in form.conditions if (ref := getattr(one, "ref", None))}
    if others or (rows and not named):
        raise Unreadable("It is not clear which number in the database the stock is.")


def _refuse_other_shapes(form: LogicalForm, reading: Reading) -> None:
    words = [token.lower for token in reading.tokens]
    head = _head(reading)
    figures = form.outputs and all(isinstance(one, Measure) for one in form.outputs)
    if words[0] == "which" and head is not None and figures and not form.groups and not form.share_of:
        raise Unreadable(f"It asks which {head.text}, and no rows of them could be told.")
    for at, word in enumerate(words):
        before = set(words[max(0, at - 2) : at])
        if word == "same" and before & _SHARING and not form.having and not form.groups:
            raise Unreadable("It compares rows with other rows in a way this reader cannot tell.")
    says_key = {"id", "ids", "number", "code", "key"} & set(words)
    for order in form.order:
        held = reading.lexicon.columns.get(order.operand.ref) if isinstance(order.operand, ColumnOf) else None
        own = reading.graph.keys.get(held.table, ()) if held is not None else ()
        if held is not None and held.is_key and held.column.name not in own and words[0] == "sort" and not says_key:
            raise Unreadable("It is not clear what to sort by.")  # by customers is not by the numbers of their keys
    plain = not form.groups and all(isinstance(one, ColumnOf) for one in form.outputs)
    for index, item in enumerate(reading.items):
        measured = index > 0 and reading.items[index - 1].number is not None  # "20 per hour"
        if item.is_cue("group") and item.text == "per" and not item.used and plain and not measured:
            raise Unreadable("It is not clear which figure is wanted per what.")
