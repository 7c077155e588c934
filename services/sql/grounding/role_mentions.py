"""Which role of a table a question speaks of: "home", "depart from", "whose manager"; without a word for it, none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from services.sql.grounding.lexicon import Lexicon, Role
from services.sql.grounding.mentions import Mention
from services.sql.grounding.words import Token, stem

NEAR = 4  # tokens between the word for a role and what it is said of
_DIRECTIONS = tuple(
    frozenset(stem(word) for word in line.split())
    for line in (
        "origin departure depart departing source from start leave leaving sender sent send",
        "destination arrival arrive arriving target to end land landing recipient receiver receive reach",
        "winner win won beat",
        "loser lose lost",
        "home host",
        "away guest visitor",
    )
)


def settle_roles(tokens: Sequence[Token], mentions: list[Mention], lexicon: Lexicon) -> list[Mention]:
    """The same mentions without roles that no word of the question names, and with those that one names."""
    if not lexicon.roles:
        return mentions
    said = {name: _places(tokens, role, lexicon) for name, role in lexicon.roles.items()}
    for name, places in said.items():  # "head" is the head, and not the manager, where both are known
        said[name] = [place for place in places if _is_best(tokens[place], lexicon.roles[name], lexicon)]
    spoken = {table for item in mentions for table in item.tables}
    for name, role in lexicon.roles.items():
        if role.source not in spoken:  # "passengers from Oslo" says nothing of flights
            said[name] = [place for place in said[name] if tokens[place].lower not in {"to", "from"}]
    for item in mentions:
        if item.owner in said and _distance(said[item.owner], item) > 0:
            item.owner = lexicon.roles[item.owner].target
    for before, item in pairwise(mentions):
        follows = before.last + 1 == item.first and bool(before.values) and bool(item.values)
        item.after_of = item.after_of or (follows and before.after_of)
    first = next((item.best_table for item in mentions if item.kind == "table" and item.quality >= 0.7), None)
    for item in mentions:
        _settle_tables(item, said, lexicon, mentions)
        item.columns = {
            ref: quality
            for ref, quality in item.columns.items()
            if ref[0] not in said or _distance(said[ref[0]], item) <= NEAR
        }
        _settle_values(item, said, lexicon, first)
        dated = any(lexicon.columns[ref].is_date for ref in item.columns)
        weak = (
            not dated and item.kind == "column" and item.first == item.last and item.quality < 0.75 and not item.values
        )
        if weak and any(item.first in places for places in said.values()):
            item.kind, item.columns, item.tables, item.used = "role", {}, {}, True  # "away matches" names no column
        if item.kind == "table" and not item.tables:
            item.kind = "column" if item.columns else "value"
        if item.kind in {"table", "column"}:
            item.quality = max([*item.tables.values(), *item.columns.values()], default=item.quality)
    covered = {place for item in mentions for place in range(item.first, item.last + 1)}
    loose = sorted({place for places in said.values() for place in places} - covered)
    verbs = [
        Mention("role", tokens[place].text, place, place, used=True, quality=0.0)
        for place in loose
        if tokens[place].lower not in {"to", "from"}
    ]
    mentions = sorted([*mentions, *verbs], key=lambda item: item.first)
    names = {"table", "column", "value"}
    return [item for item in mentions if item.kind not in names or item.tables or item.columns or item.values]


def _is_best(token: Token, role: Role, lexicon: Lexicon) -> bool:
    """Whether the token is the role's own word, or no role's."""
    return token.stem in role.words or not any(token.stem in one.words for one in lexicon.roles.values())


def _places(tokens: Sequence[Token], role: Role, lexicon: Lexicon) -> list[int]:
    """Where the question has a word for the role."""
    wanted = set(role.words)
    for group in _DIRECTIONS:
        if group & wanted:
            wanted |= group
    found = []
    for place, token in enumerate(tokens):
        if token.kind != "word" or (token.lower in {"to", "from"} and not _before_a_name(tokens, place)):
            continue
        near = {word for word, quality in lexicon.hits(token.stem).items() if quality >= 0.75}
        if (near | {token.stem}) & (wanted if token.stem in wanted else set(role.words)):
            found.append(place)
    return found


def _before_a_name(tokens: Sequence[Token], place: int) -> bool:
    return place + 1 < len(tokens) and (tokens[place + 1].is_capitalised or tokens[place + 1].kind == "quoted")


def _distance(places: Sequence[int], item: Mention) -> int:
    return min((max(item.first - place, place - item.last, 0) for place in places), default=99)


def _lead(places: Sequence[int], item: Mention) -> int:
    """Distance to the nearest place; one behind the item counts as farther: "from Athens to Oslo"."""
    return min((item.first - place if place < item.first else place - item.last + 2 for place in places), default=99)


def _settle_tables(item: Mention, said: dict[str, list[int]], lexicon: Lexicon, mentions: list[Mention]) -> None:
    inside = {name for name, places in said.items() if _distance(places, item) == 0}
    named = {name for name in item.tables if name in inside}
    for name in list(item.tables):
        if name in said and name not in named:
            del item.tables[name]
    for name in named:
        role = lexicon.roles[name]
        if item.first == item.last and item.columns.get((role.source, role.column), 0.0) >= 0.95 and not role.is_self:
            del item.tables[name]  # "the origin of flights" is the column itself
    spoken = {table for one in mentions if one.kind == "table" for table in one.tables}
    for name, places in said.items():
        role = lexicon.roles[name]
        others = [one for one in said if one != name and said[one] and lexicon.roles[one].source == role.source]
        if places and not others and role.target in item.tables and role.source in spoken and not role.is_self:
            item.tables = {name: item.tables[role.target]}  # "which airport do most flights depart from"


def _settle_values(item: Mention, said: dict[str, list[int]], lexicon: Lexicon, first: str | None) -> None:
    if not item.values:
        return
    held = {link.entry.table for link in item.values if link.entry.table in said}
    if not held:
        return
    near = sorted((_lead(_leading(said[name], item, lexicon.roles[name]), item), name) for name in held)
    if _distance(_leading(said[near[0][1]], item, lexicon.roles[near[0][1]]), item) <= NEAR:
        item.values = tuple(link for link in item.values if link.entry.table == near[0][1])
        return
    plain = tuple(link for link in item.values if link.entry.table not in said)
    sides = [name for name in held if lexicon.roles[name].source == first and not lexicon.roles[name].is_self]
    if len(sides) > 1 and all(link.entry.table not in {first} for link in plain):
        item.values = tuple(link for link in item.values if link.entry.table in sides)
        item.either = True  # "matches of Ely City": at home or away
        return
    item.values = plain


def _leading(places: Sequence[int], item: Mention, role: Role) -> list[int]:
    """The places that count for a value: of "the manager of Ann" Ann is not the manager, of "manager is Ann" she is."""
    if not role.is_self:
        return list(places)
    return [place for place in places if place < item.first and item.first - place <= 2 and not item.after_of]
