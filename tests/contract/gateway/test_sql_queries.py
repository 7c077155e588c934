import asyncio

import pytest

from services.transport.identity import Caller, acting_as
from tests.contract.gateway.house import House, problem

COUNT = "How many customers do we have?"


async def generate(house: House) -> str:
    body = (await house.post("/query/sql/generate", {"query": COUNT})).json()
    assert body["status"] == "pending_approval"
    return str(body["query_id"])


async def test_generated_sql_waits(house: House) -> None:
    body = (await house.post("/query/sql/generate", {"query": COUNT})).json()

    assert body["query_type"] == "SQL"
    assert body["sql_generated"].startswith("SELECT")
    assert len(body["sql_hash"]) == 64
    assert body["tables"] == ["public.shop"]
    assert body["expires_at"].endswith("Z")
    assert (body["pending_reason"], body["plan_cost"]) == ("NOT_ASKED", 12.5)
    assert "results" not in body


async def test_a_question_no_sql_can_answer_says_why(house: House) -> None:
    response = await house.post("/query/sql/generate", {"query": "zebra census"})

    body = response.json()
    assert response.status_code == 200
    assert (body["status"], body["unmatched_words"]) == ("no_answer", ["it"])
    assert "query_id" not in body


async def test_pending_queries_are_listed_newest_first_and_by_pages(house: House) -> None:
    ids = [await generate(house) for _ in range(3)]

    first = (await house.client.get("/query/sql/pending", params={"page_size": 2})).json()
    second = (
        await house.client.get("/query/sql/pending", params={"page_size": 2, "page_token": first["next_page_token"]})
    ).json()

    assert [query["query_id"] for query in first["queries"] + second["queries"]] == ids[::-1]
    assert second["next_page_token"] is None


async def test_a_query_tells_where_it_stands(house: House) -> None:
    query_id = await generate(house)

    body = (await house.client.get(f"/query/sql/{query_id}")).json()

    assert (body["query_id"], body["state"], body["question"]) == (query_id, "PENDING", COUNT)
    assert (body["state_reason"], body["plan_cost"]) == ("NOT_ASKED", 12.5)
    assert "row_count" not in body


async def test_an_approved_query_runs_once(house: House) -> None:
    query_id = await generate(house)

    first = await house.post("/query/sql/execute", {"query_id": query_id, "approved": True})
    second = await house.post("/query/sql/execute", {"query_id": query_id, "approved": True})

    body = first.json()
    assert (body["status"], body["query_type"], body["query_id"]) == ("success", "SQL", query_id)
    assert body["results"] == [{"customer_count": 100}]
    assert problem(second, 409, "QUERY_STATE_CONFLICT")["metadata"] == {"state": "EXECUTED"}


async def test_of_two_approvals_at_once_one_runs(house: House) -> None:
    query_id = await generate(house)
    decision = {"query_id": query_id, "approved": True}

    responses = await asyncio.gather(*(house.post("/query/sql/execute", decision) for _ in range(4)))

    assert sorted(response.status_code for response in responses) == [200, 409, 409, 409]


async def test_a_query_runs_by_the_hash_of_the_text_that_was_read(house: House) -> None:
    generated = (await house.post("/query/sql/generate", {"query": COUNT})).json()
    decision = {"query_id": generated["query_id"], "approved": True, "sql_hash": generated["sql_hash"]}

    body = (await house.post("/query/sql/execute", decision)).json()

    assert body["results"] == [{"customer_count": 100}]


@pytest.mark.parametrize("own_text", [None, "select 'customers' limit 7", "select 'mine'"])
async def test_a_text_that_was_written_over_does_not_run_by_the_hash_of_the_one_before(
    house: House, own_text: str | None
) -> None:
    generated = (await house.post("/query/sql/generate", {"query": COUNT})).json()
    stored = house.sql.queries[f"queries/{generated['query_id']}"]
    stored.sql, stored.sql_hash = "select 'mine'", "a" * 64
    decision = {"query_id": generated["query_id"], "approved": True, "sql_hash": generated["sql_hash"]}

    response = await house.post("/query/sql/execute", decision | ({"sql": own_text} if own_text else {}))

    problem(response, 409, "SQL_HASH_MISMATCH")
    assert (await house.client.get(f"/query/sql/{generated['query_id']}")).json()["state"] == "PENDING"


