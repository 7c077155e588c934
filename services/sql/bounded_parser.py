"""PostgreSQL's parser with an end: no text, however odd, keeps it longer than its length allows.

sqlglot's parser tries one reading, goes back and tries another, and tries both again in whatever stands inside. A
hundred characters nested in the right way would keep it for years. So each move of the parser, forwards or back, is a
step, and a text of so many tokens has so many steps: ordinary statements take one or two for each token.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import Token, TokenType

STEPS_PER_TOKEN = 4
FREE_STEPS = 500  # so that a short statement may be as involved as it likes
_INTERVAL_FIELDS = frozenset({"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"})


class ParsingTooLong(SqlglotError):
    """The text would take more steps than its length allows. No ParseError, which the parser itself would catch."""


class BoundedParser(PostgresParser):
    """Reads as its base does, and raises ParsingTooLong instead of going on and on."""

    _steps_left = FREE_STEPS

    @property
    def steps_left(self) -> int:
        """How many more steps the last text could have taken."""
        return self._steps_left

    def _parse(
        self,
        parse_method: Callable[..., exp.Expr | None],
        raw_tokens: list[Token],
        sql: str | None = None,
    ) -> list[exp.Expr | None]:
        self._steps_left = FREE_STEPS + STEPS_PER_TOKEN * len(raw_tokens)
        return super()._parse(parse_method, raw_tokens, sql)

    def _advance(self, times: int = 1) -> None:
        self._steps_left -= 1
        if self._steps_left < 0:
            raise ParsingTooLong("the text would take too many steps to be read")
        super()._advance(times)

    def _parse_interval(self, require_interval: bool = True, parse_function_unit: bool = True) -> exp.Interval | None:
        """INTERVAL '…' [field [TO field]], its text as it stands; sqlglot would take one unit and lose the rest."""
        if not self._match_pair(TokenType.INTERVAL, TokenType.STRING):
            return None
        text = exp.Literal.string(self._prev.text)
        unit: exp.Expr | None = self._parse_interval_field()
        if unit is not None and self._match_text_seq("TO"):
            last = self._parse_interval_field()
            if last is None:
                self.raise_error("Expecting a field after TO")
            unit = exp.IntervalSpan(this=unit, expression=last)
        return self.expression(exp.Interval(this=text, unit=unit))

    def _parse_interval_field(self) -> exp.Var | None:
        if self._curr is None or self._curr.text.upper() not in _INTERVAL_FIELDS:
            return None
        self._advance()
        return exp.Var(this=self._prev.text.upper())
