"""The words of one schema: which words stand for which table, column and value, and how sure that is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from services.sql.grounding.abbreviations import ABBREVIATIONS, is_abbreviated
from services.sql.grounding.thesaurus import (
    ATTRIBUTE_NOUNS,
    EQUIVALENT_VALUES,
    PLAIN_ENDINGS,
    SYNONYMS,
)
from services.sql.grounding.wording import FUNCTION_WORDS, LIGHT_WORDS
from services.sql.grounding.words import are_derived, split_identifier, stem, value_stems
from services.sql.models import Column, ColumnKind, Schema, Table

GENERIC_STEMS = frozenset(
    stem(word) for word in "id name code number type date value key text index level description record no".split()
)
NAME_STEMS = tuple(stem(word) for word in ("name", "title", "label", "caption", "subject", "surname", "forename"))
GIVEN_NAMES = frozenset(stem(word) for word in ("first", "given", "forename"))
FAMILY_NAMES = frozenset(stem(word) for word in ("last", "surname", "family"))
YEAR_VERBS = frozenset(
    stem(word) for word in "founded built established opened launched released born died made started ended".split()
)
NUMERIC_KINDS = frozenset({ColumnKind.INTEGER, ColumnKind.NUMBER})
DATE_KINDS = frozenset({ColumnKind.DATE, ColumnKind.TIMESTAMP})

EMPTY_WORDS = frozenset(
    ("is", "has", "was", "of", "the", "in", "on", "at", "by", "to", "for", "and", "a")
)  # inside names

WHOLE_WORDS = frozenset("nickname surname forename username filename hostname codename".split())
TABLE_MARKS = frozenset("dim fact fct tbl tab vw lkp lookup xref mst stg bridge dwh dw".split())

UNTOLD = frozenset(
    stem(word) for word in "email phone telephone url address description note comment message image password".split()
)

SYNONYM_QUALITY, DERIVED_QUALITY, PREFIX_QUALITY, COMMENT_QUALITY = 0.8, 0.75, 0.7, 0.55


@dataclass(frozen=True)
class ColumnEntry:
    """One column as words see it: `own` stems name it within its table, `title` stems also name the table."""

    table: str  # full name
    column: Column
    own: tuple[str, ...]
    comment: frozenset[str]
    is_key: bool

    @property
    def ref(self) -> tuple[str, str]:
        """Full name of the table, name of the column."""
        return self.table, self.column.name

    @property
    def is_numeric(self) -> bool:
        """Whether sums and averages over it make sense."""
        return self.column.kind in NUMERIC_KINDS and not self.is_key

    @property
    def is_date(self) -> bool:
        """A date, a timestamp, or a whole number that holds years."""
        return self.column.kind in DATE_KINDS or self.is_year

    @property
    def is_year(self) -> bool:
        """A whole number that holds years."""
        if self.column.kind is not ColumnKind.INTEGER or self.is_key:
            return False
        if "year" not in self.own:
            least, most = self.column.min_value or "", self.column.max_value or ""
            known = len(least) == len(most) == 4 and "1500" <= least <= most <= "2100"
            return known and bool(self.own) and self.own[-1] in YEAR_VERBS  # "founded"
        bounds = [bound for bound in (self.column.min_value, self.column.max_value) if bound is not None]
        return all(len(bound) == 4 and bound.isdigit() for bound in bounds)  # "years of experience" are none

    @property
    def is_text(self) -> bool:
        """Whether it holds text or an enum's labels."""
        return self.column.kind is ColumnKind.TEXT or bool(self.column.values)

    @property
    def is_name(self) -> bool:
        """Whether people call a row by it."""
        return self.is_text and bool(self.own) and self.own[-1] in NAME_STEMS


@dataclass(frozen=True)
class TableEntry:
    """One table as words see it."""

    name: str  # full name
    table: Table
    stems: tuple[str, ...]
    comment: frozenset[str]
    columns: tuple[ColumnEntry, ...]
    is_bridge: bool

    def named(self) -> tuple[ColumnEntry, ...]:
        """The columns people call its rows by: name or title, first and last name; empty when it has none."""
        names = [entry for entry in self.columns if entry.is_name]
        given = [entry for entry in names if set(entry.own) & GIVEN_NAMES]
        family = [entry for entry in names if set(entry.own) & FAMILY_NAMES]
        if given and family:
            return (given[0], family[0])
        exact = [entry for entry in names if len(entry.own) == 1]
        parts = [entry for entry in names if set(entry.own) & {"first", "last"}]
        if exact:
            return (exact[0],)
        return tuple(parts[:2]) if parts else tuple(names[:1])


@dataclass(frozen=True)
class Role:
    """A table as another, or its own rows, point to it: `column` of `source` holds keys of `target`."""

    name: str  # full name under which the role is a table of the index
    source: str
    column: str
    target: str
    words: tuple[str, ...]  # stems that name the role
    is_self: bool


