"""Vanna before a scripted model that is right, wrong, hostile, slow or away."""

import asyncio
import json
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from services.sql.adapters.vanna_generator import PromptLimits
from services.sql.guidance import Guidance, SimilarExample
from services.sql.models import NoDraft, SqlDraft
from services.sql.prompting.schema_text import tell_tables
from services.transport.deadlines import enter_served_call, swap_served_call
from tests.contract.sql.vanna_generators import reply, vanna_generator
from tests.dying_connections import way_to
from tests.fakes.sql import shop_schema
from tests.openai_server import (
    Fault,
    OpenAiServer,
    Reply,
    access_denied,
    broken,
    rate_limited,
    server_error,
    slow,
    truncated_json,
)

QUESTION = "How many customers do we have?"
COUNT = "SELECT count(*) AS customer_count FROM customers"


def prompts(server: OpenAiServer) -> list[list[dict[str, str]]]:
    return [asked.body["messages"] for asked in server.asked("/chat/completions")]


async def test_the_reply_becomes_a_draft_with_the_tables_it_reads(openai_server: OpenAiServer) -> None:
    openai_server.answer(reply(COUNT, "Counts the customers."))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert draft == SqlDraft(COUNT, "Counts the customers.", 0.9, ("public.customers",))
    [asked] = openai_server.asked("/chat/completions")
    assert asked.body["temperature"] == 0
    assert asked.body["response_format"]["json_schema"]["strict"] is True


async def test_the_prompt_begins_with_the_same_bytes_for_every_question(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))

    with vanna_generator(openai_server) as generator:
        await generator.generate(QUESTION, shop_schema())
        await generator.generate("Which order is the largest?", shop_schema())

    first, second = prompts(openai_server)
    assert first[0] == second[0]
    assert first[0]["role"] == "system"
    for table in shop_schema().tables[1:]:  # the first has a name that needs quotes
        assert f"CREATE TABLE {table.schema}.{table.name} (" in first[0]["content"]
    assert [message["content"] for message in (first[-1], second[-1])] == [QUESTION, "Which order is the largest?"]


async def test_a_question_the_tables_cannot_answer_is_refused_with_the_models_reason(
    openai_server: OpenAiServer,
) -> None:
    openai_server.answer(reply(None, refusal="There is no table of employees."))

    with vanna_generator(openai_server) as generator:
        outcome = await generator.generate("How many employees do we have?", shop_schema())

    assert outcome == NoDraft("There is no table of employees.")


async def test_what_the_guard_refuses_goes_back_with_the_reason(openai_server: OpenAiServer) -> None:
    openai_server.answer(reply("DELETE FROM customers"), reply("SELECT pg_sleep(9)"), reply(COUNT, "Counts."))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.sql == COUNT
    first, second, third = prompts(openai_server)
    assert len(first) == 2
    assert second[-2]["content"] == "DELETE FROM customers"
    assert second[-1]["content"].startswith("That query was refused: ")
    assert third[-2]["content"] == "SELECT pg_sleep(9)"


async def test_a_model_that_writes_nothing_safe_is_not_asked_for_ever(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply("DROP TABLE customers"))

    with vanna_generator(openai_server, limits=PromptLimits(repair_rounds=2)) as generator:
        outcome = await generator.generate(QUESTION, shop_schema())

    assert isinstance(outcome, NoDraft)
    assert "not safe" in outcome.reason
    assert len(prompts(openai_server)) == 3


@pytest.mark.parametrize(
    "said",
    [
        "I would rather talk about the weather.",
        "```sql\nSELECT 1\n```",
        "[]",
        "null",
        '{"sql": 7, "explanation": [], "refusal": {}, "confidence": "high"}',
        '{"sql": ""}',
        "",
        "[" * 100_000,
        # Vanna would run this one to look into the data, had it been let.
        "-- intermediate_sql\nSELECT DISTINCT status FROM orders;",
    ],
)
async def test_a_reply_that_is_none_of_what_was_asked_for_is_a_refusal(openai_server: OpenAiServer, said: str) -> None:
    openai_server.answer(said)

    with vanna_generator(openai_server) as generator:
        outcome = await generator.generate(QUESTION, shop_schema())

    assert isinstance(outcome, NoDraft)
    assert 0 < len(outcome.reason) <= 500


async def test_a_reply_the_model_withheld_is_a_refusal(openai_server: OpenAiServer) -> None:
    openai_server.answer(Reply(refusal="I cannot help with that."))

    with vanna_generator(openai_server) as generator:
        assert isinstance(await generator.generate(QUESTION, shop_schema()), NoDraft)


