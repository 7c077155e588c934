"""Units of measure: a bound in hours against a column in minutes."""

from __future__ import annotations

from services.sql.grounding.reading_state import Reading
from services.sql.grounding.words import stem

_SCALES = (
    {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0, "week": 604_800.0},
    {"gram": 1.0, "g": 1.0, "kilogram": 1_000.0, "kg": 1_000.0, "tonne": 1e6, "ton": 1e6},
    {
        "millimetre": 1.0,
        "mm": 1.0,
        "centimetre": 10.0,
        "cm": 10.0,
        "metre": 1e3,
        "meter": 1e3,
        "km": 1e6,
        "kilometre": 1e6,
    },
)
_STEMS = tuple({stem(word): size for word, size in scale.items()} for scale in _SCALES)
_SHORT = {"min": "minut", "hr": "hour", "sec": "second", "m": "metr"}


def in_unit_of(reading: Reading, ref: tuple[str, str], number: int) -> float:
    """What a number is multiplied by to be in the unit that the column's name tells; 1 where none is told."""
    position = reading.items[number].last + 1
    if position >= len(reading.tokens):
        return 1.0
    said = reading.tokens[position].stem
    said = _SHORT.get(said, said)
    for scale in _STEMS:
        held = [word for word in reading.lexicon.columns[ref].own if word in scale]
        if said in scale and len(held) == 1:
            for item in reading.items:
                item.used = item.used or item.first == position
            return scale[said] / scale[held[0]]
    return 1.0
