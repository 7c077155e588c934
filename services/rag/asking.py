"""What a question asks for: which words it is about, which names it holds, and what kind of thing would answer it."""

import enum
import re
from dataclasses import dataclass

from services.rag.words import Word, words_of


class Wanted(enum.Enum):
    """The kind of thing that answers a question."""

    ANYTHING = "anything"
    TIME = "time"
    QUANTITY = "quantity"
    MONEY = "money"
    LENGTH = "length"
    WEIGHT = "weight"
    SPEED = "speed"
    TEMPERATURE = "temperature"
    DURATION = "duration"
    PERSON = "person"
    PLACE = "place"
    REASON = "reason"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, taken apart."""

    terms: tuple[str, ...]
    """What it is about, each term once, in its order."""
    kind_terms: frozenset[str]
    """Those of the terms that name the kind of answer; the answer itself need not repeat them."""
    names: frozenset[str]
    """Those of the terms that are written like names or hold digits."""
    wanted: Wanted
    counted: str
    """In "how many paid days …": the plural that is counted, in lower case; empty otherwise."""
    enumerates: bool
    """Whether it asks for a description or for several things rather than for one fact."""
    asks_for_list: bool
    """Whether it tells to list, show or count things."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A question may begin with a request to the one who is asked; the request says nothing about the documents.
_REQUESTS = _set(
    """tell explain describe show list give find summarize summarise outline name please define know say state help
    understand want need mean means meant count display"""
)
_LISTINGS = _set("show list give find count display")
_DESCRIPTIONS = _set("explain describe summarize summarise outline list")
_LEADS = _set("please kindly can could would will you i i'd we want need like to let me us help and")
_PLURALS_WITHOUT_S = _set("people children men women staff sheep fish mice feet teeth")
_ASKING = _set("what which when who whom whose where why how what's who's when's where's")

_TIME_NOUNS = _set("time times date year day month hour hours century decade deadline")
_QUANTITY_WORDS = _set(
    """number percentage percent share amount rate limit size age population capacity large big old loud quickly small
    strong soon"""
)
_MONEY_WORDS = _set("price cost fee salary wage budget revenue charge fare pay rent expensive")
_MONEY_VERBS = _set("cost costs pay charge charged earn earns spend spent paid")
_MEASURED = (
    (_set("distance height length width depth far tall high deep wide thick"), Wanted.LENGTH),
    (_set("weight mass heavy"), Wanted.WEIGHT),
    (_set("speed fast"), Wanted.SPEED),
    (_set("temperature hot cold warm"), Wanted.TEMPERATURE),
    (_MONEY_WORDS, Wanted.MONEY),
    (_QUANTITY_WORDS, Wanted.QUANTITY),
)
_PERSON_NOUNS = _set("person people man woman author")
_PLACE_NOUNS = _set("place city country town location state region")
_KIND_NOUNS = _set("name kind type sort way thing word term example reason person")
# What a question calls the text that would answer it, which the text itself seldom does.
_GENRES = _set(
    """policy policies procedure procedures rule rules process information details guidelines definition overview
    summary"""
)
_SUBJECT_ENDS = _set(
    """do does did is are was were can could may will would should has have had am
    in on at of for from to by with per during within a an the"""
)


def take_apart(question: str) -> Asked:
    """Read a question for what it asks; any text will do."""
    words = list(words_of(question))
    lowered = [word.surface.casefold() for word in words]
    asking = _asking_place(lowered)
    wanted, kind_places, counted_places = _wanted(lowered, asking)
    requests = _request_places(lowered)
    about = [place for place in range(len(words)) if words[place].term and place not in requests]
    if not about:  # "What is it?" or "Tell me": the words that are left are all there is.
        about = [place for place in range(len(words)) if words[place].term]
    terms = tuple(dict.fromkeys(words[place].term for place in about))
    genres = {place for place in about if lowered[place] in _GENRES}
    kinds = frozenset(words[place].term for place in (kind_places | genres) & set(about))
    return Asked(
        terms=terms,
        kind_terms=kinds if len(kinds) < len(terms) else frozenset(),
        names=_names(words, about),
        wanted=wanted,
        counted=_head([lowered[place] for place in sorted(counted_places)]),
        asks_for_list=any(lowered[place] in _LISTINGS for place in requests),
        enumerates=bool(set(lowered[:4]) & _DESCRIPTIONS) or bool(re.match(r"(what|which) are\b", question.casefold())),
    )


