"""Terms of a question that a document defines: the definition takes the term's place, and it is read again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from services.sql.grounding.defined_rows import restrict_rows
from services.sql.grounding.definitions import Definition, read_definitions
from services.sql.grounding.indexes import Index
from services.sql.grounding.lexicon import ColumnEntry, Lexicon
from services.sql.grounding.linking import link_question
from services.sql.grounding.mentions import Mention
from services.sql.grounding.single_reading import read_once
from services.sql.grounding.thesaurus import MONEY_WORDS
from services.sql.grounding.wording import FUNCTION_WORDS
from services.sql.grounding.words import Token, split_identifier, split_question
from services.sql.guard_dialect import GuardDialect
from services.sql.guidance import Term
from services.sql.models import SqlDraft

CERTAINTY = 0.95  # what a definition takes from the confidence: it is somebody's text
LEAST_SURE = 0.75  # confidence of each part: what is somebody's text has to be read without a doubt
MOST_TRIES = 10
_LEAST_DEFINED = 4  # letters of a word that is worth a definition
_STATES = frozenset({"available", "present", "used", "involved", "related", "associated"})
_SURE = 0.75
_MOST_SHOWN = 160
_ARITHMETIC = re.compile(
    r"(?P<left>.+?)\s+(?P<sign>minus|less|plus|and|times|multiplied by|-|−|\+|×|\*)\s+(?P<right>.+)"
)
_SIGNS = {"minus": exp.Sub, "less": exp.Sub, "-": exp.Sub, "−": exp.Sub, "plus": exp.Add, "+": exp.Add}
_SIGNS |= {"times": exp.Mul, "multiplied by": exp.Mul, "×": exp.Mul, "*": exp.Mul}


@dataclass(frozen=True)
class Restated:
    """A question in which a term has given way to something the database has.

    `rows`: the table whose rows the definition narrows, and the question that shows them. `computed`: a column that is
    to be replaced by a calculation.
    """

    question: str
    rows: tuple[str, str] | None = None
    computed: tuple[ColumnEntry, type[exp.Binary], ColumnEntry] | None = None


def read_with_terms(question: str, terms: Sequence[Term], index: Index) -> SqlDraft | None:
    """A draft in which a document's definition stands for words that nothing in the database stands for.

    None when no definition fits, or none can be read whole and put in its place with certainty.
    """
    tokens, mentions = link_question(question, index.lexicon)
    loose = {
        place for item in mentions if item.kind == "word" and item.content for place in range(item.first, item.last + 1)
    }
    loose |= _passed_over(tokens, mentions)
    if not loose or any(item.is_cue("negation", "share", "ratio") for item in mentions):
        return None  # "not active", "the share of active ones": the definition's own words would be denied or shared
    tries = 0
    for definition in read_definitions(terms):
        span = _find(definition, tokens)
        if span is None or not loose & set(span):
            continue
        outside = {tokens[place].lower for place in loose - set(span)}
        for restated in _restatements(question, tokens, mentions, span, definition, index.lexicon):
            tries += 1
            if tries > MOST_TRIES:
                return None
            draft = _read(restated, outside, index)
            if draft is not None:
                term = " ".join(tokens[place].text for place in span)
                note = f" “{term}” as defined in {definition.source}: {_shown(definition.meaning)}."
                return replace(draft, explanation=draft.explanation + note)
    return None


def unread_definition(question: str, terms: Sequence[Term], index: Index) -> Definition | None:
    """A definition of a word of the question that no part of the database stands for: to leave it out would be wrong.

    To be asked for when `read_with_terms` has found no way.
    """
    tokens, mentions = link_question(question, index.lexicon)
    unlinked = _passed_over(tokens, mentions)
    unlinked |= {item.first for item in mentions if item.kind == "word" and item.content}
    unlinked = {place for place in unlinked if tokens[place].stem not in MONEY_WORDS}  # read as sums of money
    for definition in read_definitions(terms):
        span = _find(definition, tokens)
        if span is not None and unlinked & set(span):
            return definition
    return None


def _passed_over(tokens: Sequence[Token], mentions: Sequence[Mention]) -> set[int]:
    """Places of words that have no content of their own in most questions: "recent", "available", "current"."""
    linked = {place for item in mentions if item.kind != "word" for place in range(item.first, item.last + 1)}
    return {
        place
        for place, token in enumerate(tokens)
        if place not in linked and token.kind == "word" and len(token.text) >= _LEAST_DEFINED
        if token.lower not in FUNCTION_WORDS or token.lower in _STATES
    }


def _read(restated: Restated, outside: set[str], index: Index) -> SqlDraft | None:
    """The restated question, wholly linked but for words `outside` the term."""
    outcome = read_once(restated.question, index)
    draft = outcome.draft
    if not isinstance(draft, SqlDraft) or {word.lower() for word in outcome.unmatched} - outside:
        return None
    sql: str | None = draft.sql
    tables, confidence = set(draft.tables), draft.confidence
    if restated.rows is not None:
        table, shown = restated.rows
        rows = read_once(shown, index)
        if not isinstance(rows.draft, SqlDraft) or rows.unmatched or rows.draft.confidence < LEAST_SURE:
            return None
        sql = restrict_rows(draft.sql, rows.draft.sql, table, index.graph)
        tables |= set(rows.draft.tables)
        confidence = min(confidence, rows.draft.confidence)
    elif confidence < LEAST_SURE:
        return None
    if restated.computed is not None:
        sql = _computed(draft.sql, *restated.computed)
    if sql is None:
        return None
    return replace(draft, sql=sql, tables=tuple(sorted(tables)), confidence=round(CERTAINTY * confidence, 3))


def _find(definition: Definition, tokens: Sequence[Token]) -> range | None:
    """Where the term stands in the question."""
    wanted = [token.stem for token in split_question(definition.term)]
    for at in range(len(tokens) - len(wanted) + 1):
        if wanted and [token.stem for token in tokens[at : at + len(wanted)]] == wanted:
            return range(at, at + len(wanted))
    return None


def _restatements(
    question: str,
    tokens: Sequence[Token],
    mentions: Sequence[Mention],
    span: range,
    definition: Definition,
    lexicon: Lexicon,
) -> Iterator[Restated]:
    """The question with the definition in the term's place, in the ways that its form allows."""
    meaning = definition.meaning
    _, said = link_question(meaning, lexicon)
    behind = next((item for item in mentions if item.first == span[-1] + 1), None)
    before = next((item for item in reversed(mentions) if item.last < span[0]), None)

    def put(text: str, first: int, last: int) -> str:
        return question[: tokens[first].start] + text + question[tokens[last].end :]

    computed = _calculation(meaning, lexicon)
    if computed is not None:
        yield Restated(put(_words(computed[0].column.name), span[0], span[-1]), computed=computed)
        return
    head = said[0] if said and _is_table(said[0]) else None
    table = head.best_table if head is not None else _table_of(said, lexicon)
    narrows = any(item.values or item.is_cue("compare", "relative", "negation", "null") for item in said)
    if table is None or not narrows:
        yield Restated(put(meaning, span[0], span[-1]))
        return
    noun = _words(lexicon.tables[table].table.name)
    shown = f"Show {meaning}" if head is not None else f"Show {noun} {_as_clause(meaning)}"
    if behind is not None and _is_table(behind):  # "VIP customers", "VIP orders"
        yield Restated(put("", span[0], span[-1]), rows=(table, shown))
    elif before is not None and before.best_table == table and _is_table(before):  # "customers that are VIP"
        yield Restated(put("", before.last + 1, span[-1]), rows=(table, shown))
    else:  # "VIPs", "active customers"
        yield Restated(put(noun, span[0], span[-1]), rows=(table, shown))


