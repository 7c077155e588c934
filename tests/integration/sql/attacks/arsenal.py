"""Statements that must not get anywhere: a list of them by family, and a few of them in many disguises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER_MARK = "{folder}"

# What only costs time or space; a guard may let such a query pass, and the limits of the run have to bear it.
COSTLY = "time and space"
# What no right can be taken for, short of a transaction that cannot write.
ITS_OWN = "what is its own"

_LIST = Path(__file__).parent / "statements.txt"

_KERNELS = (
    "DELETE FROM customers",
    "DROP TABLE orders CASCADE",
    "COPY customers TO PROGRAM 'touch {folder}/stolen'",
    "SELECT wipe_orders()",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_advisory_lock(99)",
)


def _wide(text: str) -> str:
    """Full-width letters, which look like what they are not."""
    return "".join(chr(ord(sign) + 0xFEE0) if sign.isalpha() else sign for sign in text)


def _in_two_cases(text: str) -> str:
    return "".join(sign.upper() if place % 2 else sign.lower() for place, sign in enumerate(text))


_DISGUISES: dict[str, Callable[[str], str]] = {
    "in two cases": _in_two_cases,
    "comments for blanks": lambda text: text.replace(" ", "/**/"),
    "comments in comments": lambda text: text.replace(" ", "/* /* ; */ -- */ "),
    "a comment to the line's end": lambda text: text.replace(" ", " -- x\n"),
    "a comment that a carriage return ends": lambda text: f"SELECT 1 -- x\r; {text}",
    "a comment of another database": lambda text: f"/*!50000 {text} */",
    "behind a comment": lambda text: f"/* SELECT 1 */ {text}",
    "tabs and feeds for blanks": lambda text: text.replace(" ", "\t\v\f\r\n"),
    "a byte order mark": lambda text: f"\ufeff{text}",
    "blanks that do not break": lambda text: text.replace(" ", "\u00a0"),
    "blanks of no width": lambda text: text.replace(" ", "\u200b "),
    "wide letters": _wide,
    "an end of string inside": lambda text: f"SELECT 1\0; {text}",
    "an end of file inside": lambda text: f"SELECT 1 \x1a; {text}",
    "half a surrogate": lambda text: f"SELECT '\ud800'; {text}",
    "behind a second statement": lambda text: f"SELECT 1; {text}",
    "behind an empty statement": lambda text: f";;{text};",
    "behind dollars": lambda text: f"SELECT $a$ $$ ; $a$; {text} --$a$",
    "behind a quote with a backslash": lambda text: f"SELECT 'a\\'; {text}; --'",
    "behind an escaped quote": lambda text: f"SELECT E'\\''; {text} --'",
    "behind a quoted name": lambda text: f'SELECT 1 AS "a"";"; {text}',
    "behind an escaped name": lambda text: f'SELECT 1 AS U&"\\0061"; {text}',
    "explained": lambda text: f"EXPLAIN ANALYZE {text}",
    "explained as options": lambda text: f"(ANALYZE, FORMAT JSON) {text}",
    "prepared": lambda text: f"PREPARE p AS {text}",
    "behind a common table expression": lambda text: f"WITH x AS (SELECT 1) {text}",
    "as a common table expression": lambda text: f"WITH x AS ({text}) SELECT * FROM x",
    "in parentheses": lambda text: f"({text})",
    "out of the parentheses": lambda text: f"SELECT 1\n) AS query LIMIT 0; {text}; --",
    "in a block": lambda text: f"DO $$ BEGIN {text}; END $$",
    "in a copy": lambda text: f"COPY ({text}) TO STDOUT",
    "in a table": lambda text: f"CREATE TABLE stolen AS {text}",
}


@dataclass(frozen=True)
class Attack:
    """One statement; `{folder}` stands for a folder that the database's server could write to."""

    family: str
    sql: str


def attacks() -> tuple[Attack, ...]:
    """Every one of them, each text once."""
    by_text = {attack.sql: attack for attack in (*_listed(), *_disguised())}
    return tuple(by_text.values())


def _listed() -> Iterator[Attack]:
    family = ""
    for line in _LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            family = line[2:]
        else:
            yield Attack(family, line)


def _disguised() -> Iterator[Attack]:
    for name, disguise in _DISGUISES.items():
        for kernel in _KERNELS:
            yield Attack(f"disguise: {name}", disguise(kernel))
