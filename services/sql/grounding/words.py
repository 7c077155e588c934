"""Words: the tokens of a question, the words inside an identifier, and their stems."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer

_STEMMER = snowballstemmer.stemmer("english")

_TOKEN = re.compile(
    r"""(?P<quoted>"[^"]{1,200}"|“[^”]{1,200}”|‘[^’]{1,200}’|(?<![\w])'[^']{1,200}'(?!\w))
    |(?P<date>\d{4}-\d{1,2}-\d{1,2})
    |(?P<number>\d+(?:,\d{3})+(?:\.\d+)?(?!\w)|\d+\.\d+(?!\w)|\d+(?=(?:st|nd|rd|th)\b)|\d+(?![^\W_]))
    |(?P<word>[^\W_]+(?:['’][^\W\d_]+)?)
    |(?P<sign>[%<>=!]=?|[,;?])""",
    re.VERBOSE,
)

# Forms a suffix stemmer cannot reach.
IRREGULAR = {
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "bought": "buy",
    "sold": "sell",
    "paid": "pay",
    "written": "write",
    "wrote": "write",
    "taught": "teach",
    "born": "birth",
    "spent": "spend",
    "made": "make",
    "won": "win",
    "lost": "lose",
    "held": "hold",
    "took": "take",
    "taken": "take",
    "ran": "run",
    "gave": "give",
    "given": "give",
    "sang": "sing",
    "sung": "sing",
    "lent": "lend",
    "died": "death",
    "dead": "death",
    "data": "datum",
    "criteria": "criterion",
    "indices": "index",
    "analyses": "analysis",
    "staff": "staff",
    "feet": "foot",
    "mice": "mouse",
    "lives": "live",
    "left": "leave",
    "kept": "keep",
    "flew": "fly",
    "shown": "show",
    "built": "build",
    "chosen": "choose",
    "sent": "send",
    "grew": "grow",
    "began": "begin",
    "begun": "begin",
    "drove": "drive",
    "driven": "drive",
    "met": "meet",
    "led": "lead",
    "fed": "feed",
    "grown": "grow",
    "flown": "fly",
}

_RATINGS = frozenset({"rating", "ratings"})
_NOT = re.compile(r"(?:n['’]t)$")
_PIECE = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")


@dataclass(frozen=True)
class Token:
    """One token of a question; `text` is as written, without quotes for a quoted one."""

    text: str
    lower: str
    stem: str
    kind: str  # word, number, date, quoted, sign
    start: int  # characters from the beginning of the question
    end: int

    @property
    def is_capitalised(self) -> bool:
        """Whether it begins with an upper-case letter."""
        return self.text[:1].isupper()


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """The stem of one lower-case word, irregular forms first."""
    if word in _RATINGS:
        return "rating"  # what is rated has no rate
    found = str(_STEMMER.stemWord(IRREGULAR.get(word, word)))
    return found[:-1] + "pt" if found.endswith("scrib") else found  # prescribe and prescription


def split_question(question: str) -> list[Token]:
    """Tokens of a question in order. Possessive endings fall away; "don't" becomes "do" and "not"."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(question):
        kind = match.lastgroup or "word"
        text, start, end = match.group(), match.start(), match.end()
        if kind == "quoted":
            text = text[1:-1].strip()
            if not text:
                continue
        negation = None
        if kind == "word":
            if _NOT.search(text) and text.lower() not in {"n't"}:
                text = _NOT.sub("", text)
                text = {"ca": "can", "wo": "will", "sha": "shall"}.get(text.lower(), text)
                negation = Token("not", "not", "not", "word", end, end)
            else:
                text = re.sub(r"['’](?:s|re|ve|ll|d|m)$", "", text, flags=re.IGNORECASE)
        lower = text.lower()
        tokens.append(Token(text, lower, stem(lower) if kind == "word" else lower, kind, start, end))
        if negation is not None:
            tokens.append(negation)
    return tokens


def split_identifier(name: str) -> list[str]:
    """Lower-case words of an identifier in snake_case, camelCase or with digits: "orderItems2" → order, items, 2."""
    return [piece.lower() for piece in _PIECE.findall(name)]


@lru_cache(maxsize=65_536)
def value_stems(value: str) -> tuple[str, ...]:
    """Stems of the words of a database value, by which a question's words are compared with it."""
    return tuple(stem(word) for word in re.findall(r"[^\W_]+", value.lower()))


_SUFFIXES = (
    "",
    "e",
    "y",
    "ion",
    "ation",
    "ition",
    "ing",
    "ment",
    "ance",
    "ence",
    "er",
    "or",
    "al",
    "ity",
    "ies",
    "i",
    "ator",
    "ee",
    "ant",
    "ent",
    "ship",
    "ary",
    "ive",
    "at",
    "it",
    "ial",
    "an",
    "ian",
    "ist",
    "age",
    "anc",
    "enc",
    "iti",
    "ti",
    "eri",
    "ate",
    "ure",
    "th",
)


def are_derived(one: str, other: str) -> bool:
    """Whether two stems look like forms of one word: "attend" and "attendance", "nation" and "national"."""
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    if shared < 4 or (shared < 5 and max(len(one), len(other)) > 8):
        return False
    return one[shared:] in _SUFFIXES and other[shared:] in _SUFFIXES
