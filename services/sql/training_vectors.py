"""Vectors of approved training: made after the rows, mended from them, and asked for what is near a question."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from services.sql.errors import KnowledgeUnavailable, SqlError, TextTooLong
from services.sql.ports import QuestionEmbedder, TrainingIndex, TrainingStore
from services.sql.training_models import (
    Embeddings,
    Nearness,
    TrainingItem,
    TrainingKind,
    TrainingScope,
    TrainingVector,
)

logger = logging.getLogger(__name__)

# About what a small embedding model reads of English; a text that is still too long for it is halved until it fits.
EMBEDDED_CHARACTERS = 1_000
_LEAST_CHARACTERS = 30
_TEXTS_A_CALL = 64
_REMEMBERED_QUESTIONS = 64


class TrainingVectors:
    """Keeps an index in step with the store, in the background, and searches it.

    Whatever was interrupted, and whatever another model made, is put right by the next comparison with the rows: after
    each change made here, and at a question when the last comparison is `compare_seconds` old.
    """

    def __init__(
        self,
        store: TrainingStore,
        index: TrainingIndex,
        embedder: QuestionEmbedder,
        *,
        compare_seconds: float = 600,
        pause_seconds: float = 10,
        apart: Callable[[], AbstractContextManager[object]] = nullcontext,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`apart` enters a context in which the deadline of the call being served does not bind.

        After a failure nothing is embedded for `pause_seconds`, so that not every question waits for what is away.
        """
        self._store = store
        self._index = index
        self._embedder = embedder
        self._compare_seconds = compare_seconds
        self._pause_seconds = pause_seconds
        self._apart = apart
        self._monotonic = monotonic
        self._compared_at: dict[TrainingScope, float] = {}
        self._compared_with: dict[TrainingScope, str] = {}  # by which model's vectors
        self._waiting: set[TrainingScope] = set()
        self._running: dict[TrainingScope, asyncio.Task[None]] = {}
        self._away_until = 0.0
        self._questions: dict[str, Embeddings] = {}
        self._model = ""  # that of the last embedding

    @property
    def kind(self) -> str:
        """What the index is, for statistics."""
        return self._index.kind

    async def nearest(
        self, scope: TrainingScope, question: str, *, wanted: Sequence[tuple[Sequence[TrainingKind], int]]
    ) -> list[list[Nearness]]:
        """For each group of kinds as many items as asked for, nearest first. Raises KnowledgeUnavailable."""
        if self._monotonic() < self._away_until:
            raise KnowledgeUnavailable("embedding failed a moment ago")
        try:
            embedded = await self._question(question)
            found = await asyncio.gather(
                *(
                    self._index.nearest(scope, embedded[0], model=embedded.model, kinds=kinds, limit=limit)
                    for kinds, limit in wanted
                )
            )
        except KnowledgeUnavailable:
            self._away_until = self._monotonic() + self._pause_seconds
            raise
        is_due = self._monotonic() - self._compared_at.get(scope, float("-inf")) >= self._compare_seconds
        if is_due or self._compared_with.get(scope) not in (None, embedded.model):
            self.compare_behind(scope)
        return list(found)

    def compare_behind(self, scope: TrainingScope) -> None:
        """Bring the index in step, without anybody waiting for it."""
        running = self._running.get(scope)
        if running is not None and not running.done():
            self._waiting.add(scope)  # what changed now may not be seen by the comparison under way
            return
        task = self._running[scope] = asyncio.create_task(self._compare_until_settled(scope))
        task.add_done_callback(lambda done: self._running.get(scope) is done and self._running.pop(scope))

    async def settled(self, scope: TrainingScope | None = None, *, wait_seconds: float | None = None) -> None:
        """Wait until no comparison, of this scope or of any, is under way, or as long as said; a longer one goes on."""
        running = [task for whose, task in self._running.items() if scope in (None, whose)]
        if running:
            await asyncio.wait(running, timeout=wait_seconds)

    async def aclose(self) -> None:
        """Break off what is under way; the next process goes on with it."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def compare(self, scope: TrainingScope) -> None:
        """Embed what has no vector of the model of now, and remove vectors that stand for nothing.

        Raises: KnowledgeUnavailable, QueryStoreUnavailable.
        """
        # The index first: what it holds and the rows, read later, do not have, was deleted.
        held = await self._index.held(scope)
        ids = set(await self._store.approved_ids(scope))
        if ids:
            model = self._model or (await self._embed(["model"])).model
            missing = sorted(ids - {entry.id for entry in held if entry.model == model})
            for start in range(0, len(missing), _TEXTS_A_CALL):
                items = await self._store.get_many(scope, missing[start : start + _TEXTS_A_CALL])
                await self._put(scope, items, model)
            self._compared_with[scope] = model
            if self._model != model:
                self._waiting.add(scope)  # rag has another model since: once more, with that
                return
            stale = [entry for entry in held if entry.id not in ids or entry.model != model]
        else:
            stale = held
        if stale:
            await self._index.remove(scope, stale)
            logger.info("training.vectors_removed", extra={"vectors": len(stale)})
        self._compared_at[scope] = self._monotonic()

    async def _compare_until_settled(self, scope: TrainingScope) -> None:
        with self._apart():
            while True:
                self._waiting.discard(scope)
                try:
                    await self.compare(scope)
                except SqlError as error:
                    # Found by words meanwhile; the next comparison tries again.
                    logger.warning("training.vectors_behind", extra={"error_kind": type(error).__name__})
                    return
                except Exception:  # nobody waits for it who could be told
                    logger.exception("training.vectors_failed")
                    return
                if scope not in self._waiting:
                    return

    async def _put(self, scope: TrainingScope, items: Sequence[TrainingItem], model: str) -> None:
        if not items:  # deleted since their ids were read
            return
        embedded = await self._embed_all([item.content.text for item in items])
        vectors = [
            TrainingVector(item.id, item.content.kind, one[0])
            for item, one in zip(items, embedded, strict=True)
            if one is not None and one.model == model
        ]
        if vectors:
            await self._index.put(scope, vectors, model=model)
            logger.info("training.vectors_made", extra={"vectors": len(vectors)})

    async def _embed_all(self, texts: Sequence[str]) -> list[Embeddings | None]:
        """An embedding of each text; None for one that the model cannot read at any length."""
        try:
            embedded = await self._embed([text[:EMBEDDED_CHARACTERS] for text in texts])
        except TextTooLong:
            return [await self._embed_cut(text) for text in texts]
        return [Embeddings([vector], embedded.model) for vector in embedded]

    async def _embed_cut(self, text: str) -> Embeddings | None:
        longest = min(len(text), EMBEDDED_CHARACTERS)
        while longest >= min(len(text), _LEAST_CHARACTERS):
            try:
                return await self._embed([text[:longest]])
            except TextTooLong:
                longest //= 2
        return None

    async def _embed(self, texts: Sequence[str]) -> Embeddings:
        embedded = await self._embedder.embed(texts)
        if embedded.model != self._model:
            self._model = embedded.model
            self._questions.clear()
        return embedded

    async def _question(self, question: str) -> Embeddings:
        known = self._questions.get(question)
        if known is None:
            embedded = await self._embed_cut(question)
            if embedded is None:
                raise KnowledgeUnavailable("the question cannot be embedded")
            known = self._questions[question] = embedded
            if len(self._questions) > _REMEMBERED_QUESTIONS:
                self._questions.pop(next(iter(self._questions)))
        return known