def _words(name: str) -> str:
    return " ".join(split_identifier(name))


def _as_clause(meaning: str) -> str:
    """A bare condition as words behind a noun: "segment = Premium" → "whose segment is Premium"."""
    text = re.sub(r"\s*(?:==?|:)\s*", " is ", meaning, count=1)
    begins = text.split(" ", 1)[0].lower()
    return text if begins in {"with", "whose", "that", "who", "which", "having", "in", "from"} else f"whose {text}"


def _is_table(item: Mention) -> bool:
    return item.kind == "table" and item.quality >= _SURE


def _table_of(said: Sequence[Mention], lexicon: Lexicon) -> str | None:
    """The one table that the columns and values of a condition belong to."""
    for item in said:
        if item.kind == "column" and item.quality >= _SURE:
            best = max(item.columns.values())
            tables = {ref[0] for ref, quality in item.columns.items() if quality >= best - 0.01}
            values = {link.entry.table for other in said for link in other.values}
            tables = tables & values if tables & values else tables
            return next(iter(tables)) if len(tables) == 1 else None
    tables = {link.entry.table for item in said for link in item.values}
    return next(iter(tables)) if len(tables) == 1 and tables <= set(lexicon.tables) else None


def _calculation(meaning: str, lexicon: Lexicon) -> tuple[ColumnEntry, type[exp.Binary], ColumnEntry] | None:
    """Two numbers of one table and what is done with them: "total amount minus discount"."""
    match = _ARITHMETIC.fullmatch(meaning)
    kind = _SIGNS.get(match["sign"]) if match is not None else None
    if match is None or kind is None:
        return None
    left, right = _numbers(match["left"], lexicon), _numbers(match["right"], lexicon)
    pairs = [(one, other) for one in left for other in right if one.table == other.table and one != other]
    return (pairs[0][0], kind, pairs[0][1]) if len(pairs) == 1 else None


