"""Texts as people see them: what takes no room, turns the direction of reading or commands a terminal is left out."""

from __future__ import annotations

import re
import unicodedata

# Joiners, of which words and pictures consist, are seen; so are the number signs of Arabic.
_UNSEEN = re.compile(
    r"[\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SEPARATORS = re.compile(r"[\u2028\u2029]")

# Control and format characters (text direction among them), halves of characters, line and paragraph separators.
_COMMANDS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"


def holds_unseen(text: str) -> bool:
    """Whether there is a sign that nobody sees, so that the text can look like another."""
    return _UNSEEN.search(text) is not None or _SEPARATORS.search(text) is not None


def without_unseen(text: str) -> str:
    """The text without such signs; Unicode's own separators of lines become line feeds."""
    return _UNSEEN.sub("", _SEPARATORS.sub("\n", text))


def shown(text: str, instead: str, *, kept: str = "") -> str:
    """The text with something instead of each sign that a terminal or a page would obey, but for those kept."""
    allowed = _JOINERS + kept
    return "".join(
        instead if unicodedata.category(each) in _COMMANDS and each not in allowed else each for each in text
    )


def one_line(text: str) -> str:
    """The text without line breaks, and without what a terminal or a page would obey rather than show."""
    return " ".join(shown(text, " ").split())