def label_of(table: TableEntry) -> ColumnEntry | None:
    """For a table without a name, the text that tells its rows apart for people: a town, a model, a serial number."""
    rows = table.table.estimated_row_count
    for entry in table.columns:
        if not entry.is_text or entry.is_key or entry.is_name or set(entry.own) & UNTOLD:
            continue
        count = entry.column.distinct_estimate
        if count is None and entry.column.values_complete:
            count = len(entry.column.values)
        if rows >= 2 and count is not None and count >= 0.9 * rows:
            return entry
    return None


@dataclass
class Lexicon:
    """The linking index of one schema. Built once per schema, then read only."""

    tables: dict[str, TableEntry]
    columns: dict[tuple[str, str], ColumnEntry]
    words: dict[str, dict[str, float]] = field(default_factory=dict)  # question stem → schema stem → quality
    vocabulary: frozenset[str] = frozenset()
    tables_by_stem: dict[str, list[str]] = field(default_factory=dict)
    columns_by_stem: dict[str, list[ColumnEntry]] = field(default_factory=dict)
    comments_by_stem: dict[str, list[ColumnEntry]] = field(default_factory=dict)
    values: dict[tuple[str, ...], list[tuple[ColumnEntry, str]]] = field(default_factory=dict)  # by all their stems
    value_lengths: dict[str, int] = field(default_factory=dict)  # first stem → words of the longest value
    roles: dict[str, Role] = field(default_factory=dict)  # tables of the index that stand for another, by full name

    def hits(self, word: str) -> dict[str, float]:
        """Stems in names of the schema that this stem may stand for, with the quality of each; memorised."""
        known = self.words.get(word)
        if known is not None:
            return known
        found: dict[str, float] = {}
        if word in self.vocabulary:
            found[word] = 1.0
        for other in SYNONYMS.get(word, ()):
            if other in self.vocabulary and found.get(other, 0) < SYNONYM_QUALITY:
                found[other] = SYNONYM_QUALITY
        if word not in self.vocabulary and len(word) >= 4:
            # The longest first: of several prefixes that one counts, in whatever order a set has them.
            for other in sorted(self.vocabulary, key=lambda stem: (-len(stem), stem)):
                if len(other) >= 4 and are_derived(word, other):
                    found[other] = max(found.get(other, 0), DERIVED_QUALITY)
                elif (
                    4 <= len(other) < len(word) - 1
                    and word.startswith(other)
                    and len(other) >= 0.4 * len(word)
                    and not found
                ):
                    found[other] = PREFIX_QUALITY
                elif is_abbreviated(other, word):
                    found[other] = max(found.get(other, 0), DERIVED_QUALITY)
        if len(self.words) < 20_000:  # questions come from outside: what they leave behind stays bounded
            self.words[word] = found
        return found


def _prefix_of_all(tables: tuple[Table, ...]) -> str:
    """A prefix that all names share, such as "tbl_" or "app"; empty when there is none."""
    names = [table.name.lower() for table in tables]
    if len(names) < 3:
        return ""
    prefix = names[0]
    for name in names[1:]:
        while not name.startswith(prefix):
            prefix = prefix[:-1]
    if "_" in prefix:
        return prefix[: prefix.rindex("_") + 1]
    return prefix if 2 <= len(prefix) <= 4 and not any(name == prefix for name in names) else ""


def _segment(word: str, known: frozenset[str]) -> list[str]:
    """Pieces of a run-together word by words known elsewhere: "custname" → cust, name; else the word itself."""
    if len(word) < 5 or word in known or word in ABBREVIATIONS or word in FUNCTION_WORDS or word in WHOLE_WORDS:
        return [word]
    for cut in range(2, len(word) - 1):
        head, tail = word[:cut], word[cut:]
        is_word = head in known or head in ABBREVIATIONS or head in ATTRIBUTE_NOUNS
        begins_word = any(other.startswith(head) for other in known)
        ends_plainly = tail in PLAIN_ENDINGS and len(head) >= 3
        if (tail in ATTRIBUTE_NOUNS or tail in known) and (is_word or begins_word or ends_plainly):
            return [head, tail]
    return [word]


def _expanded(pieces: list[str], known: frozenset[str]) -> tuple[str, ...]:
    words: list[str] = []
    telling = [piece for piece in pieces if piece not in EMPTY_WORDS]
    for piece in _names_of_persons(telling or pieces):
        for part in _segment(piece, known):
            if part in ABBREVIATIONS and part not in known:
                words.extend(ABBREVIATIONS[part].split())
            else:
                fuller = [
                    word for word in known if len(part) >= 3 and word.startswith(part) and len(word) > len(part) + 1
                ]
                words.append(fuller[0] if part not in known and len(fuller) == 1 else part)
    return tuple(dict.fromkeys(stem(word) for word in words if not word.isdigit() or len(words) == 1))


def _names_of_persons(pieces: list[str]) -> list[str]:
    """Spell out that "FName" and "l_name" hold first and last names."""
    if len(pieces) == 2 and pieces[1] == "name" and pieces[0] in {"f", "l"}:
        return ["first" if pieces[0] == "f" else "last", "name"]
    return pieces


