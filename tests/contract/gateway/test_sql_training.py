"""POST /sql/training and what follows: adding, listing, approving and forgetting what the SQL side is taught."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.contract.gateway.house import House, open_house

DOCUMENTATION = {"documentation": "Revenue is the total_amount of delivered orders."}
EXAMPLE = {"question": "How many customers are there?", "sql": "SELECT count(*) FROM customers"}
DDL = {"ddl": "CREATE TABLE orders (order_id int, customer_id int REFERENCES customers)"}


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


KEYS = {
    digest("ada-key"): {"tenant": "acme", "subject": "ada", "roles": ["user"]},
    digest("tim-key"): {"tenant": "acme", "subject": "tim", "roles": ["user", "sql_trainer"]},
    digest("eve-key"): {"tenant": "umbrella", "subject": "eve", "roles": ["user", "sql_trainer"]},
}


@pytest.fixture
async def guarded() -> AsyncIterator[House]:
    async with open_house(identity="api_key", api_keys=KEYS, environment="production") as house:
        yield house


async def ask(house: House, who: str, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {who}-key"}
    return await house.client.request(method, path, json=body, headers=headers)


async def test_words_taught_on_a_laptop_are_approved_at_once(house: House) -> None:
    response = await house.post("/sql/training", DOCUMENTATION)

    assert response.status_code == 201
    answer = response.json()
    assert answer["kind"] == "DOCUMENTATION"
    assert answer["documentation"] == DOCUMENTATION["documentation"]
    assert (answer["state"], answer["source"], answer["author"]) == ("APPROVED", "API", "local")
    assert answer["decided_by"] == "local"
    assert "question" not in answer


async def test_the_same_again_is_the_same_item_and_no_news(house: House) -> None:
    first = await house.post("/sql/training", DDL)
    second = await house.post("/sql/training", {"ddl": f"\r\n  {DDL['ddl']}  "})

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


async def test_a_question_with_its_query_waits_for_approval_whoever_gives_it(house: House) -> None:
    added = (await house.post("/sql/training", EXAMPLE)).json()

    assert added["state"] == "PENDING"
    assert added["usable"] is True
    assert "decided_by" not in added
    approved = await house.post(f"/sql/training/{added['training_id']}/approve", {})
    assert approved.status_code == 200
    assert approved.json()["state"] == "APPROVED"
    assert (await house.client.get(f"/sql/training/{added['training_id']}")).json() == approved.json()


async def test_a_list_is_paged_and_narrowed_newest_first(house: House) -> None:
    ids = [
        (await house.post("/sql/training", {"documentation": f"Fact {number}."})).json()["training_id"]
        for number in range(5)
    ]
    example = (await house.post("/sql/training", EXAMPLE)).json()["training_id"]

    whole = (await house.client.get("/sql/training")).json()
    page = (await house.client.get("/sql/training?page_size=2&kind=DOCUMENTATION")).json()
    rest = await house.client.get(
        "/sql/training", params={"page_size": 200, "kind": "DOCUMENTATION", "page_token": page["next_page_token"]}
    )
    pending = (await house.client.get("/sql/training?state=PENDING")).json()
    foreign = await house.client.get("/sql/training", params={"page_token": page["next_page_token"]})

    assert [item["training_id"] for item in whole["training"]] == [example, *reversed(ids)]
    assert whole["next_page_token"] is None
    assert [item["training_id"] for item in page["training"] + rest.json()["training"]] == list(reversed(ids))
    assert [item["training_id"] for item in pending["training"]] == [example]
    assert (foreign.status_code, foreign.json()["reason"]) == (400, "PAGE_TOKEN_INVALID")


async def test_what_is_forgotten_is_gone(house: House) -> None:
    item = (await house.post("/sql/training", DOCUMENTATION)).json()["training_id"]

    assert (await house.client.delete(f"/sql/training/{item}")).status_code == 204
    assert (await house.client.delete(f"/sql/training/{item}")).status_code == 404
    assert (await house.client.get(f"/sql/training/{item}")).json()["reason"] == "TRAINING_NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "status", "reason", "field"),
    [
        ({"ddl": "DROP TABLE customers"}, 400, "TRAINING_INVALID", "ddl"),
        ({"ddl": "CREATE TABLE ((("}, 400, "TRAINING_INVALID", "ddl"),
        ({"question": "Who?", "sql": "DELETE FROM customers"}, 400, "SQL_REFUSED", "sql"),
        ({"question": "Who?", "sql": "SELECT * FROM pg_shadow"}, 400, "SQL_REFUSED", "sql"),
        ({"question": "Who?"}, 422, "REQUEST_INVALID", "sql"),
        ({"sql": "SELECT 1"}, 422, "REQUEST_INVALID", "question"),
        ({}, 422, "REQUEST_INVALID", "documentation"),
        ({**DDL, **DOCUMENTATION}, 422, "REQUEST_INVALID", "documentation"),
        ({"documentation": " \n"}, 422, "REQUEST_INVALID", "documentation"),
        ({"documentation": "a\x00b"}, 422, "REQUEST_INVALID", "documentation"),
        ({"documentation": "x" * 8_001}, 422, "REQUEST_INVALID", "documentation"),
        ({"documentation": "x", "note": "y"}, 422, "REQUEST_INVALID", "note"),
    ],
)
async def test_what_cannot_be_taught_is_refused_with_its_field(
    house: House, body: dict[str, Any], status: int, reason: str, field: str
) -> None:
    response = await house.post("/sql/training", body)

    assert (response.status_code, response.json()["reason"]) == (status, reason)
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize("training_id", ["x", "A" * 64, "a" * 63, "a" * 65, "%00", "queries"])
async def test_an_id_that_is_none_is_not_found(house: House, training_id: str) -> None:
    response = await house.client.get(f"/sql/training/{training_id}")

    assert (response.status_code, response.json()["reason"]) == (404, "TRAINING_NOT_FOUND")


async def test_whoever_lacks_the_role_gives_but_does_not_decide(guarded: House) -> None:
    added = (await ask(guarded, "ada", "POST", "/sql/training", DOCUMENTATION)).json()

    assert added["state"] == "PENDING"
    refused = await ask(guarded, "ada", "POST", f"/sql/training/{added['training_id']}/approve")
    assert (refused.status_code, refused.json()["reason"]) == (403, "TRAINER_ROLE_MISSING")
    assert "sql_trainer" in refused.json()["detail"]
    approved = await ask(guarded, "tim", "POST", f"/sql/training/{added['training_id']}/approve")
    assert (approved.json()["state"], approved.json()["decided_by"]) == ("APPROVED", "tim")
    kept = await ask(guarded, "ada", "DELETE", f"/sql/training/{added['training_id']}")
    assert (kept.status_code, kept.json()["reason"]) == (403, "TRAINER_ROLE_MISSING")


async def test_what_is_ones_own_and_pending_can_be_taken_back(guarded: House) -> None:
    added = (await ask(guarded, "ada", "POST", "/sql/training", EXAMPLE)).json()["training_id"]

    assert (await ask(guarded, "ada", "DELETE", f"/sql/training/{added}")).status_code == 204


async def test_tenants_see_and_touch_their_own_alone(guarded: House) -> None:
    added = (await ask(guarded, "tim", "POST", "/sql/training", DOCUMENTATION)).json()["training_id"]

    for method, path in (("GET", added), ("DELETE", added), ("POST", f"{added}/approve")):
        foreign = await ask(guarded, "eve", method, f"/sql/training/{path}")
        assert (foreign.status_code, foreign.json()["reason"]) == (404, "TRAINING_NOT_FOUND")
    assert (await ask(guarded, "eve", "GET", "/sql/training")).json()["training"] == []
    own = (await ask(guarded, "eve", "POST", "/sql/training", DOCUMENTATION)).json()["training_id"]
    assert own != added


async def test_where_everybody_is_let_in_nobody_decides() -> None:
    async with open_house(environment="production", allow_anonymous=True) as house:
        added = (await house.post("/sql/training", DOCUMENTATION)).json()
        refused = await house.client.post(f"/sql/training/{added['training_id']}/approve")

    assert added["state"] == "PENDING"
    assert refused.status_code == 403
