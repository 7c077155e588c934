"""Vanna before a scripted model: what it is told, and what becomes of what it says."""

import json
import logging
import os
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from services.sql.adapters.vanna_generator import PromptLimits
from services.sql.guidance import NO_GUIDANCE, Guidance, Objection, SimilarExample, Term
from services.sql.models import NoDraft, SqlDraft
from services.sql.prompting.schema_text import tell_table
from tests.contract.sql.vanna_generators import BY, reply, vanna_generator
from tests.fakes.sql import shop_schema
from tests.openai_replies import Reply
from tests.openai_server import OpenAiServer
from tests.unit.sql.large_schema import large_schema

QUESTION = "How many customers do we have?"
COUNT = "SELECT count(*) AS customer_count FROM customers"
GUIDANCE = Guidance(
    examples=(SimilarExample("How many clients are there?", COUNT, 0.9), SimilarExample("Who?", "SELECT 1", 0.4)),
    documentation=("A customer is whoever has ordered.", "CREATE INDEX by_name ON customers (name)"),
    terms=(Term("Churn is the share of customers lost.", "glossary.md", "page 2"),),
    objections=(Objection("SELECT nme FROM customers", "column nme is not known"), Objection("SELECT 2", "no table")),
)


def prompts(server: OpenAiServer) -> list[list[dict[str, str]]]:
    return [asked.body["messages"] for asked in server.asked("/chat/completions")]


def common_beginning(*bodies: bytes) -> bytes:
    lowest, highest = min(bodies), max(bodies)
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(lowest, highest, strict=False))
    return bytes(one for one, _ in alike)


async def test_the_reply_becomes_a_draft_that_says_who_wrote_it(openai_server: OpenAiServer) -> None:
    openai_server.answer(reply(COUNT, "Counts the customers."))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert draft == SqlDraft(COUNT, f"Counts the customers.{BY}", 0.9, ("public.customers",))
    [asked] = openai_server.asked("/chat/completions")
    assert asked.body["temperature"] == 0
    assert asked.body["response_format"]["json_schema"]["strict"] is True


async def test_the_prompt_begins_with_the_same_bytes_whatever_is_asked_and_known(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))

    with vanna_generator(openai_server) as generator:
        await generator.generate(QUESTION, shop_schema())
        await generator.generate("Which order is the largest?", shop_schema())
        await generator.generate(QUESTION, shop_schema(), GUIDANCE)

    plain, other, guided = prompts(openai_server)
    assert plain[0] == other[0] == guided[0]
    assert plain[0]["role"] == "system"
    for table in shop_schema().tables:
        assert tell_table(table, with_values=True) in plain[0]["content"]
    same = common_beginning(*(asked.content for asked in openai_server.asked("/chat/completions")))
    assert json.dumps(plain[0]["content"], ensure_ascii=False).encode()[:-1] in same


async def test_prompts_of_a_large_schema_have_more_than_a_thousand_tokens_in_common(
    openai_server: OpenAiServer,
) -> None:
    openai_server.answer_by(lambda _: reply("SELECT 1"))
    schema = large_schema()
    questions = ["Refunds by reason", "Average salary by department", "Suppliers from Italy"]

    with vanna_generator(openai_server) as generator:
        for question in questions:
            await generator.generate(question, schema)
            await generator.generate(question, schema, GUIDANCE)

    same = common_beginning(*(asked.content for asked in openai_server.asked("/chat/completions")))
    # Of English and SQL no tokenizer makes more than five characters a token.
    assert len(same) > 5 * 1_024


async def test_the_same_question_is_asked_with_the_same_bytes(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))

    for guidance in (GUIDANCE, NO_GUIDANCE, GUIDANCE, NO_GUIDANCE):
        with vanna_generator(openai_server) as generator:
            for schema in (shop_schema(), large_schema()):
                await generator.generate(QUESTION, schema, guidance)

    sent = [asked.content for asked in openai_server.asked("/chat/completions")]
    assert sent[:4] == sent[4:]
    assert len(set(sent)) == 4


def test_the_bytes_are_the_same_in_another_process() -> None:
    code = (
        "import hashlib, json, sys\n"
        "from services.sql.prompting.told_schema import ToldSchema\n"
        "from tests.unit.sql.large_schema import QUESTIONS, large_schema\n"
        "told = ToldSchema(large_schema(), max_tokens=5_000, with_values=True)\n"
        "texts = [told.tell(question, {}).all for question, _ in QUESTIONS]\n"
        "print(hashlib.sha256(json.dumps(texts).encode()).hexdigest())"
    )

    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())},
        ).stdout
        for seed in ("1", "2")
    }

    assert len(digests) == 1


