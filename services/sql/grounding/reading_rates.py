"""Rates of a state: "the cancellation rate" is the share of rows that are cancelled."""

from __future__ import annotations

from services.sql.grounding.mentions import Mention, ValueLink
from services.sql.grounding.phrases import Cue
from services.sql.grounding.reading_state import Reading
from services.sql.grounding.words import are_derived, value_stems

_MOST_STATES = 12


def mark_rates(reading: Reading) -> None:
    """Take "cancellation rate" for a share of the rows in the state of that name, where no column is such a rate."""
    for index, token in enumerate(reading.tokens[1:], start=1):
        if token.lower not in {"rate", "rates"}:
            continue
        word = reading.tokens[index - 1]
        held = next((item for item in reading.items if item.first <= index <= item.last), None)
        known = held is not None and any(
            word.stem in reading.lexicon.columns[ref].own or set(reading.lexicon.hits(word.stem)) & set(own[:-1])
            for ref in held.columns
            if (own := reading.lexicon.columns[ref].own)[-1:] == ("rate",) and len(own) > 1
        )
        if word.kind != "word" or known:
            continue
        states = _states(reading, word.stem)
        said = any(token.stem in value_stems(link.value) for link in states for token in reading.tokens)
        if len({link.entry.ref for link in states}) != 1 or (said and word.stem not in value_stems(states[0].value)):
            continue  # "the attendance rate, that is attended bookings divided by all"
        before = [item for item in reading.items if item.last < index - 1]
        after = [item for item in reading.items if item.first > index]
        state = Mention("value", word.text, index - 1, index - 1, values=tuple(states))
        share = Mention("cue", token.lower, index, index, cue=Cue("share"), content=0)
        reading.items[:] = [*before, state, share, *after]
        reading.subject = states[0].entry.table  # whose rows are in the state or not
        return


def _states(reading: Reading, word: str) -> list[ValueLink]:
    """The states of rows that a noun is made of: cancellation, cancelled; of the named tables where there are some."""
    found = []
    for entry in reading.lexicon.columns.values():
        if not entry.column.values or len(entry.column.values) > _MOST_STATES or not entry.column.values_complete:
            continue
        for value in entry.column.values:
            stems = value_stems(value)
            if len(stems) == 1 and (stems[0] == word or are_derived(word, stems[0])):
                found.append(ValueLink(entry, value, 0.9))
    named = set(reading.mentioned_tables())
    of_named = [link for link in found if link.entry.table in named]
    return of_named or found
