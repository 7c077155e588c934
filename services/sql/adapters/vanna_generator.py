"""SqlGenerator by a language model through Vanna, with the grounded generator for evidence and for bad days."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from services.sql.guidance import NO_GUIDANCE, Guidance, Term
from services.sql.models import Assessment, NoDraft, Schema, SqlDraft
from services.sql.ports import SqlGenerator
from services.sql.prompting.drafts import ModelReply, PromptParts, Spent, read_reply
from services.sql.prompting.messages import told_terms
from services.sql.prompting.model_faults import ModelFailed, ModelFault
from services.sql.prompting.schema_text import visible
from services.sql.prompting.told_schema import ToldSchema, ToldTables
from services.sql.query_guard import QueryGuard
from services.transport.deadlines import call_timeout_seconds
from services.transport.telemetry import annotate, span

if TYPE_CHECKING:
    from services.sql.adapters.vanna_model import VannaModel

logger = logging.getLogger(__name__)

_FALL_BACK_SECONDS = 1.0  # kept of a call's time for the grounded generator
_MAX_REASON_CHARACTERS = 500
_MAX_EXPLANATION_CHARACTERS = 1_000
_NO_QUERY = "The language model wrote no query for this question."
_MOST_CITED, _MAX_CITED_CHARACTERS = 2, 160
_KEPT_SCHEMAS = 4
_EXAMPLE_SHARE = 0.8  # how much an approved query speaks for its tables, of the best that words can


@dataclass(frozen=True)
class PromptLimits:
    """Bounds of one question: tokens of the tables told, seconds of each reply, and whether values are told."""

    max_schema_tokens: int = 14_000
    reply_seconds: float = 20
    with_values: bool = True


class VannaGenerator:
    """Asks the model, and says so when it could not.

    How well a question fits the database is assessed by the `grounded` generator, because that costs no model call;
    the same one writes the query when the model gives no reply, and the explanation says so. `load_model` is called
    once, at once, in a thread.
    """

    name = "vanna"
    can_repair = True

    def __init__(
        self,
        load_model: Callable[[], VannaModel],
        *,
        model_name: str,
        grounded: SqlGenerator,
        guard: QueryGuard,
        limits: PromptLimits,
        max_concurrent_replies: int,
    ) -> None:
        self._model_name = model_name
        self._told = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": model_name,
        }
        self._grounded = grounded
        self._guard = guard
        self._limits = limits
        self._schemas: OrderedDict[tuple[str | int, int], tuple[Schema, ToldSchema]] = OrderedDict()
        self._threads = ThreadPoolExecutor(max_concurrent_replies, thread_name_prefix="model")
        # Importing Vanna takes most of a second: it is done while the service starts and reads the schema.
        self._model = self._threads.submit(load_model)
        self._fault: ModelFault | None = None

    @property
    def standing(self) -> str:
        """The model's name for statistics, with what its last request came to where that was no reply."""
        return self._model_name if self._fault is None else f"{self._model_name} ({self._fault.value})"

    async def generate(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        started_at = time.perf_counter()
        spent = Spent()
        try:
            with span(f"chat {self._model_name}", self._told, kind="client"):
                reply, told = await self._ask(question, schema, guidance, spent)
                annotate(
                    {
                        "gen_ai.usage.input_tokens": spent.input_tokens,
                        "gen_ai.usage.output_tokens": spent.output_tokens,
                    }
                )
        except ModelFailed as error:
            self._fault = error.fault
            return await self._fall_back(error.fault, question, schema, guidance)
        self._fault = None
        elapsed_ms = round((time.perf_counter() - started_at) * 1_000, 1)
        logger.info("model.used", extra={**vars(spent), "elapsed_ms": elapsed_ms})
        if reply is None or not reply.sql:
            return NoDraft(((reply.refusal if reply else "") or _NO_QUERY)[:_MAX_REASON_CHARACTERS])
        tables = self._guard.check(reply.sql, schema).tables
        return SqlDraft(reply.sql, self._explain(reply, tables, told), reply.confidence, tables)

    async def assess(
        self, questions: Sequence[str], schema: Schema, guidance: Guidance = NO_GUIDANCE
    ) -> list[Assessment]:
        return await self._grounded.assess(questions, schema, guidance)

    def close(self) -> None:
        """Take no more questions; replies under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._model.done() and not self._model.cancelled() and self._model.exception() is None:
            self._model.result().chat.close()

    async def _ask(
        self, question: str, schema: Schema, guidance: Guidance, spent: Spent
    ) -> tuple[ModelReply | None, Guidance]:
        """The model's reply, and what of the guidance it was told.

        A prompt that is too long is cut once; a reply that is none is asked for once more.
        """
        parts = PromptParts(await self._tables(question, schema, guidance), guidance, spent=spent)
        try:
            said = await self._reply(question, parts)
        except ModelFailed as error:
            if error.fault is not ModelFault.TOO_LONG:
                raise
            parts.guidance = replace(
                guidance,
                examples=guidance.examples[:2],
                documentation=guidance.documentation[:1],
                terms=guidance.terms[:1],
            )
            parts.tables = await self._tables(question, schema, guidance, shrunk=True)
            said = await self._reply(question, parts)
        reply = read_reply(said)
        if reply is None and said:
            parts.unreadable = said
            reply = read_reply(await self._reply(question, parts))
        return reply, parts.guidance

    async def _tables(self, question: str, schema: Schema, guidance: Guidance, *, shrunk: bool = False) -> ToldTables:
        told = await self._told_schema(schema, self._limits.max_schema_tokens)
        if shrunk:
            told = await self._told_schema(schema, min(told.total_tokens, self._limits.max_schema_tokens) // 2)
        if told.is_whole:
            return told.tell(question, {})
        known = {
            table: _EXAMPLE_SHARE * max(0.0, min(1.0, example.similarity))
            for example in reversed(guidance.examples)
            for table in self._guard.check(example.sql, schema).tables
        }
        texts = (*guidance.documentation, *(term.text for term in guidance.terms))
        drafts = (objection.reason for objection in guidance.objections)
        return told.tell(question, known, (*texts, *drafts))

    async def _told_schema(self, schema: Schema, max_tokens: int) -> ToldSchema:
        """The schema's texts, kept for the last few; made in a thread of the event loop's: they take a while."""
        key = (schema.fingerprint or id(schema), max_tokens)
        known = self._schemas.get(key)
        if known is not None and (schema.fingerprint or known[0] is schema):
            self._schemas.move_to_end(key)
            return known[1]
        with_values = self._limits.with_values
        told = await asyncio.to_thread(ToldSchema, schema, max_tokens=max_tokens, with_values=with_values)
        self._schemas[key] = (schema, told)
        while len(self._schemas) > _KEPT_SCHEMAS:
            self._schemas.popitem(last=False)
        return told

    async def _reply(self, question: str, parts: PromptParts) -> str:
        """The model's text. The limit holds for the wait; the thread ends by itself a little later."""
        longest = self._limits.reply_seconds + _FALL_BACK_SECONDS
        seconds = call_timeout_seconds(longest, longest) - _FALL_BACK_SECONDS
        if seconds <= 0:
            raise ModelFailed(ModelFault.SLOW)
        parts.ends_at = time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                model = await self._loaded()
                # A copy: who waits no longer goes on with the parts while the thread still reads them.
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, model.write, question, replace(parts)
                )
        except TimeoutError as error:
            logger.warning("model.failed", extra={"error_kind": "TimeoutError", "fault": ModelFault.SLOW.value})
            raise ModelFailed(ModelFault.SLOW) from error

    async def _loaded(self) -> VannaModel:
        try:
            return await asyncio.shield(asyncio.wrap_future(self._model))
        except Exception as error:  # of whatever kind: packages that do not fit together, for one
            logger.error("model.not_loaded", extra={"error_kind": type(error).__name__})
            raise ModelFailed(ModelFault.NOT_LOADED) from error

    def _explain(self, reply: ModelReply, tables: Sequence[str], guidance: Guidance) -> str:
        """What the model says of its query, what documents it relies on, and which model it is."""
        said = reply.explanation or (f"Reads {', '.join(tables)}." if tables else "A query without tables.")
        known = dict(enumerate(told_terms(guidance), start=1))
        by = "".join(_cited(known[number]) for number in reply.terms[:_MOST_CITED] if number in known)
        by += f" Written by {self._model_name}."
        return said[: _MAX_EXPLANATION_CHARACTERS - len(by)] + by

    async def _fall_back(
        self, fault: ModelFault, question: str, schema: Schema, guidance: Guidance
    ) -> SqlDraft | NoDraft:
        outcome = await self._grounded.generate(question, schema, guidance)
        why = f"{fault.told}, so this was written without it. "
        if isinstance(outcome, NoDraft):
            return NoDraft((why + outcome.reason)[:_MAX_REASON_CHARACTERS], outcome.unmatched_words)
        return SqlDraft(outcome.sql, why + outcome.explanation, outcome.confidence, outcome.tables)


def _cited(term: Term) -> str:
    text = visible(" ".join(term.text.split()))
    shown = text if len(text) <= _MAX_CITED_CHARACTERS else text[: _MAX_CITED_CHARACTERS - 1] + "…"
    place = ", ".join(filter(None, (term.document, term.place)))
    return f" As {visible(place)[:_MAX_CITED_CHARACTERS]} says: “{shown}”."