async def test_what_is_known_stands_before_the_question_and_what_was_refused_after_it(
    openai_server: OpenAiServer,
) -> None:
    openai_server.answer(reply(COUNT))

    with vanna_generator(openai_server) as generator:
        await generator.generate(QUESTION, shop_schema(), GUIDANCE)

    [prompt] = prompts(openai_server)
    assert [message["role"] for message in prompt] == ["system", "user", "assistant", "user", "assistant", "user"]
    told = prompt[1]["content"].split("\n")
    assert told == [
        "Approved notes and terms from documents, one JSON object a line:",
        '{"note": "A customer is whoever has ordered."}',
        '{"note": "CREATE INDEX by_name ON customers (name)"}',
        '{"term": 1, "document": "glossary.md", "place": "page 2", "says": "Churn is the share of customers lost."}',
        "",
        "Approved examples, one JSON object a line:",
        '{"question": "Who?", "sql": "SELECT 1"}',
        f'{{"question": "How many clients are there?", "sql": "{COUNT}"}}',
        "",
        "Question:",
        QUESTION,
    ]
    assert json.loads(prompt[2]["content"]) == {"sql": "SELECT nme FROM customers"}
    assert prompt[3]["content"].startswith("That query was refused: column nme is not known\n")
    assert prompt[5]["content"].startswith("That query was refused: no table\n")


async def test_tables_of_approved_examples_are_told_of_a_schema_that_is_too_large(openai_server: OpenAiServer) -> None:
    openai_server.answer(reply("SELECT 1"))
    guidance = Guidance(examples=(SimilarExample("Burn?", "SELECT count(*) FROM energy.energy_batch", 0.9),))

    with vanna_generator(openai_server, limits=PromptLimits(max_schema_tokens=3_000)) as generator:
        await generator.generate("What is our burn?", large_schema(), guidance)

    [prompt] = prompts(openai_server)
    assert "CREATE TABLE energy.energy_batch (" in prompt[0]["content"]


async def test_terms_from_documents_that_a_query_relies_on_are_told_in_its_explanation(
    openai_server: OpenAiServer,
) -> None:
    openai_server.answer(reply(COUNT, "Counts who was lost.", terms=[1, 7, -1]))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate("What is our churn?", shop_schema(), GUIDANCE)

    assert isinstance(draft, SqlDraft)
    cited = " As glossary.md, page 2 says: “Churn is the share of customers lost.”."
    assert draft.explanation == f"Counts who was lost.{cited}{BY}"


async def test_a_question_the_tables_cannot_answer_is_refused_with_the_models_reason(
    openai_server: OpenAiServer,
) -> None:
    openai_server.answer(reply(None, refusal="There is no table of employees."))

    with vanna_generator(openai_server) as generator:
        outcome = await generator.generate("How many employees do we have?", shop_schema())

    assert outcome == NoDraft("There is no table of employees.")


async def test_a_query_that_is_not_safe_is_left_to_the_guard_that_comes_next(openai_server: OpenAiServer) -> None:
    openai_server.answer(reply("DELETE FROM customers"))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert (draft.sql, draft.tables) == ("DELETE FROM customers", ())
    assert len(prompts(openai_server)) == 1


@pytest.mark.parametrize(
    "said",
    [
        "I would rather talk about the weather.",
        "[]",
        "null",
        "[" * 100_000,
        # Vanna would run this one to look into the data, had it been let.
        "-- intermediate_sql\nSELECT DISTINCT status FROM orders;",
    ],
)
async def test_a_reply_that_is_none_of_what_was_asked_for_is_asked_for_once_more(
    openai_server: OpenAiServer, said: str
) -> None:
    openai_server.answer(said, reply(COUNT), said, said)

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())
        outcome = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert isinstance(outcome, NoDraft)
    assert 0 < len(outcome.reason) <= 500
    first, second, *others = prompts(openai_server)
    assert second[:2] == first
    assert [message["role"] for message in second[2:]] == ["assistant", "user"]
    assert len(second[2]["content"]) <= 2_000
    assert len(others) == 2


@pytest.mark.parametrize(
    "said",
    ['{"sql": 7, "explanation": [], "refusal": {}, "confidence": "high"}', '{"sql": ""}', ""],
)
async def test_a_reply_without_a_query_is_a_refusal(openai_server: OpenAiServer, said: str) -> None:
    openai_server.answer(said)

    with vanna_generator(openai_server) as generator:
        outcome = await generator.generate(QUESTION, shop_schema())

    assert outcome == NoDraft("The language model wrote no query for this question.")