def _numbers(text: str, lexicon: Lexicon) -> list[ColumnEntry]:
    """The numeric columns that a phrase names whole."""
    _, mentions = link_question(text, lexicon)
    if any(item.kind == "word" and item.content for item in mentions):
        return []
    named = [item for item in mentions if item.kind == "column" and item.quality >= _SURE]
    if len(named) != 1 or any(item.kind not in {"column", "table", "cue"} for item in mentions):
        return []
    best = max(named[0].columns.values())
    return [
        lexicon.columns[ref]
        for ref, quality in sorted(named[0].columns.items())
        if quality >= best - 0.01 and lexicon.columns[ref].is_numeric
    ]


def _computed(sql: str, left: ColumnEntry, kind: type[exp.Binary], right: ColumnEntry) -> str | None:
    """The query with the calculation in place of its first column; None when it cannot be put there."""
    try:
        tree = sqlglot.parse_one(sql, dialect=GuardDialect)
    except SqlglotError:
        return None
    tables = [
        node for node in tree.find_all(exp.Table) if f"{node.db or left.table.split('.')[0]}.{node.name}" == left.table
    ]
    columns = [node for node in tree.find_all(exp.Column) if node.name == left.column.name]
    if len(tables) != 1 or not columns:
        return None
    owner = tables[0].alias or tables[0].name
    if any(node.table and node.table != owner for node in columns):
        return None
    for node in columns:
        other: exp.Expr = exp.column(right.column.name, table=node.table or None, quoted=True)
        if right.column.nullable and kind is not exp.Mul:
            other = exp.Anonymous(this="COALESCE", expressions=[other, exp.Literal.number(0)])
        node.replace(exp.Paren(this=kind(this=node.copy(), expression=other)))
    return tree.sql(dialect=GuardDialect, comments=False)


def _shown(meaning: str) -> str:
    return meaning if len(meaning) <= _MOST_SHOWN else meaning[: _MOST_SHOWN - 1] + "…"
