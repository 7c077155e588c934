"""Models that are away, slow, busy, hostile, or do not take what others take."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from services.sql.adapters.vanna_generator import PromptLimits, VannaGenerator
from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import SqlDraft
from services.sql.query_guard import QueryGuard
from services.transport.deadlines import enter_served_call, swap_served_call
from tests.contract.sql.vanna_generators import BY, reply, vanna_generator
from tests.dying_connections import way_to
from tests.fakes.sql import shop_schema
from tests.openai_replies import (
    Fault,
    access_denied,
    bad_request,
    broken,
    dripping,
    rate_limited,
    server_error,
    slow,
    truncated_json,
)
from tests.openai_server import OpenAiServer
from tests.unit.sql.large_schema import large_schema

if TYPE_CHECKING:
    from services.sql.adapters.vanna_model import VannaModel

QUESTION = "How many customers do we have?"
COUNT = "SELECT count(*) AS customer_count FROM customers"


def bodies(server: OpenAiServer) -> list[dict[str, Any]]:
    return [asked.body for asked in server.asked("/chat/completions")]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (rate_limited(retry_after_seconds=30), "takes no more requests for now"),
        (rate_limited(code="insufficient_quota"), "has no quota left"),
        (server_error(), "is not reachable"),
        (access_denied(), "does not accept this service's key"),
        (access_denied(403), "does not accept this service's key"),
        (broken(), "is not reachable"),
        (truncated_json(), "cannot be read"),
        (slow(5), "gave no reply in time"),
        (dripping(), "gave no reply in time"),
        (Fault(404, "model_not_found", "The model does not exist."), "does not know the model"),
        (bad_request("content_filter"), "does not let this question through"),
        (Fault(200, body=b" " * 3_000_000), "cannot be read"),
    ],
    ids=range(12),
)
async def test_a_model_that_gives_no_reply_leaves_the_question_to_the_grounded_generator(
    openai_server: OpenAiServer, fault: Fault, why: str
) -> None:
    openai_server.fail(fault, fault)

    with vanna_generator(openai_server, limits=PromptLimits(reply_seconds=0.6)) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

        assert isinstance(draft, SqlDraft)
        assert why in draft.explanation
        assert ", so this was written without it. " in draft.explanation
        assert BY not in draft.explanation
        assert draft.tables == ("public.customers",)
        assert generator.standing.startswith("gpt-4o-mini (")


async def test_what_only_the_operator_can_mend_is_told_to_the_operator(
    openai_server: OpenAiServer, caplog: pytest.LogCaptureFixture
) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))

    with vanna_generator(openai_server, api_key="sk-wrong-one") as generator:
        await generator.generate(QUESTION, shop_schema())
        standing = generator.standing

    assert standing == "gpt-4o-mini (key refused)"
    [record] = [record for record in caplog.records if record.message == "model.failed"]
    assert record.levelno == logging.ERROR
    assert {"fault": "key refused", "status": 401, "model": "gpt-4o-mini"}.items() <= vars(record).items()
    assert not any("sk-" in str(vars(one)) for one in caplog.records if one.name.startswith("services."))


async def test_packages_that_cannot_be_loaded_cost_no_question_its_answer() -> None:
    def load_model() -> "VannaModel":
        raise ImportError("numpy.core.multiarray failed to import")

    generator = VannaGenerator(
        load_model,
        model_name="gpt-4o-mini",
        grounded=GroundedGenerator(),
        guard=QueryGuard(max_rows=1_000),
        limits=PromptLimits(),
        max_concurrent_replies=1,
    )

    draft = await generator.generate(QUESTION, shop_schema())
    generator.close()

    assert isinstance(draft, SqlDraft)
    assert "cannot be loaded, so this was written without it" in draft.explanation
    assert generator.standing == "gpt-4o-mini (packages not loaded)"


async def test_a_model_that_is_back_is_no_longer_told_as_away(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))
    openai_server.fail(server_error(), server_error())

    with vanna_generator(openai_server) as generator:
        await generator.generate(QUESTION, shop_schema())
        away = generator.standing
        draft = await generator.generate(QUESTION, shop_schema())

        assert (away, generator.standing) == ("gpt-4o-mini (not reachable)", "gpt-4o-mini")
    assert isinstance(draft, SqlDraft)
    assert draft.sql == COUNT


@pytest.mark.parametrize(
    "faults",
    [
        [broken()],
        [server_error()],
        [rate_limited(retry_after_seconds=0.1)],
        [rate_limited(), rate_limited(0.05)],
        [rate_limited(0.1), broken()],
    ],
    ids=range(5),
)
async def test_a_passing_fault_is_got_over(openai_server: OpenAiServer, faults: list[Fault]) -> None:
    openai_server.answer(reply(COUNT))
    openai_server.fail(*faults)

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.sql == COUNT
    assert len(bodies(openai_server)) == len(faults) + 1


async def test_a_pause_that_leaves_no_time_for_a_reply_is_not_waited_for(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))
    openai_server.fail(rate_limited(retry_after_seconds=19.5))

    with vanna_generator(openai_server, limits=PromptLimits(reply_seconds=20)) as generator:
        async with asyncio.timeout(10):
            draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert "takes no more requests for now" in draft.explanation
    assert len(bodies(openai_server)) == 1


async def test_a_provider_that_stays_busy_is_not_asked_for_ever(openai_server: OpenAiServer) -> None:
    openai_server.fail(*[rate_limited(retry_after_seconds=0.01)] * 50)

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert len(bodies(openai_server)) == 4


async def test_closing_ends_a_pause(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))
    with vanna_generator(openai_server, limits=PromptLimits(reply_seconds=60)) as generator:
        await generator.generate(QUESTION, shop_schema())
        openai_server.fail(*[rate_limited(retry_after_seconds=40)] * 4)

        asking = asyncio.create_task(generator.generate(QUESTION, shop_schema()))
        await asyncio.to_thread(openai_server.wait_for, 2)
        generator.close()
        async with asyncio.timeout(10):
            draft = await asking

    assert isinstance(draft, SqlDraft)
    assert len(bodies(openai_server)) == 2


async def test_a_prompt_that_is_too_long_is_tried_once_with_half_the_tables(openai_server: OpenAiServer) -> None:
    openai_server.answer(reply("SELECT count(*) FROM crm.customers"))
    openai_server.fail(bad_request("context_length_exceeded", "This model's maximum context length is 8192 tokens."))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, large_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.explanation.endswith(BY)
    first, second = (body["messages"][0]["content"] for body in bodies(openai_server))
    assert 0.3 < len(second) / len(first) < 0.7
    assert "CREATE TABLE crm.customers (" in second


@pytest.mark.parametrize(
    "said",
    ["maximum context length is 4096 tokens", "the request exceeds the available context size", "prompt is too long"],
)
async def test_a_model_for_which_every_prompt_is_too_long_is_done_without(
    openai_server: OpenAiServer, said: str
) -> None:
    openai_server.fail(*[bad_request("invalid_request_error", said)] * 9)

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert "is too long for the language model" in draft.explanation
    assert len(bodies(openai_server)) == 2


@pytest.mark.parametrize("says", [True, False], ids=["says why", "says nothing"])
@pytest.mark.parametrize(
    ("refuses", "form"),
    [({"json_schema"}, {"type": "json_object"}), ({"json_schema", "json_object"}, None)],
    ids=["no schema", "no form"],
)
async def test_a_server_that_takes_no_form_of_replies_is_asked_without_from_then_on(
    openai_server: OpenAiServer, refuses: set[str], form: dict[str, str] | None, says: bool
) -> None:
    openai_server.answer_by(lambda _: f"Here you are:\n```sql\n{COUNT}\n```")
    openai_server.refuses, openai_server.says_what_it_refuses = refuses, says

    with vanna_generator(openai_server) as generator:
        for _ in range(2):
            draft = await generator.generate(QUESTION, shop_schema())

            assert isinstance(draft, SqlDraft)
            assert draft.sql == COUNT
    assert len(bodies(openai_server)) == len(refuses) + 2
    assert bodies(openai_server)[-1].get("response_format") == form


async def test_a_server_that_takes_no_temperature_and_no_system_message_gets_neither(
    openai_server: OpenAiServer,
) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))
    openai_server.refuses = {"temperature", "system"}

    with vanna_generator(openai_server) as generator:
        for _ in range(2):
            draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    first, *_, last = bodies(openai_server)
    assert len(bodies(openai_server)) == 4
    assert "temperature" not in last
    [message] = last["messages"]
    assert message["role"] == "user"
    assert message["content"].startswith(first["messages"][0]["content"])
    assert message["content"].endswith(QUESTION)


@pytest.mark.parametrize("model", ["o3-mini", "gpt-5", "openai/gpt-5-mini"])
async def test_models_that_think_first_get_no_temperature(openai_server: OpenAiServer, model: str) -> None:
    openai_server.answer(reply(COUNT))
    openai_server.models.append(model)

    with vanna_generator(openai_server, model=model) as generator:
        await generator.generate(QUESTION, shop_schema())

    [body] = bodies(openai_server)
    assert "temperature" not in body


async def test_what_a_refusal_of_one_question_leaves_out_is_not_left_out_for_good(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))
    with vanna_generator(openai_server) as generator:
        await generator.generate(QUESTION, shop_schema())
        openai_server.fail(bad_request())

        draft = await generator.generate(QUESTION, shop_schema())
        again = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert "does not take the request" in draft.explanation
    assert isinstance(again, SqlDraft)
    assert again.sql == COUNT
    assert bodies(openai_server)[-1] == bodies(openai_server)[0]


async def test_idle_connections_that_died_together_cost_no_question_its_answer(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))
    async with way_to(urlsplit(openai_server.base_url).port or 0) as way:
        with vanna_generator(openai_server, base_url=f"http://127.0.0.1:{way.port}/v1") as generator:
            await asyncio.gather(*(generator.generate(QUESTION, shop_schema()) for _ in range(2)))
            way.let_die()

            draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.sql == COUNT


async def test_a_call_with_little_time_left_is_answered_without_the_model(openai_server: OpenAiServer) -> None:
    outside = swap_served_call(None)
    enter_served_call(0.9)

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())
    swap_served_call(outside)

    assert isinstance(draft, SqlDraft)
    assert bodies(openai_server) == []


async def test_questions_that_wait_for_a_busy_model_wait_no_longer_than_for_a_reply(
    openai_server: OpenAiServer,
) -> None:
    openai_server.fail(*[slow(30)] * 8)

    with vanna_generator(openai_server, limits=PromptLimits(reply_seconds=0.5)) as generator:  # two replies at a time
        drafts = await asyncio.gather(*(generator.generate(QUESTION, shop_schema()) for _ in range(8)))

    assert all(isinstance(draft, SqlDraft) for draft in drafts)
    assert len(bodies(openai_server)) < 8


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'{"choices": null}',
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": ["a list"]}}]}',
        b'{"choices": [{"message": {"content": "{}"}}], "usage": {"prompt_tokens": "x"}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=range(9),
)
async def test_a_completion_of_another_shape_counts_as_none(openai_server: OpenAiServer, body: bytes) -> None:
    openai_server.fail(Fault(200, body=body))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.explanation.startswith("The language model's reply cannot be read, so this was written without it. ")
