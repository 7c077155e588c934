"""How sure a reading is: the share of right ones among answers that were read as this one was.

A logistic curve over what marks wrong answers. It was fitted to the first answers, before anything was mended for them,
to 346 questions on six databases of our own that no rule had been made for (tests/quality/dev/text_to_sql: hotel,
helpdesk, webstore, ferry, garage, coop), of which 284 were answered. Of the answers given 0.8 or more, 0.87 were right
(213 answers), from 0.7 to 0.8, 0.70 (43), from 0.45 to 0.7, 0.32 (22); below, one of six. What was learned from the
wrong ones is refused or read rightly since, so that these shares are the least to be expected. Each weight lowers the
number: a reading with one more mark against it is never surer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from services.sql.grounding.logical_form import LogicalForm
from services.sql.grounding.reading_state import TRADE_TABLES, TRADE_VERBS, Reading
from services.sql.grounding.thesaurus import MONEY_WORDS

LEAST_CONFIDENCE = 0.45  # below, five of six answers were wrong

_PLAIN = 1.8  # nothing speaks against it: 0.86
_GUESSED = -1.0  # each table, two at most, that no word names and whose columns are shown, compared or added up
_PASSED = -0.8  # each table, two at most, that no word names and that only joins others
_UNREAD = -1.0  # some name of a column was found in the question and stands for nothing in the query
_UNLINKED = -0.65  # words that nothing stands for: a fifth of them weighs in full
_ASSUMED = -1.2  # something had to be assumed: a doubt of a quarter weighs in full
_WEAK = -0.9  # some column was met by a likeness of less than 0.6
_LONG = -0.5  # a question of twelve words and more may say more than such a query holds

_SAME = 0.15  # tables met less well than the best by no more than this may be meant as well


def confidence_of(form: LogicalForm, reading: Reading, tables: Iterable[str]) -> float:
    """From 0 to 1, to three places; `tables` are those that the query reads."""
    guessed, passed = _unnamed(form, reading, set(tables))
    weight = (
        _PLAIN
        + _GUESSED * min(guessed, 2)
        + _PASSED * min(passed, 2)
        + _UNREAD * any(item.kind == "column" and not item.used and item.quality >= 0.4 for item in reading.items)
        + _UNLINKED * min(1.0, 5 * (1 - _linked(reading)))
        + _ASSUMED * min(1.0, 4 * (1 - reading.doubt))
        + _WEAK * any(item.kind == "column" and item.used and item.quality < 0.6 for item in reading.items)
        + _LONG * (len(reading.tokens) >= 12)
    )
    return round(1 / (1 + math.exp(-weight)), 3)


def _unnamed(form: LogicalForm, reading: Reading, tables: set[str]) -> tuple[int, int]:
    """How many tables no word names: those whose columns the query is about, and those that only join others."""
    unnamed = {_real(reading, table) for table in tables} - {_real(reading, table) for table in _named(form, reading)}
    about = repr((form.outputs, form.conditions, form.having, form.order))
    guessed = sum(1 for table in unnamed if f"({table!r}, " in about)
    return guessed, len(unnamed) - guessed


def _real(reading: Reading, table: str) -> str:
    role = reading.lexicon.roles.get(table)
    return role.target if role is not None else table


def _named(form: LogicalForm, reading: Reading) -> set[str]:
    """Tables that words name: by their own name, by a value or a column of theirs, or by a verb of trade."""
    named = {form.subject}
    for item in reading.items:
        if item.kind == "table" and item.tables:
            best = max(item.tables.values())
            named |= {table for table, quality in item.tables.items() if quality >= best - _SAME}
        if item.values and item.used:
            named |= {link.entry.table for link in item.values}
        if item.kind in {"column", "verb"} and item.used:
            named |= {ref[0] for ref, quality in item.columns.items() if quality >= item.quality - _SAME}
    if any(token.stem in TRADE_VERBS or token.stem in MONEY_WORDS for token in reading.tokens):
        named |= {table.name for table in reading.lexicon.tables.values() if TRADE_TABLES & set(table.stems)}
    return named


def _linked(reading: Reading) -> float:
    """The share of what the question says that something in the database stands for."""
    linked, total = 0.0, 0.0
    for item in reading.items:
        if item.kind == "cue" or item.content == 0:
            continue
        if item.kind == "word" and not item.used:
            total += item.content * (1.0 if item.text.lower().endswith(("ed", "ing")) else 1.4)
            continue
        total += item.content
        linked += item.content if item.used or item.kind != "column" else 0.6 * item.content
    return linked / total if total else 0.0
