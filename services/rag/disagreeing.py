"""Telling where sources disagree: sentences that are alike but for one value, and rows that differ where it is asked.

What can be told without a model, by two stated rules; what they do not see is still quoted side by side.

- Two sentences of different documents disagree when they have most of their words in common, in the same order, and
  differ in one place alone, where each has a value that the other lacks: a number, date or name of up to seven words.
- Two rows of different documents disagree when their first cells are the same, they have a cell in common that the
  question speaks of, and they differ in one whose name it asks for.

A place where either holds what the question names tells the cases apart ("in 2021", "in 2022") and is no disagreement;
neither is one that cannot be what is asked for: a name where a number is wanted.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from services.rag.asking import Asked, Wanted
from services.rag.words import NUMBER_WORDS, Word, terms_of, words_of

# Of the words of the longer one, so that a heading and a sentence do not count as alike.
_LEAST_ALIKE_SHARE = 0.55
_LEAST_COMMON_WORDS = 3
_MOST_WORDS_OF_VALUE = 7
_MOST_COMPARED_WORDS = 80
_CELL = re.compile(r"\s*([^:;]{1,80}?):\s+([^;]+?)\s*(?:;|$)")
_CELLS_PARTED = re.compile(r"\s*(?:;|\|)\s*")


def disagree(asked: Asked, one: str, other: str) -> bool:
    """Whether two sentences of different sources give different values for what is asked."""
    cells, others = _cells(one), _cells(other)
    if cells and others:
        return _rows_disagree(asked, cells, others)
    return _sentences_disagree(asked, list(words_of(one)), list(words_of(other)))


def _sentences_disagree(asked: Asked, one: Sequence[Word], other: Sequence[Word]) -> bool:
    if not one or not other or max(len(one), len(other)) > _MOST_COMPARED_WORDS:
        return False
    matcher = SequenceMatcher(None, _forms(one), _forms(other), autojunk=False)
    changes = [change for change in matcher.get_opcodes() if change[0] != "equal"]
    common = len(one) - sum(change[2] - change[1] for change in changes)
    if common < max(_LEAST_COMMON_WORDS, _LEAST_ALIKE_SHARE * max(len(one), len(other))):
        return False
    stretches = _joined(changes, one)
    if len(stretches) != 1:
        return False
    [(start, end, other_start, other_end)] = stretches
    value, other_value = one[start:end], other[other_start:other_end]
    return _is_value(asked, value, one, start) and _is_value(asked, other_value, other, other_start)


def _joined(
    changes: Sequence[tuple[str, int, int, int, int]], words: Sequence[Word]
) -> list[tuple[int, int, int, int]]:
    """Changes as stretches; those parted by a piece of a date or name alone are one ("7 May 1931", "9 May 1937")."""
    stretches: list[tuple[int, int, int, int]] = []
    for _, start, end, other_start, other_end in changes:
        between = words[stretches[-1][1] : start] if stretches else ()
        if stretches and len(between) <= 1 and all(_is_piece(word) for word in between):
            stretches[-1] = (stretches[-1][0], end, stretches[-1][2], other_end)
        else:
            stretches.append((start, end, other_start, other_end))
    return stretches


def _is_piece(word: Word) -> bool:
    return word.surface[0].isupper() or word.surface[0].isdigit() or word.surface == "of"


def _is_value(asked: Asked, words: Sequence[Word], sentence: Sequence[Word], start: int) -> bool:
    """Whether a stretch may be what is asked for: it holds a number or a name, and nothing that the question names."""
    if not 0 < len(words) <= _MOST_WORDS_OF_VALUE:
        return False
    if any(word.term in asked.names for word in words if word.term):
        return False
    numbers = [word for word in words if word.surface[0].isdigit() or word.surface.casefold() in NUMBER_WORDS]
    names = [
        word
        for place, word in enumerate(words, start)
        if word.surface[0].isupper() and word.term and (place > 0 or sentence[1].surface[0].isupper())
    ]
    match asked.wanted:
        case Wanted.PERSON | Wanted.PLACE:
            return bool(names) and not numbers
        case Wanted.ANYTHING | Wanted.REASON:
            return bool(names or numbers)
        case _:
            return bool(numbers)


def _forms(words: Sequence[Word]) -> list[str]:
    return [word.term or word.surface.casefold() for word in words]


def _cells(text: str) -> dict[str, str]:
    """A row as name and value; empty for what is no row. What stands first without a name has the empty one."""
    parts = [part for part in _CELLS_PARTED.split(text) if part.strip()]
    if len(parts) < 2:
        return {}
    cells: dict[str, str] = {}
    for place, part in enumerate(parts):
        named = _CELL.fullmatch(part)
        if named:
            cells.setdefault(named[1].strip(), named[2].strip())
        elif place == 0:
            cells[""] = part.strip()
        else:
            return {}
    return cells


def _rows_disagree(asked: Asked, one: dict[str, str], other: dict[str, str]) -> bool:
    if _folded(next(iter(one.values()))) != _folded(next(iter(other.values()))):
        return False
    asked_terms = set(asked.terms)
    shared = [name for name in one if name in other]
    alike = [name for name in shared if _folded(one[name]) == _folded(other[name])]
    if not any(asked_terms & set(terms_of(one[name])) for name in alike):
        return False
    return any(asked_terms & set(terms_of(name)) for name in shared if name not in alike)


def _folded(text: str) -> str:
    return "".join(text.casefold().split())
