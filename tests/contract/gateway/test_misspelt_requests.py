"""What a client misspells is told, with what there is; nothing is ignored without a word."""

from typing import Any

import pytest

from tests.contract.gateway.house import House, problem


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("/sql/audit?queryid=x", "queryid", "page_size, page_token, query_id, start_time, end_time"),
        ("/sql/training?stat=PENDING", "stat", "kind, state, page_size, page_token"),
        ("/query/sql/pending?foo=1", "foo", "page_size, page_token"),
        ("/documents?pagesize=2", "pagesize", "page_size, page_token"),
        ("/jobs?State=READY", "State", "page_size, page_token"),
        ("/sql/schema?table=shop", "table", "this call has none"),
    ],
)
async def test_a_parameter_that_a_list_does_not_have_is_refused(house: House, path: str, name: str, told: str) -> None:
    body = problem(await house.client.get(path), 422, "REQUEST_INVALID", name)

    assert told in body["detail"]


async def test_whoever_watches_the_health_may_keep_caches_away(house: House) -> None:
    assert (await house.client.get("/health?t=1")).status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "told"),
    [
        (
            {"query_id": "q1", "approved": True, "edited_sql": "SELECT 1"},
            "edited_sql",
            "query_id, approved, sql, sql_hash",
        ),
        ({"query_id": "q1", "approved": True, "sql_hash": "abc"}, "sql_hash", "64 lower-case hexadecimal digits"),
        ({"query_id": "q1", "approved": True, "sql": ""}, "sql", "The text is empty."),
        ([], "body", "Send a JSON object"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said_in_words(house: House, body: Any, field: str, told: str) -> None:
    refusal = problem(await house.post("/query/sql/execute", body), 422, "REQUEST_INVALID", field)

    assert told in refusal["detail"]
    assert "pattern" not in refusal["detail"]


async def test_a_field_that_is_unknown_within_another_is_named_by_its_place(house: House) -> None:
    body = {"query": "What are the hours?", "filters": {"documents": []}}

    problem(await house.post("/query/documents", body), 422, "REQUEST_INVALID", "filters.documents")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b'{"query_id": "q1", "approved": false, "approved": true}', "approved"),
        (b'{"query_id": "q1", "approved": true, "sql": "SELECT 1", "\\u0073ql": "SELECT 2"}', "sql"),
    ],
)
async def test_a_field_that_is_given_twice_is_refused(house: House, content: bytes, field: str) -> None:
    headers = {"Content-Type": "application/json"}

    response = await house.client.post("/query/sql/execute", content=content, headers=headers)

    problem(response, 422, "REQUEST_INVALID", field)


async def test_a_field_that_is_given_twice_within_another_is_refused(house: House) -> None:
    content = b'{"query": "hours?", "filters": {"document_ids": [], "document_ids": []}}'
    headers = {"Content-Type": "application/json"}

    problem(await house.client.post("/query/documents", content=content, headers=headers), 422, "REQUEST_INVALID")
