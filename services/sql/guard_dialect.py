"""PostgreSQL's dialect as the guard reads it: every function call stays a call by the name it was written with.

sqlglot's own PostgreSQL dialect turns known calls into abstract functions and writes them back in its preferred form
(`date_part` becomes EXTRACT, `log10(x)` becomes LOG(10, x), `max(a, b)` becomes GREATEST). For a guard that is twice
wrong: the text that runs should mean what was written, and an allow-list should hold PostgreSQL's own names.
"""

from typing import ClassVar

from sqlglot.dialects.postgres import Postgres
from sqlglot.generators.postgres import PostgresGenerator
from sqlglot.parsers.postgres import PostgresParser

# Calls with a grammar of their own ("x FROM y", "x AS type", …). Everything else is name(argument, …).
_SPECIAL_CALLS = ("CAST", "EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM")
_CALLS_WITHOUT_PARENTHESES = ("ANY", "CASE")


class GuardParser(PostgresParser):
    """PostgreSQL's parser without the abstraction of functions."""

    FUNCTIONS: ClassVar = {}
    FUNCTION_PARSERS: ClassVar = {name: PostgresParser.FUNCTION_PARSERS[name] for name in _SPECIAL_CALLS}
    NO_PAREN_FUNCTION_PARSERS: ClassVar = {
        name: PostgresParser.NO_PAREN_FUNCTION_PARSERS[name] for name in _CALLS_WITHOUT_PARENTHESES
    }

    def _parse_unnest(self, with_alias: bool = True) -> None:
        """Leave UNNEST to be read as the ordinary call that it is in PostgreSQL."""

    def _warn_unsupported(self) -> None:
        """Keep silent: the warning would hold the statement, and statements are not logged."""


class GuardGenerator(PostgresGenerator):
    """PostgreSQL's generator, writing f(DISTINCT a, b) as it stands; of itself it would make a row of the two."""

    MULTI_ARG_DISTINCT = True


class GuardDialect(Postgres):
    """What `query_guard` parses with and writes with."""

    Parser = GuardParser
    Generator = GuardGenerator