def _comment_stems(comment: str) -> frozenset[str]:
    words = {word.lower() for word in split_identifier(comment)}
    return (
        frozenset(stem(word) for word in words if len(word) > 2 and word not in FUNCTION_WORDS)
        - LIGHT_WORDS
        - GENERIC_STEMS
    )


@dataclass(frozen=True)
class NameWords:
    """Stems of the words in names: of each table, and of each column without those of its table."""

    tables: dict[str, tuple[str, ...]]
    columns: dict[tuple[str, str], tuple[str, ...]]


def read_names(schema: Schema) -> NameWords:
    """The words in the names of a schema, prefixes that all names share left out."""
    prefix = _prefix_of_all(schema.tables)
    table_words = {
        table.full_name: _without_mark(split_identifier(table.name[len(prefix) :])) for table in schema.tables
    }
    known = frozenset(
        word for words in table_words.values() for word in words if len(word) > 3 and word not in ABBREVIATIONS
    ) | frozenset(
        piece
        for table in schema.tables
        for column in table.columns
        if "_" in column.name
        for piece in split_identifier(column.name)
        if len(piece) > 2 and piece not in ABBREVIATIONS
    )
    tables = {name: _expanded(words, known) for name, words in table_words.items()}
    columns: dict[tuple[str, str], tuple[str, ...]] = {}
    for table in schema.tables:
        shared = _shared_prefix([column.name for column in table.columns])
        for column in table.columns:
            cut = max(len(prefix) if column.name.lower().startswith(prefix) else 0, len(shared))
            words = _expanded(split_identifier(column.name[cut:]) or [column.name], known)
            own = tuple(word for word in words if word not in tables[table.full_name]) or words
            columns[table.full_name, column.name] = own
    return NameWords(tables, columns)


def build_lexicon(schema: Schema, names: NameWords, keys: frozenset[tuple[str, str]]) -> Lexicon:
    """The lexicon of a schema; `keys` are (table, column) of primary and foreign keys, declared or recognised."""
    tables: dict[str, TableEntry] = {}
    columns: dict[tuple[str, str], ColumnEntry] = {}
    for table in schema.tables:
        entries = []
        for column in table.columns:
            ref = (table.full_name, column.name)
            entry = ColumnEntry(
                table.full_name, column, names.columns[ref], _comment_stems(column.comment), ref in keys
            )
            entries.append(entry)
            columns[ref] = entry
        plain = [entry for entry in entries if not entry.is_key]
        tables[table.full_name] = TableEntry(
            table.full_name,
            table,
            names.tables[table.full_name],
            _comment_stems(table.comment),
            tuple(entries),
            is_bridge=len(entries) - len(plain) >= 2 and len(plain) <= 2 and not any(one.is_numeric for one in plain),
        )
    return _indexed(Lexicon(tables, columns))


def _without_mark(words: list[str]) -> list[str]:
    """The words of a table's name without the mark of what sort of table it is: "dim", "fact", "tbl"."""
    return words[1:] if len(words) > 1 and words[0] in TABLE_MARKS else words


def _shared_prefix(names: list[str]) -> str:
    """A short prefix that every column of a table bears, such as "sbDp" or "cust_"."""
    if len(names) < 3:
        return ""
    prefix = names[0]
    for name in names[1:]:
        while not name.startswith(prefix):
            prefix = prefix[:-1]
    if "_" in prefix:
        return prefix[: prefix.rindex("_") + 1]
    return prefix if 2 <= len(prefix) <= 6 and all(len(name) > len(prefix) + 1 for name in names) else ""


def _indexed(lexicon: Lexicon) -> Lexicon:
    by_table: dict[str, list[str]] = defaultdict(list)
    by_column: dict[str, list[ColumnEntry]] = defaultdict(list)
    by_comment: dict[str, list[ColumnEntry]] = defaultdict(list)
    values: dict[tuple[str, ...], list[tuple[ColumnEntry, str]]] = defaultdict(list)
    lengths: dict[str, int] = {}
    for table in lexicon.tables.values():
        for word in table.stems:
            by_table[word].append(table.name)
    for entry in lexicon.columns.values():
        for word in entry.own:
            by_column[word].append(entry)
        for word in entry.comment:
            by_comment[word].append(entry)
        for value in entry.column.values:
            stems = value_stems(value)
            if stems and len(stems) <= 12:
                values[stems].append((entry, value))
                lengths[stems[0]] = max(lengths.get(stems[0], 0), len(stems))
    lexicon.tables_by_stem, lexicon.columns_by_stem = dict(by_table), dict(by_column)
    lexicon.comments_by_stem, lexicon.values, lexicon.value_lengths = dict(by_comment), dict(values), lengths
    lexicon.vocabulary = frozenset(by_table) | frozenset(by_column)
    return lexicon


def equivalents(word: str) -> tuple[str, ...]:
    """Values that a word of general English stands for: "French" → france, "female" → f."""
    return EQUIVALENT_VALUES.get(word, ())
