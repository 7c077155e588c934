"""Reuse of approved examples: the query of the same question, or that of a question that differs in a value only.

A wrong reuse is worse than none. So an example is adapted only when the two questions match unit by unit, and each
difference is a value, number, period, column or direction that one place of the approved query surely stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from sqlglot import exp

from services.sql.grounding.example_changes import (
    SURE_COLUMN,
    Changes,
    NotAdaptable,
    all_days_explained,
    change_column,
    change_direction,
    change_number,
    change_period,
    change_value,
    change_year,
)
from services.sql.grounding.example_queries import ExampleQuery, LiteralUse, read_example
from services.sql.grounding.example_units import Unit, name_the_same, same_text, units_of
from services.sql.grounding.join_paths import JoinGraph
from services.sql.grounding.lexicon import Lexicon
from services.sql.guidance import SimilarExample
from services.sql.models import Schema, SqlDraft

EQUAL_CONFIDENCE, ALIKE_CONFIDENCE, ADAPTED_CONFIDENCE = 0.98, 0.95, 0.9
MOST_EXAMPLES = 10
MOST_CHANGES = 4
_MOST_SHOWN = 200  # characters of an example's question
_MOST_NAMED = 80  # and of who approved it


def reuse_example(
    question: str, examples: Sequence[SimilarExample], schema: Schema, lexicon: Lexicon, graph: JoinGraph
) -> SqlDraft | None:
    """A draft from the approved examples; None when none of them surely answers the question."""
    examples = examples[:MOST_EXAMPLES]
    for example in examples:
        if same_text(question, example.question):
            query = read_example(example.sql, schema)
            if query is not None:
                what = example.explanation or f"Reads {_listed(query.tables)}."
                text = f"{what} The query is as approved for the same question{_approval(example)}."
                return SqlDraft(example.sql, text, EQUAL_CONFIDENCE, query.tables)
    asked = units_of(question, lexicon) if examples else None
    if not asked:
        return None
    best: tuple[int, SqlDraft] | None = None
    for example in examples:
        given = units_of(example.question, lexicon)
        differing = _differences(given, asked) if given else None
        if given is None or differing is None or (best is not None and len(differing) >= best[0]):
            continue
        draft = _adapted(example, given, asked, differing, schema=schema, lexicon=lexicon, graph=graph)
        if draft is not None:
            best = len(differing), draft
    return best[1] if best is not None else None


def _differences(given: Sequence[Unit], asked: Sequence[Unit]) -> list[int] | None:
    """Places where the units differ; None when the two are not of one shape."""
    if len(given) != len(asked):
        return None
    places = [
        place
        for place, (one, other) in enumerate(zip(given, asked, strict=True))
        if one.key != other.key and not name_the_same(one, other)
    ]
    return places if len(places) <= MOST_CHANGES else None


def _adapted(
    example: SimilarExample,
    given: Sequence[Unit],
    asked: Sequence[Unit],
    differing: Sequence[int],
    *,
    schema: Schema,
    lexicon: Lexicon,
    graph: JoinGraph,
) -> SqlDraft | None:
    if _asks_for_one_or_many(given, asked):
        return None
    query = read_example(example.sql, schema)
    if query is None or not _speaks_of(query, given, lexicon, graph):
        return None
    changes = Changes(query, lexicon)
    try:
        for place in differing:
            _change(changes, given, asked, place)
        _check(changes, given, differing)
    except NotAdaptable:
        return None
    changes.apply()
    shown = example.question if len(example.question) <= _MOST_SHOWN else example.question[: _MOST_SHOWN - 1] + "…"
    text = f"Reads {_listed(query.tables)}, as approved for “{shown}”{_approval(example)}"
    if changes.told:
        text += ", with " + "; ".join(changes.told)
    confidence = ADAPTED_CONFIDENCE if differing else ALIKE_CONFIDENCE
    text += f". Of what was approved was said: {example.explanation}" if example.explanation else "."
    return SqlDraft(query.sql if differing else example.sql, text, confidence, query.tables)


def _asks_for_one_or_many(given: Sequence[Unit], asked: Sequence[Unit]) -> bool:
    """Whether one asks for "the best product" and the other for "the best products", with no number to tell."""
    if not any(unit.is_superlative for unit in given) or any(unit.kind == "number" for unit in given):
        return False
    return any(
        one.kind == "name" and one.key == other.key and one.text.lower() != other.text.lower()
        for one, other in zip(given, asked, strict=True)
    )


def _speaks_of(query: ExampleQuery, given: Sequence[Unit], lexicon: Lexicon, graph: JoinGraph) -> bool:
    """Whether the approved query reads what its own question names: else its words are no measure of what it does."""
    reach = set(query.tables)
    for table in query.tables:
        reach.update(edge.target for edge in graph.edges.get(table, ()))
    texts = {use.text.strip("%").lower() for use in query.uses if use.is_text}
    for unit in given:
        mention = unit.mention
        if unit.kind == "name" and mention is not None and mention.quality >= SURE_COLUMN:
            tables = {*mention.tables, *(ref[0] for ref in mention.columns)}
            if not tables & reach:
                return False
        if unit.kind == "value":
            spelled = {unit.text.lower(), *(link.value.lower() for link in (mention.values if mention else ()))}
            if not spelled & texts:
                return False
    return True


def _change(changes: Changes, given: Sequence[Unit], asked: Sequence[Unit], place: int) -> None:
    old, new = given[place], asked[place]
    if sum(unit.key == old.key for unit in given) != 1:
        raise NotAdaptable  # it stands there twice: which one is meant where cannot be told
    both = {old.kind, new.kind}
    if both == {"number"}:
        if _is_year(old) and _is_year(new):
            change_year(changes, old, new)
        else:
            change_number(changes, old, new, _role(given, place))
    elif both == {"period"}:
        change_period(changes, old, new)
    elif both == {"value"}:
        change_value(changes, old, new)
    elif both == {"name"}:
        change_column(changes, old, new)
    elif both == {"cue"}:
        change_direction(changes, old, new)
    else:
        raise NotAdaptable


def _is_year(unit: Unit) -> bool:
    return unit.mention is not None and unit.mention.period is not None


def _role(units: Sequence[Unit], place: int) -> str:
    """What a number says by the cues around it."""
    before = units[place - 1].mention if place else None
    after = units[place + 1].mention if place + 1 < len(units) else None
    if (before is not None and before.is_cue("superlative")) or (after is not None and after.is_cue("superlative")):
        return "limit"
    if before is not None and before.is_cue("compare", "between"):
        return "compares"
    return "any"


def _check(changes: Changes, given: Sequence[Unit], differing: Sequence[int]) -> None:
    """Refuse when the query holds further literals that may hang together with those replaced.

    Where "in Berlin" was approved as city = 'Berlin' AND country = 'Germany', another city needs another country.
    """
    kept = [unit for place, unit in enumerate(given) if place not in differing]
    if not differing:
        return
    periods = [unit.mention.period for unit in kept if unit.mention is not None and unit.mention.period is not None]
    if any(use.is_day or use.of_year for use, _ in changes.literals) and not all_days_explained(changes, periods):
        raise NotAdaptable
    replaced = {id(use) for use, _ in changes.literals}
    touched = {use.column[0] for use, _ in changes.literals if use.column and use.is_text and not use.is_day}
    numeric = any(use.role != "limit" and not use.is_text and not use.of_year for use, _ in changes.literals)
    for use in changes.query.uses:
        if id(use) in replaced or use.role not in {"equals", "compares"} or _is_told(use, kept):
            continue
        if use.column is not None and use.column[0] in touched and not _is_exclusion(use):
            raise NotAdaptable
        if use.column in changes.columns:
            raise NotAdaptable
        if numeric and not use.is_text and use.number not in {0.0, 1.0}:
            raise NotAdaptable


def _is_exclusion(use: LiteralUse) -> bool:
    """Whether it is of the kind "all but the cancelled ones", which holds for whatever is asked."""
    node = use.node.parent
    while node is not None and not isinstance(node, exp.Where | exp.Having | exp.Join):
        if isinstance(node, exp.NEQ | exp.Not):
            return True
        node = node.parent
    return False


def _is_told(use: LiteralUse, kept: Sequence[Unit]) -> bool:
    """Whether words that both questions share say this literal."""
    for unit in kept:
        mention = unit.mention
        if use.is_text:
            spelled = {unit.text.lower(), *(link.value.lower() for link in (mention.values if mention else ()))}
            if unit.kind == "value" and use.text.strip("%").lower() in spelled:
                return True
        elif mention is not None and mention.number is not None and mention.number == use.number:
            return True
    return False


def _approval(example: SimilarExample) -> str:
    """By whom and when it was approved, as far as that is known."""
    who = " ".join(example.approved_by.split())[:_MOST_NAMED]
    when = f" on {example.approve_time.astimezone(UTC):%Y-%m-%d}" if example.approve_time else ""
    return f" by {who}{when}" if who else when


def _listed(tables: Sequence[str]) -> str:
    names = [table.split(".", 1)[1] for table in tables]
    if len(names) > 6:
        names = [*names[:5], f"{len(names) - 5} more"]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else "no table"
