import hashlib
from collections.abc import AsyncIterator

import pytest

from tests.contract.gateway.house import House, open_house, problem

ADA, BOB = "key-of-ada", "key-of-bob"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


KEYS = {
    digest(ADA): {"tenant": "acme", "subject": "ada", "roles": ["user"]},
    digest(BOB): {"tenant": "acme", "subject": "bob", "roles": ["user"]},
}


@pytest.fixture
async def locked() -> AsyncIterator[House]:
    async with open_house(identity="api_key", api_keys=KEYS, environment="production") as house:
        yield house


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {ADA}"}, {"authorization": f"bearer {ADA}"}, {"X-API-Key": ADA}]
)
async def test_a_known_key_lets_its_holder_in(locked: House, headers: dict[str, str]) -> None:
    response = await locked.client.post("/query/sql/generate", json={"query": "customers"}, headers=headers)

    assert response.status_code == 200
    assert [query.owner for query in locked.sql.queries.values()] == ["acme/ada"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {ADA}"},
        {"X-API-Key": digest(ADA)},
    ],
)
@pytest.mark.parametrize("path", ["/documents", "/info", "/stats", "/nope"])
async def test_a_stranger_is_refused(locked: House, headers: dict[str, str], path: str) -> None:
    response = await locked.client.get(path, headers=headers)

    problem(response, 401, "API_KEY_INVALID")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_that_is_unknown_is_told_from_none(locked: House) -> None:
    wrong = (await locked.client.get("/documents", headers={"X-API-Key": "wrong"})).json()
    none = (await locked.client.get("/documents")).json()

    assert wrong["detail"].startswith("The API key is unknown.")
    assert none["detail"].startswith("Send an API key")


async def test_a_key_of_odd_bytes_is_refused_not_choked_on(locked: House) -> None:
    response = await locked.client.get("/documents", headers={b"X-API-Key": b"\xff\xfe"})

    problem(response, 401, "API_KEY_INVALID")


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json"])
async def test_open_paths_need_no_key(locked: House, path: str) -> None:
    assert (await locked.client.get(path)).status_code == 200


async def test_one_holder_cannot_see_the_query_of_another(locked: House) -> None:
    made = await locked.client.post("/query/sql/generate", json={"query": "customers"}, headers={"X-API-Key": ADA})
    query_id = made.json()["query_id"]

    foreign = await locked.client.post(
        "/query/sql/execute", json={"query_id": query_id, "approved": True}, headers={"X-API-Key": BOB}
    )

    problem(foreign, 404, "QUERY_NOT_FOUND")


async def test_openapi_tells_how_to_send_a_key(locked: House) -> None:
    document = (await locked.client.get("/openapi.json")).json()

    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    assert "401" in document["paths"]["/query"]["post"]["responses"]
    assert "security" not in document["paths"]["/health"]["get"]
