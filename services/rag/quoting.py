"""Holding a model to what it read: quotes found to the letter, and sentences that say no more than their quotes.

A model is asked for quotes, and may invent them, misplace them, or follow an order that somebody hid in a passage. What
it says counts only as far as it can be found again.
"""

import re
from collections.abc import Iterable, Sequence

from services.rag.evidence import held_by
from services.rag.instructions import instructs_a_model
from services.rag.sentences import sentences_of
from services.rag.words import terms_of, words_of

# Below this share of known words a sentence says something of its own. Half leaves room for other words for the same.
_LEAST_KNOWN_SHARE = 0.5
# Different signs for the same, which models exchange when they copy.
_SAME_SIGN = str.maketrans(
    dict.fromkeys("‘’‚‛′", "'")
    | dict.fromkeys("“”„‟«»″", '"')
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"…": "...", "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl"}
    # Marks of emphasis and characters without width.
    | dict.fromkeys("*_`\u00ad\u200b\u200c\u200d\u2060\ufeff", "")
)
_EDGE = " \"'.,;:"
_CLOSING = ".!?"
_LINK = re.compile(r"\b(?:https?|ftp|mailto|data|javascript):\S+|\bwww\.\S+", re.IGNORECASE)
# Scripts from here on are mostly written without spaces: there a quote may begin anywhere.
_FIRST_UNSPACED = "\u0e00"

Stretch = tuple[int, int]


def locate(words: str, text: str) -> Stretch | None:
    """Where a quote stands in a text, as the text has it; None when it does not stand there.

    Space, case, signs of the same meaning and marks of emphasis may differ, nothing else; whole words only, so that
    "24" is not found in "240" or "24.5". Of several places the first.
    """
    wanted = _fold(words)[0].strip(_EDGE)
    if not any(character.isalnum() for character in wanted):
        return None
    folded, places = _fold(text)
    start = folded.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        if not _is_inside_word(folded, start) and not _is_inside_word(folded, end):
            last = places[end - 1] + 1
            # A sentence keeps its end.
            return places[start], last + (text[last : last + 1] in tuple(_CLOSING))
        start = folded.find(wanted, start + 1)
    return None


def instructing_stretches(text: str) -> list[Stretch]:
    """The sentences of a text that tell a model what to do: neither shown to one nor quoted."""
    return [(start, end) for start, end, _ in sentences_of(text) if instructs_a_model(text[start:end])]


def is_backed(sentence: str, *, quotes: Sequence[str], known: Iterable[str]) -> bool:
    """Whether a sentence says nothing but what its quotes say.

    That cannot be told for certain without understanding both; what a model invents shows mostly in this: a number or
    a link that no quote holds, or a majority of words that stand neither in the quotes nor in what is `known` besides:
    the question, in its own language, and the headings over the quotes.
    """
    if instructs_a_model(sentence):
        return False
    quoted = " \n".join(quotes)
    if any(link.rstrip(".,;:!?)\"'") not in quoted for link in _LINK.findall(sentence)):
        return False
    held = frozenset(terms_of(" \n".join([quoted, *known])))
    numbers = {word.term for word in words_of(sentence) if word.surface[0].isdigit()}
    if not numbers <= held:
        return False
    terms = set(terms_of(sentence))
    return not terms or sum(held_by(term, held) for term in terms) >= _LEAST_KNOWN_SHARE * len(terms)


def _fold(text: str) -> tuple[str, list[int]]:
    """A text as it is compared, and for each of its characters where it stands in the text."""
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character.isspace():
            if folded and folded[-1] != " ":
                folded.append(" ")
                places.append(place)
            continue
        for same in character.translate(_SAME_SIGN).lower():
            folded.append(same)
            places.append(place)
    return "".join(folded), places


def _is_inside_word(text: str, place: int) -> bool:
    """Whether a cut before this character would part a word or a number."""
    before, after = text[place - 1 : place], text[place : place + 1]
    if after in (".", ",") and before.isdigit():  # 24|.5
        return text[place + 1 : place + 2].isdigit()
    if before in (".", ",") and after.isdigit():  # 24.|5
        return text[place - 2 : place - 1].isdigit()
    return before.isalnum() and after.isalnum() and max(before, after) < _FIRST_UNSPACED
