"""A model that is right, wrong or hostile, through REST: what it writes waits or is refused, and nothing runs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.sql.vanna_generators import BY, reply
from tests.e2e.running_system import RunningSystem, ask
from tests.openai_replies import Reply, access_denied
from tests.openai_server import OpenAiServer

COUNT = "SELECT count(*) AS customer_count FROM customers"
QUESTION = "How many customers do we have?"

WAITS: dict[str, Any] = {
    "as asked for": reply(COUNT, "Counts the customers."),
    "in a fence": f"Sure!\n```json\n{json.dumps(reply(COUNT, 'Counts.'))}\n```",
    "bare query": f"```sql\n{COUNT};\n```",
    "comments": reply(f"/* one */ {COUNT} -- two\n", "Counts."),
    "unicode": reply("SELECT count(*) AS \"číslo 数\", 'количество' AS о FROM customers", "Считает 数."),
    "long explanation": reply(COUNT, "x" * 100_000),
    "confidence out of range": {**reply(COUNT, "Counts."), "confidence": 1e9},
    "half a character in the text": '{"sql": "' + COUNT + '", "explanation": "\\ud800", "refusal": null}',
}
REFUSED: dict[str, Any] = {
    "prose": "I would rather not say, dear colleague.",
    "refusal": reply(None, refusal="There is no such table."),
    "refusal with a query": reply(COUNT, refusal="I am not sure."),
    "two statements": reply(f"{COUNT}; DROP TABLE customers", "Counts."),
    "drop": reply("DROP TABLE customers", "Counts."),
    "hidden drop": reply(f"{COUNT} --\n; DELETE FROM customers", "Counts."),
    "write in a WITH": reply("WITH gone AS (DELETE FROM customers RETURNING *) SELECT count(*) FROM gone", "Counts."),
    "sleep": reply("SELECT pg_sleep(60)", "Counts."),
    "file": reply("SELECT pg_read_file('/etc/passwd')", "Counts."),
    "secrets": reply("SELECT passwd FROM pg_shadow", "Counts."),
    "unknown column": reply("SELECT nme FROM customers", "Names."),
    "wrong types": reply("SELECT name + 1 FROM customers", "Names."),
    "long query": reply("SELECT " + "1 + " * 25_000 + "1", "Adds."),
    "half a character": '{"sql": "SELECT \'\\ud800\' FROM customers", "explanation": "", "refusal": null}',
    "nul": reply("SELECT 'a\0b' FROM customers", "Letters."),
    "invalid json": '{"sql": "SELECT 1',
    "nested": "[" * 100_000,
    "nothing": "",
    "withheld": Reply(refusal="No."),
    "cut off": Reply(json.dumps(reply(COUNT))[:30], finish_reason="length"),
}


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAiServer]:
    server = OpenAiServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def system(make_folder: Callable[[], Path], model: OpenAiServer) -> Iterator[RunningSystem]:
    """The system of this machine, with a model that writes SQL and nothing else."""
    model.answer_by(lambda _: reply(COUNT, "Counts the customers."))
    system = RunningSystem(
        make_folder() / "data", **model.environment(), RAG_EMBEDDER="minilm", RAG_ANSWER_WRITER="extractive"
    )
    try:
        system.start()
        yield system
    finally:
        system.close()


def tables_hold(system: RunningSystem) -> object:
    """The customers that there are, by a query of our own."""
    asked = ask(system.client, "/query/sql/generate", query=QUESTION)
    run = system.client.post("/query/sql/execute", json={"query_id": asked["query_id"], "approved": True, "sql": COUNT})
    return run.json()["results"]


@pytest.mark.timeout(240)
def test_what_a_model_says_waits_or_is_refused_and_never_runs_by_itself(
    system: RunningSystem, model: OpenAiServer
) -> None:
    for name, said in {**WAITS, **REFUSED}.items():
        model.answer_always(said)

        answer = ask(system.client, "/query/sql/generate", query=QUESTION)

        assert answer["status"] == ("pending_approval" if name in WAITS else "no_answer"), (name, answer)
        assert "results" not in answer
        told = answer["explanation"]
        assert 0 < len(told) <= 1_000, name
        assert told.isprintable(), name
        assert told.endswith(BY) == (name in WAITS), name

    model.answer_by(lambda _: reply(COUNT, "Counts the customers."))
    assert tables_hold(system) == [{"customer_count": 100}]


@pytest.mark.timeout(120)
def test_a_query_that_the_database_refuses_is_mended_by_the_model(system: RunningSystem, model: OpenAiServer) -> None:
    wrong = ["SELECT count(nme) AS n FROM customers", "SELECT count(*) + name AS n FROM customers"]
    seen = len(model.requests)
    model.answer(*(reply(sql, "Counts.") for sql in wrong), reply(COUNT, "Counts the customers."))

    answer = ask(system.client, "/query", query=QUESTION, auto_approve_sql=True)

    assert answer["status"] == "success"
    assert answer["results"] == [{"customer_count": 100}]
    first, second, third = [asked.body["messages"] for asked in model.requests[seen:]]
    assert first == second[:2] == third[:2]
    assert [json.loads(message["content"])["sql"] for message in third[2::2]] == wrong
    assert "nme" in second[3]["content"]
    assert third[5]["content"].startswith("That query was refused: ")


@pytest.mark.timeout(120)
def test_a_key_that_is_refused_is_told_in_info_and_in_the_log_and_costs_no_answer(
    system: RunningSystem, model: OpenAiServer
) -> None:
    model.fail(access_denied())

    answer = ask(system.client, "/query/sql/generate", query=QUESTION)

    assert answer["status"] == "pending_approval"
    assert answer["explanation"].startswith("The language model's provider does not accept this service's key")
    assert system.client.get("/info").json()["parts"]["sql"]["model"] == "gpt-4o-mini (key refused)"
    [line] = [line for line in system.logs().splitlines() if '"key refused"' in line]
    assert json.loads(line[line.index("{") :])["level"].lower() == "error"
    assert model.api_key not in system.logs()
    assert QUESTION not in system.logs()
