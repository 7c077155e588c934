"""Search terms of a text: its words, folded and stemmed, without the ones that carry no meaning.

The same terms are stored with chunks and looked for in questions; changing them asks for documents to be indexed again.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import snowballstemmer

# Scripts written without spaces: their runs are cut into pairs of characters, the usual way to search such text.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Vowel signs and accents that Unicode counts as marks, not letters: they stand inside words.
_LETTER = rf"(?:[^\W\d_{_UNSPACED}]|[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0dff])"
_WORD = re.compile(
    rf"""
    [{_UNSPACED}]+
  | (?:[^\W\d_]\.){{2,}}                     # U.S. or p.m.: one word, not letters apart
  | \d+(?:[.,:]\d+)*                         # 3.5, 12,000, 10:30
  | {_LETTER}+(?:['’]{_LETTER}+)*\d*         # letters, with an apostrophe inside; E4 and A380 stay whole
    """,
    re.VERBOSE,
)
_UNSPACED_RUN = re.compile(rf"[{_UNSPACED}]+")

# Longer "words" are codes and broken text; an index entry has room for no more.
_LONGEST_TERM = 64

# Words of grammar: they say how a sentence is built and nothing about what it is about.
_GRAMMAR = """
    a about above after again all also am an and any anyone anything are as at be because been before being below
    between both but by can cannot could did do does doing done down during each either else etc every everyone
    everything few for from further get gets got had has have having he her here hers herself him himself his how i if
    in into is it its itself just let like many may me might more much must my myself neither no nor not now of
    off on once one only or other ought our ours ourselves out over own per rather same shall she should since so some
    someone something such than that the their theirs them themselves then there these they this those through thus to
    too under until up upon us very was we were what whatever when where whether which while who whom whose why will
    with within without would yes yet you your yours yourself yourselves
    ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mustn't shouldn't wasn't weren't won't
    wouldn't i'm i've i'd i'll you're you've you'd you'll he's she's it's we're we've we'd we'll they're they've they'd
    they'll that's there's what's who's where's when's how's let's
"""
STOP_WORDS = frozenset(_GRAMMAR.split())

_UP_TO_TWENTY = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
"""
NUMBER_WORDS = {word: str(number) for number, word in enumerate(_UP_TO_TWENTY.split())} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
}


class Word(NamedTuple):
    """A word as it stands in a text."""

    term: str
    """What it is searched by; empty for a stop word."""
    surface: str
    start: int


@lru_cache(maxsize=1)
def _stemmer() -> "snowballstemmer.stemmer":
    return snowballstemmer.stemmer("english")


@lru_cache(maxsize=65_536)
def term_of(surface: str) -> str:
    """The search term of one word of at most _LONGEST_TERM characters; empty when it is a stop word."""
    folded = _without_marks(surface.casefold())[:_LONGEST_TERM].replace("’", "'")
    if folded in STOP_WORDS:
        return ""
    if folded[0].isdigit():
        return folded.replace(",", "")
    if folded in NUMBER_WORDS:
        return NUMBER_WORDS[folded]
    if "." in folded:
        return folded.rstrip(".")
    stem: str = _stemmer().stemWord(folded.removesuffix("'s").replace("'", ""))
    return stem


def words_of(text: str) -> Iterator[Word]:
    """Every word of a text in its order, with where it starts; runs of unspaced scripts come in pairs of characters."""
    for match in _WORD.finditer(text):
        surface = match.group()
        if _UNSPACED_RUN.fullmatch(surface):
            for place in range(max(1, len(surface) - 1)):
                pair = surface[place : place + 2]
                yield Word(pair, pair, match.start() + place)
        else:
            # Cut first: the remembered words of documents shall not be as long as anybody cares to write them.
            yield Word(term_of(surface[:_LONGEST_TERM]), surface, match.start())


def terms_of(text: str) -> Counter[str]:
    """How often each search term occurs in a text, stop words left out."""
    return Counter(word.term for word in words_of(text) if word.term)


def _without_marks(text: str) -> str:
    """Café and cafe are one word; NFKC first, so that full-width and ligature forms are too."""
    if text.isascii():
        return text
    split = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text))
    joined = "".join(character for character in split if not unicodedata.combining(character))
    return joined or text