@pytest.mark.parametrize(
    "fault",
    [rate_limited(retry_after_seconds=30), server_error(), access_denied(), broken(), truncated_json(), slow(5)],
    ids=["rate limited", "server error", "access denied", "broken", "truncated", "slow"],
)
async def test_a_model_that_is_away_leaves_the_question_to_the_grounded_generator(
    openai_server: OpenAiServer, fault: Fault
) -> None:
    openai_server.fail(fault, fault)

    with vanna_generator(openai_server, limits=PromptLimits(reply_seconds=0.5)) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.explanation.startswith("The language model is not reachable, so this was written without it. ")
    assert draft.tables == ("public.customers",)


@pytest.mark.parametrize("fault", [broken(), server_error()], ids=["broken", "server error"])
async def test_a_passing_fault_is_got_over(openai_server: OpenAiServer, fault: Fault) -> None:
    openai_server.answer(reply(COUNT))
    openai_server.fail(fault)

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.sql == COUNT


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
    assert prompts(openai_server) == []


async def test_questions_that_wait_for_a_busy_model_wait_no_longer_than_for_a_reply(
    openai_server: OpenAiServer,
) -> None:
    openai_server.fail(*[slow(30)] * 8)

    with vanna_generator(openai_server, limits=PromptLimits(reply_seconds=0.5)) as generator:  # two replies at a time
        drafts = await asyncio.gather(*(generator.generate(QUESTION, shop_schema()) for _ in range(8)))

    assert all(isinstance(draft, SqlDraft) for draft in drafts)
    assert len(prompts(openai_server)) < 8


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
    ],
    ids=range(8),
)
async def test_a_completion_of_another_shape_counts_as_none(openai_server: OpenAiServer, body: bytes) -> None:
    openai_server.fail(Fault(200, body=body))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.explanation.startswith("The language model is not reachable")


async def test_what_the_model_says_holds_no_signs_that_a_store_does_not_keep_and_has_an_end(
    openai_server: OpenAiServer,
) -> None:
    openai_server.answer(json.dumps(reply(COUNT, "Counts\0 the \ud800 customers. " + "x" * 100_000)))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.explanation.startswith("Counts the customers. xxx")
    assert len(draft.explanation) == 1_000


@pytest.mark.parametrize(
    "sql", ["SELECT '\ud800' FROM customers", "SELECT " + "1 + " * 100_000 + "1"], ids=["half", "long"]
)
async def test_a_refused_text_that_cannot_be_sent_as_it_is_goes_back_all_the_same(
    openai_server: OpenAiServer, sql: str
) -> None:
    openai_server.answer(json.dumps(reply(sql)), reply(COUNT))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.sql == COUNT
    assert len(prompts(openai_server)[1][-2]["content"]) <= 20_000


async def test_approved_examples_stand_before_the_question_the_nearest_last(openai_server: OpenAiServer) -> None:
    near, far = SimilarExample("How many clients are there?", COUNT, 0.9), SimilarExample("How old?", "SELECT 1", 0.4)
    openai_server.answer(reply(COUNT))

    with vanna_generator(openai_server) as generator:
        await generator.generate(QUESTION, shop_schema(), Guidance(examples=(near, far)))

    [prompt] = prompts(openai_server)
    assert [message["role"] for message in prompt] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [message["content"] for message in prompt[1:5]] == [far.question, far.sql, near.question, near.sql]


async def test_a_word_that_means_something_to_vanna_means_nothing_here(openai_server: OpenAiServer) -> None:
    sql = "SELECT count(*) AS intermediate_sql FROM customers"
    openai_server.answer(reply(sql, "Counts as intermediate_sql."))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate("How many, as intermediate_sql?", shop_schema())

    assert draft == SqlDraft(sql, "Counts as intermediate_sql.", 0.9, ("public.customers",))


async def test_no_value_is_told_where_that_is_switched_off(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))
    with_values = "\n".join(tell_tables(shop_schema(), wanted=(), max_tokens=14_000, with_values=True))
    assert "one of '" in with_values

    with vanna_generator(openai_server, limits=PromptLimits(with_values=False)) as generator:
        await generator.generate(QUESTION, shop_schema())

    [prompt] = prompts(openai_server)
    assert "one of '" not in prompt[0]["content"]


def test_neither_vanna_nor_the_sdk_is_imported_before_it_is_chosen() -> None:
    code = (
        "import sys, services.sql.wiring\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'vanna', 'pandas', 'plotly', 'openai', 'pinecone', 'boto3'}))"
    )

    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert out.stdout.strip() == "[]"


def test_plotting_is_not_imported_with_vanna() -> None:
    code = (
        "import sys, services.sql.adapters.vanna_model\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('plotly', 'flask')))"
    )

    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert out.stdout.strip() == "[]"
