"""The images as Lambda functions: Function URL events in, real SDK invokes between containers, and cold starts."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

import boto3
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.databases import STORE_DATABASE, STORE_ROLES, provision_store
from deploy.local.embedded_postgres import EmbeddedPostgres
from deploy.local.settings import REPOSITORY
from protos.rag.v1 import rag_service_pb2, rag_service_pb2_grpc
from services.transport.channels import open_channel
from services.transport.identity import Caller, acting_as
from services.transport.settings import TransportSettings
from tests.aws_server import AwsAccount
from tests.deploy.conftest import Record
from tests.deploy.docker import SERVICES
from tests.deploy.function_containers import FunctionContainer, UnhurriedContainer
from tests.e2e.function_url import FunctionUrl
from tests.e2e.running_system import ask, problem
from tests.lambda_cluster import Function, LambdaCluster
from tests.unit.ingest.image_files import pdf_with, rgb_image

pytestmark = pytest.mark.timeout(600)

PASSWORDS = dict.fromkeys(STORE_ROLES.values(), "only-for-tests")
_ALL = health_pb2.HealthCheckRequest()
CUSTOMERS = "How many customers do we have?"
KEY = "k" * 48
MEMORY_MB = {"gateway": 512, "router": 512, "rag": 1024, "sql": 1024, "ingest": 3008, "images": 3008}
BUCKET = "rag-cache-123456789012-us-east-1"


@pytest.fixture(scope="module")
def functions(postgres_server: EmbeddedPostgres, shop_url: str, aws_endpoint: str) -> dict[str, Function]:
    provision_store(postgres_server, PASSWORDS)
    stores = {name: postgres_server.url(STORE_DATABASE, role, PASSWORDS[role]) for name, role in STORE_ROLES.items()}
    sockets = Path(unquote(shop_url.partition("@")[2].partition("/")[0]))
    sockets.chmod(0o711)  # the containers' user is another
    account = AwsAccount(aws_endpoint).environment()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del account[name]  # the cluster has its own, or none
    boto3.client(
        "s3", endpoint_url=aws_endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    ).create_bucket(Bucket=BUCKET)
    shared = {
        **account,
        "DIGLOT_INTERNAL_KEY": KEY,
        "ENVIRONMENT": "test",
        "DIGLOT_CLAIM_CHECK_BUCKET": BUCKET,
        "SHARED_FOLDERS": str(sockets),
    }
    ingest = {
        "DIGLOT_STORE_URL": stores["ingest"],
        "INGEST_RAG_TARGET": "lambda:diglot-rag",
        "STORAGE_BACKEND": "s3",
        "S3_CACHE_BUCKET": BUCKET,
    }
    own = {
        "gateway": {f"GATEWAY_{name.upper()}_TARGET": f"lambda:diglot-{name}" for name in SERVICES[1:]},
        "router": {"ROUTER_RAG_TARGET": "lambda:diglot-rag", "ROUTER_SQL_TARGET": "lambda:diglot-sql"},
        "rag": {"DIGLOT_STORE_URL": stores["rag"]},
        "sql": {"DIGLOT_STORE_URL": stores["sql"], "DATABASE_URL": shop_url, "SQL_AUTO_APPROVE": "allowed"},
        "ingest": {**ingest, "INGEST_IMAGES_TARGET": "lambda:diglot-images"},
        "images": ingest,
    }
    return {
        name: Function(
            f"diglot-{name}", "(the image's own)", shared | own[name], timeout_seconds=60, memory_mb=MEMORY_MB[name],
            max_concurrency=2, queues=True,
        )
        for name in own
    }  # fmt: skip


@pytest.fixture(scope="module")
def cluster(functions: dict[str, Function]) -> Iterator[LambdaCluster]:
    with LambdaCluster(functions.values(), environment=FunctionContainer) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: LambdaCluster) -> Iterator[httpx.Client]:
    transport = FunctionUrl(cluster, "diglot-gateway")
    with httpx.Client(base_url="https://local.lambda-url.us-east-1.on.aws", transport=transport) as client:
        give_up = time.monotonic() + 120
        while (health := client.get("/health").json())["status"] != "healthy":
            assert time.monotonic() < give_up, health
            time.sleep(0.5)
        handbook = REPOSITORY / "deploy" / "sample" / "documents" / "employee_handbook.docx"
        reply = client.post("/upload", files={"file": (handbook.name, handbook.read_bytes())})
        assert reply.status_code == 201, reply.text
        yield client


def test_an_upload_is_answered_from_and_known_bytes_are_known(client: httpx.Client) -> None:
    text = f"The lighthouse keeper of Skerry {uuid4().hex} is called Maud Finlay.".encode()
    first = client.post("/upload", files={"file": ("keeper.txt", text)}).json()

    again = client.post("/upload", files={"file": ("keeper again.txt", text)}).json()

    assert (first["cache_hit"], again["cache_hit"]) == (False, True)
    assert "Maud Finlay" in ask(client, "/query/documents", query="What is the lighthouse keeper called?")["answer"]


def test_a_question_to_both_sources_crosses_every_container(client: httpx.Client) -> None:
    answer = ask(client, "/query", query="Show me total sales and explain our vacation policy", auto_approve_sql=True)

    assert answer["query_type"] == "HYBRID"
    assert [list(row.values()) for row in answer["sql_results"]["results"]] == [[19637.44]]
    assert "15" in answer["document_results"]["answer"]


def test_a_query_is_approved_in_one_container_and_run_once_in_another(
    cluster: LambdaCluster, client: httpx.Client
) -> None:
    decision = {"query_id": ask(client, "/query", query=CUSTOMERS)["query_id"], "approved": True}
    assert cluster.kill("diglot-sql") >= 1

    first = client.post("/query/sql/execute", json=decision)

    assert first.status_code == 200, first.text
    assert list(first.json()["results"][0].values()) == [100]
    assert problem(client.post("/query/sql/execute", json=decision), 409)["reason"] == "QUERY_STATE_CONFLICT"


def test_a_file_of_each_kind_is_read_in_its_image(client: httpx.Client) -> None:
    documents = sorted((REPOSITORY / "deploy" / "sample" / "documents").iterdir())

    statuses = {
        path.name: client.post("/upload", files={"file": (path.name, path.read_bytes())}).status_code
        for path in documents
    }

    assert set(statuses.values()) == {201}, statuses


def test_images_are_taken_out_of_a_pdf_in_a_function_of_its_own(cluster: LambdaCluster, client: httpx.Client) -> None:
    pdf = pdf_with([0], images=[rgb_image(40, 30)])

    document = client.post("/upload", files={"file": ("pictures.pdf", pdf)}).json()["document_id"]

    give_up = time.monotonic() + 60
    while not (images := client.get(f"/documents/{document}/images").json()["images"]):
        assert time.monotonic() < give_up, cluster.logs("diglot-images")
        time.sleep(0.5)
    assert client.get(images[0]["url"]).content.startswith(b"\x89PNG")
    assert cluster.invoke_count("diglot-images") >= 1


def test_a_file_as_large_as_a_function_url_takes_is_read(client: httpx.Client) -> None:
    line = "Row {number} of the inventory lists a brass lantern without a wick.\n"
    text = "".join(line.format(number=number) for number in range(300)).encode()
    padding = b" " * (4_200_000 - len(text))  # 4.5 MB of bytes, as base64 and in an event, are 6

    reply = client.post("/upload", files={"file": ("inventory.txt", text + padding)})

    assert reply.status_code == 201, reply.text
    assert reply.json()["storage_backend"] == "s3"
    assert client.delete(f"/documents/{reply.json()['document_id']}").status_code == 200


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", [FunctionContainer, UnhurriedContainer], ids=["its share", "whole machine"])
def test_a_cold_start_is_measured(
    service: str,
    kind: type[FunctionContainer],
    functions: dict[str, Function],
    record: Record,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with LambdaCluster([functions[service]], environment=kind) as cluster:
        (environment,) = cluster._idle[f"diglot-{service}"]
        assert isinstance(environment, kind)
        initialisation = environment.initialisation_seconds()
        for name, value in cluster.caller_environment().items():
            monkeypatch.setenv(name, value)
        began = time.monotonic()

        if service == "gateway":
            with httpx.Client(base_url="https://x", transport=FunctionUrl(cluster, "diglot-gateway")) as client:
                assert problem(client.post("/query", json={"query": ""}), 422)["reason"]
        else:
            asyncio.run(_serving(f"lambda:diglot-{service}"))

        first_event = time.monotonic() - began
    processors = "share" if kind is FunctionContainer else "whole"
    record(
        "cold_start_seconds",
        f"{service}, {processors}",
        {
            "memory_mb": MEMORY_MB[service],
            "initialisation": round(initialisation, 2),
            "first_event": round(first_event, 2),
        },
    )
    assert initialisation > 0


async def _serving(target: str) -> None:
    """Wait until the service and what it holds, its store and its model, are well: first events have opened them."""
    settings = TransportSettings(internal_key=KEY, call_timeout_seconds=60)
    give_up = time.monotonic() + 60
    with acting_as(Caller("default", "test", frozenset({"user"}))):
        async with open_channel(target, settings) as channel:
            if target.endswith("rag"):  # its model loads for seconds, which a health check does not wait for
                texts = rag_service_pb2.EmbedTextsRequest(texts=["How many vacation days do we get?"])
                await rag_service_pb2_grpc.RagServiceStub(channel).EmbedTexts(texts, timeout=60)
            health = health_pb2_grpc.HealthStub(channel)
            while (await health.Check(_ALL, timeout=60)).status != health_pb2.HealthCheckResponse.SERVING:
                assert time.monotonic() < give_up, f"{target} is not well"
