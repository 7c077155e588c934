"""The guard: what may be run, judged from the text alone.

A text passes when it is exactly one statement that only reads, is made of allowed parts, functions and types at every
depth, and names nothing but tables and columns of the schema. What passes is written anew from the parsed tree, with
schemas named and a row limit, and only that text is ever shown, approved and run. Whatever is unknown, ambiguous or
too large to judge is refused.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from services.sql.bounded_parser import ParsingTooLong
from services.sql.column_names import TooManyNames, UnreadableQuery
from services.sql.guard_counts import TooLarge
from services.sql.guard_dialect import GuardDialect
from services.sql.guard_growth import check_growth
from services.sql.guard_inlining import check_inlining
from services.sql.guard_lexemes import is_read_alike
from services.sql.guard_precedence import binds_like_postgres
from services.sql.guard_shapes import has_postgres_shape
from services.sql.guard_syntax import FUNCTIONS, KEYWORDS, OPERATORS, STRUCTURE, SYMBOLS, TYPES
from services.sql.guard_work import steps_of
from services.sql.models import Schema
from services.sql.query_names import UnknownColumn, UnknownTable, resolve_names

MAX_SQL_CHARACTERS = 20_000
MAX_DEPTH = 40  # parentheses and CASEs within each other; people write 5
MAX_TOKENS = 5_000
MAX_CHARACTERS_AT_ONCE = 500  # judged while everybody waits: some milliseconds
MAX_NAME_BYTES = 63  # PostgreSQL cuts longer names, and two names could become one

_TURN_SECONDS = 0.001
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_PLAIN_NUMBER = re.compile(r"\d+(\.\d*)?([eE][+-]?\d{1,3})?|\.\d+([eE][+-]?\d{1,3})?")
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9_ ]*")  # YEAR, LEFT, UNBOUNDED PRECEDING: the only raw text a node may carry
# What nobody sees, in literals and names too: signs that steer a terminal, break a line, turn the direction of reading
# or take no room would let a text look like another to whoever approves it. Joiners, of which words consist, are seen.
_UNREADABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    r"\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Nodes whose text is quoted again when it is written.
_QUOTED_AGAIN = (exp.Literal, exp.Identifier)


class RefusalCode(StrEnum):
    """Why a text is refused; part of the contract with callers."""

    EMPTY = "EMPTY"
    TOO_LONG = "TOO_LONG"
    TOO_COMPLEX = "TOO_COMPLEX"
    UNREADABLE_CHARACTER = "UNREADABLE_CHARACTER"
    SYNTAX = "SYNTAX"
    NOT_ONE_STATEMENT = "NOT_ONE_STATEMENT"
    NOT_A_SELECT = "NOT_A_SELECT"
    CONSTRUCT_NOT_ALLOWED = "CONSTRUCT_NOT_ALLOWED"
    FUNCTION_NOT_ALLOWED = "FUNCTION_NOT_ALLOWED"
    TYPE_NOT_ALLOWED = "TYPE_NOT_ALLOWED"
    UNKNOWN_TABLE = "UNKNOWN_TABLE"
    UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
    LIMIT_NOT_A_NUMBER = "LIMIT_NOT_A_NUMBER"
    TOO_LARGE = "TOO_LARGE"
    OUTDATED = "OUTDATED"


_MESSAGES = {
    RefusalCode.EMPTY: "the text holds no statement",
    RefusalCode.TOO_LONG: f"the text is longer than {MAX_SQL_CHARACTERS} characters",
    RefusalCode.TOO_COMPLEX: "the statement is nested too deeply or has too many parts",
    RefusalCode.UNREADABLE_CHARACTER: "the text holds signs that cannot be seen, or that change how it is shown",
    RefusalCode.SYNTAX: "the text cannot be read as PostgreSQL",
    RefusalCode.NOT_ONE_STATEMENT: "exactly one statement is allowed",
    RefusalCode.NOT_A_SELECT: "only SELECT is allowed",
    RefusalCode.CONSTRUCT_NOT_ALLOWED: "this construct is not allowed",
    RefusalCode.FUNCTION_NOT_ALLOWED: "this function is not allowed",
    RefusalCode.TYPE_NOT_ALLOWED: "casts to this type are not allowed",
    RefusalCode.UNKNOWN_TABLE: "this table is not among those that can be asked",
    RefusalCode.UNKNOWN_COLUMN: "this column is not among those that can be asked",
    RefusalCode.LIMIT_NOT_A_NUMBER: "LIMIT must be a plain number",
    RefusalCode.TOO_LARGE: "the query could use up the database's memory",
    RefusalCode.OUTDATED: "the database or what may be shown has changed since this was written; ask again",
}


@dataclass(frozen=True)
class Refusal:
    """One reason; `detail` names the part of the text it is about, where there is one, and `position` tells where."""

    code: RefusalCode
    detail: str = ""
    position: int = 0  # of a character of it in the text, from 1; 0 where it is about the whole

    def __str__(self) -> str:
        message = _MESSAGES[self.code]
        return f"{message}: {self.detail}" if self.detail else message


@dataclass(frozen=True)
class Verdict:
    """Either `sql`, to be run as it is, with the full names of the tables it reads, sorted; or at least one refusal."""

    sql: str = ""
    tables: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether `sql` may be shown, approved and run."""
        return not self.refusals


