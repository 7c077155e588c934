"""The production shape on this machine: functions in runtime processes, and no PostgreSQL but the one that is asked.

Jobs, documents and queries are in DynamoDB, files and large bodies in S3, chunks in Pinecone, embeddings in Upstash,
keys in Secrets Manager, and SQS tells of waiting jobs: each a server that speaks its wire format.
"""

import json
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from deploy.aws.create_tables import create_tables
from tests.aws_server import AwsAccount
from tests.e2e.function_url import FunctionUrl
from tests.e2e.running_system import ask, problem
from tests.e2e.test_production_parts import HOURS, answered
from tests.lambda_cluster import Function, LambdaCluster
from tests.openai_server import OpenAiServer
from tests.performance.upload_memory import padded_pdf
from tests.pinecone_server import Fault, PineconeServer
from tests.upstash_server import UpstashServer

BUCKET = "rag-cache-for-tests"
SECRET = "diglot-keys"
PREFIX = "diglot"
HANDBOOK = f"# Handbook\n\n## Remote work\n\n{HOURS}. Cameras stay on.\n\n## Leave\n\nEverybody has 15 days.\n"


@pytest.fixture
def queue_url(aws_account: AwsAccount) -> str:
    """Tables, bucket and queue, as the stack makes them."""
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    create_tables(PREFIX)
    url: str = boto3.client("sqs").create_queue(QueueName="diglot-ingest")["QueueUrl"]
    return url


@pytest.fixture
def cluster(
    aws_account: AwsAccount,
    queue_url: str,
    openai_server: OpenAiServer,
    pinecone: PineconeServer,
    upstash_server: UpstashServer,
    shop_url: str,
) -> Iterator[LambdaCluster]:
    openai_server.answer_by(answered)
    keys = {
        "internal": "k" * 48,
        "openai": openai_server.api_key,
        "pinecone": pinecone.api_key,
        "upstash": upstash_server.token,
        "database": shop_url,
    }
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps(keys))

    def secret(key: str) -> str:
        return f"secretsmanager:{SECRET}#{key}"

    shared = {
        **aws_account.environment(),
        "ENVIRONMENT": "test",
        "DIGLOT_INTERNAL_KEY": secret("internal"),
        "DIGLOT_CLAIM_CHECK_BUCKET": BUCKET,
    }
    models = {
        "OPENAI_API_KEY": secret("openai"),
        "OPENAI_BASE_URL": openai_server.base_url,
        "PINECONE_API_KEY": secret("pinecone"),
        "PINECONE_CONTROLLER_HOST": pinecone.url,
    }
    store = {"DIGLOT_STORE_URL": f"dynamodb://{PREFIX}"}
    functions = [
        Function(
            "diglot-gateway",
            "gateway.handler.handler",
            shared | {f"GATEWAY_{part.upper()}_TARGET": f"lambda:diglot-{part}" for part in PARTS},
            timeout_seconds=60,
        ),
        Function(
            "diglot-router",
            "services.router.handler.handler",
            shared | {"ROUTER_RAG_TARGET": "lambda:diglot-rag", "ROUTER_SQL_TARGET": "lambda:diglot-sql"},
        ),
        Function(
            "diglot-rag",
            "services.rag.handler.handler",
            shared | models | {"UPSTASH_REDIS_URL": upstash_server.url, "UPSTASH_REDIS_TOKEN": secret("upstash")},
        ),
        Function(
            "diglot-sql",
            "services.sql.handler.handler",
            shared
            | models
            | store
            | {
                "DATABASE_URL": secret("database"),
                "SQL_RAG_TARGET": "lambda:diglot-rag",
                "SQL_AUTO_APPROVE": "allowed",
            },
        ),
        Function(
            "diglot-ingest",
            "services.ingest.handler.handler",
            shared
            | store
            | {
                "INGEST_RAG_TARGET": "lambda:diglot-rag",
                "STORAGE_BACKEND": "s3",
                "S3_CACHE_BUCKET": BUCKET,
                "INGEST_QUEUE_URL": queue_url,
                "INGEST_BACKGROUND_WORK": "0",
            },
            timeout_seconds=60,
        ),
    ]
    with LambdaCluster(functions) as cluster:
        yield cluster


PARTS = ("router", "rag", "sql", "ingest")


@pytest.fixture
def client(cluster: LambdaCluster) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url="https://local.lambda-url.us-east-1.on.aws", transport=FunctionUrl(cluster, "diglot-gateway")
    ) as client:
        give_up = time.monotonic() + 90
        while (health := client.get("/health").json())["status"] != "healthy":
            assert time.monotonic() < give_up, health
            time.sleep(0.5)
        yield client


def upload(client: httpx.Client, text: str, name: str = "handbook.md") -> httpx.Response:
    return client.post("/upload", files={"file": (name, text.encode())})


def delivered(cluster: LambdaCluster, queue_url: str) -> dict[str, Any]:
    """What the function answers to the messages that wait, handed to it as Lambda's event source does."""
    sqs = boto3.client("sqs")
    messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=10).get("Messages", [])
    records = [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:diglot-ingest",
            "awsRegion": "us-east-1",
        }
        for message in messages
    ]
    assert records, "no message waits"
    result = cluster.invoke("diglot-ingest", json.dumps({"Records": records}).encode())
    assert result.error is None, result.payload
    answer: dict[str, Any] = json.loads(result.payload)
    return answer