async def test_a_reply_the_model_withheld_is_a_refusal(openai_server: OpenAiServer) -> None:
    openai_server.answer(Reply(refusal="I cannot help with that."))

    with vanna_generator(openai_server) as generator:
        assert isinstance(await generator.generate(QUESTION, shop_schema()), NoDraft)


async def test_what_the_model_says_has_an_end_and_still_says_who(openai_server: OpenAiServer) -> None:
    openai_server.answer(json.dumps(reply(COUNT, "Counts\0 the \ud800 customers. " + "x" * 100_000)))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema())

    assert isinstance(draft, SqlDraft)
    assert draft.explanation.startswith("Counts the customers. xxx")
    assert draft.explanation.endswith(BY)
    assert len(draft.explanation) == 1_000


@pytest.mark.parametrize(
    "sql", ["SELECT '\ud800' FROM customers", "SELECT " + "1 + " * 100_000 + "1"], ids=["half", "long"]
)
async def test_a_refused_text_that_cannot_be_sent_as_it_is_goes_back_all_the_same(
    openai_server: OpenAiServer, sql: str
) -> None:
    openai_server.answer(reply(COUNT))
    guidance = Guidance(objections=(Objection(sql, "it is not SQL"),))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate(QUESTION, shop_schema(), guidance)

    assert isinstance(draft, SqlDraft)
    assert draft.sql == COUNT
    assert len(prompts(openai_server)[0][-2]["content"]) <= 20_000


async def test_a_word_that_means_something_to_vanna_means_nothing_here(openai_server: OpenAiServer) -> None:
    sql = "SELECT count(*) AS intermediate_sql FROM customers"
    openai_server.answer(reply(sql, "Counts as intermediate_sql."))

    with vanna_generator(openai_server) as generator:
        draft = await generator.generate("How many, as intermediate_sql?", shop_schema())

    assert draft == SqlDraft(sql, f"Counts as intermediate_sql.{BY}", 0.9, ("public.customers",))


async def test_no_value_is_told_where_that_is_switched_off(openai_server: OpenAiServer) -> None:
    openai_server.answer_by(lambda _: reply(COUNT))
    assert any("one of '" in tell_table(table, with_values=True) for table in shop_schema().tables)

    with vanna_generator(openai_server, limits=PromptLimits(with_values=False)) as generator:
        await generator.generate(QUESTION, shop_schema())

    [prompt] = prompts(openai_server)
    assert "one of '" not in prompt[0]["content"]


async def test_neither_question_nor_prompt_nor_reply_nor_key_is_logged_or_printed(
    openai_server: OpenAiServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    openai_server.answer("no JSON, kumquat", reply("SELECT 'kumquat'", "kumquat"))
    logging.getLogger("openai").setLevel(logging.DEBUG)  # as OPENAI_LOG does

    with caplog.at_level(logging.INFO), vanna_generator(openai_server) as generator:
        await generator.generate("How many kumquats?", shop_schema(), GUIDANCE)

    logged = [{**vars(record)} for record in caplog.records if record.name.startswith("services.")]
    assert [record["msg"] for record in logged] == ["model.used"]
    out = capsys.readouterr()
    for text in (*map(str, map(vars, caplog.records)), out.out, out.err):
        assert not any(word in text for word in ("kumquat", "customers", "CREATE TABLE", openai_server.api_key))


def test_neither_vanna_nor_the_sdk_is_imported_before_it_is_chosen() -> None:
    code = (
        "import sys, services.sql.wiring\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'vanna', 'pandas', 'plotly', 'openai', 'pinecone', 'boto3'}))"
    )

    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert out.stdout.strip() == "[]"


def test_of_vanna_only_prompts_are_used_and_its_plotting_is_not_imported() -> None:
    code = (
        "import sys\n"
        "from services.sql.adapters.vanna_model import NotUsed, VannaModel\n"
        "model = VannaModel(None)\n"
        "allowed = []\n"
        "for name in sorted(dir(model)):\n"
        "    member = getattr(model, name)\n"
        "    if name.startswith('_') or not callable(member) or name in vars(VannaModel) and member.__name__ == name:\n"
        "        continue\n"
        "    try:\n"
        "        member('x')\n"
        "    except NotUsed:\n"
        "        continue\n"
        "    except BaseException as error:\n"
        "        allowed.append((name, type(error).__name__))\n"
        "    else:\n"
        "        allowed.append((name, ''))\n"
        "print(allowed, {'run_sql', 'train', 'ask', 'connect_to_postgres'} - set(dir(model)))\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('plotly', 'flask')))"
    )

    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    # generate_sql is Vanna's own, and finds nothing to make a prompt of here.
    assert out.stdout.splitlines() == ["[('generate_sql', 'TypeError')] set()", "[]"]