class _Refused(Exception):
    def __init__(self, *refusals: Refusal) -> None:
        super().__init__()
        self.refusals = refusals


@dataclass(frozen=True)
class QueryGuard:
    """Judges texts.

    `max_rows` is what a run keeps at most. The limit written into a text is one more: a run that finds the extra row
    knows that its result is cut.
    """

    max_rows: int
    _in_turn: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "guard", initializer=_give_way),
        init=False,
        repr=False,
        compare=False,
    )

    async def judge(self, sql: str, schema: Schema) -> Verdict:
        """As `check`. A long text is judged in a thread, one after the other, while others go on being answered."""
        return await self._aside(self.check, sql, schema)

    async def judge_again(self, written: str, schema: Schema) -> Verdict:
        """As `check_again`, in the way of `judge`."""
        return await self._aside(self.check_again, written, schema)

    async def _aside(self, check: Callable[[str, Schema], Verdict], sql: str, schema: Schema) -> Verdict:
        if len(sql) <= MAX_CHARACTERS_AT_ONCE:
            return check(sql, schema)
        return await asyncio.get_running_loop().run_in_executor(self._in_turn, check, sql, schema)

    def check(self, sql: str, schema: Schema) -> Verdict:
        """Judge one text under a schema. Never raises, however odd the text."""
        return self._judge(sql, schema, growth=1)

    def check_again(self, written: str, schema: Schema) -> Verdict:
        """Judge a text that a guard wrote earlier: whether it would be written to the letter as it is.

        A text that would be written in another way reaches further than the schema shows by now, or was written under
        other rules or limits; it is refused as OUTDATED. What the text does not show is free to change: a new column
        of a table that it reads by names, or of one without hidden columns that it reads by *.
        """
        verdict = self._judge(written, schema, growth=2)  # what is written may be longer than what was given
        if verdict.allowed and verdict.sql != written:
            return _refused(RefusalCode.OUTDATED)
        return verdict

    def _judge(self, sql: str, schema: Schema, *, growth: int) -> Verdict:
        try:
            tree = _parse(sql, growth=growth)
            _check_parts(tree, schema)
            _normalize_names(tree)
            tables = resolve_names(tree, schema)
            largest = check_growth(tree)
            check_inlining(tree, schema, steps_of(tree, largest))
            _normalize_names(tree)  # Schemas have been named meanwhile.
            _limit_rows(tree, self.max_rows + 1)
            text = _write(tree)
            # What is written must be read as what was meant; anything else is a doubt.
            if _write(_parse(text, growth=2)) != text:
                return _refused(RefusalCode.SYNTAX)
        except _Refused as refused:
            return Verdict(refusals=refused.refusals)
        except UnknownTable as unknown:
            return _refused(RefusalCode.UNKNOWN_TABLE, str(unknown), _position_of(unknown.node))
        except UnknownColumn as unknown:
            return _refused(RefusalCode.UNKNOWN_COLUMN, str(unknown), _position_of(unknown.node))
        except TooLarge as large:
            return _refused(RefusalCode.TOO_LARGE, str(large), _position_of(large.node))
        except UnreadableQuery:
            return _refused(RefusalCode.CONSTRUCT_NOT_ALLOWED)
        except (RecursionError, ParsingTooLong, TooManyNames):
            return _refused(RefusalCode.TOO_COMPLEX)
        except ParseError as error:
            return _refused(RefusalCode.SYNTAX, position=_position_in(sql, error))
        except (SqlglotError, ValueError, TypeError, KeyError, IndexError, AttributeError):
            # The parser was not made for hostile text; where it stumbles there is doubt.
            return _refused(RefusalCode.SYNTAX)
        return Verdict(text, tables)