def _asking_place(lowered: list[str]) -> int | None:
    """Where the word stands that asks; "in which year" and "since when" have it further on."""
    return next((place for place, word in enumerate(lowered) if word in _ASKING), None)


def _wanted(lowered: list[str], asking: int | None) -> tuple[Wanted, set[int], set[int]]:
    """The kind of answer, the places of the words that say so, and of the words for what is counted."""
    if asking is None:
        return Wanted.ANYTHING, set(), set()
    word, rest = lowered[asking].removesuffix("'s"), lowered[asking + 1 :]
    following = rest[0] if rest else ""
    simple = {"when": Wanted.TIME, "who": Wanted.PERSON, "whom": Wanted.PERSON, "whose": Wanted.PERSON}
    simple |= {"where": Wanted.PLACE, "why": Wanted.REASON}
    if word in simple:
        return simple[word], set(), set()
    if word == "how":
        if following in {"many", "much"}:
            if following == "many":
                return Wanted.QUANTITY, set(), _noun_places(lowered, asking + 2)
            return Wanted.MONEY if set(rest) & _MONEY_VERBS else Wanted.QUANTITY, set(), set()
        if following in {"long", "often", "frequently"}:
            return Wanted.DURATION, {asking + 1}, set()
        measured = next((wanted for words, wanted in _MEASURED if following in words), None)
        return (measured, {asking + 1}, set()) if measured else (Wanted.ANYTHING, set(), set())
    return _wanted_noun(lowered, asking)


def _wanted_noun(lowered: list[str], asking: int) -> tuple[Wanted, set[int], set[int]]:
    """The kind that the noun after "what" or "which" tells: "which year", "what is the price of"."""
    places = _noun_places(lowered, asking + 1)
    if not places:  # "what is the price of …": the noun comes after the verb
        start = asking + 1
        while start < len(lowered) and lowered[start] in _SUBJECT_ENDS:
            start += 1
        places = _noun_places(lowered, start)
    if not places:
        return Wanted.ANYTHING, set(), set()
    head = max(places)
    noun = lowered[head]
    singular = noun.removesuffix("s")
    if set(lowered[head:]) & _MONEY_VERBS:  # "what does a ticket cost"
        return Wanted.MONEY, set(), set()
    tables = [*_MEASURED, (_TIME_NOUNS, Wanted.TIME), (_PERSON_NOUNS, Wanted.PERSON)]
    tables += [(_PLACE_NOUNS, Wanted.PLACE), (frozenset({"reason"}), Wanted.REASON)]
    for nouns, wanted in tables:
        if noun in nouns or singular in nouns:
            return wanted, {head}, set()
    return Wanted.ANYTHING, {head} if singular in _KIND_NOUNS else set(), set()


def _head(nouns: list[str]) -> str:
    """The word that is counted: the first plural, because a verb may follow it; else the last word."""
    plurals = [noun for noun in nouns if noun in _PLURALS_WITHOUT_S or (noun.endswith("s") and not noun.endswith("ss"))]
    return (plurals or nouns[-1:] or [""])[0]


def _noun_places(lowered: list[str], start: int) -> set[int]:
    """The words from `start` up to the next verb or preposition."""
    places = set()
    for place in range(start, min(len(lowered), start + 5)):
        if lowered[place] in _SUBJECT_ENDS:
            break
        places.add(place)
    return places


def _request_places(lowered: list[str]) -> set[int]:
    """Words of request: at the very beginning, or after nothing but words of grammar."""
    places: set[int] = set()
    for place, word in enumerate(lowered[:8]):
        if word in _REQUESTS:
            places.add(place)
        elif word not in _LEADS:
            break
    tail = len(lowered) - 1
    if tail > 0 and lowered[tail] in {"mean", "means", "called", "please"}:
        places.add(tail)
    return places


def _names(words: list[Word], about: list[int]) -> frozenset[str]:
    """Terms written like names: capitals where a sentence has none, or digits. All-capital questions have no names."""
    letters = [word.surface for word in words if word.surface[0].isalpha()]
    if not letters or (sum(surface[0].isupper() for surface in letters) > 0.7 * len(letters) and len(letters) > 3):
        return frozenset(words[place].term for place in about if words[place].surface[0].isdigit())
    return frozenset(
        words[place].term
        for place in about
        if words[place].surface[0].isdigit()
        or (words[place].surface[0].isupper() and (place > 0 or words[place].surface[1:2].isupper()))
    )
