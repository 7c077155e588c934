"""What is put over a chunk where it is embedded: whose words these are, which the chunk itself seldom says."""

import re
from collections.abc import Iterator, Sequence

from services.rag.models import Chunk

_JOINT = " > "
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_LETTERS = re.compile(r"[^\W\d_]{2}")
# Hashes and identifiers, which tell nobody anything: long, and letters and digits mixed.
_IDENTIFIER = re.compile(r"(?=.*\d)(?=.*[^\W\d_])\w{12,}")


def names_of(filename: str, title: str) -> tuple[str, ...]:
    """What a document is called: the words of its file name, and its title.

    Titles are often those of a template, or missing; people name files by what tells them apart. Where both say the
    same it counts twice, by which documents that are alike are told apart better (`tests/quality/test_siblings.py`).
    """
    stem = filename.rpartition(".")[0] or filename
    words = " ".join(word for word in _BETWEEN_WORDS.split(stem) if word and not _IDENTIFIER.fullmatch(word))
    return tuple(filter(None, (words if _LETTERS.search(words) else "", " ".join(title.split()))))


def headers_of(names: Sequence[str], headings: Sequence[str], text: str) -> Iterator[str]:
    """What may stand over a text, on one line, the best first. What the text says itself is not said again."""
    above = [line for name in names if (line := " ".join(name.split())) not in text]
    path = [line for heading in headings if (line := " ".join(heading.split())) and line not in text]
    lines = list(dict.fromkeys([*above, *path]))
    shorter = [[*above, *path[-1:]], [*above[:1], *path[-1:]], path[-1:], above[:1]]
    yield from dict.fromkeys(_JOINT.join(each) for each in (lines, *map(dict.fromkeys, shorter)) if each)


def searched_words(names: Sequence[str], chunk: Chunk) -> str:
    """The words by which a chunk is found."""
    return "\n".join([*(line for line in (*names, *chunk.headings) if line not in chunk.text), chunk.text])
