"""One question over both sources: the right one, both at once, or neither."""

import httpx
import pytest

from tests.e2e.running_system import ask


def test_a_question_in_two_halves_gets_the_sum_and_the_policy_in_one_answer(client: httpx.Client) -> None:
    answer = ask(client, "/query", query="Show me total sales and explain our vacation policy", auto_approve_sql=True)

    assert answer["status"] == "success"
    assert answer["query_type"] == answer["routing"]["route"] == "HYBRID"
    rows = answer["sql_results"]["results"]
    assert [list(row.values()) for row in rows] == [[19637.44]]
    assert answer["sql_results"]["query_id"]
    assert "sum" in answer["sql_results"]["sql"].lower()
    assert "15" in answer["document_results"]["answer"]
    assert "employee_handbook.docx" in {
        source["metadata"]["filename"] for source in answer["document_results"]["sources"]
    }
    assert "19,637.44" in answer["answer"] or "19637.44" in answer["answer"]
    assert "vacation" in answer["answer"].lower()
    assert {part["route"] for part in answer["routing"]["sub_questions"]} == {"SQL", "DOCUMENTS"}


def test_the_sum_waits_for_approval_while_the_policy_is_told(client: httpx.Client) -> None:
    answer = ask(client, "/query", query="Show me total sales and explain our vacation policy")

    assert answer["query_type"] == "HYBRID"
    assert answer["status"] == "pending_approval"
    assert not answer["sql_results"].get("results")
    assert "15" in answer["document_results"]["answer"]
    done = client.post("/query/sql/execute", json={"query_id": answer["sql_results"]["query_id"], "approved": True})
    assert [list(row.values()) for row in done.json()["results"]] == [[19637.44]]


def test_a_question_to_the_documents_goes_to_the_documents(client: httpx.Client) -> None:
    answer = ask(client, "/query", query="What is our policy on remote work?", auto_approve_sql=True)

    assert answer["query_type"] == "DOCUMENTS"
    assert answer["sources"]
    assert "3 days" in answer["answer"]


@pytest.mark.parametrize(
    "question",
    [
        "Who won the football world cup in 1954?",
        "What is the airspeed velocity of an unladen swallow?",
        "xqzt vrrk plomf",
    ],
)
def test_what_neither_source_knows_is_said_so_and_not_invented(client: httpx.Client, question: str) -> None:
    answer = ask(client, "/query", query=question, auto_approve_sql=True)

    assert answer["status"] in ("no_answer", "needs_clarification")
    assert answer["answer"]
    assert not answer.get("results")
    assert not answer.get("citations")
    assert answer["routing"]["reason"]


def test_routing_explains_itself(client: httpx.Client) -> None:
    routing = ask(client, "/query", query="How many customers do we have?")["routing"]

    assert set(routing) == {"route", "confidence", "reason", "sub_questions"}
    assert 0 <= routing["confidence"] <= 1
    assert routing["reason"]
