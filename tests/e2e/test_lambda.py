"""The same system over Lambda: Function URL events cross gateway, router, rag, sql and ingest in runtime processes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from deploy.local.databases import STORE_DATABASE, STORE_ROLES, provision_store
from deploy.local.embedded_postgres import EmbeddedPostgres
from deploy.local.settings import REPOSITORY
from tests.e2e.function_url import FunctionUrl
from tests.e2e.running_system import ask, problem
from tests.lambda_cluster import Function, LambdaCluster

PASSWORDS = dict.fromkeys(STORE_ROLES.values(), "only-for-tests")
CUSTOMERS = "How many customers do we have?"


def functions(stores: dict[str, str], shop_url: str, data_dir: str) -> list[Function]:
    shared = {"DIGLOT_INTERNAL_KEY": "k" * 48, "ENVIRONMENT": "test", "DIGLOT_CLAIM_CHECK_DIR": f"{data_dir}/claims"}
    callees = {f"GATEWAY_{name.upper()}_TARGET": f"lambda:diglot-{name}" for name in ("router", "rag", "sql", "ingest")}
    return [
        Function("diglot-gateway", "gateway.handler.handler", shared | callees, timeout_seconds=60),
        Function(
            "diglot-router",
            "services.router.handler.handler",
            shared | {"ROUTER_RAG_TARGET": "lambda:diglot-rag", "ROUTER_SQL_TARGET": "lambda:diglot-sql"},
        ),
        Function("diglot-rag", "services.rag.handler.handler", shared | {"DIGLOT_STORE_URL": stores["rag"]}),
        Function(
            "diglot-sql",
            "services.sql.handler.handler",
            shared | {"DIGLOT_STORE_URL": stores["sql"], "DATABASE_URL": shop_url, "SQL_AUTO_APPROVE": "allowed"},
        ),
        Function(
            "diglot-ingest",
            "services.ingest.handler.handler",
            shared
            | {
                "DIGLOT_STORE_URL": stores["ingest"],
                "INGEST_RAG_TARGET": "lambda:diglot-rag",
                "DIGLOT_DATA_DIR": data_dir,
            },
            timeout_seconds=60,
        ),
    ]


@pytest.fixture(scope="module")
def cluster(
    postgres_server: EmbeddedPostgres, shop_url: str, make_folder: Callable[[], Path]
) -> Iterator[LambdaCluster]:
    provision_store(postgres_server, PASSWORDS)
    stores = {name: postgres_server.url(STORE_DATABASE, role, PASSWORDS[role]) for name, role in STORE_ROLES.items()}
    with LambdaCluster(functions(stores, shop_url, str(make_folder()))) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: LambdaCluster) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url="https://local.lambda-url.us-east-1.on.aws", transport=FunctionUrl(cluster, "diglot-gateway")
    ) as client:
        # Parts are asked at the same time: the first look starts further processes, and does not wait for all of them.
        give_up = time.monotonic() + 60
        while (health := client.get("/health").json())["status"] != "healthy":
            assert time.monotonic() < give_up, health
            time.sleep(0.5)
        handbook = REPOSITORY / "deploy" / "sample" / "documents" / "employee_handbook.docx"
        reply = client.post("/upload", files={"file": (handbook.name, handbook.read_bytes())})
        assert reply.status_code == 201, reply.text
        yield client


def test_every_part_is_healthy(client: httpx.Client) -> None:
    body = client.get("/health").json()

    assert set(body["services"].values()) == {"healthy"}
    assert body["environment"] == "test"


def test_an_upload_goes_through_ingest_to_rag_and_known_bytes_do_not(
    cluster: LambdaCluster, client: httpx.Client
) -> None:
    text = f"The lighthouse keeper of Skerry {uuid4().hex} is called Maud Finlay.".encode()
    first = client.post("/upload", files={"file": ("keeper.txt", text)}).json()
    calls = cluster.invoke_count("diglot-rag")

    again = client.post("/upload", files={"file": ("keeper again.txt", text)}).json()

    assert (first["cache_hit"], again["cache_hit"]) == (False, True)
    assert again["document_id"] == first["document_id"]
    assert cluster.invoke_count("diglot-rag") == calls
    assert "Maud Finlay" in ask(client, "/query/documents", query="What is the lighthouse keeper called?")["answer"]
    assert client.delete(f"/documents/{first['document_id']}").status_code == 200


def test_a_question_to_both_sources_crosses_every_function(cluster: LambdaCluster, client: httpx.Client) -> None:
    before = {name: cluster.invoke_count(f"diglot-{name}") for name in ("router", "rag", "sql")}

    answer = ask(client, "/query", query="Show me total sales and explain our vacation policy", auto_approve_sql=True)

    assert answer["query_type"] == "HYBRID"
    assert [list(row.values()) for row in answer["sql_results"]["results"]] == [[19637.44]]
    assert "15" in answer["document_results"]["answer"]
    assert all(cluster.invoke_count(f"diglot-{name}") > count for name, count in before.items())


def test_a_query_is_approved_in_one_process_and_run_once_in_another(
    cluster: LambdaCluster, client: httpx.Client
) -> None:
    asked = ask(client, "/query", query=CUSTOMERS)
    assert asked["status"] == "pending_approval"
    decision = {"query_id": asked["query_id"], "approved": True}
    assert cluster.kill("diglot-sql") >= 1

    first = client.post("/query/sql/execute", json=decision)

    assert first.status_code == 200, first.text
    assert list(first.json()["results"][0].values()) == [100]
    assert problem(client.post("/query/sql/execute", json=decision), 409)["reason"] == "QUERY_STATE_CONFLICT"


def test_errors_cross_the_functions_as_they_are(client: httpx.Client) -> None:
    assert problem(client.post("/query", json={"query": ""}), 422)["errors"][0]["field"] == "query"
    unknown = problem(client.post("/query/sql/execute", json={"query_id": "unknown", "approved": True}), 404)
    assert unknown["reason"] == "QUERY_NOT_FOUND"
    broken = problem(client.post("/upload", files={"file": ("broken.pdf", b"%PDF-1.7 broken")}), 400)
    assert broken["errors"][0]["field"] == "file"
    problem(client.get("/documents/unknown"), 404)
    problem(client.put("/query"), 405)


def test_what_neither_source_knows_is_said_so(client: httpx.Client) -> None:
    answer = ask(client, "/query", query="Who won the football world cup in 1954?", auto_approve_sql=True)

    assert answer["status"] in ("no_answer", "needs_clarification")


def test_a_ping_keeps_the_gateway_warm(cluster: LambdaCluster) -> None:
    assert cluster.invoke("diglot-gateway", b'{"source": "aws.events"}').payload == b'{"status": "warm"}'
