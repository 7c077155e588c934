"""What linking finds in a question: an ordered list of mentions, each a span of words and what it may stand for."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.sql.grounding.dates import Period
from services.sql.grounding.lexicon import ColumnEntry
from services.sql.grounding.phrases import Cue


@dataclass(frozen=True)
class ValueLink:
    """A value of a column that a span names; quality 0 to 1."""

    entry: ColumnEntry
    value: str
    quality: float


@dataclass
class Mention:
    """A span of the question and its readings. The reader marks it `used` when a part of the query stands for it."""

    kind: str  # table, column, value, number, period, quoted, cue, word
    text: str
    first: int  # index of the first token
    last: int  # index of the last token
    tables: dict[str, float] = field(default_factory=dict)
    columns: dict[tuple[str, str], float] = field(default_factory=dict)
    values: tuple[ValueLink, ...] = ()
    number: float | None = None
    period: Period | None = None
    cue: Cue | None = None
    swallowed: str = ""  # an aggregate's name that is part of a column's name: "total" in "total amount"
    owner: str = ""  # the table whose own name is part of a column's name: "titles of books"
    either: bool = False  # its values are roles of one table, any of which may be meant
    after_of: bool = False  # "of" stands right before it
    used: bool = False
    content: int = 1  # number of content words it covers
    quality: float = 1.0

    def is_cue(self, *kinds: str) -> bool:
        """Whether it is a cue of one of these kinds."""
        return self.cue is not None and self.kind == "cue" and self.cue.kind in kinds

    @property
    def best_table(self) -> str | None:
        """The likeliest table, None when it names none."""
        return max(self.tables, key=lambda name: (self.tables[name], name), default=None)
