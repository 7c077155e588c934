"""Words that are one slip away from exactly one word that means something here: "custmers" for "customers"."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from services.sql.grounding.abbreviations import ABBREVIATIONS
from services.sql.grounding.lexicon import Lexicon
from services.sql.grounding.linking import link_question
from services.sql.grounding.phrases import PHRASES
from services.sql.grounding.thesaurus import EVERYDAY_WORDS, SYNONYMS
from services.sql.grounding.wording import FUNCTION_WORDS
from services.sql.grounding.words import split_identifier, stem

CERTAINTY = 0.9  # what a corrected word takes from the confidence
SHORTEST = 5  # letters; shorter words are too often one slip from another
LONG = 7  # letters from which a wrong letter is more likely than another word
MOST_CORRECTED = 3
MOST_UNLINKED = 8  # of a text with more, the schema knows too little for slips to be the reason
MOST_VALUES = 50  # of a column whose values are corrected too: categories, not people's names
MOST_SPELLINGS = 20_000
KEPT_SCHEMAS = 8
TELLING_CUES = frozenset(
    "count aggregate share ratio distinct compare between superlative group order direction".split()
)
# Of the words without a meaning of their own only these: reading a word as nothing at all is a step too far.
QUESTION_WORDS = ("which", "where", "whose", "there", "their", "every", "these", "those", "during", "between", "number")

# Words of English that are one slip from a common name of data, and mean something else.
OTHER_WORDS = frozenset(
    """
angel angels arena arenas boarder boarders bother bothers brand brands broad cancer canon casual causal coast coasts
command commands commend complement compliment conserve costume costumes costumer county counties curse curses dairy
desert
deserts dessert device devices diary director directors doctrine elect emigrant emigrants ending event events even
except expect factor factors fight fights finance fright frights grade grand grate great house hose hoses immigrant
invert lesson lessons lessen loose lose march martial master masters mater matter matters metal medal medals mental
metals model models motel motels meter meters miner miners minor month mouth moths mouths noble novel novels nobles
officer officers offices office order orders older owned paint paints pains parent parents patent patents payer payers
piece peace place places places plane planes planet planets plant plants plate plates player players prayer prayers
pray preposition proposition principal principle profit prophet quite quiet ration rations ratio rating ratings
reason region regions religion route routes scale scales sales scene season seasons secret sensor sensors censor
session sessions shirt short story storey stories store stores straight strait strange stranger stronger tasks
tailor taste tastes team teams term terms theme themes tenant tenants title tiles trail trails trial trials train
trainer trainee trainees training treat treats treaty trees united untied vacation vocation valley value volley weight
weigh wight worker workers worse worst course courses course corpse trace traces track tracks trade trades truck trucks
""".split()
)


@dataclass(frozen=True)
class Corrected:
    """A question with words spelled as they are known, and what was written and read in each place."""

    question: str
    words: tuple[tuple[str, str], ...]

    def told(self) -> str:
        """For the explanation."""
        return " ".join(f"“{written}” was read as “{read}”." for written, read in self.words)


def known_spellings(lexicon: Lexicon) -> dict[str, str]:
    """Words that mean something in a question to this schema, each with its stem."""
    found: dict[str, str] = {}

    def add(words: Iterable[str]) -> None:
        for word in words:
            if len(word) >= SHORTEST - 1 and word.isalpha() and len(found) < MOST_SPELLINGS:
                for form in (word, _plural(word)):
                    found.setdefault(form, stem(word))

    for table in lexicon.tables.values():
        add(_words_of(table.table.name))
        for entry in table.columns:
            add(_words_of(entry.column.name))
            if entry.column.values_complete and len(entry.column.values) <= MOST_VALUES and not entry.is_name:
                for value in entry.column.values:
                    add(value.lower().split())
    add(word for word in EVERYDAY_WORDS if lexicon.hits(stem(word)))
    for phrase, cue in PHRASES.items():
        if phrase.isalpha() and cue.kind in TELLING_CUES:
            found.setdefault(phrase, stem(phrase))
    for word in QUESTION_WORDS:
        found.setdefault(word, stem(word))
    return found


class SpellingCorrection:
    """Corrects questions; keeps the known spellings of the last schemas."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Lexicon, dict[str, str]]] = OrderedDict()

    async def prepare(self, lexicon: Lexicon) -> None:
        """Collect the spellings of a schema in a thread, so that no question waits for it on the event loop."""
        known = self._known.get(id(lexicon))
        if known is None or known[0] is not lexicon:
            self._keep(lexicon, await asyncio.to_thread(known_spellings, lexicon))

    def correct(self, question: str, lexicon: Lexicon) -> Corrected | None:
        """The question with each unlinked word that is a slip of exactly one known word; None when there is none."""
        known = self._known.get(id(lexicon))
        if known is None or known[0] is not lexicon:
            known = self._keep(lexicon, known_spellings(lexicon))
        return _correct(question, lexicon, known[1])

    def _keep(self, lexicon: Lexicon, spellings: dict[str, str]) -> tuple[Lexicon, dict[str, str]]:
        kept = self._known[id(lexicon)] = (lexicon, spellings)
        while len(self._known) > KEPT_SCHEMAS:
            self._known.popitem(last=False)
        return kept


def _correct(question: str, lexicon: Lexicon, spellings: dict[str, str]) -> Corrected | None:
    tokens, mentions = link_question(question, lexicon)
    unlinked = [item for item in mentions if item.kind == "word" and item.content]
    if len(unlinked) > MOST_UNLINKED:
        return None
    text = question
    words: list[tuple[str, str]] = []
    for item in reversed(unlinked):
        token = tokens[item.first]
        if not _may_be_a_slip(token.text):
            continue
        # A capitalised word with a wrong letter is rather another name.
        long = LONG if token.text.islower() or item.first == 0 else math.inf
        near = [known for known in spellings if _is_one_slip(token.lower, known, long)]
        if len({spellings[known] for known in near}) != 1:
            continue
        if any(one.stem == stem(known) for known in near for one in tokens):
            continue  # "can host 5 guests": the guests are named already
        read = min(near, key=lambda known: (abs(len(known) - len(token.lower)), known))
        text = text[: token.start] + read + text[token.end :]
        words.append((token.text, read))
    if not words or len(words) > MOST_CORRECTED:
        return None
    return Corrected(text, tuple(reversed(words)))


def _may_be_a_slip(word: str) -> bool:
    lower = word.lower()
    return (
        len(word) >= SHORTEST
        and word.isascii()
        and word.isalpha()
        and lower not in OTHER_WORDS
        and stem(lower) not in SYNONYMS
        and lower not in FUNCTION_WORDS
    )


def _is_one_slip(written: str, known: str, long: float) -> bool:
    """Two letters swapped, one left out, one too many or, in so `long` a word, one wrong; the first one is right."""
    if abs(len(written) - len(known)) > 1 or written[0] != known[0] or len(known) < SHORTEST or written == known:
        return False
    start = 0
    while start < min(len(written), len(known)) and written[start] == known[start]:
        start += 1
    rest, other = written[start:], known[start:]
    if len(written) == len(known):
        if rest[:2] == other[1::-1] and rest[2:] == other[2:]:
            return True
        return rest[1:] == other[1:] and len(written) >= long
    return rest[1:] == other if len(written) > len(known) else rest == other[1:]


def _words_of(name: str) -> list[str]:
    return [word for piece in split_identifier(name) for word in ABBREVIATIONS.get(piece, piece).split()]


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")
