"""SqlGenerator by a language model through Vanna, with the grounded generator for evidence and for bad days."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.sql.errors import ModelUnavailable
from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.models import Assessment, NoDraft, Schema, SqlDraft
from services.sql.ports import SqlGenerator
from services.sql.prompting.drafts import ModelReply, PromptParts, read_reply
from services.sql.prompting.schema_text import tell_tables
from services.sql.query_guard import MAX_SQL_CHARACTERS, QueryGuard
from services.transport.deadlines import call_timeout_seconds
from services.transport.telemetry import annotate, span

if TYPE_CHECKING:
    from services.sql.adapters.vanna_model import VannaModel

logger = logging.getLogger(__name__)

_FALLEN_BACK = "The language model is not reachable, so this was written without it. "
_MAX_REASON_CHARACTERS = 500
_FALL_BACK_SECONDS = 1.0  # kept of a call's time for the grounded generator
_NO_QUERY = "The language model wrote no query for this question."


@dataclass(frozen=True)
class PromptLimits:
    """Bounds of one question: tokens of the schema, examples shown, tries after a refusal, seconds of each reply."""

    max_schema_tokens: int = 14_000
    max_examples: int = 5
    repair_rounds: int = 2
    reply_seconds: float = 20
    with_values: bool = True


class VannaGenerator:
    """Asks the model; what the guard refuses goes back to it with the reason, a few times.

    How well a question fits the database is assessed by the `grounded` generator, because that costs no model call;
    the same one writes the query when the model cannot be reached, and the explanation says so. `load_model` is called
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
        self._threads = ThreadPoolExecutor(max_concurrent_replies, thread_name_prefix="model")
        # Importing Vanna takes most of a second: it is done while the service starts and reads the schema.
        self._model = self._threads.submit(load_model)

    async def generate(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        parts = await self._parts(question, schema, guidance)
        for objection in guidance.objections[-1:]:
            parts.objection, parts.former_sql = objection.reason, _told_again(objection.sql)
        started_at = time.perf_counter()
        try:
            with span(f"chat {self._model_name}", self._told, kind="client"):
                outcome = await self._ask(question, schema, parts)
                annotate(
                    {
                        "gen_ai.usage.input_tokens": parts.input_tokens,
                        "gen_ai.usage.output_tokens": parts.output_tokens,
                    }
                )
        except ModelUnavailable:
            return await self._fall_back(question, schema)
        facts = {
            "input_tokens": parts.input_tokens,
            "output_tokens": parts.output_tokens,
            "cached_tokens": parts.cached_tokens,
            "elapsed_ms": round((time.perf_counter() - started_at) * 1_000, 1),
        }
        logger.info("model.used", extra=facts)
        return outcome

    async def assess(
        self, questions: Sequence[str], schema: Schema, guidance: Guidance = NO_GUIDANCE
    ) -> list[Assessment]:
        return await self._grounded.assess(questions, schema, guidance)

    def close(self) -> None:
        """Take no more questions; replies under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _parts(self, question: str, schema: Schema, guidance: Guidance) -> PromptParts:
        [fit] = await self._grounded.assess([question], schema)
        tables = tell_tables(
            schema,
            wanted=fit.tables,
            max_tokens=self._limits.max_schema_tokens,
            with_values=self._limits.with_values,
        )
        return PromptParts(tables, self._similar(guidance))

    def _similar(self, guidance: Guidance) -> list[dict[str, str]]:
        """Approved examples, the nearest last, next to the question."""
        nearest = guidance.examples[: self._limits.max_examples]
        return [{"question": example.question, "sql": example.sql} for example in reversed(nearest)]

    async def _ask(self, question: str, schema: Schema, parts: PromptParts) -> SqlDraft | NoDraft:
        for tries_left in range(self._limits.repair_rounds, -1, -1):
            reply = read_reply(await self._reply(question, parts))
            if reply is None or not reply.sql:
                return _refusal(reply)
            verdict = self._guard.check(reply.sql, schema)
            if verdict.allowed:
                explanation = reply.explanation or f"Reads {', '.join(verdict.tables)}."
                return SqlDraft(reply.sql, explanation, reply.confidence, verdict.tables)
            codes = [refusal.code.value for refusal in verdict.refusals]
            logger.info("draft.refused", extra={"generator": self.name, "refusals": codes, "tries_left": tries_left})
            parts.objection, parts.former_sql = str(verdict.refusals[0]), _told_again(reply.sql)
        return NoDraft("The language model wrote only queries that are not safe to run.")

    async def _reply(self, question: str, parts: PromptParts) -> str:
        """The model's text. The limit holds for the wait; the thread ends by itself a little later."""
        longest = self._limits.reply_seconds + _FALL_BACK_SECONDS
        seconds = call_timeout_seconds(longest, longest) - _FALL_BACK_SECONDS
        if seconds <= 0:
            raise ModelUnavailable("no time is left for the language model")
        parts.ends_at = time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                model = await asyncio.shield(asyncio.wrap_future(self._model))
                return await asyncio.get_running_loop().run_in_executor(self._threads, model.write, question, parts)
        except TimeoutError as error:
            logger.warning("model.failed", extra={"error_kind": "TimeoutError", "status": None})
            raise ModelUnavailable("the language model gives no reply in time") from error

    async def _fall_back(self, question: str, schema: Schema) -> SqlDraft | NoDraft:
        outcome = await self._grounded.generate(question, schema)
        if isinstance(outcome, NoDraft):
            return NoDraft((_FALLEN_BACK + outcome.reason)[:_MAX_REASON_CHARACTERS], outcome.unmatched_words)
        return SqlDraft(outcome.sql, _FALLEN_BACK + outcome.explanation, outcome.confidence, outcome.tables)


def _told_again(sql: str) -> str:
    """A refused text as it can be sent: without halves of characters, and no longer than any that is taken."""
    return sql[:MAX_SQL_CHARACTERS].encode("utf-8", "replace").decode()


def _refusal(reply: ModelReply | None) -> NoDraft:
    return NoDraft(((reply.refusal if reply else "") or _NO_QUERY)[:_MAX_REASON_CHARACTERS])