async def test_of_many_edits_and_approvals_at_once_one_text_runs_and_it_is_the_one_that_was_asked_for(
    house: House,
) -> None:
    query_id = await generate(house)
    texts = [f"select 'customers' limit {number}" for number in range(20)]

    responses = await asyncio.gather(
        *(house.post("/query/sql/execute", {"query_id": query_id, "approved": True, "sql": text}) for text in texts)
    )

    ran = [(text, response) for text, response in zip(texts, responses, strict=True) if response.status_code == 200]
    assert len(ran) <= 1
    assert all(response.json()["sql_generated"] == text for text, response in ran)
    assert {response.status_code for response in responses} <= {200, 409}


async def test_rejecting_again_changes_nothing(house: House) -> None:
    query_id = await generate(house)

    bodies = [(await house.post("/query/sql/execute", {"query_id": query_id, "approved": False})) for _ in range(2)]

    assert [body.json()["status"] for body in bodies] == ["rejected", "rejected"]


async def test_a_rejected_query_never_runs(house: House) -> None:
    query_id = await generate(house)

    rejected = (await house.post("/query/sql/execute", {"query_id": query_id, "approved": False})).json()
    later = await house.post("/query/sql/execute", {"query_id": query_id, "approved": True})

    assert (rejected["status"], rejected["query_id"]) == ("rejected", query_id)
    assert "results" not in rejected
    problem(later, 409, "QUERY_STATE_CONFLICT")


async def test_an_edited_text_runs_in_its_place(house: House) -> None:
    query_id = await generate(house)
    edited = "select 'customers' limit 5"

    body = (await house.post("/query/sql/execute", {"query_id": query_id, "approved": True, "sql": edited})).json()

    assert body["sql_generated"] == edited
    assert body["results"] == [{"customer_count": 100}]


async def test_an_edit_the_guard_refuses_changes_nothing(house: House) -> None:
    query_id = await generate(house)

    response = await house.post(
        "/query/sql/execute", {"query_id": query_id, "approved": True, "sql": "DROP TABLE customers"}
    )

    assert problem(response, 400, "SQL_REFUSED", "sql")["metadata"] == {"refusal": "NOT_A_SELECT"}
    assert (await house.client.get(f"/query/sql/{query_id}")).json()["state"] == "PENDING"


@pytest.mark.parametrize("query_id", ["q99", "unknown", "../documents/x", "", "a b", "x" * 150])
async def test_an_unknown_query_is_not_found(house: House, query_id: str) -> None:
    response = await house.post("/query/sql/execute", {"query_id": query_id, "approved": True})

    problem(response, 404, "QUERY_NOT_FOUND")


async def test_the_query_of_another_looks_unknown(house: House) -> None:
    query_id = await generate(house)
    house.sql.queries[f"queries/{query_id}"].owner = "acme/somebody-else"

    with acting_as(Caller("default", "local", frozenset())):
        response = await house.client.get(f"/query/sql/{query_id}")

    problem(response, 404, "QUERY_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"approved": True}, "query_id"),
        ({"query_id": "q1"}, "approved"),
        ({"query_id": "q1", "approved": "yes"}, "approved"),
        ({"query_id": "q1", "approved": True, "sql": ""}, "sql"),
        ({"query_id": "q1", "approved": True, "sql": "x" * 20_001}, "sql"),
        ({"query_id": "q1", "approved": True, "sql": "select \0"}, "sql"),
        ({"query_id": "q1", "approved": True, "sql_hash": ""}, "sql_hash"),
        ({"query_id": "q1", "approved": True, "sql_hash": "A" * 64}, "sql_hash"),
        ({"query_id": 1, "approved": True}, "query_id"),
    ],
)
async def test_a_malformed_decision_names_its_field(house: House, body: dict[str, object], field: str) -> None:
    problem(await house.post("/query/sql/execute", body), 422, "REQUEST_INVALID", field)


@pytest.mark.parametrize(
    ("name", "value"), [("page_size", "0"), ("page_size", "201"), ("page_size", "1_0"), ("page_size", "x")]
)
async def test_a_malformed_page_size_names_it(house: House, name: str, value: str) -> None:
    problem(await house.client.get("/query/sql/pending", params={name: value}), 422, "REQUEST_INVALID", name)


async def test_a_page_token_of_another_list_is_refused(house: House) -> None:
    response = await house.client.get("/query/sql/pending", params={"page_token": "nonsense"})

    problem(response, 400, "PAGE_TOKEN_INVALID", "page_token")
