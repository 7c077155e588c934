import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import grpc
import pytest

from tests.contract.gateway.house import House, open_house, problem
from tests.fakes.servicers import failure

COUNT = "How many customers do we have?"
EDITED = "select 'customers' limit 5"


async def generate(house: House, **headers: str) -> dict[str, Any]:
    reply = await house.client.post("/query/sql/generate", json={"query": COUNT}, headers=headers)
    body: dict[str, Any] = reply.json()
    assert body["status"] == "pending_approval"
    return body


async def test_the_log_tells_every_step_newest_first_with_the_text_that_was_approved(house: House) -> None:
    generated = await generate(house)
    query_id = generated["query_id"]
    await house.post("/query/sql/execute", {"query_id": query_id, "approved": True, "sql": EDITED})

    body = (await house.client.get("/sql/audit")).json()

    edited_hash = sha256(EDITED.encode()).hexdigest()
    assert body["next_page_token"] is None
    assert [(entry.get("from_state"), entry["to_state"], entry.get("sql")) for entry in body["entries"]] == [
        ("APPROVED", "EXECUTED", None),
        ("PENDING", "APPROVED", None),
        ("PENDING", "PENDING", EDITED),
        (None, "PENDING", generated["sql_generated"]),
    ]
    edit, first = body["entries"][2:]
    assert (edit["sql_hash"], edit["previous_sql_hash"]) == (edited_hash, generated["sql_hash"])
    assert (edit["note"], edit["query_id"]) == ("EDITED", query_id)
    assert edit["subject"] == edit["owner"] == first["owner"]
    assert first["at"].endswith("Z")
    assert not {"previous_sql_hash", "note", "from_state"} & set(first)
    assert [entry["sql_hash"] for entry in body["entries"]] == [edited_hash] * 3 + [generated["sql_hash"]]


async def test_an_edit_that_is_refused_is_a_step_with_its_text_and_why(house: House) -> None:
    generated = await generate(house)
    refused = {"query_id": generated["query_id"], "approved": True, "sql": "DROP TABLE customers"}
    problem(await house.post("/query/sql/execute", refused), 400, "SQL_REFUSED", "sql")

    step, first = (await house.client.get("/sql/audit")).json()["entries"]

    assert (step["from_state"], step["to_state"], step["sql_hash"]) == ("PENDING", "PENDING", generated["sql_hash"])
    assert (step["refused_sql"], step["note"]) == ("DROP TABLE customers", "EDIT_REFUSED; NOT_A_SELECT")
    assert "sql" not in step
    assert "refused_sql" not in first


async def test_an_approval_by_policy_names_nobody(house: House) -> None:
    await house.post("/query", {"query": COUNT, "auto_approve_sql": True})

    entries = (await house.client.get("/sql/audit")).json()["entries"]

    [approval] = [entry for entry in entries if entry["to_state"] == "APPROVED"]
    assert (approval["subject"], approval["note"]) == ("", "AUTO_APPROVED")


async def test_the_log_is_paged_and_narrowed_to_one_query(house: House) -> None:
    first, second = await generate(house), await generate(house)
    await house.post("/query/sql/execute", {"query_id": first["query_id"], "approved": False})

    pages: list[list[str]] = []
    token: str | None = ""
    while token is not None:
        params = {"page_size": 1, "page_token": token, "query_id": first["query_id"]}
        page = (await house.client.get("/sql/audit", params=params)).json()
        pages.append([entry["to_state"] for entry in page["entries"]])
        token = page["next_page_token"]
    everything = (await house.client.get("/sql/audit")).json()["entries"]

    assert pages == [["REJECTED"], ["PENDING"]]
    assert {entry["query_id"] for entry in everything} == {first["query_id"], second["query_id"]}


async def test_times_reach_the_service_in_utc(house: House) -> None:
    params = {"start_time": "2026-11-21T12:00:00+02:00", "end_time": "2026-11-21T12:00:00.25Z"}

    response = await house.client.get("/sql/audit", params=params)

    request = house.sql.audit_requests[-1]
    assert response.status_code == 200
    assert request.start_time.ToJsonString() == "2026-11-21T10:00:00Z"
    assert request.end_time.ToJsonString() == "2026-11-21T12:00:00.250Z"


@pytest.mark.parametrize("name", ["start_time", "end_time"])
@pytest.mark.parametrize(
    "value", ["", "0", "now", "2026-11-21", "2026-11-21T12:00:00", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]
)
async def test_a_malformed_time_names_its_field(house: House, name: str, value: str) -> None:
    body = problem(await house.client.get("/sql/audit", params={name: value}), 422, "REQUEST_INVALID", name)

    assert "2026-11-21T12:00:00Z" in body["detail"]


async def test_what_the_service_refuses_names_the_parameter(house: House) -> None:
    house.sql.faults.failure = failure(
        grpc.StatusCode.INVALID_ARGUMENT, "TIME_INVALID", domain="sql.diglot", fields={"end_time": "before its start"}
    )

    problem(await house.client.get("/sql/audit"), 400, "TIME_INVALID", "end_time")


@pytest.mark.parametrize("query_id", ["q99", "a b", "", "x" * 200, "../q1"])
async def test_the_log_of_an_unknown_query_is_not_found(house: House, query_id: str) -> None:
    problem(await house.client.get("/sql/audit", params={"query_id": query_id}), 404, "QUERY_NOT_FOUND", "query_id")


async def test_a_page_token_of_another_list_is_refused(house: House) -> None:
    problem(
        await house.client.get("/sql/audit", params={"page_token": "nonsense"}), 400, "PAGE_TOKEN_INVALID", "page_token"
    )


@pytest.fixture
async def guarded_house() -> AsyncIterator[House]:
    def known(tenant: str, subject: str, *roles: str) -> dict[str, object]:
        return {"tenant": tenant, "subject": subject, "roles": roles}

    keys = {
        "ada": known("acme", "ada"),
        "bo": known("acme", "bo"),
        "auditor": known("acme", "cy", "sql_auditor"),
        "eve": known("evil", "eve", "sql_auditor"),
    }
    told = json.dumps({sha256(key.encode()).hexdigest(): caller for key, caller in keys.items()})
    async with open_house(identity="api_key", api_keys=told) as house:
        yield house


async def test_a_caller_reads_its_own_log_and_an_auditor_that_of_the_tenant(guarded_house: House) -> None:
    house = guarded_house
    query_id = (await generate(house, **{"X-API-Key": "ada"}))["query_id"]

    seen = {}
    for key in ("ada", "bo", "auditor"):
        body = (await house.client.get("/sql/audit", headers={"X-API-Key": key})).json()
        seen[key] = [entry["query_id"] for entry in body["entries"]]
    foreign = await house.client.get("/sql/audit", params={"query_id": query_id}, headers={"X-API-Key": "bo"})
    audited = await house.client.get("/sql/audit", params={"query_id": query_id}, headers={"X-API-Key": "auditor"})

    assert seen == {"ada": [query_id], "bo": [], "auditor": [query_id]}
    problem(foreign, 404, "QUERY_NOT_FOUND", "query_id")
    assert audited.status_code == 200
    problem(await house.client.get("/sql/audit"), 401, "API_KEY_INVALID")
