"""Linking values: which words of a question are values of which columns."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.lexicon import Lexicon, equivalents
from services.sql.grounding.mentions import Mention, ValueLink
from services.sql.grounding.phrases import PHRASES
from services.sql.grounding.wording import FUNCTION_WORDS, NUMBER_WORDS
from services.sql.grounding.words import IRREGULAR, Token, stem, value_stems

TIME_STEMS = frozenset({"day", "daili", "week", "month", "quarter", "year"})


def values_at(tokens: Sequence[Token], at: int, lexicon: Lexicon) -> list[tuple[float, Mention]]:
    token = tokens[at]
    found: list[tuple[float, Mention]] = []
    if token.kind == "quoted":
        stems = value_stems(token.text)
        links = _matching_values(lexicon, stems, token.text, 1.0)
        if links:
            found.append((5.0, Mention("quoted", token.text, at, at, values=links)))
        return found
    if token.kind not in {"word", "number"}:
        return []
    longest = min(len(tokens) - at, 12)
    run: list[str] = []
    for offset in range(longest):
        piece = tokens[at + offset]
        if piece.kind not in {"word", "number", "date"}:
            break
        run.extend(value_stems(piece.text) if piece.kind != "word" else (stem(piece.lower),))
        if not run or len(run) > lexicon.value_lengths.get(run[0], 0):
            break
        text = " ".join(one.text for one in tokens[at : at + offset + 1])
        links = _matching_values(lexicon, tuple(run), text, 0.0)
        if links and _is_telling(tokens[at : at + offset + 1], links):
            exact = any(link.value == text for link in links)
            words = offset + 1
            score = words * 1.0 + (0.12 if exact and token.is_capitalised else 0.02)
            found.append((score, Mention("value", text, at, at + offset, values=links, content=words)))
    if token.kind == "word":
        for value in equivalents(token.lower) or equivalents(IRREGULAR.get(token.lower, token.lower.removesuffix("s"))):
            links = _matching_values(lexicon, value_stems(value), value, 0.9)
            if links:
                found.append((1.03, Mention("value", token.text, at, at, values=links)))
                break
    return found


def _matching_values(lexicon: Lexicon, stems: tuple[str, ...], text: str, least: float) -> tuple[ValueLink, ...]:
    if not stems:
        return ()
    links = []
    for entry, value in lexicon.values.get(stems, ()):
        if stems[0] in TIME_STEMS and len(stems) == 1 and value.lower() != text.lower():
            continue  # "each year" is not the billing cycle "yearly"
        quality = 1.0 if value == text else 0.95 if value.lower() == text.lower() else 0.85
        links.append(ValueLink(entry, value, max(quality, least)))
    return tuple(links[:40])


def _is_telling(span: Sequence[Token], links: Sequence[ValueLink]) -> bool:
    """Whether a span names a value rather than happening to equal one: "The" and "a" are values somewhere."""
    if len(span) > 1:
        if all(token.kind == "number" for token in span):  # "2023/24" as it is written, not any two numbers
            return any(len(link.value) == span[-1].end - span[0].start for link in links)
        return not all(token.lower in FUNCTION_WORDS or token.kind == "number" for token in span)
    token = span[0]
    if token.kind == "number":
        return False
    exact = any(link.value == token.text for link in links)
    if len(token.text) <= 2:
        return exact and token.text.isupper() and token.text not in {"A", "I"}
    if token.lower in FUNCTION_WORDS or token.lower in PHRASES or token.lower in NUMBER_WORDS:
        return exact and token.is_capitalised and token.start > 0
    return True
