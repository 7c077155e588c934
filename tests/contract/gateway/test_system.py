import re
import tomllib
from pathlib import Path

import grpc
import pytest

from gateway.version import VERSION
from services.transport.errors import RemoteFailure
from tests.contract.gateway.house import House, open_house, problem
from tests.fakes.servicers import failure

PARTS = {"embedding_service", "vector_service", "rag_service", "sql_service", "ingest_service", "router_service"}


async def test_health_names_every_part(house: House) -> None:
    body = (await house.client.get("/health")).json()

    assert set(body) == {"status", "timestamp", "environment", "version", "services"}
    assert body["status"] == "healthy"
    assert body["environment"] == "test"
    assert body["services"] == dict.fromkeys(PARTS, "healthy")


@pytest.mark.parametrize(
    ("stopped", "unhealthy"),
    [
        ("sql", {"sql_service"}),
        ("ingest", {"ingest_service"}),
        ("router", {"router_service"}),
        ("rag", {"rag_service", "embedding_service", "vector_service"}),
    ],
)
async def test_a_stopped_service_is_unhealthy_and_the_reply_still_200(
    house: House, stopped: str, unhealthy: set[str]
) -> None:
    await house.stop(stopped)

    response = await house.client.get("/health")

    body = response.json()
    assert response.status_code == 200
    assert body["status"] == "degraded"
    assert {name for name, state in body["services"].items() if state == "unhealthy"} == unhealthy


async def test_a_broken_embedder_is_told_from_the_rag_service(house: House) -> None:
    house.rag.faults.unhealthy.add("embedder")

    body = (await house.client.get("/health")).json()

    assert body["services"]["embedding_service"] == "unhealthy"
    assert body["services"]["vector_service"] == body["services"]["rag_service"] == "healthy"


async def test_info_names_what_is_in_use(house: House) -> None:
    body = (await house.client.get("/info")).json()

    assert (body["name"], body["version"]) == ("Diglot", VERSION)
    assert body["adapters"]["chunk_index"] == "memory"
    assert body["adapters"]["sql_generator"] == "grounded"
    assert body["limits"]["served_extensions"] == [".md", ".txt"]


async def test_stats_count_what_each_service_holds(house: House) -> None:
    await house.upload(b"some text")

    body = (await house.client.get("/stats")).json()

    assert body["status"] == "success"
    assert body["documents"]["document_count"] == 1
    assert body["index"]["chunk_count"] == 1
    assert body["queries"]["table_count"] == 4


async def test_info_and_stats_go_on_without_a_service(house: House) -> None:
    await house.stop("sql")

    stats, info = await house.client.get("/stats"), await house.client.get("/info")

    assert (stats.status_code, info.status_code) == (200, 200)
    assert stats.json()["status"] == "degraded"
    assert stats.json()["queries"] is None
    assert info.json()["adapters"]["sql_generator"] is None


@pytest.mark.parametrize(
    ("stopped", "path", "body", "reason"),
    [
        ("rag", "/query/documents", {"query": "hours"}, "RAG_SERVICE_UNAVAILABLE"),
        ("router", "/query", {"query": "hours"}, "ROUTER_SERVICE_UNAVAILABLE"),
        ("sql", "/query/sql/generate", {"query": "customers"}, "SQL_SERVICE_UNAVAILABLE"),
        ("sql", "/query/sql/execute", {"query_id": "q1", "approved": True}, "SQL_SERVICE_UNAVAILABLE"),
        ("sql", "/query", {"query": "How many customers?"}, "SOURCE_UNAVAILABLE"),
    ],
)
async def test_a_stopped_service_is_a_503_with_its_reason(
    house: House, stopped: str, path: str, body: dict[str, object], reason: str
) -> None:
    await house.stop(stopped)

    problem(await house.post(path, body), 503, reason)


async def test_the_rest_keeps_working_without_the_ingest_service(house: House) -> None:
    await house.stop("ingest")

    problem(await house.upload(b"text"), 503, "INGEST_SERVICE_UNAVAILABLE")
    problem(await house.client.get("/documents"), 503, "INGEST_SERVICE_UNAVAILABLE")
    assert (await house.post("/query/documents", {"query": "remote work hours"})).status_code == 200


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400),
        (grpc.StatusCode.FAILED_PRECONDITION, 400),
        (grpc.StatusCode.OUT_OF_RANGE, 400),
        (grpc.StatusCode.PERMISSION_DENIED, 403),
        (grpc.StatusCode.NOT_FOUND, 404),
        (grpc.StatusCode.ALREADY_EXISTS, 409),
        (grpc.StatusCode.ABORTED, 409),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
        (grpc.StatusCode.UNIMPLEMENTED, 501),
        (grpc.StatusCode.UNAVAILABLE, 503),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504),
        (grpc.StatusCode.INTERNAL, 500),
        (grpc.StatusCode.DATA_LOSS, 500),
        (grpc.StatusCode.UNAUTHENTICATED, 500),
    ],
)
async def test_a_services_error_keeps_its_reason_and_gets_its_status(
    house: House, code: grpc.StatusCode, status: int
) -> None:
    house.rag.faults.failure = failure(code, "SOME_REASON", "In words.", domain="rag.diglot", metadata={"a": "b"})

    body = problem(await house.post("/query/documents", {"query": "hours"}), status, "SOME_REASON")

    assert body["detail"] == "In words."
    assert body["metadata"] == {"a": "b"}


