"""Gathering what helps with one question: approved training that is near it, and terms that documents define."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from services.sql.approved_training import ApprovedTraining
from services.sql.business_terms import BusinessTerms
from services.sql.documented_terms import documented_terms
from services.sql.errors import KnowledgeUnavailable, SqlError
from services.sql.guidance import NO_GUIDANCE, Guidance, SimilarExample, Term
from services.sql.models import Schema
from services.sql.training_models import Nearness, TrainingItem, TrainingKind, TrainingScope
from services.sql.training_vectors import TrainingVectors
from services.sql.word_nearness import coverage, likeness

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

MAX_EXAMPLES = 5
MAX_DOCUMENTATION = 4
MAX_TOLD_CHARACTERS = 6_000  # of documentation together
_CANDIDATES = 10  # examples looked at, of which the guard may refuse some
_AT_ONCE = 100  # texts compared by their words on the event loop
_LEAST_SIMILARITY = 0.3  # below, a text has nothing to do with the question
_TOLD = (TrainingKind.DOCUMENTATION, TrainingKind.DDL)


class TrainingBriefing:
    """Briefing from the training of one database. Without `vectors`, or while they are away, nearness is by words."""

    def __init__(
        self,
        *,
        approved: ApprovedTraining,
        vectors: TrainingVectors | None,
        terms: BusinessTerms | None = None,
        database: str,
        seconds: float = 1.5,
    ) -> None:
        """`seconds` is what one question may wait for all of it."""
        self._terms = terms
        self._approved = approved
        self._vectors = vectors
        self._database = database
        self._seconds = seconds

    async def brief(self, tenant: str, question: str, schema: Schema) -> Guidance:
        """See the port."""
        scope = TrainingScope(tenant, self._database)
        training, approved, terms = await asyncio.gather(
            self._in_time("training", self._training(scope, question, schema), NO_GUIDANCE),
            self._in_time("documentation", documented_terms(self._approved, scope, question), ()),
            self._in_time("documents", self._defined(tenant, question, schema), ()),
        )
        # What somebody who may decide has approved goes before what stands in any document.
        return replace(training, terms=(*approved, *terms))

    async def _defined(self, tenant: str, question: str, schema: Schema) -> tuple[Term, ...]:
        return await self._terms.terms(tenant, question, schema) if self._terms is not None else ()

    async def _training(self, scope: TrainingScope, question: str, schema: Schema) -> Guidance:
        census = await self._approved.census(scope)
        if not census.total:
            return NO_GUIDANCE
        keys = await self._approved.declared_keys(scope, schema)
        examples, told = await self._near(scope, question)
        rows = {item.id: item for item in await self._approved.still(scope, [each.id for each in (*examples, *told)])}
        return Guidance(
            examples=await self._examples(examples, rows, schema),
            keys=keys,
            documentation=_documentation([rows[each.id] for each in told if each.id in rows]),
        )

    async def _near(self, scope: TrainingScope, question: str) -> tuple[list[Nearness], list[Nearness]]:
        if self._vectors is not None:
            wanted = [((TrainingKind.EXAMPLE,), _CANDIDATES), (_TOLD, MAX_DOCUMENTATION)]
            try:
                examples, told = await self._vectors.nearest(scope, question, wanted=wanted)
            except KnowledgeUnavailable:
                logger.warning("training.found_by_words", extra={"index": self._vectors.kind})
            else:
                return _near_enough(examples), _near_enough(told)
        examples = await self._by_words(scope, question, (TrainingKind.EXAMPLE,), likeness)
        told = await self._by_words(scope, question, _TOLD, coverage)
        return examples[:_CANDIDATES], told[:MAX_DOCUMENTATION]

    async def _by_words(
        self, scope: TrainingScope, question: str, kinds: Sequence[TrainingKind], measure: Callable[[str, str], float]
    ) -> list[Nearness]:
        items = [item for kind in kinds for item in await self._approved.of_kind(scope, kind)]

        def near() -> list[Nearness]:
            measured = [Nearness(item.id, measure(question, item.content.text)) for item in items]
            return sorted(_near_enough(measured), key=lambda each: -each.similarity)

        # The first time many long texts take half a second.
        return await asyncio.to_thread(near) if len(items) > _AT_ONCE else near()

    async def _examples(
        self, near: Sequence[Nearness], rows: dict[str, TrainingItem], schema: Schema
    ) -> tuple[SimilarExample, ...]:
        """Those the guard lets pass: since they were kept, the database and the guard may have changed."""
        found: dict[str, SimilarExample] = {}
        # Of two answers to one question the one decided last counts.
        by_decision = sorted(near, key=lambda each: -_decided(rows.get(each.id)))
        for each in sorted(by_decision, key=lambda each: -each.similarity):
            item = rows.get(each.id)
            if item is None or item.content.text in found:
                continue
            if await self._approved.refusal(item.content.sql, schema):
                continue
            found[item.content.text] = SimilarExample(
                item.content.text,
                item.content.sql,
                min(1.0, each.similarity),
                explanation=item.explanation,
                approved_by=item.decided_by,
                approve_time=item.decide_time,
            )
            if len(found) == MAX_EXAMPLES:
                break
        return tuple(found.values())

    async def _in_time(self, source: str, gathering: Coroutine[Any, Any, Result], otherwise: Result) -> Result:
        try:
            async with asyncio.timeout(self._seconds):
                return await gathering
        except (SqlError, TimeoutError) as error:
            logger.warning("briefing.left_out", extra={"source": source, "error_kind": type(error).__name__})
        except Exception:  # a question can do without what should have helped it
            logger.exception("briefing.failed", extra={"source": source})
        return otherwise


def _near_enough(near: Sequence[Nearness]) -> list[Nearness]:
    return [each for each in near if each.similarity >= _LEAST_SIMILARITY]


def _decided(item: TrainingItem | None) -> float:
    moment = item and (item.decide_time or item.create_time)
    return moment.timestamp() if moment else 0.0


def _documentation(items: Sequence[TrainingItem]) -> tuple[str, ...]:
    """The texts, as far as they may be long together."""
    left = MAX_TOLD_CHARACTERS
    told: list[str] = []
    for item in items:
        text = item.content.text[:left]
        if text:
            told.append(text)
        left -= len(text)
    return tuple(told)
