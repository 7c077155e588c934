"""PostgreSQL's dialect as the guard reads it: every function call stays a call by the name it was written with.

sqlglot's own PostgreSQL dialect turns known calls into abstract functions and writes them back in its preferred form
(`date_part` becomes EXTRACT, `log10(x)` becomes LOG(10, x), `max(a, b)` becomes GREATEST). For a guard that is twice
wrong: the text that runs should mean what was written, and an allow-list should hold PostgreSQL's own names.
"""

from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.generators.postgres import PostgresGenerator
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import TokenType

from services.sql.bounded_parser import BoundedParser

# Calls with a grammar of their own ("x FROM y", "x AS type", …). Everything else is name(argument, …).
_SPECIAL_CALLS = ("CAST", "EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM")
_CALLS_WITHOUT_PARENTHESES = ("ANY", "CASE")
WRITTEN = "written"


class GuardParser(BoundedParser):
    """PostgreSQL's parser without the abstraction of functions."""

    FUNCTIONS: ClassVar = {}
    FUNCTION_PARSERS: ClassVar = {name: PostgresParser.FUNCTION_PARSERS[name] for name in _SPECIAL_CALLS}
    NO_PAREN_FUNCTION_PARSERS: ClassVar = {
        name: PostgresParser.NO_PAREN_FUNCTION_PARSERS[name] for name in _CALLS_WITHOUT_PARENTHESES
    } | {"SOME": PostgresParser.NO_PAREN_FUNCTION_PARSERS["ANY"]}  # two words for one thing

    # What stands behind -> and ->> as it stands; sqlglot would make a path of it, and text of a number.
    JSON_OPERATORS: ClassVar = {
        **PostgresParser.JSON_OPERATORS,
        TokenType.ARROW: lambda self, this, key: self.expression(exp.JSONExtract(this=this, expression=key)),
        TokenType.DARROW: lambda self, this, key: self.expression(exp.JSONExtractScalar(this=this, expression=key)),
    }

    def _parse_unnest(self, with_alias: bool = True) -> None:
        """Leave UNNEST to be read as the ordinary call that it is in PostgreSQL."""

    def _parse_paren(self) -> exp.Expr | None:
        """Parentheses that were written; sqlglot adds others where its reading of operators asks for them."""
        node = super()._parse_paren()
        if isinstance(node, exp.Paren):
            node.meta[WRITTEN] = True
        return node

    def _warn_unsupported(self) -> None:
        """Keep silent: the warning would hold the statement, and statements are not logged."""


class GuardGenerator(PostgresGenerator):
    """PostgreSQL's generator, made to write every part as it was read.

    Of itself it would make a row of f(DISTINCT a, b), take texts before -> for JSON, and name the power that ^ is.
    """

    MULTI_ARG_DISTINCT = True
    JSON_TYPE_REQUIRED_FOR_EXTRACTION = False
    TRANSFORMS: ClassVar = {
        **PostgresGenerator.TRANSFORMS,
        # Of ARRAY[(SELECT 1), 2] nothing but the query would be left.
        exp.Array: lambda self, expression: f"ARRAY[{self.expressions(expression, flat=True)}]",
        exp.Div: lambda self, expression: self.binary(expression, "/"),
        exp.Pow: lambda self, expression: self.binary(expression, "^"),
    }

    def interval_sql(self, expression: exp.Interval) -> str:
        """The text of an interval as it stands."""
        unit = expression.args.get("unit")
        return f"INTERVAL {self.sql(expression, 'this')}" + (f" {self.sql(unit)}" if unit is not None else "")


class GuardDialect(Postgres):
    """What `query_guard` parses with and writes with."""

    INDEX_OFFSET = 0  # a[1] stays a[1]
    Parser = GuardParser
    Generator = GuardGenerator
