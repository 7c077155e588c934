"""The units of a question, by which it is held against an approved one: what must be equal, and what may differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.sql.grounding.lexicon import Lexicon
from services.sql.grounding.linking import MOST_TOKENS, link_question
from services.sql.grounding.mentions import Mention
from services.sql.grounding.words import Token, split_question

# Openings and fillers without which a question to a database says the same.
OPENINGS = frozenset(
    "please show list give find get display tell return what which me us can could you kindly all of".split()
)
FILLERS = frozenset("the a an is are was were do does did we our there please".split())
WHETHER = frozenset("is are was were do does did has have".split())  # yes or no is another answer than rows
ENDINGS = frozenset("have there exist exists please".split())
# Cues whose meaning is all in kind, operator and hints, so that two wordings of one are the same.
INTERCHANGEABLE = frozenset("count aggregate compare superlative order direction group share distinct between".split())


@dataclass(frozen=True)
class Unit:
    """One mention or one word. Units of two questions that have one `key` say the same."""

    kind: str  # cue, name, value, number, period, word
    key: tuple[object, ...]
    text: str
    mention: Mention | None = None

    @property
    def is_superlative(self) -> bool:
        """Whether it asks for the first rows of an order."""
        return self.mention is not None and self.mention.is_cue("superlative")


def same_text(one: str, other: str) -> bool:
    """Whether two questions differ in nothing but case, punctuation and spaces."""
    return _plain(one) == _plain(other)


def _plain(question: str) -> list[tuple[str, str]]:
    return [
        (token.kind, token.text if token.kind == "quoted" else token.lower)
        for token in split_question(question)
        if token.text not in {",", "?"}
    ]


def units_of(question: str, lexicon: Lexicon) -> list[Unit] | None:
    """The units in order, fillers left out; None for a text that is too long to be one question."""
    if len(split_question(question)) > MOST_TOKENS:
        return None
    tokens, mentions = link_question(question, lexicon)
    holders = {place: mention for mention in mentions for place in range(mention.first, mention.last + 1)}
    first, last = _trimmed(tokens, holders)
    units: list[Unit] = []
    if tokens and tokens[0].lower in WHETHER:
        units.append(Unit("word", ("whether",), tokens[0].text))
    place = first
    while place <= last:
        token, mention = tokens[place], holders.get(place)
        if mention is not None and mention.kind != "word":
            units.append(_unit_of(mention, tokens))
            place = mention.last + 1
        elif _is_name_of_something(token, place, first):
            end = place
            while (
                end < last
                and (holders.get(end + 1) is None or holders[end + 1].kind == "word")
                and _is_name_of_something(tokens[end + 1], end + 1, first)
            ):
                end += 1
            text = " ".join(one.text for one in tokens[place : end + 1])
            units.append(Unit("value", ("value", text), text))
            place = end + 1
        else:
            if token.lower not in FILLERS and token.text not in {",", "?"}:
                stem = token.stem if mention is not None else token.lower
                units.append(Unit("word", ("word", stem), token.text, mention))
            place += 1
    return units


def _trimmed(tokens: Sequence[Token], holders: dict[int, Mention]) -> tuple[int, int]:
    """First and last token without what only asks."""
    first, last = 0, len(tokens) - 1

    def is_empty(place: int, words: frozenset[str]) -> bool:
        holder = holders.get(place)
        linked = holder is not None and holder.kind != "word" and not holder.is_cue("relative", "everything")
        token = tokens[place]
        return token.text in {",", "?"} or (not linked and (token.lower in words or token.lower in FILLERS))

    while first <= last and is_empty(first, OPENINGS):
        first += 1
    while last >= first and is_empty(last, ENDINGS):
        last -= 1
    return first, last


def _is_name_of_something(token: Token, place: int, first: int) -> bool:
    """Whether an unlinked word looks like a proper name: capitalised, and not because the question begins there."""
    return token.kind == "word" and token.is_capitalised and place > max(first, 0) and len(token.text) > 1


def _unit_of(mention: Mention, tokens: Sequence[Token]) -> Unit:
    if mention.kind == "cue":
        cue = mention.cue
        if cue is not None and cue.kind in INTERCHANGEABLE:
            return Unit("cue", ("cue", cue.kind, cue.data, cue.hints), mention.text, mention)
        return Unit("cue", ("cue", mention.text), mention.text, mention)
    if mention.kind in {"number", "period"}:
        told = mention.period.text if mention.kind == "period" and mention.period else mention.number
        return Unit(mention.kind, (mention.kind, told), mention.text, mention)
    stems = tuple(token.stem for token in tokens[mention.first : mention.last + 1])
    if mention.kind == "quoted":
        return Unit("value", ("quoted", mention.text), mention.text, mention)
    if mention.values:
        return Unit("value", ("value", *stems), mention.text, mention)
    return Unit("name", ("name", *stems), mention.text, mention)


def name_the_same(one: Unit, other: Unit) -> bool:
    """Whether two names of the schema surely stand for the same table or the same columns."""
    left, right = one.mention, other.mention
    if one.kind != "name" or other.kind != "name" or left is None or right is None or left.kind != right.kind:
        return False
    if min(left.quality, right.quality) < SURE_NAME:
        return False
    if left.kind == "table":
        return left.best_table == right.best_table and _leading(left) == _leading(right)
    return _leading(left) == _leading(right)


SURE_NAME = 0.75


def _leading(mention: Mention) -> frozenset[object]:
    """What the mention stands for at its best quality."""
    names: list[tuple[object, float]] = [*(mention.tables if mention.kind == "table" else mention.columns).items()]
    best = max((quality for _, quality in names), default=0.0)
    return frozenset(one for one, quality in names if quality >= best - 0.01)
