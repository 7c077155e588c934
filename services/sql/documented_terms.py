"""Words of a question that approved documentation defines: "Gold customer: a customer whose segment is Premium"."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import lru_cache

from services.sql.approved_training import ApprovedTraining
from services.sql.business_terms import MAX_TERMS, sentences_of, stands_in
from services.sql.grounding.definitions import read_definitions
from services.sql.grounding.example_units import same_text
from services.sql.grounding.words import split_question
from services.sql.guidance import Term
from services.sql.training_models import TrainingKind, TrainingScope

SOURCE = "the documentation you approved"
_MOST_SENTENCES = 120  # of one item of at most 8,000 characters


async def documented_terms(approved: ApprovedTraining, scope: TrainingScope, question: str) -> tuple[Term, ...]:
    """Sentences that define what stands in the question, the one approved last first. Raises QueryStoreUnavailable."""
    census = await approved.census(scope)
    if not census.approved.get(TrainingKind.DOCUMENTATION):
        return ()
    items = await approved.of_kind(scope, TrainingKind.DOCUMENTATION)
    asked = [token.stem for token in split_question(question)]

    def defining() -> list[tuple[str, str]]:
        return [
            (item.id, sentence)
            for item in items
            for sentence, stems in _definitions(item.content.text)
            if stands_in(stems, asked)
        ]

    found = (await asyncio.to_thread(defining))[:MAX_TERMS]
    there = {item.id for item in await approved.still(scope, sorted({item_id for item_id, _ in found}))}
    return tuple(Term(sentence, SOURCE) for item_id, sentence in found if item_id in there)


def defined_otherwise(text: str, others: Iterable[tuple[str, str]]) -> str | None:
    """Id of the first of other texts (id, text) that defines words of this one differently; None where none does."""
    own = {stems: sentence for sentence, stems in _definitions(text)}
    for item_id, other in others:
        for sentence, stems in _definitions(other):
            if stems in own and not same_text(sentence, own[stems]):
                return item_id
    return None


@lru_cache(maxsize=1_000)
def _definitions(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Sentences that define something, each with the stems of what it defines."""
    return tuple(
        (sentence, tuple(token.stem for token in split_question(definition.term)))
        for sentence in sentences_of(text, most=_MOST_SENTENCES)
        for definition in read_definitions([Term(sentence, SOURCE)])
    )
