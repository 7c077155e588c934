"""Texts that sqlglot cuts into words elsewhere than PostgreSQL does.

PostgreSQL knows six characters of white space and no more, compares keywords letter by letter in ASCII, and takes as
an operator as many signs as stand together. sqlglot's ideas are wider. A text that its judge and its runner cut
differently is refused.

Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqlglot.tokenizer_core import Token, TokenType

_OTHER_SPACE = re.compile(r"[^\S \t\n\r]")
_WORD = re.compile(r"[^\W\d]")
_ASCII_IN_DISGUISE = re.compile("[\u0131\u017f\u212a\u0130\ufb00-\ufb06]")  # letters whose other case is ASCII
_IN_QUOTES = frozenset({TokenType.STRING, TokenType.IDENTIFIER})
_PLAIN = _IN_QUOTES | {TokenType.VAR}
_SIGNS = frozenset("+-*/<>=~!@#%^&|`?")
_STRONG_SIGNS = frozenset("~!@#%^&|`?")  # an operator with one of them may end in + or -
_OPERATORS = frozenset(
    "+ - * / % ^ = <> != < > <= >= || -> ->> #> #>> @> <@ && ? ?| ?& & | # << >> ~ ~* !~ !~* =>".split()
)


def is_read_alike(sql: str, tokens: Sequence[Token]) -> bool:
    """Whether PostgreSQL cuts the text into these tokens, too."""
    if not sql.isascii():
        # LIM\u0131T is LIMIT to Python and a name to PostgreSQL.
        if any(token.token_type not in _PLAIN and not token.text.isascii() for token in tokens):
            return False
        if any(token.token_type is TokenType.VAR and _ASCII_IN_DISGUISE.search(token.text) for token in tokens):
            return False
        if _OTHER_SPACE.search(sql) and not _has_plain_gaps(sql, tokens):
            return False
    for place, token in enumerate(tokens[:-1]):
        after = tokens[place + 1]
        if token.token_type is TokenType.NUMBER and token.end + 1 == after.start and _WORD.match(sql[after.start]):
            return False  # 1_000 is a number since PostgreSQL 16, and 1 AS _000 to sqlglot; 1a is neither
        behind = tokens[place + 2].token_type if place + 2 < len(tokens) else None
        if token.token_type is TokenType.LIMIT and behind is TokenType.COMMA:
            return False  # LIMIT 1, 2 is MySQL's
    return all(_is_read_as_one(run, text) for run, text in _runs(sql, tokens))


def _has_plain_gaps(sql: str, tokens: Sequence[Token]) -> bool:
    end = 0
    for token in tokens:
        if _OTHER_SPACE.search(sql, end, token.start):
            return False
        if token.token_type not in _IN_QUOTES and _OTHER_SPACE.search(sql, token.start, token.end + 1):
            return False
        end = token.end + 1
    return not _OTHER_SPACE.search(sql, end)


def _runs(sql: str, tokens: Sequence[Token]) -> Iterator[tuple[list[int], str]]:
    """Signs that stand together: where in them tokens begin, and the signs."""
    starts: list[int] = []
    begin = end = -1
    for token in tokens:
        if sql[token.start] not in _SIGNS or token.token_type in _IN_QUOTES:
            continue
        if starts and token.start != end:
            yield starts, sql[begin:end]
            starts = []
        if not starts:
            begin = token.start
        starts.append(token.start - begin)
        end = token.end + 1
    if starts:
        yield starts, sql[begin:end]


def _is_read_as_one(starts: list[int], signs: str) -> bool:
    if len(starts) == 1 and signs in _OPERATORS:
        return True
    place = 0
    while place < len(signs):
        operator = signs[place:]
        while len(operator) > 1 and operator[-1] in "+-" and not _STRONG_SIGNS & set(operator):
            operator = operator[:-1]
        if operator not in _OPERATORS or place not in starts:
            return False
        place += len(operator)
    return True
