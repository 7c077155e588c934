"""Teaching the SQL side through REST, on the embedded default: examples, and words that a document defines."""

from typing import Any

from tests.e2e.running_system import RunningSystem, ask

QUESTION = "How many whales do we have?"
WHALES = "SELECT count(*) AS whales FROM customers WHERE customer_id < 7"


def add(system: RunningSystem, **body: str) -> dict[str, Any]:
    response = system.client.post("/sql/training", json=body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_an_approved_example_answers_its_question_until_it_is_forgotten(system: RunningSystem) -> None:
    assert system.client.get("/info").json()["parts"]["sql"]["training"] == "pgvector"
    before = ask(system.client, "/query/sql/generate", query=QUESTION)

    item = add(system, question=QUESTION, sql=WHALES)
    pending = ask(system.client, "/query/sql/generate", query=QUESTION)
    approved = system.client.post(f"/sql/training/{item['training_id']}/approve")
    taught = ask(system.client, "/query/sql/generate", query=QUESTION)
    run = system.client.post("/query/sql/execute", json={"query_id": taught["query_id"], "approved": True}).json()
    learned = system.client.get("/sql/training?kind=EXAMPLE").json()["training"]
    for each in learned:
        assert system.client.delete(f"/sql/training/{each['training_id']}").status_code == 204
    forgotten = ask(system.client, "/query/sql/generate", query=QUESTION)

    assert [answer["status"] for answer in (before, pending, forgotten)] == ["no_answer"] * 3
    assert approved.json()["state"] == "APPROVED"
    assert "customer_id < 7" in taught["sql_generated"]
    assert run["results"] == [{"whales": 6}]
    assert item["training_id"] in [each["training_id"] for each in learned]


def test_a_document_explains_a_word_that_the_database_does_not_know(system: RunningSystem) -> None:
    before = ask(system.client, "/query/sql/generate", query="How many golden customers do we have?")
    text = b"# Terms\n\nGold customer means a customer whose segment is Premium.\n\nOur lounge is open all day.\n"
    document = system.client.post("/upload", files={"file": ("glossary.md", text)}).json()["document_id"]
    try:
        explained = ask(system.client, "/query/sql/generate", query="How many gold customers do we have?")
    finally:
        system.client.delete(f"/documents/{document}")

    assert before["status"] == "no_answer"
    assert "Premium" in explained["sql_generated"]
    assert "glossary.md" in explained["explanation"]
