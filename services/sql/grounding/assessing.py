"""Assessing: how likely it is that the database answers a text, with the links that say so."""

from __future__ import annotations

from services.sql.grounding.lexicon import Lexicon
from services.sql.grounding.linking import link_question
from services.sql.grounding.mentions import Mention
from services.sql.grounding.question_forms import is_explaining
from services.sql.grounding.thesaurus import MONEY_WORDS
from services.sql.grounding.words import stem
from services.sql.models import Assessment, NoDraft, SqlDraft

MAX_REASON = 300

COMPUTING = ("count", "aggregate", "superlative", "group", "share", "order", "direction")


def assess_question(question: str, draft: SqlDraft | NoDraft, lexicon: Lexicon) -> Assessment:
    """The score, its reason, and the tables that would answer."""
    tokens, mentions = link_question(question, lexicon)
    if not tokens:
        return Assessment(0.0, "There is no question.")
    coverage = _coverage(mentions)
    strength = _strength(mentions)
    computing = any(item.is_cue(*COMPUTING) for item in mentions)
    explaining = is_explaining(tokens)
    if isinstance(draft, SqlDraft):
        score = 0.35 + 0.65 * draft.confidence
        tables = draft.tables
    else:
        score = 0.75 * coverage**1.5 * strength
        tables = tuple(
            sorted(
                {table for item in mentions if item.kind == "table" and item.quality >= 0.7 for table in item.tables}
            )
        )
    if computing:
        score += 0.12 * coverage * strength
    if explaining:
        score *= 0.35
    score = max(0.0, min(1.0, score))
    return Assessment(round(score, 3), _reason(mentions, draft, lexicon), tables)


def _coverage(mentions: list[Mention]) -> float:
    """Share of content words that stand for something in the database, each with the quality of its link."""
    total = sum(item.content for item in mentions if item.kind != "cue")
    if total == 0:
        return 0.0
    linked = 0.0
    for item in mentions:
        if item.kind in {"table", "column"} and stem(item.text.lower()) in MONEY_WORDS:
            linked += 0.9  # "sales" means the amounts, whatever their column is called
        elif item.kind in {"table", "column"}:
            linked += item.content * (item.quality if item.quality >= 0.7 else 0.6 * item.quality)
        elif item.kind == "value" or item.values:
            linked += 0.9 * item.content
        elif item.kind in {"number", "period"}:
            linked += 0.4 * item.content
    return min(1.0, linked / total)


def _strength(mentions: list[Mention]) -> float:
    """Whether any link is more than a likeness."""
    best = max((item.quality for item in mentions if item.kind in {"table", "column"}), default=0.0)
    if any(item.values for item in mentions):
        best = max(best, 0.7)
    return best


def _reason(mentions: list[Mention], draft: SqlDraft | NoDraft, lexicon: Lexicon) -> str:
    links = []
    for item in mentions:
        if item.values and item.kind != "column":
            entry = item.values[0].entry
            links.append(f"“{item.text}” is a value of {entry.table}.{entry.column.name}")
        elif item.kind == "table" and item.quality >= 0.5:
            links.append(f"“{item.text}” is {item.best_table}")
        elif item.kind == "column" and item.quality >= 0.5:
            table, column = max(item.columns, key=lambda ref: (item.columns[ref], ref))
            links.append(f"“{item.text}” is {table}.{column}")
    loose = [item.text for item in mentions if item.kind == "word" and item.content]
    if links:
        text = "; ".join(dict.fromkeys(links))
        if loose:
            text += f"; nothing stands for {', '.join(loose)}"
    else:
        text = "Nothing in the database stands for any of its words"
    return text[: MAX_REASON - 1] + ("…" if len(text) >= MAX_REASON else ".")
