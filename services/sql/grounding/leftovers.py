"""What a reading must not leave out: words that would change the answer, and bounds that no row can meet."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, Compare, CompareToMeasure, OneOf, Related
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.wording import NUMBER_WORDS


def check_nothing_is_left(reading: Reading) -> None:
    """A number, a comparison or a negation that found no place would change the answer: better none than that.

    Raises Unreadable: something is left.
    """
    parts = repr((reading.outputs, reading.conditions, reading.groups, reading.order))
    known = reading.lexicon.roles
    roles = [
        item
        for item in reading.items
        if item.kind == "role" or (item.kind == "table" and item.tables and set(item.tables) <= set(known))
    ]
    if roles and not any(repr(name) in parts for name in reading.lexicon.roles):
        if any(item.quality for item in roles):
            raise Unreadable(f"It is not clear whose role “{roles[0].text}” is.")
        for item in roles:  # a verb that might have named a role is only a word nothing stands for
            item.kind, item.used = "word", False
    for index, item in enumerate(reading.items):
        if item.used:
            continue
        if item.is_cue("negation"):
            raise Unreadable(f"It is not clear what “{item.text}” denies.")
        if item.is_cue("low", "zero"):
            raise Unreadable(f"It is not clear what “{item.text}” is about.")
        if item.is_cue("superlative") and item.text not in {"first", "last", "top", "most"}:
            raise Unreadable(f"It is not clear what “{item.text}” is about.")
        if (
            item.is_cue("compare", "between")
            and item.cue is not None
            and item.cue.data not in {"since", "until", "before", "after"}
        ):
            if item.text in {"over", "through", "from", "until"}:
                reading.doubt *= 0.7
            else:
                raise Unreadable(f"It is not clear what “{item.text}” compares.")
        if item.is_cue("aggregate") and item.text not in {
            "overall",
            "total",
            "combined",
            "in total",
            "altogether",
            "how much",
        }:
            raise Unreadable(f"It is not clear what “{item.text}” is taken over.")
        sums = bool(reading.share or reading.having) or any(
            not isinstance(one, ColumnOf) for one in (*reading.outputs, *(order.operand for order in reading.order))
        )
        sums = sums or any(isinstance(one, (Related, CompareToMeasure)) for one in reading.conditions)
        if item.is_cue("aggregate") and not sums and item.text != "overall":
            raise Unreadable(f"It is not clear what “{item.text}” is taken over.")
        if item.is_cue("by") and not sums and not reading.order and index + 1 < len(reading.items):
            following = reading.items[index + 1]
            shown = any(one.kind == "column" and one.used for one in reading.items[:index])
            figure = reading.items[index - 1] if index else None
            if figure is not None and figure.kind == "column" and reading.column_of(index - 1, wanted="numeric"):
                shown = False  # a figure "by category" is to be computed, and how is not said
            last = index + 2 >= len(reading.items)
            if (
                last
                and not shown
                and following.kind in {"table", "column"}
                and not reading.words_between(index, index + 1)
            ):
                raise Unreadable(f"It is not clear what to show by “{following.text}”.")
        told = item.text.lower() in NUMBER_WORDS and item.text.lower() not in {"one", "single"}
        if item.kind == "number" and (told or not item.text.isalpha()):
            raise Unreadable(f"It is not clear what {item.text} is.")
        if item.kind == "period":
            raise Unreadable(f"No date column for “{item.text}” could be told.")
        if item.is_cue("count", "share"):
            reading.doubt *= 0.7
        if item.is_cue("or"):
            reading.doubt *= 0.6  # read as if both were asked for


def refuse_contradictions(reading: Reading) -> None:
    """Bounds that no row can meet were meant for different rows, which one condition cannot say.

    Raises Unreadable: such bounds are there.
    """
    equal = [one.ref for one in reading.conditions if isinstance(one, OneOf) and not one.negated]
    for ref in {ref for ref in equal if equal.count(ref) > 1}:
        if reading.subject and reading.graph.path((reading.subject,), ref[0], to_one=True) is not None:
            raise Unreadable(f"No row can have two values of {reading.text_of(ref)} at once.")
    for ref in {one.ref for one in reading.conditions if isinstance(one, Compare)}:
        bounds = [one for one in reading.conditions if isinstance(one, Compare) and one.ref == ref]
        low = [one.value for one in bounds if one.operator in {">", ">=", "="} and isinstance(one.value, float)]
        high = [one.value for one in bounds if one.operator in {"<", "<=", "="} and isinstance(one.value, float)]
        if low and high and max(low) > min(high):
            raise Unreadable(f"No row can meet all that is asked of {reading.text_of(ref)}.")
