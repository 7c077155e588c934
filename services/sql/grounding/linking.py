"""Linking: which words of a question name which tables, columns, values, numbers, periods and cues."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.dates import bare_year, read_period, whole_year
from services.sql.grounding.lexicon import (
    COMMENT_QUALITY,
    DATE_KINDS,
    GENERIC_STEMS,
    ColumnEntry,
    Lexicon,
    TableEntry,
)
from services.sql.grounding.mentions import Mention
from services.sql.grounding.phrases import LONGEST_PHRASE, PHRASES
from services.sql.grounding.role_mentions import settle_roles
from services.sql.grounding.thesaurus import PRICE_WORDS
from services.sql.grounding.value_links import values_at
from services.sql.grounding.wording import (
    BEFORE_REQUESTS,
    FUNCTION_WORDS,
    IMPERATIVES,
    LIGHT_WORDS,
    MULTIPLIERS,
    NUMBER_WORDS,
    REQUEST_VERBS,
)
from services.sql.grounding.words import Token, split_question, stem
from services.sql.models import ColumnKind

MOST_TOKENS = 120  # of a longer text only the beginning is linked
LONGEST_NAME = 5  # words of one name
INSIDE_NAMES = frozenset({"of", "the", "a", "an", "s", "'", "in"})
HEAD_QUALITY = 0.82
SILENT_HEADS = frozenset(
    {"date", "id", "time", "year", "number", "amount", "name", "km", "kg", "cm", "mm", "sqm", "g", "nm", "eur", "usd"}
)  # "hired" names hire_date
ADVERBS = frozenset({"daily", "weekly", "monthly", "quarterly", "yearly", "annually"})
PARTICLES = frozenset({"in", "up", "out", "off", "on"})
DATE_HEADS = frozenset({"date", "time", "year", "day", "timestamp"})
DENYING = frozenset({"out", "not", "no", "non", "without", "never"})
TIMED_RATES = frozenset(
    stem(word)
    for word in "minute hour hourly day daily night nightly week weekly month monthly year yearly annual".split()
)
PAY_WORDS = PRICE_WORDS | frozenset(stem(word) for word in "salary wage pay amount budget income rent premium".split())
SWALLOWED = {"total": "sum", "sum": "sum", "averag": "avg", "maximum": "max", "minimum": "min"}


def link_question(question: str, lexicon: Lexicon) -> tuple[list[Token], list[Mention]]:
    """Tokens of the question and its mentions in order, without overlaps. Function words have no mention.

    Of a text longer than MOST_TOKENS only the beginning is read.
    """
    tokens = split_question(question)[:MOST_TOKENS]
    found: list[tuple[float, Mention]] = []
    for at in range(len(tokens)):
        found.extend(_cues_at(tokens, at, lexicon))
        found.extend(_literals_at(tokens, at))
        found.extend(_names_at(tokens, at, lexicon))
        found.extend(values_at(tokens, at, lexicon))
    taken: dict[int, Mention] = {}
    for _, mention in sorted(found, key=lambda pair: (-pair[0], pair[1].first, -pair[1].last)):
        span = range(mention.first, mention.last + 1)
        holder = taken.get(mention.first)
        if holder is not None and (holder.first, holder.last) == (mention.first, mention.last):
            _merge(holder, mention)
        elif not any(index in taken for index in span):
            taken.update(dict.fromkeys(span, mention))
    mentions = sorted({id(one): one for one in taken.values()}.values(), key=lambda one: one.first)
    for mention in mentions:
        mention.after_of = mention.first > 0 and tokens[mention.first - 1].lower == "of"
    mentions = settle_roles(tokens, mentions, lexicon)
    linked = {index for mention in mentions for index in range(mention.first, mention.last + 1)}
    return tokens, _with_loose_words(tokens, mentions, linked)


def _merge(holder: Mention, other: Mention) -> None:
    """Keep every reading of one span; cues and literals stay what they are, but may also be names."""
    for table, quality in other.tables.items():
        holder.tables[table] = max(quality, holder.tables.get(table, 0))
    for column, quality in other.columns.items():
        holder.columns[column] = max(quality, holder.columns.get(column, 0))
    holder.values = (*holder.values, *other.values)
    holder.swallowed = holder.swallowed or other.swallowed
    if holder.cue is None and holder.kind != "cue":
        holder.cue = other.cue


def _cues_at(tokens: Sequence[Token], at: int, lexicon: Lexicon) -> list[tuple[float, Mention]]:
    words = [token.lower for token in tokens[at : at + LONGEST_PHRASE] if token.kind in {"word", "sign"}]
    for length in range(len(words), 0, -1):
        if any(token.kind not in {"word", "sign"} for token in tokens[at : at + length]):
            continue
        cue = PHRASES.get(" ".join(words[:length]))
        if cue is not None and cue.kind == "count" and words[0] == "number" and _follows_a_noun(tokens, at):
            continue  # "phone number of" counts nothing
        if cue is not None and length == 2 and words[0] in {"most", "least"} and _is_a_state(words[1], lexicon):
            continue  # "the most active subscriptions" where a subscription's status is active
        if cue is not None and words[0] in {"or", "and"} and length > 1 and words[length : length + 1] == ["than"]:
            continue  # "or older than" begins another comparison
        if cue is not None:
            text = " ".join(words[:length])
            # A phrase of several words is surely a cue; a single one gives way to a name that contains it.
            score = 0.9 + 1.1 * (length - 1)
            return [(score, Mention("cue", text, at, at + length - 1, cue=cue, content=0))]
    return []


def _is_a_state(word: str, lexicon: Lexicon) -> bool:
    """Whether rows of this database are told apart by the adjective: a value, or a yes-or-no column."""
    known = stem(word)
    return (known,) in lexicon.values or any(
        entry.column.kind is ColumnKind.BOOLEAN for entry in lexicon.columns_by_stem.get(known, ())
    )


def _follows_a_noun(tokens: Sequence[Token], at: int) -> bool:
    if at == 0:
        return False
    before = tokens[at - 1]
    return before.kind == "word" and not (
        before.lower in FUNCTION_WORDS or before.stem in LIGHT_WORDS or before.lower in PHRASES
    )


def _literals_at(tokens: Sequence[Token], at: int) -> list[tuple[float, Mention]]:
    token = tokens[at]
    period = read_period(tokens, at)
    if period is not None:
        last = at + period[1] - 1
        text = " ".join(one.text for one in tokens[at : last + 1])
        return [(4.0 + period[1], Mention("period", text, at, last, period=period[0]))]
    if token.kind == "quoted":
        return [(5.0, Mention("quoted", token.text, at, at))]
    if token.kind == "number":
        number = float(token.text.replace(",", ""))
        last = at
        if at + 1 < len(tokens) and tokens[at + 1].lower in MULTIPLIERS:
            number, last = number * MULTIPLIERS[tokens[at + 1].lower], at + 1
        mention = Mention("number", token.text, at, last, number=number)
        year = bare_year(token)
        if year is not None and last == at and "," not in token.text:
            mention.period = whole_year(year)
        return [(1.5 + (last - at) * 2, mention)]
    if token.kind == "word" and token.lower in NUMBER_WORDS:
        return [(0.95, Mention("number", token.text, at, at, number=float(NUMBER_WORDS[token.lower])))]
    return []


def _names_at(tokens: Sequence[Token], at: int, lexicon: Lexicon) -> list[tuple[float, Mention]]:
    """Tables and columns named by the span from here; the longest spans that still name something."""
    if tokens[at].kind != "word" or (tokens[at].lower in INSIDE_NAMES):
        return []
    if at == 0 and tokens[at].lower in IMPERATIVES:
        return []
    found = []
    compound = _compound_at(tokens, at, lexicon)
    if compound is not None:
        found.append(compound)
    span: list[int] = []
    for end in range(at, min(at + LONGEST_NAME + 2, len(tokens))):
        token = tokens[end]
        if token.kind != "word" or len(span) >= LONGEST_NAME:
            break
        if token.lower in INSIDE_NAMES:
            continue
        if token.lower in FUNCTION_WORDS and token.stem not in lexicon.vocabulary:
            break
        span.append(end)
        mention = _name_of_span(tokens, span, lexicon, inverted=span[-1] - span[0] >= len(span))
        if mention is not None:
            found.append(mention)
    return found


def _compound_at(tokens: Sequence[Token], at: int, lexicon: Lexicon) -> tuple[float, Mention] | None:
    """A verb with its particle as one word of the schema: "signed up" for signup_date, "logged in" for last_login."""
    if at + 1 >= len(tokens) or tokens[at + 1].lower not in PARTICLES:
        return None
    word = tokens[at].stem + tokens[at + 1].lower
    base = lexicon.columns_by_stem.get(word)
    if not base:
        return None
    text = f"{tokens[at].text} {tokens[at + 1].text}"
    return 2.0, Mention("column", text, at, at + 1, {}, {entry.ref: 0.85 for entry in base}, content=1, quality=0.85)


def _name_of_span(
    tokens: Sequence[Token], span: Sequence[int], lexicon: Lexicon, *, inverted: bool
) -> tuple[float, Mention] | None:
    hits = [lexicon.hits(tokens[index].stem) for index in span]
    tables: dict[str, float] = {}
    columns: dict[tuple[str, str], float] = {}
    if all(hits):
        for table, entries in _met(hits, lexicon):
            quality = 0.0 if inverted else _coverage(hits, table.stems)
            if quality >= 0.5:
                tables[table.name] = quality
            for entry in entries:
                timed = tokens[max(span[0] - 1, 0)].lower != "per" and _is_only_timed(hits, entry)
                quality = 0.0 if timed else _column_quality(hits, entry, table.stems)
                if quality and _is_said_of_rows(tokens, span, hits, entry):
                    continue
                named = len(span) == 1 and "name" in hits[0] and quality and entry.own[-1] == "name"
                if named and entry in table.named()[:1]:
                    quality = max(quality, 0.9)  # "full_name", and of a given and a family name the first
                if quality >= 0.3 and not (inverted and quality < 0.85):
                    columns[entry.ref] = quality
    if not tables and not columns and len(span) == 1:
        word = tokens[span[0]].stem
        if word not in LIGHT_WORDS and tokens[span[0]].lower not in FUNCTION_WORDS:
            near = lexicon.comments_by_stem.get(word, ())
            near = [one for one in near if not (word in TIMED_RATES and set(one.own) & PAY_WORDS)]
            if 0 < len(near) <= 4:
                columns = {entry.ref: COMMENT_QUALITY for entry in near}
            for name, entry_table in lexicon.tables.items():
                if word in entry_table.comment:
                    tables[name] = COMMENT_QUALITY
            if len(tables) > 2:
                tables = {}
    if not tables and not columns:
        return None
    best = max([*tables.values(), *columns.values()])
    if best < 0.95 and any(tokens[index].lower in ADVERBS for index in span):
        return None  # "monthly number of" is a number by month
    kind = "table" if max(tables.values(), default=0) >= max(columns.values(), default=0) else "column"
    text = " ".join(tokens[index].text for index in range(span[0], span[-1] + 1))
    mention = Mention(kind, text, span[0], span[-1], tables, columns, content=len(span), quality=best)
    if kind == "column" and len(span) > 1 and best >= 0.8:
        mention.owner = _owner_named(hits, columns, lexicon)
    for index in span:
        if tokens[index].stem in SWALLOWED:
            mention.swallowed = SWALLOWED[tokens[index].stem]
    weak = len(span) == 1 and tokens[span[0]].lower in FUNCTION_WORDS and best < 0.95
    # A name of several words that is only partly met must not outrank the words taken one by one.
    length = len(span) if best >= 0.8 else 1
    score = length * (0.4 + 0.6 * best) * (0.5 if weak else 1.0) + (0.05 if best >= 0.95 else 0)
    return score, mention


def _met(hits: Sequence[dict[str, float]], lexicon: Lexicon) -> list[tuple[TableEntry, list[ColumnEntry]]]:
    """Tables and columns that some word of a span meets, in the order of the schema: all others it cannot name."""
    words = {word for hit in hits for word in hit}
    columns = {entry.ref for word in words for entry in lexicon.columns_by_stem.get(word, ())}
    tables = {table for table, _ in columns} | {name for word in words for name in lexicon.tables_by_stem.get(word, ())}
    return [
        (table, [entry for entry in table.columns if entry.ref in columns])
        for name, table in lexicon.tables.items()
        if name in tables
    ]


def _is_only_timed(hits: Sequence[dict[str, float]], entry: ColumnEntry) -> bool:
    """Whether a span names no more of a column than what it is counted by or that it is denied.

    "Nights" are no nightly rate, "hours" no hourly cost; "in service" is not "out of service".
    """
    own = set(entry.own)
    met = {word for hit in hits for word in hit if word in own}
    if entry.column.kind is ColumnKind.BOOLEAN and own & DENYING and not met & DENYING:
        return True
    return bool(met) and met <= TIMED_RATES and bool(own & PAY_WORDS)


def _is_said_of_rows(
    tokens: Sequence[Token], span: Sequence[int], hits: Sequence[dict[str, float]], entry: ColumnEntry
) -> bool:
    """Whether a span of several words says something of a table's rows rather than naming one of its columns.

    "Discontinued products" and "opened tickets" are rows in a state, "number of employees" counts rows.
    """
    own = [any(word in entry.own for word in hit) for hit in hits]
    if len(span) > 1 and tokens[span[0]].lower in {"number", "numbers"}:
        follows_of = span[1] == span[0] + 2 and tokens[span[0] + 1].lower == "of"
        if entry.is_key or (follows_of and not any(own[1:])):
            return True  # "number of flights" counts flights, whatever "flight number" is
    if len(span) < 2 or not own[0] or all(own):
        return False
    if entry.column.kind is ColumnKind.BOOLEAN:
        return True
    return entry.column.kind in DATE_KINDS and not any(set(hit) & DATE_HEADS for hit in hits)


def _owner_named(hits: Sequence[dict[str, float]], columns: dict[tuple[str, str], float], lexicon: Lexicon) -> str:
    """The table of the best column when a word of the span names that table and not the column."""
    table, column = max(columns, key=lambda ref: (columns[ref], ref))
    own = lexicon.columns[table, column].own
    named = any(not set(hit) & set(own) and set(hit) & set(lexicon.tables[table].stems) for hit in hits)
    return table if named else ""


def _coverage(hits: Sequence[dict[str, float]], stems: tuple[str, ...]) -> float:
    """How fully the words of a span name something with these stems: each word hits another stem, in any order."""
    left = dict.fromkeys(stems)
    total = 0.0
    for hit in hits:
        best = max((word for word in hit if word in left), key=lambda word: hit[word], default=None)
        if best is None:
            return 0.0
        del left[best]
        total += hit[best]
    if not left:
        return total / len(hits)
    head_named = stems[-1] not in left
    if head_named and len(hits) == 1 and hits[0].get(stems[-1], 0) == 1.0:
        return HEAD_QUALITY  # "items" for order_items: surer than any synonym
    return (total / len(hits)) * len(hits) / len(stems) * (1.1 if head_named else 0.75)


def _column_quality(hits: Sequence[dict[str, float]], entry: ColumnEntry, table_stems: tuple[str, ...]) -> float:
    """How fully a span names a column: its own words count, those of its table are welcome."""
    left = dict.fromkeys(entry.own)
    spare = [word for word in table_stems if word not in left]
    covered, quality, own_hits = 0.0, 0.0, 0
    for hit in hits:
        best = max((word for word in hit if word in left), key=lambda word: hit[word], default=None)
        if best is not None:
            del left[best]
            covered += _weight(best)
            quality += hit[best]
            own_hits += 1
            continue
        near = next((word for word in spare if word in hit), None)
        if near is None:
            return 0.0
        quality += hit[near]
    if own_hits == 0:
        return 0.0
    whole = sum(_weight(word) for word in entry.own)
    if entry.own[-1] in left and entry.own[-1] not in SILENT_HEADS:
        covered *= 0.4  # the head noun is not named: "unit" says little of "unit price"
    if entry.is_key and len(entry.own) > 1 and "id" in left:
        covered *= 0.6
    share = covered / whole
    return quality / len(hits) * (share if share >= 0.999 else 0.35 + 0.5 * share)


def _weight(word: str) -> float:
    return 0.5 if word in GENERIC_STEMS else 1.0


def _with_loose_words(tokens: Sequence[Token], mentions: list[Mention], taken: set[int]) -> list[Mention]:
    """Content words that nothing stands for become mentions of their own: coverage is measured by them."""
    loose = []
    for index, token in enumerate(tokens):
        if index in taken or token.kind != "word" or len(token.text) == 1:
            continue
        says_something = token.stem in REQUEST_VERBS and not _is_request(tokens, index)
        if token.lower in FUNCTION_WORDS and not says_something:
            continue
        light = token.stem in LIGHT_WORDS and not says_something
        loose.append(Mention("word", token.text, index, index, content=0 if light else 1, quality=0.0))
    return sorted([*mentions, *loose], key=lambda mention: mention.first)


def _is_request(tokens: Sequence[Token], at: int) -> bool:
    """Whether the verb there is said to whoever answers: it opens the question or a further request."""
    if tokens[at].is_capitalised:
        return True
    return at == 0 or tokens[at - 1].kind != "word" or tokens[at - 1].lower in BEFORE_REQUESTS
