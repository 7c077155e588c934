"""What one reading of a question knows so far: its mentions, its subject, and how an ambiguous name is settled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.sql.grounding.join_paths import JoinGraph
from services.sql.grounding.lexicon import ColumnEntry, Lexicon
from services.sql.grounding.logical_form import ColumnOf, Condition, Measure, Operand, Ordering
from services.sql.grounding.mentions import Mention
from services.sql.grounding.thesaurus import PRICE_WORDS, QUANTITY_WORDS
from services.sql.grounding.wording import IMPERATIVES
from services.sql.grounding.words import Token, stem

OUTRIGHT, PARTLY = 0.95, 0.4  # a name met as a whole, or in part
STRONG = 0.7  # a link at or above this is a name rather than a likeness
BIRTH_WORDS = frozenset(stem(word) for word in ("birth", "age", "old", "young", "oldest", "youngest", "dob"))
MADE_WORDS = frozenset(
    stem(word) for word in "created ordered started begun booked placed opened filed issued requested".split()
)
CALENDAR_WORDS = frozenset(stem(word) for word in ("date", "calendar", "time", "day", "period"))
TRADE_VERBS = frozenset(stem(word) for word in ("sell", "sold", "buy", "bought", "order", "purchase"))
TRADE_TABLES = frozenset(stem(word) for word in ("sale", "order", "purchase", "item", "line", "transaction"))
OF_WORDS = frozenset(
    {"of", "for", "from", "in", "on", "at", "the", "all", "each", "every", "a", "an", "any", "our", "those", "these"}
)


class Unreadable(Exception):
    """The question asks for something this grammar cannot express; the text is one sentence for a person."""


@dataclass
class Reading:
    """The state of one reading. Stages take mentions in order, mark what they use and add parts of the query."""

    tokens: Sequence[Token]
    items: list[Mention]
    lexicon: Lexicon
    graph: JoinGraph
    subject: str = ""
    conditions: list[Condition] = field(default_factory=list)
    placed: dict[Condition, int] = field(default_factory=dict)  # the item each condition was read from
    share: list[Condition] = field(default_factory=list)
    outputs: list[Operand] = field(default_factory=list)
    groups: list[ColumnOf] = field(default_factory=list)
    having: list[tuple[Measure, str, float]] = field(default_factory=list)
    order: list[Ordering] = field(default_factory=list)
    sides: str = ""  # "more" or "less": which of two sides has it
    within: list[ColumnOf] = field(default_factory=list)  # rows are chosen in each group of these
    window: str = ""  # running, change or growth: a figure is set against earlier ones
    window_unit: str = ""
    share_order: tuple[bool, int | None] | None = None  # rows are chosen by a share: descending, how many
    keeps_zeros: bool = False  # those that have none are to be seen too
    limit: int | None = None
    offset: int = 0
    shown: str = ""  # a table whose rows are to be named beside what they are ordered by
    distinct: bool = False
    doubt: float = 1.0  # factor of the confidence
    notes: list[str] = field(default_factory=list)

    def mentioned_tables(self) -> dict[str, float]:
        """Tables the question names, with the quality of the link."""
        found: dict[str, float] = {}
        for item in self.items:
            if item.kind == "table":
                for table, quality in item.tables.items():
                    if quality >= max(item.tables.values()) - 0.01:
                        found[table] = max(found.get(table, 0), quality)
            elif item.owner:
                found[item.owner] = 1.0
        return found

    def table_of(self, index: int) -> str | None:
        """The table an item names, settled by what else the question names."""
        item = self.items[index]
        if not item.tables:
            return None
        others = {self.subject} if self.subject else set()
        for other in self.items:
            if other is not item and other.kind in {"table", "column"} and len(other.tables) == 1:
                others.update(other.tables)

        def rank(table: str) -> tuple[float, float, str]:
            near = min((self.graph.distance(table, other) for other in others), default=0)
            bridge = 0.15 if self.lexicon.tables[table].is_bridge else 0.0
            return item.tables[table] - bridge - 0.02 * min(near, 5), -near, table

        return max(item.tables, key=rank)

    def next_index(self, index: int, *, skip: Sequence[str] = ()) -> int | None:
        """The next item, those of the given cue kinds left out."""
        for later in range(index + 1, len(self.items)):
            if not self.items[later].is_cue(*skip):
                return later
        return None

    def words_between(self, left: int, right: int) -> list[str]:
        """Lower-case tokens between two items."""
        return [token.lower for token in self.tokens[self.items[left].last + 1 : self.items[right].first]]

    def are_adjacent(self, left: int, right: int) -> bool:
        """Whether nothing but articles and "of" stands between two items."""
        return all(
            word in OF_WORDS
            or word in {"'", "is", "are", "was", "were", "s", "as", "to", "be", "than", "has", "have", "value"}
            for word in self.words_between(left, right)
        )

    def word_before(self, index: int, back: int = 1) -> str:
        """The token before an item, lower case."""
        position = self.items[index].first - back
        return self.tokens[position].lower if position >= 0 else ""

    def column_of(self, index: int, *, wanted: str = "", table: str = "") -> ColumnEntry | None:
        """The column an item names, settled by its neighbours and the subject.

        `wanted` narrows to "numeric", "date" or "text" columns, `table` to one table.
        """
        item = self.items[index]
        best: tuple[float, int] | None = None
        chosen: ColumnEntry | None = None
        near = self._neighbouring_tables(index)
        mentioned = self.mentioned_tables()
        trades = any(token.stem in TRADE_VERBS for token in self.tokens)
        belongs = self.word_before(index) in {"their", "its", "his", "her"}
        says_key = {"id", "ids", "number", "code", "identifier"} & {
            token.lower for token in self.tokens[item.first : item.last + 1]
        }
        literal = self._named_outright(item, wanted, table)
        for position, (ref, quality) in enumerate(sorted(item.columns.items())):
            entry = self.lexicon.columns[ref]
            if not _fits(entry, wanted) or (table and entry.table != table) or (literal and ref not in literal):
                continue
            score = quality + near.get(entry.table, 0.0) * (0.4 + 0.6 * quality)
            if entry.table == self.subject:
                score += (0.6 if belongs else 0.3) * quality
            if trades and TRADE_TABLES & set(self.lexicon.tables[entry.table].stems):
                score += 0.25 * quality
            if entry.table in mentioned:
                score += 0.2 * quality * mentioned[entry.table]
            elif mentioned or self.subject:
                nearest = min(
                    self.graph.distance(entry.table, one)
                    for one in [*mentioned, *([self.subject] if self.subject else [])]
                )
                score += 0.1 if nearest == 1 else 0.04 if nearest == 2 else 0.0 if nearest < 99 else -0.5
            if entry.is_key and not says_key:
                score -= 0.25
            if entry.is_key and says_key and self.graph.keys.get(entry.table) == (entry.column.name,):
                score += 0.05
            if self.lexicon.tables[entry.table].named():
                score += 0.005  # of two prices alike that of the product, not of one sale
            if best is None or (score, -position) > best:
                best, chosen = (score, -position), entry
        return chosen

    def _named_outright(self, item: Mention, wanted: str, table: str) -> set[tuple[str, str]]:
        """The columns that bear the very word, within reach: beside them no synonym counts."""
        if item.first != item.last:
            return set()
        word = self.tokens[item.first].stem
        near = [*self.mentioned_tables(), *([self.subject] if self.subject else [])]
        found = set()
        for ref, quality in item.columns.items():
            entry = self.lexicon.columns[ref]
            fits = _fits(entry, wanted) and (not table or entry.table == table) and not entry.is_key
            priced = bool(set(entry.own) & PRICE_WORDS) and word not in PRICE_WORDS  # units are no unit price
            whole = quality >= OUTRIGHT or (entry.table in near and quality >= PARTLY and not priced)
            if quality >= OUTRIGHT and entry.table not in near and self._has_its_own(item, near, wanted, word):
                continue  # the price per reservation is that of the reservation, whatever services have prices
            if fits and word in entry.own and whole and (not near or self._is_reached(near, entry.table)):
                found.add(ref)
        return found

    def _has_its_own(self, item: Mention, near: Sequence[str], wanted: str, word: str) -> bool:
        if word in QUANTITY_WORDS:
            return False  # of a product that is stock, and what was sold of it is more often meant
        entries = [self.lexicon.columns[ref] for ref, quality in item.columns.items() if quality >= PARTLY]
        fitting = [one for one in entries if _fits(one, wanted) and not one.is_key]
        return any(one.table in near and word == one.own[-1] for one in fitting)

    def _is_reached(self, near: Sequence[str], table: str) -> bool:
        return any(self.graph.distance(table, one) < 99 for one in near)

    def _neighbouring_tables(self, index: int) -> dict[str, float]:
        """Tables named right beside an item: "name of the student", "student name"."""
        found: dict[str, float] = {}
        for later in range(index + 1, min(index + 6, len(self.items))):
            item = self.items[later]
            if item.owner:
                found[item.owner] = 0.5
                break
            if item.values and item.kind == "value" and set(self.words_between(later - 1, later)) & {"of", "for"}:
                tables = {link.entry.table for link in item.values}
                if len(tables) == 1:
                    found[tables.pop()] = 0.5
                break
            if item.kind == "table":
                if set(self.words_between(later - 1, later)) & {"of", "for", "from"} or later == index + 1:
                    for table, quality in item.tables.items():
                        found[table] = 0.5 * quality
                break
            if not (
                item.kind == "column"
                or item.is_cue("and", "group", "pair", "superlative", "distinct", "aggregate")
                or item.values
                or item.kind == "number"
            ):
                break
        if index > 0 and self.items[index - 1].kind == "table" and not self.words_between(index - 1, index):
            for table, quality in self.items[index - 1].tables.items():
                found[table] = max(found.get(table, 0), 0.55 * quality)
        return found

    def find_attribute(self, table: str, hints: Sequence[str], wanted: str) -> ColumnEntry | None:
        """The column of a table that one of the hinted attributes names, the first hint that names one."""
        for hint in hints:
            word = stem(hint)
            for entry in self.lexicon.tables[table].columns:
                born = hint == "date" and bool(set(entry.own) & BIRTH_WORDS)  # the last guest is not the youngest
                if word in entry.own and _fits(entry, wanted) and not born:
                    return entry
        if "date" in hints and wanted == "":
            return self.date_column([table])
        return None

    def date_column(self, tables: Sequence[str], near: int | None = None) -> ColumnEntry | None:
        """The date the question most likely speaks of, from the first table that has one.

        Words of the question that occur in a date column's name settle between several.
        """
        asked = {token.stem for place, token in enumerate(self.tokens) if place or token.lower not in IMPERATIVES}
        of_birth = bool(asked & BIRTH_WORDS)
        for table in self._with_calendars(dict.fromkeys(tables)):
            dates = [entry for entry in self.lexicon.tables[table].columns if entry.is_date]
            dates = [entry for entry in dates if of_birth or not set(entry.own) & BIRTH_WORDS]
            if not dates:
                continue
            own_table = self.lexicon.tables[table].stems

            def rank(entry: ColumnEntry, own_table: tuple[str, ...] = own_table) -> tuple[float, ...]:
                named = sum(1.0 for word in entry.own if word in asked and word not in {"date", "time", "year"})
                near_comment = 0.4 * len(entry.comment & asked)
                plain = 0.3 if set(entry.own) <= {"date", "time", "on", "at", "year", *own_table} else 0.0
                made = 0.2 if set(entry.own) & MADE_WORDS else 0.0
                ended = -0.2 if set(entry.own) & {"updat", "modifi", "end", "birth", "due"} else 0.0
                bare_year = -0.1 if entry.is_year else 0.0
                open_ended = -0.15 if entry.column.nullable else 0.0  # a date that every row has counts them all
                return (named + near_comment + plain + made + ended + bare_year + open_ended,)

            return max(dates, key=rank)
        return None

    def _with_calendars(self, tables: Iterable[str]) -> list[str]:
        """The tables, and behind each that has no date of its own the calendar or the document it points to."""
        found: list[str] = []
        for table in tables:
            found.append(table)
            if any(entry.is_date for entry in self.lexicon.tables[table].columns):
                continue
            ahead = [edge.target for edge in self.graph.edges.get(table, ()) if edge.to_one]
            found += [one for one in ahead if CALENDAR_WORDS & set(self.lexicon.tables[one].stems)]
        return found

    def text_of(self, ref: tuple[str, str]) -> str:
        """A column as the explanation names it: table.column."""
        return f"{ref[0].split('.', 1)[1]}.{ref[1]}"

    def note(self, index: int, text: str) -> None:
        """Remember what an item was read as, and that it was used."""
        item = self.items[index]
        item.used = True
        for condition in self.conditions:
            self.placed.setdefault(condition, index)
        if text:
            self.notes.append(f"“{item.text}” → {text}")


def _fits(entry: ColumnEntry, wanted: str) -> bool:
    if wanted == "numeric":
        return entry.is_numeric
    if wanted == "date":
        return entry.is_date
    if wanted == "text":
        return entry.is_text
    if wanted == "ordered":
        return entry.is_numeric or entry.is_date
    return True