async def test_a_known_wait_is_told_rounded_up(house: House) -> None:
    house.rag.faults.failure = failure(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "BUSY", domain="rag.diglot", retry_after_seconds=6.2
    )

    response = await house.post("/query/documents", {"query": "hours"})

    assert response.headers["retry-after"] == "7"


async def test_field_names_of_a_call_become_those_of_the_request(house: House) -> None:
    refused: RemoteFailure = failure(
        grpc.StatusCode.INVALID_ARGUMENT, "QUESTION_INVALID", domain="rag.diglot", fields={"question": "No."}
    )
    house.rag.faults.failure = refused

    problem(await house.post("/query/documents", {"query": "hours"}), 400, "QUESTION_INVALID", "query")


@pytest.mark.parametrize("path", ["/", "/nope", "/documents/", "/query/sql", "/redoc"])
async def test_an_unknown_path_is_a_problem(house: House, path: str) -> None:
    problem(await house.client.get(path), 404, "PATH_UNKNOWN")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/query", "POST"),
        ("PUT", "/health", "GET"),
        ("POST", f"/documents/{'a' * 64}", "DELETE, GET"),
        ("PATCH", "/upload", "POST"),
        ("DELETE", "/query/sql/pending", "GET"),
        ("GET", "/query/sql/execute", "POST"),
        ("OPTIONS", "/query/sql/generate", "POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(house: House, method: str, path: str, allowed: str) -> None:
    response = await house.client.request(method, path)

    problem(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == allowed


async def test_docs_and_openapi_are_served(house: House) -> None:
    docs, openapi = await house.client.get("/docs"), await house.client.get("/openapi.json")

    assert "swagger" in docs.text.lower()
    assert openapi.json()["info"]["title"] == "Diglot"


async def test_docs_need_nothing_from_elsewhere(house: House) -> None:
    docs = await house.client.get("/docs")

    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", docs.text)
    assert addresses
    assert all(address.startswith(("/", "data:")) for address in addresses)
    for address in addresses:
        if address.startswith("/"):
            asset = await house.client.get(address)
            assert asset.status_code == 200
            assert len(asset.content) > 10_000
    assert "http" not in docs.headers["content-security-policy"]


async def test_every_error_in_openapi_is_a_problem(house: House) -> None:
    document = (await house.client.get("/openapi.json")).json()

    for operations in document["paths"].values():
        for operation in operations.values():
            errors = {status: entry for status, entry in operation["responses"].items() if status >= "400"}
            assert "500" in errors
            assert all(list(entry["content"]) == ["application/problem+json"] for entry in errors.values())
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_openapi_tells_the_refusals_made_around_every_route(house: House) -> None:
    paths = (await house.client.get("/openapi.json")).json()["paths"]

    assert all("403" in operation["responses"] for path in paths.values() for operation in path.values())
    assert {path for path, each in paths.items() if "408" in each.get("post", {}).get("responses", {})} == {
        path for path, each in paths.items() if "requestBody" in each.get("post", {})
    }


async def test_a_sane_request_id_is_kept_and_another_is_replaced(house: House) -> None:
    kept = await house.client.get("/health", headers={"X-Request-ID": "order-66"})
    replaced = await house.client.get("/health", headers={"X-Request-ID": "no good\tid"})

    assert kept.headers["x-request-id"] == "order-66"
    assert replaced.headers["x-request-id"] != "no good\tid"
    assert len(replaced.headers["x-request-id"]) == 32


async def test_replies_carry_security_headers(house: House) -> None:
    for path in ("/health", "/nope", "/docs"):
        headers = (await house.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


async def test_an_unexpected_error_is_a_problem_with_a_fixed_text(house: House) -> None:
    house.app.state.callees = None

    body = problem(await house.post("/query/documents", {"query": "hours"}), 500, "UNEXPECTED")

    assert "NoneType" not in str(body)


async def test_only_known_origins_may_read_from_a_browser() -> None:
    async with open_house(allowed_origins="https://app.example, https://b.example") as house:
        known = await house.client.get("/health", headers={"Origin": "https://b.example"})
        unknown = await house.client.get("/health", headers={"Origin": "https://evil.example"})

    assert known.headers["access-control-allow-origin"] == "https://b.example"
    assert "access-control-allow-origin" not in unknown.headers


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["version"] == VERSION


async def test_info_tells_the_policy_by_cost_and_the_cost(house: House) -> None:
    house.sql.policy = "cost_below"

    features = (await house.client.get("/info")).json()["features"]

    assert (features["auto_approve_sql"], features["auto_approve_sql_cost"]) == ("cost_below", 250)
