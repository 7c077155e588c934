"""The whole system with its production parts, each a server of this machine that speaks their wire format."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.aws_server import AwsAccount
from tests.contract.sql.vanna_generators import reply
from tests.e2e.running_system import RunningSystem, ask, problem
from tests.openai_replies import server_error
from tests.openai_server import OpenAiServer
from tests.otlp_collector import OtlpCollector
from tests.pinecone_server import PineconeServer
from tests.redis_server import RedisServer

BUCKET = "rag-cache-for-tests"
HOURS = "Core working hours are from 10 AM to 3 PM"
COUNT = "SELECT count(*) AS customer_count FROM customers"


def answered(request: dict[str, Any]) -> dict[str, Any]:
    """What a model would say: the one query it knows, or the one sentence it finds in the passages."""
    if request["response_format"]["json_schema"]["name"] == "query":
        return reply(COUNT, "Counts the customers.")
    for line in request["messages"][-1]["content"].splitlines():
        if line.startswith("{") and HOURS in line:
            quote = {"passage": json.loads(line)["passage"], "words": HOURS}
            return {"sentences": [{"quotes": [quote], "sentence": f"{HOURS}."}]}
    return {"sentences": []}


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as collector:
        yield collector


@pytest.fixture
def system(
    make_folder: Callable[[], Path],
    aws_account: AwsAccount,
    openai_server: OpenAiServer,
    pinecone: PineconeServer,
    redis_server: RedisServer,
    collector: OtlpCollector,
) -> Iterator[RunningSystem]:
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    openai_server.answer_by(answered)
    system = RunningSystem(
        make_folder() / "data",
        **aws_account.environment(),
        OPENAI_API_KEY=openai_server.api_key,
        OPENAI_BASE_URL=openai_server.base_url,
        PINECONE_API_KEY=pinecone.api_key,
        PINECONE_CONTROLLER_HOST=pinecone.url,
        REDIS_URL=redis_server.url,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        STORAGE_BACKEND="s3",
        S3_CACHE_BUCKET=BUCKET,
    )
    try:
        system.start()
        yield system
    finally:
        system.close()


@pytest.mark.timeout(240)
def test_the_production_parts_answer_together(
    system: RunningSystem, openai_server: OpenAiServer, pinecone: PineconeServer, collector: OtlpCollector
) -> None:
    info = system.client.get("/info").json()
    assert info["adapters"] == {
        "embedding_model": "text-embedding-3-small",
        "embedding_dimension": 1_536,
        "chunk_index": "pinecone",
        "answer_writer": "gpt-4o-mini",
        "sql_generator": "vanna",
        "file_store": "s3",
    }
    assert info["parts"]["gateway"] == {"traces": "otlp", "metrics": "otlp"}
    assert info["parts"]["rag"] == {"embedding_cache": "redis", "reranker": "off"}
    assert info["parts"]["sql"]["training"] == "pinecone"

    # The sample documents lie in the bucket by their content, and their chunks in the tenant's namespace.
    keys = [entry["Key"] for entry in boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    [handbook] = [key for key in keys if key.endswith("/original.docx")]
    extension, digest, _ = handbook.split("/")
    assert {f"{extension}/{digest}/{name}" for name in ("original.docx", "metadata.json", "chunks.json")} <= set(keys)
    assert pinecone.indexes["rag-documents"].namespaces["default"]

    documents = ask(system.client, "/query/documents", query="What are the core working hours?")
    assert documents["answer"] == f"{HOURS}."
    assert documents["sources"][0]["metadata"]["filename"] == "employee_handbook.docx"
    assert documents["usage"]["input_tokens"] > 0

    asked = ask(system.client, "/query/sql/generate", query="How many customers do we have?")
    run = system.client.post("/query/sql/execute", json={"query_id": asked["query_id"], "approved": True})
    assert run.json()["results"] == [{"customer_count": 100}]
    assert sum(map(len, pinecone.indexes["vanna-sql-training"].namespaces.values())) == 1

    # One trace goes from the request to the model, and tells what it took, never what was asked.
    spans = collector.wait_for(lambda seen: [span for span in seen.spans if span.name == "chat gpt-4o-mini"])
    [root] = collector.wait_for(
        lambda seen: [span for span in seen.spans if span.trace_id == spans[0].trace_id and not span.parent_id]
    )
    assert (root.service, spans[0].service) == ("gateway", "sql")
    assert spans[0].attributes["gen_ai.usage.input_tokens"] > 0
    assert collector.wait_for(lambda seen: seen.named("embeddings text-embedding-3-small"))
    assert not any("customers" in str(span.attributes) for span in collector.spans)

    # Known bytes reach no model, and a question asked again is not embedded again.
    embedded = len(openai_server.asked("/embeddings"))
    path = Path("deploy/sample/documents/employee_handbook.docx")
    again = system.client.post("/upload", files={"file": (path.name, path.read_bytes())}).json()
    ask(system.client, "/query/documents", query="What are the core working hours?")
    assert again["cache_hit"] is True
    assert len(openai_server.asked("/embeddings")) == embedded

    # A model that is away is told as such; SQL is still written, and says how.
    openai_server.fail(*[server_error(503)] * 12, path="/chat/completions")
    away = problem(system.client.post("/query/documents", json={"query": "What are the core working hours?"}), 503)
    assert away["reason"] == "ANSWER_MODEL_UNAVAILABLE"
    grounded = ask(system.client, "/query/sql/generate", query="How many customers do we have?")
    assert grounded["explanation"].startswith("The language model is not reachable")

    # No key is in any log.
    assert not any(secret in system.logs() for secret in (openai_server.api_key, pinecone.api_key))


def test_a_collector_that_is_no_address_stops_the_start(make_folder: Callable[[], Path]) -> None:
    system = RunningSystem(make_folder() / "data", OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318")
    process = system.launch()

    assert process.wait(60) == 2
    [refusal] = [line for line in system.console.splitlines() if "OTEL_EXPORTER_OTLP_ENDPOINT" in line]
    assert refusal.startswith("diglot: OTEL_EXPORTER_OTLP_ENDPOINT: ")
    system.close()