@pytest.mark.timeout(240)
def test_documents_and_the_database_answer_without_a_store_in_postgresql(
    client: httpx.Client, cluster: LambdaCluster, openai_server: OpenAiServer, pinecone: PineconeServer
) -> None:
    info = client.get("/info").json()
    assert info["adapters"]["file_store"] == "s3"
    assert info["parts"]["rag"] == {"embedding_cache": "upstash", "reranker": "off"}
    assert info["parts"]["sql"] == {
        "query_store": "dynamodb",
        "model": "gpt-4o-mini",
        "target_role": "reads",
        "patterns_without_match": "none",
        "training": "pinecone",
        "document_terms": "rag",
    }
    assert (info["parts"]["ingest"]["job_store"], info["parts"]["ingest"]["queue"]) == ("dynamodb", "sqs")

    first, again = upload(client, HANDBOOK), upload(client, HANDBOOK, "copy.md")
    assert (first.status_code, again.status_code) == (201, 201), (first.text, again.text)
    assert (first.json()["cache_hit"], again.json()["cache_hit"]) == (False, True)
    documents = ask(client, "/query/documents", query="What are the core working hours?")
    assert documents["answer"] == f"{HOURS}."

    # A query is approved in one process and run once in another.
    asked = ask(client, "/query/sql/generate", query="How many customers do we have?")
    decision = {"query_id": asked["query_id"], "approved": True}
    assert cluster.kill("diglot-sql") >= 1
    run = client.post("/query/sql/execute", json=decision)
    assert run.json()["results"] == [{"customer_count": 100}], run.text
    assert problem(client.post("/query/sql/execute", json=decision), 409)["reason"] == "QUERY_STATE_CONFLICT"

    # What is deleted is gone: the record, the files in every version, the chunks.
    assert client.delete(f"/documents/{first.json()['document_id']}").status_code == 200
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="md/")
    assert not pinecone.indexes["rag-documents"].namespaces.get("default")
    assert ask(client, "/query/documents", query="What are the core working hours?")["status"] == "no_answer"
    assert openai_server.api_key not in "".join(cluster.logs(f"diglot-{part}") for part in PARTS)


@pytest.mark.timeout(240)
def test_a_job_that_cannot_be_finished_waits_in_the_queue_and_is_done_once(
    client: httpx.Client, cluster: LambdaCluster, queue_url: str, pinecone: PineconeServer
) -> None:
    pinecone.fail(Fault(path="/vectors/upsert", status=503))
    text = f"The lighthouse keeper of Skerry {uuid4().hex} is called Maud Finlay."
    refused = upload(client, text, "keeper.txt")
    assert problem(refused, 503)["reason"] == "INDEX_UNAVAILABLE"
    [waiting] = client.get("/jobs").json()["jobs"]
    assert waiting["state"] == "QUEUED"
    pinecone.heal()

    answer = delivered(cluster, queue_url)

    assert answer == {"batchItemFailures": []}
    job = client.get(f"/jobs/{waiting['job_id']}").json()
    assert job["state"] == "READY", job
    [document] = client.get("/documents").json()["documents"]
    assert document["filenames"] == ["keeper.txt"]
    stored = pinecone.indexes["rag-documents"].namespaces["default"]
    assert len(stored) == document["chunk_count"] == 1


@pytest.mark.timeout(240)
def test_a_file_past_what_the_functions_url_takes_goes_straight_to_the_bucket_and_back(
    client: httpx.Client, cluster: LambdaCluster, queue_url: str, pinecone: PineconeServer
) -> None:
    content = padded_pdf("Harwich", size_bytes=7_000_000)
    wanted = {"filename": "pier.pdf", "size_bytes": len(content), "sha256": sha256(content).hexdigest()}
    opened = client.post("/uploads", json=wanted).json()

    sent = httpx.request(opened["method"], opened["url"], content=content, headers=opened["headers"])
    completed = client.post(f"/uploads/{opened['upload_id']}/complete")
    again = client.post(f"/uploads/{opened['upload_id']}/complete")
    answer = delivered(cluster, queue_url)

    assert (sent.status_code, completed.status_code, answer) == (200, 202, {"batchItemFailures": []}), completed.text
    assert again.json()["job_id"] == completed.json()["job_id"]
    job = client.get(completed.headers["location"]).json()
    assert job["state"] == "READY", job
    link = client.get(f"/documents/{job['document_id']}/content")
    assert link.status_code == 307
    assert httpx.get(link.headers["location"]).content == content
    erased = client.delete(f"/documents/{job['document_id']}").json()
    assert (erased["verified"], erased["filenames"]) == (True, ["pier.pdf"])
    assert erased["chunk_count"] == erased["cache_entry_count"] >= 1
    assert not pinecone.indexes["rag-documents"].namespaces.get("default")
    left = [found["Key"] for found in boto3.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", ())]
    assert not [key for key in left if not key.startswith(("claims/", "tmp/"))]
