"""Cutting a question into pieces that could be asked by themselves.

The pieces are candidates only: whether a cut means anything is decided by the evidence for each piece (routing.py).
So the rules are those of the language (sentences, coordination, question and request forms) and know no subject
matter. The words listed are closed classes of English and the verbs by which people ask for things; in other
languages only sentence ends, semicolons and line ends cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.router.models import Part
from services.router.references import resolved

MAX_PARTS = 8


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_QUESTION_WORDS = _words("what who whom whose which when where why how whether what's who's where's how's")
_AUXILIARIES = _words("do does did is are was were can could shall should will would may might must has have had am")
_REQUEST_VERBS = _words(
    "show list give tell explain describe find get count compare summarise summarize calculate compute display "
    "fetch name define provide outline state report tabulate rank plot identify discuss clarify remind quote cite "
    "print return determine break"
)
_DETERMINERS_AND_PRONOUNS = _words(
    "the a an this that these those all any each every some both my our your his her its their i we you he she it "
    "they there one anyone someone everyone everybody anybody"
)
_FUNCTION_WORDS = (
    _QUESTION_WORDS
    | _AUXILIARIES
    | _DETERMINERS_AND_PRONOUNS
    | _words(
        "me us him them and or but of in on at to for from by with about as than then also too please so not no if be "
        "been being much many same more it's that's mean means meaning"
    )
)

_SENTENCE_END = re.compile(
    r"(?<=[?!。？！；])\s*(?=\S)|"
    r"(?<=[^.\s]\.)(?<!\b[DMS][rst]\.)(?<!\bMrs\.)(?<!\bNo\.)(?<!\b[A-Z]\.)\s+(?=[\"'“(]?[A-Z0-9])|"
    r"\s*;\s*|\s*[\r\n]+\s*"
)
_COORDINATOR = re.compile(
    r",?\s+(?:and\s+also|and\s+then|and|&|plus|as\s+well\s+as|along\s+with|together\s+with|also)\s+|,\s+(?:also\s+|then\s+)?",
    re.IGNORECASE,
)
_LEADING_FILLER = re.compile(
    r"^(?:(?:and|also|then|plus|next|finally|secondly|in addition|additionally|please|but)\b[,\s]*)+", re.IGNORECASE
)
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
# The words a bare phrase after "and" shares with the piece before it.
_SHARED_HEAD = re.compile(
    r"^(?:(?:could|can|would|will)\s+you\s+)?(?:please\s+)?(?:"
    r"(?:what|who)(?:['’]s|\s+(?:is|are|was|were))|how\s+(?:many|much)|which|"
    r"(?:" + "|".join(sorted(_REQUEST_VERBS)) + r")(?:\s+(?:me|us))?(?:\s+about)?)(?=\s)",
    re.IGNORECASE,
)


def split_question(question: str) -> tuple[Part, ...]:
    """The pieces of a question in their order, at most 8, or none when it is a single piece.

    >>> [part.text for part in split_question("Show me total sales and explain our vacation policy")]
    ['Show me total sales', 'explain our vacation policy']
    """
    parts: list[Part] = []
    for sentence in _SENTENCE_END.split(question):
        if sentence and _has_content(sentence):
            parts.extend(_clauses(sentence))
    for number in range(1, len(parts)):
        part = parts[number]
        said = resolved(part.text, parts[number - 1].text)
        if said is None:
            return ()  # asked by itself, the piece would ask something else
        parts[number] = Part(said, part.stands_alone)
    if len(parts) > MAX_PARTS:
        rest = parts[MAX_PARTS - 1 :]
        parts[MAX_PARTS - 1 :] = [Part(" and ".join(part.text for part in rest), rest[0].stands_alone)]
    return tuple(parts) if len(parts) > 1 else ()


def join_parts(texts: Sequence[str]) -> str:
    """One question made of several pieces for the same source."""
    return " and ".join(texts)


def _clauses(sentence: str) -> list[Part]:
    """The coordinated pieces of one sentence, cut only where both sides can stand as a question or request."""
    pieces: list[Part] = []
    start = 0
    for joint in _COORDINATOR.finditer(sentence):
        left, right = _trimmed(sentence[start : joint.start()]), _trimmed(sentence[joint.end() :])
        if not _has_content(left):
            continue
        if _opens_clause(right) and _has_content(_up_to_next_joint(right)):
            pieces.append(Part(_with_head(left, pieces), _opens_clause(left) or not pieces))
            start = joint.end()
        elif not joint.group().startswith(",") or joint.group().strip(", "):
            whole_left = _with_head(left, pieces)
            head = _SHARED_HEAD.match(whole_left)
            shared = whole_left[head.end() :] if head else "" if _asks(whole_left) else whole_left
            if _has_content(shared) and _has_content(_up_to_next_joint(right)):
                pieces.append(Part(whole_left, stands_alone=False))
                start = joint.end()
    last = _trimmed(sentence[start:])
    if not pieces:
        return [Part(last, stands_alone=True)]
    return [*pieces, Part(_with_head(last, pieces), _opens_clause(last))]


def _with_head(text: str, pieces: Sequence[Part]) -> str:
    """`text` as a question of its own: a bare phrase takes over the asking words of the piece before it."""
    if not pieces or _opens_clause(text):
        return text
    head = _SHARED_HEAD.match(pieces[-1].text)
    return f"{head.group()} {text}" if head else text


def _opens_clause(text: str) -> bool:
    """Whether the text begins like a question or a request."""
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)[:3]]
    if not words:
        return False
    if words[0] in _QUESTION_WORDS or words[0] in _REQUEST_VERBS:
        return len(words) > 1
    # "are there", "can I": an auxiliary opens a question only before a subject, unlike "and are active".
    return words[0] in _AUXILIARIES and len(words) > 1 and words[1] in _DETERMINERS_AND_PRONOUNS


def _asks(text: str) -> bool:
    """Whether the text has asking words of its own, which a phrase after it cannot share."""
    words = _WORD.findall(text)
    return _opens_clause(text) or (bool(words) and words[0].lower() in _AUXILIARIES)


def _up_to_next_joint(text: str) -> str:
    joint = _COORDINATOR.search(text)
    return text[: joint.start()] if joint else text


def _has_content(text: str) -> bool:
    """Whether any word is left that is not a function word or an asking verb."""
    return any(
        word.lower().replace("’", "'") not in _FUNCTION_WORDS and word.lower() not in _REQUEST_VERBS
        for word in _WORD.findall(text)
    )


def _trimmed(text: str) -> str:
    return _LEADING_FILLER.sub("", text.strip()).strip(" \t,;.?!:")
