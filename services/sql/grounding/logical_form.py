"""The logical form: what a question asks of the database, before it is SQL.

Tables are full names ("public.orders"), columns (table, column) pairs. Conditions nest; everything is immutable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from services.sql.grounding.dates import Period

Ref = tuple[str, str]  # full name of the table, name of the column


@dataclass(frozen=True)
class ColumnOf:
    """A column itself, or a part of a date: `part` is "" or day, week, month, quarter, year, weekday, isodow, hour."""

    ref: Ref
    part: str = ""

    @property
    def table(self) -> str:
        """The table it belongs to."""
        return self.ref[0]


@dataclass(frozen=True)
class Measure:
    """An aggregate over the rows of `table`: count of rows (`ref` None) or a function of a column.

    The column may lie in a table that each row of `table` points to: the price of what was sold. `times` multiplies
    it row by row before the aggregate (unit price × quantity), `minus` is taken from it (sales - cost). Between two
    dates `unit` says in what the difference is given: minute, hour, day, week, year, or interval for the span itself.
    """

    function: str  # count, sum, avg, max, min, median, stddev, variance
    table: str
    ref: Ref | None = None
    distinct: bool = False
    times: Ref | None = None
    minus: Ref | None = None
    unit: str = ""


@dataclass(frozen=True)
class Ratio:
    """Two measures, each over the rows that meet its own conditions, and what is made of them.

    `combine` is ratio (upper / lower), difference (upper - lower) or growth (the difference in percent of the lower).
    """

    upper: Measure
    lower: Measure
    upper_if: tuple[Condition, ...] = ()
    lower_if: tuple[Condition, ...] = ()
    is_percentage: bool = False
    combine: str = "ratio"

    @property
    def table(self) -> str:
        """The table of the upper measure."""
        return self.upper.table


@dataclass(frozen=True)
class PartOfAll:
    """What percentage of the total over all groups each group's measure is."""

    measure: Measure

    @property
    def table(self) -> str:
        """The table of the measure."""
        return self.measure.table


@dataclass(frozen=True)
class Windowed:
    """A measure set against those of earlier times: running (added up), change, or growth (the change in percent).

    It runs along the group `along`, within each of the other groups for itself.
    """

    measure: Measure
    kind: str
    along: ColumnOf
    within: tuple[ColumnOf, ...] = ()

    @property
    def table(self) -> str:
        """The table of the measure."""
        return self.measure.table


@dataclass(frozen=True)
class OfEach:
    """A measure over the rows that belong to each row of `owner` and meet `inner`; 0 where there are none."""

    owner: str
    measure: Measure
    inner: tuple[Condition, ...] = ()

    @property
    def table(self) -> str:
        """The table of whose rows each has the measure."""
        return self.owner


Operand = ColumnOf | Measure | Ratio | PartOfAll | Windowed | OfEach


@dataclass(frozen=True)
class Compare:
    """Column against a literal; text literals are compared as they stand."""

    ref: Ref
    operator: str
    value: str | float | bool


@dataclass(frozen=True)
class OneOf:
    """Column equals one of the values; `ignore_case` where the value is the asker's spelling, not the database's."""

    ref: Ref
    values: tuple[str, ...]
    negated: bool = False
    ignore_case: bool = False


@dataclass(frozen=True)
class Matches:
    """Column matches a text: how is contains, starts or ends; case does not matter."""

    ref: Ref
    how: str
    text: str
    negated: bool = False


@dataclass(frozen=True)
class InPeriod:
    """Date column lies within one of the periods."""

    ref: Ref
    periods: tuple[Period, ...]
    negated: bool = False


@dataclass(frozen=True)
class OnWeekdays:
    """Date column falls on one of these days of the week, Monday being 1."""

    ref: Ref
    days: tuple[int, ...]


@dataclass(frozen=True)
class IsNull:
    """Column is NULL, or is not."""

    ref: Ref
    negated: bool = False


@dataclass(frozen=True)
class CompareToMeasure:
    """Column against an aggregate over its whole table: above the average, equal to the maximum."""

    ref: Ref
    operator: str
    measure: Measure


@dataclass(frozen=True)
class CompareColumns:
    """One column against another of the same table."""

    left: Ref
    operator: str
    right: Ref


@dataclass(frozen=True)
class CompareSpan:
    """The time from `begin` to `end` against a number of units; `begin` may lie in a table that `end`'s points to."""

    end: Ref
    begin: Ref
    operator: str
    number: float
    unit: str


@dataclass(frozen=True)
class CompareToRow:
    """Column against the same column of the row that is named."""

    ref: Ref
    operator: str
    row: OneOf


@dataclass(frozen=True)
class Related:
    """Rows of `owner` whose related rows, aggregated by `measure` under `inner`, compare so to the number."""

    owner: str
    measure: Measure
    operator: str
    number: float
    inner: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Exists:
    """Rows for which some related row of `table` meets `inner`; or, negated, none does."""

    owner: str
    table: str
    inner: tuple[Condition, ...] = ()
    negated: bool = False


@dataclass(frozen=True)
class AnyOf:
    """At least one of the conditions holds."""

    conditions: tuple[Condition, ...]


Condition = (
    Compare
    | OneOf
    | Matches
    | InPeriod
    | OnWeekdays
    | IsNull
    | CompareToMeasure
    | CompareToRow
    | CompareColumns
    | CompareSpan
    | Related
    | Exists
    | AnyOf
)


@dataclass(frozen=True)
class Ordering:
    """One sort key."""

    operand: Operand
    descending: bool


@dataclass(frozen=True)
class LogicalForm:
    """One question as a query.

    `share_of` asks what percentage of the rows under `conditions` meets these further conditions.
    `having` compares a measure of each group with a number. With `within`, `limit` rows of each of these groups are
    kept, the first by `order`; rows that tie for a place share it.
    """

    outputs: tuple[Operand, ...]
    conditions: tuple[Condition, ...] = ()
    groups: tuple[ColumnOf, ...] = ()
    having: tuple[tuple[Measure, str, float], ...] = ()
    order: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int = 0
    distinct: bool = False
    within: tuple[ColumnOf, ...] = ()
    share_of: tuple[Condition, ...] = ()
    subject: str = ""  # the table whose rows are asked about
    notes: tuple[str, ...] = field(default=(), compare=False)


def tables_of(condition: Condition) -> Iterator[str]:
    """Tables whose columns a condition compares in the row at hand, not inside a subquery of its own."""
    if isinstance(condition, CompareColumns):
        yield condition.left[0]
        yield condition.right[0]
    elif isinstance(condition, CompareSpan):
        yield condition.end[0]
        yield condition.begin[0]
    elif isinstance(condition, (Related, Exists)):
        yield condition.owner
    elif isinstance(condition, AnyOf):
        for one in condition.conditions:
            yield from tables_of(one)
    else:
        yield condition.ref[0]
