import grpc
import pytest

from tests.contract.gateway.house import House, problem
from tests.fakes.servicers import failure


async def test_the_schema_is_told_table_by_table(house: House) -> None:
    body = (await house.client.get("/sql/schema")).json()

    shop, towns = body["tables"]
    assert (body["fingerprint"], body["synced_at"]) == ("f" * 64, "2025-11-21T04:40:00Z")
    assert (shop["name"], shop["comment"], shop["estimated_row_count"]) == ("public.shop", "One row a shop", 12)
    assert shop["primary_key"] == ["id"]
    assert shop["foreign_keys"] == [
        {"columns": ["id"], "referenced_table": "public.owners", "referenced_columns": ["id"]}
    ]
    assert shop["columns"][0] == {
        "name": "id",
        "type": "int4",
        "comment": "",
        "nullable": False,
        "sample_values": [],
    }
    assert shop["columns"][1]["sample_values"] == ["Bern", "Oslo"]
    assert (towns["name"], towns["estimated_row_count"], towns["foreign_keys"]) == ("public.towns", None, [])


async def test_a_sync_says_whether_anything_changed(house: House) -> None:
    first, second = [(await house.client.post("/sql/schema/sync")).json() for _ in range(2)]

    assert (first["changed"], second["changed"]) == (True, False)
    assert (first["table_count"], first["fingerprint"]) == (1, "f" * 64)
    assert first["execution_time_ms"] >= 0


@pytest.mark.parametrize(("method", "path"), [("GET", "/sql/schema"), ("POST", "/sql/schema/sync")])
async def test_a_database_that_is_away_is_told_with_when_to_come_back(house: House, method: str, path: str) -> None:
    house.sql.faults.failure = failure(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE", domain="sql.diglot")

    problem(await house.client.request(method, path), 503, "DATABASE_UNAVAILABLE")


async def test_other_methods_are_refused_and_told_which_there_are(house: House) -> None:
    assert (await house.client.get("/sql/schema/sync")).headers["allow"] == "POST"
    assert (await house.client.post("/sql/schema")).headers["allow"] == "GET"
    assert (await house.client.post("/sql/audit")).headers["allow"] == "GET"


CALLS_WITHOUT_FIELDS = ["/sql/schema/sync", f"/sql/training/{'a' * 64}/approve"]


@pytest.mark.parametrize("path", CALLS_WITHOUT_FIELDS)
@pytest.mark.parametrize(
    ("content", "media_type", "status", "reason", "field"),
    [
        (b'{"force": true}', "application/json", 422, "REQUEST_INVALID", "force"),
        (b"[1]", "application/json", 422, "REQUEST_INVALID", "body"),
        (b"nonsense", "application/json", 400, "JSON_INVALID", "body"),
        (b" ", "application/json", 400, "JSON_INVALID", "body"),
        (b"force=true", "application/x-www-form-urlencoded", 415, "MEDIA_TYPE_UNSUPPORTED", "Content-Type"),
    ],
)
async def test_a_call_without_fields_refuses_a_body_that_says_something(
    house: House, path: str, content: bytes, media_type: str, status: int, reason: str, field: str
) -> None:
    response = await house.client.post(path, content=content, headers={"Content-Type": media_type})

    problem(response, status, reason, field)


@pytest.mark.parametrize(
    ("content", "media_type"), [(b"", "application/x-www-form-urlencoded"), (b"{}", "application/json")]
)
async def test_a_call_without_fields_takes_a_body_that_says_nothing(
    house: House, content: bytes, media_type: str
) -> None:
    headers = {"Content-Type": media_type}

    synced = await house.client.post("/sql/schema/sync", content=content, headers=headers)
    unknown = await house.client.post(CALLS_WITHOUT_FIELDS[1], content=content, headers=headers)

    assert synced.status_code == 200
    problem(unknown, 404, "TRAINING_NOT_FOUND")