def _give_way() -> None:
    """Let other threads interrupt this one sooner than after 5 ms: answering a short call takes some ten turns."""
    sys.setswitchinterval(min(sys.getswitchinterval(), _TURN_SECONDS))


def _refused(code: RefusalCode, detail: str = "", position: int = 0) -> Verdict:
    return Verdict(refusals=(Refusal(code, detail, position),))


def _position_of(node: exp.Expr) -> int:
    """Where the first part of the node that remembers its place stands."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return int(min(starts)) + 1 if starts else 0


def _position_in(sql: str, error: ParseError) -> int:
    """Where the parser stopped; it tells line and column of the last character that it read."""
    line, column = error.errors[0].get("line"), error.errors[0].get("col")
    lines = sql.splitlines(keepends=True)
    if line is None or column is None or line > len(lines):
        return 0
    return sum(map(len, lines[: line - 1])) + int(column)


def _write(tree: exp.Query) -> str:
    # Not from a copy, which takes longer than the writing: nobody looks at a tree once it is written.
    return tree.sql(dialect=GuardDialect, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE, copy=False)


def _parse(sql: str, *, growth: int = 1) -> exp.Query:
    if not sql.strip():
        raise _Refused(Refusal(RefusalCode.EMPTY))
    if len(sql) > growth * MAX_SQL_CHARACTERS:
        raise _Refused(Refusal(RefusalCode.TOO_LONG))
    if _UNREADABLE.search(sql):
        raise _Refused(Refusal(RefusalCode.UNREADABLE_CHARACTER))
    dialect = GuardDialect()
    tokens = dialect.tokenize(sql)
    if len(tokens) > growth * MAX_TOKENS or _depth([token.text.upper() for token in tokens]) > growth * MAX_DEPTH:
        raise _Refused(Refusal(RefusalCode.TOO_COMPLEX))
    if not is_read_alike(sql, tokens):
        raise _Refused(Refusal(RefusalCode.SYNTAX))
    statements = [
        statement
        for statement in dialect.parser(error_level=sqlglot.ErrorLevel.RAISE).parse(tokens, sql)
        if statement is not None and not isinstance(statement, exp.Semicolon)
    ]
    if not statements:
        raise _Refused(Refusal(RefusalCode.EMPTY))
    if len(statements) > 1:
        raise _Refused(Refusal(RefusalCode.NOT_ONE_STATEMENT))
    if not isinstance(statements[0], exp.Select | exp.SetOperation | exp.Subquery):
        raise _Refused(Refusal(RefusalCode.NOT_A_SELECT))
    return statements[0]


def _depth(words: Sequence[str]) -> int:
    """How deep brackets and CASEs nest at most; text in quotes may count, which errs on the safe side."""
    deepest = depth = 0
    for word in words:
        if word in {"(", "[", "CASE"}:
            depth += 1
            deepest = max(deepest, depth)
        elif word in {")", "]", "END"}:
            depth -= 1
    return deepest


def _check_parts(tree: exp.Query, schema: Schema) -> None:
    refusals: dict[tuple[RefusalCode, str], Refusal] = {}  # In order, each once.
    for node in tree.walk():
        refusal = _judge_part(node, schema)
        if refusal is not None and (refusal.code, refusal.detail) not in refusals:
            refusals[refusal.code, refusal.detail] = replace(refusal, position=_position_of(node))
    if refusals:
        raise _Refused(*refusals.values())


_PARTS_IN_SQL = {"locks": "FOR UPDATE or FOR SHARE", "into": "INTO"}  # where the tree's name for it is not SQL's


def _judge_part(node: exp.Expr, schema: Schema) -> Refusal | None:
    kind = type(node)
    parts = STRUCTURE.get(kind)
    if parts is None and kind not in OPERATORS:
        return Refusal(RefusalCode.CONSTRUCT_NOT_ALLOWED, node.key.upper())
    for part, value in node.args.items():
        if parts is not None and part not in parts and value not in (None, False, [], ""):
            named = _PARTS_IN_SQL.get(part, f"{node.key} {part}".rstrip("_").upper())
            return Refusal(RefusalCode.CONSTRUCT_NOT_ALLOWED, named)
        if isinstance(value, str) and not isinstance(node, _QUOTED_AGAIN) and not _PLAIN_WORDS.fullmatch(value):
            return Refusal(RefusalCode.CONSTRUCT_NOT_ALLOWED, node.key.upper())
    if not (has_postgres_shape(node) and binds_like_postgres(node)):
        return Refusal(RefusalCode.SYNTAX, node.key.upper())
    if schema.own_functions and (anew := _called(node) & schema.own_functions):
        # PostgreSQL would run it instead of its own wherever its parameters fit better.
        named = node.name if isinstance(node, exp.Anonymous) else min(anew)
        return Refusal(RefusalCode.FUNCTION_NOT_ALLOWED, f"{named}, which the database defines anew")
    match node:
        case exp.Anonymous():
            if not isinstance(node.this, str) or node.this.lower() not in FUNCTIONS:
                return Refusal(RefusalCode.FUNCTION_NOT_ALLOWED, node.name)
        case exp.IntervalSpan():  # which sqlglot makes a type, too
            pass
        case exp.DataType():
            if not (
                node.this in TYPES or (node.this == exp.DType.USERDEFINED and _is_known_type(node, schema.column_types))
            ):
                return Refusal(RefusalCode.TYPE_NOT_ALLOWED, node.sql(dialect=GuardDialect))
        case exp.Literal():
            if not node.is_string and not _PLAIN_NUMBER.fullmatch(node.name):
                return Refusal(RefusalCode.SYNTAX, node.name)
        case exp.Identifier():
            if not node.name or len(node.name.encode()) > MAX_NAME_BYTES:
                return Refusal(RefusalCode.SYNTAX, node.name)
        case _:
            pass
    return None


def _called(node: exp.Expr) -> frozenset[str]:
    """Names of functions and operators that PostgreSQL looks up for a node."""
    if not isinstance(node, exp.Anonymous):
        return SYMBOLS.get(type(node), frozenset())
    name = node.name.lower()
    return frozenset({name, "="} if name == "nullif" else {name})


def _is_known_type(node: exp.DataType, known_types: Set[str]) -> bool:
    kind = node.args.get("kind")
    if not isinstance(kind, exp.Identifier) or node.expressions:
        return False
    name = kind.name if kind.args.get("quoted") else _fold(kind.name)
    # Those that look names up in the catalogs are no types for a cast, even where a column has them.
    return name in known_types and bool(_PLAIN_NAME.fullmatch(name)) and not name.startswith(("reg", "pg_"))


def _normalize_names(tree: exp.Expr) -> None:
    """Fold names as PostgreSQL does, and quote those that would not survive unquoted."""
    for name in tree.find_all(exp.Identifier):
        if not name.args.get("quoted"):
            name.set("this", _fold(name.name))
        name.set("quoted", not _PLAIN_NAME.fullmatch(name.name) or name.name in KEYWORDS)


def _fold(name: str) -> str:
    """Lower case for A to Z alone: PostgreSQL leaves other letters of a multi-byte encoding as they are."""
    return "".join(character.lower() if character.isascii() else character for character in name)


def _limit_rows(tree: exp.Query, most: int) -> None:
    """Add a row limit, or lower one that is higher."""
    limit = tree.args.get("limit")
    count = limit.args.get("count" if isinstance(limit, exp.Fetch) else "expression") if limit is not None else None
    if isinstance(limit, exp.Fetch) and count is None:  # FETCH FIRST ROW ONLY
        rows = min(1, most)
    elif count is None or isinstance(count, exp.Null) or (isinstance(count, exp.Var) and count.name.upper() == "ALL"):
        rows = most
    elif isinstance(count, exp.Literal) and not count.is_string and count.name.isdecimal():
        rows = min(int(count.name), most)
    else:
        raise _Refused(Refusal(RefusalCode.LIMIT_NOT_A_NUMBER))
    tree.set("limit", exp.Limit(expression=exp.Literal.number(rows)))
