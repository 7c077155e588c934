"""The cluster as `make up` starts it: asked, hardened, and with its parts killed under load."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.cluster import Cluster
from tests.deploy.conftest import Record
from tests.deploy.docker import docker, inspect
from tests.deploy.load import Load, Upload
from tests.e2e.running_system import ask, problem

CUSTOMERS = "How many customers do we have?"
SERVICES = ("gateway", "router", "rag", "sql", "ingest")
STORES = ("postgres", "redis", "aws")
# What a caller must be able to go on doing while a part is dead.
STILL_GRANTED = {
    "gateway": set[str](),
    "router": {"documents", "upload"},
    "rag": {"query"},
    "sql": {"documents", "upload"},
    "ingest": {"documents", "query"},
    "postgres": set[str](),
    "redis": {"documents", "query", "upload"},
    "aws": {"documents", "query"},
}
EVERYTHING = {"documents", "query", "upload"}

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def cluster(make_folder: Callable[[], Path]) -> Iterator[Cluster]:
    cluster = Cluster(make_folder())
    try:
        greeting = cluster.up()
        assert f"Diglot is up at {cluster.url}" in greeting
        yield cluster
    finally:
        cluster.down()


def test_a_question_to_both_sources_is_answered_from_the_sample(cluster: Cluster) -> None:
    question = "Show me total sales and explain our vacation policy"
    answer = ask(cluster.client, "/query", query=question, auto_approve_sql=True)

    assert answer["query_type"] == "HYBRID"
    assert [list(row.values()) for row in answer["sql_results"]["results"]] == [[19637.44]]
    assert "15" in answer["document_results"]["answer"]


def test_files_are_kept_in_the_bucket(cluster: Cluster) -> None:
    reply = cluster.client.post("/upload", files={"file": ("kept.txt", b"The harbour master is Ottilie Brandt.")})

    assert (reply.status_code, reply.json()["storage_backend"]) == (201, "s3")


@pytest.mark.parametrize("service", [*SERVICES, *STORES])
def test_every_container_is_held_to_what_it_needs(cluster: Cluster, service: str) -> None:
    container = inspect(cluster.container(service), "container")
    host = container["HostConfig"]

    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["NanoCpus"] > 0
    assert host["PidsLimit"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert container["Config"]["User"] not in ("", "0", "root")
    assert container["State"]["Health"]["Status"] == "healthy"


def test_the_gateway_alone_is_reached_and_from_this_machine_alone(cluster: Cluster) -> None:
    published = {
        service: [binding["HostIp"] for bindings in ports.values() for binding in bindings or []]
        for service in (*SERVICES, *STORES)
        if (ports := inspect(cluster.container(service), "container")["NetworkSettings"]["Ports"])
    }

    assert {service: hosts for service, hosts in published.items() if hosts} == {"gateway": ["127.0.0.1"]}


def test_the_stores_reach_nothing_outside(cluster: Cluster) -> None:
    for service in STORES:
        networks = inspect(cluster.container(service), "container")["NetworkSettings"]["Networks"]
        assert [inspect(name, "network")["Internal"] for name in networks] == [True]


def test_a_service_that_ends_is_started_again(cluster: Cluster) -> None:
    before = cluster.restarts("router")

    docker("exec", cluster.container("router"), "python3", "-c", "import os; os.kill(1, 15)")

    give_up = time.monotonic() + 60
    while cluster.restarts("router") == before:
        assert time.monotonic() < give_up
        time.sleep(0.25)
    cluster.wait_healthy()


@pytest.mark.parametrize("victim", [*SERVICES, *STORES])
def test_a_killed_part_is_told_survived_and_mended(cluster: Cluster, victim: str, record: Record) -> None:
    client = cluster.client
    query_ids = [ask(client, "/query/sql/generate", query=CUSTOMERS)["query_id"] for _ in range(3)]
    with Load(cluster.url, query_ids) as load:
        load.wait_for_successes(EVERYTHING)
        with cluster.without(victim):
            load.wait_for_successes(STILL_GRANTED[victim])
            _wait_for_calls(load, 24)
            began = time.monotonic()
        load.wait_for_successes(EVERYTHING)
        record("seconds_from_start_to_all_well", victim, round(time.monotonic() - began, 1))

    _refused_properly(load, victim)
    missed = EVERYTHING - STILL_GRANTED[victim]
    refused = {outcome.kind for outcome in load.outcomes if outcome.refused_for_now or outcome.error}
    assert missed <= refused, f"nobody has noticed that {victim} was dead"
    assert all(statuses.count(200) <= 1 for statuses in load.runs.values()), load.runs
    states = [client.get(f"/query/sql/{query_id}").json()["state"] for query_id in query_ids]
    assert set(states) <= {"EXECUTED", "FAILED"}, states
    _nothing_lost_or_doubled(client, load.uploads)


@pytest.mark.parametrize("victim", ["ingest", "rag", "postgres", "aws"])
def test_a_document_in_the_making_is_finished_once_whatever_died(cluster: Cluster, victim: str) -> None:
    client, name = cluster.client, f"long {victim}.txt"
    text = "".join(f"Room {number} of the {victim} archive holds {number * 7} maps.\n\n" for number in range(2_000))
    chunks_before = client.get("/stats").json()["index"]["chunk_count"]
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(client.post, "/upload", files={"file": (name, text.encode())})
        _wait_for(lambda: _job_of(client, name).get("state") == "INDEXING", cluster)

        with cluster.without(victim):
            time.sleep(2)

        assert upload.result().status_code in (201, 202, 503)
    _wait_for(lambda: _job_of(client, name).get("state") == "READY", cluster)
    documents = [d for d in _all_documents(client) if d["filename"] == name]
    assert len(documents) == 1
    assert documents[0]["chunk_count"] >= 100
    assert client.get("/stats").json()["index"]["chunk_count"] == chunks_before + documents[0]["chunk_count"]
    answer = ask(client, "/query/documents", query=f"How many maps does room 1999 of the {victim} archive hold?")
    assert "13993" in answer["answer"]


def _job_of(client: httpx.Client, name: str) -> dict[str, Any]:
    """The newest job for a file of that name; empty when there is none, or nobody can say."""
    reply = client.get("/jobs", params={"page_size": 50})
    jobs: list[dict[str, Any]] = reply.json().get("jobs", []) if reply.status_code == 200 else []
    return next((job for job in jobs if job["filename"] == name), {})


def _wait_for(happened: Callable[[], bool], cluster: Cluster) -> None:
    give_up = time.monotonic() + 180
    while not happened():
        assert time.monotonic() < give_up, cluster.logs()
        time.sleep(0.2)


def _wait_for_calls(load: Load, count: int) -> None:
    """Let so many calls end while the part is dead."""
    give_up, enough = time.monotonic() + 120, len(load.outcomes) + count
    while len(load.outcomes) < enough:
        assert time.monotonic() < give_up, f"callers hang: {load.outcomes[-8:]}"
        time.sleep(0.1)


def _refused_properly(load: Load, victim: str) -> None:
    """Every call was granted, or refused for now as the contract has it; a dead gateway cannot say even that."""
    granted = {200, 201, 202} | {409}  # 409: a query that has had its run
    odd = [o for o in load.outcomes if o.status not in granted and not o.refused_for_now]
    if victim == "gateway":
        odd = [o for o in odd if o.error not in ("ConnectError", "RemoteProtocolError", "ReadError")]
    assert odd == [], Counter(odd)


def _nothing_lost_or_doubled(client: httpx.Client, uploads: list[Upload]) -> None:
    """What was taken is there once; what was not can be sent again, and is there once then."""
    for upload in uploads:
        again = client.post("/upload", files={"file": (upload.name, upload.content)})
        assert again.status_code in (200, 201), again.text
        assert again.json()["cache_hit"] or not upload.taken, f"{upload.name} was taken, and is lost"
    listed = _all_documents(client)
    names = Counter(document["filename"] for document in listed)
    assert {upload.name for upload in uploads} <= set(names)
    assert [name for name, count in names.items() if count > 1] == []
    stats = client.get("/stats").json()
    assert stats["documents"]["document_count"] == len(listed)
    assert stats["index"]["chunk_count"] == sum(document["chunk_count"] for document in listed)


def _all_documents(client: httpx.Client) -> list[dict[str, Any]]:
    listed, token = list[dict[str, Any]](), ""
    while True:
        page = client.get("/documents", params={"page_size": 200, "page_token": token}).json()
        listed += page["documents"]
        token = page.get("next_page_token") or ""
        if not token:
            return listed


def test_known_documents_and_decisions_survive_a_kill_of_everything(cluster: Cluster) -> None:
    client = cluster.client
    text = b"The lock keeper of Fosse is called Hanna Vries."
    document = client.post("/upload", files={"file": ("lock.txt", text)}).json()
    query_id = ask(client, "/query/sql/generate", query=CUSTOMERS)["query_id"]

    for service in (*SERVICES, *STORES):
        cluster.kill(service)
    for service in (*STORES, *SERVICES):
        cluster.start(service)
    cluster.wait_healthy()

    assert "Hanna Vries" in ask(client, "/query/documents", query="What is the lock keeper of Fosse called?")["answer"]
    again = client.post("/upload", files={"file": ("lock.txt", text)}).json()
    assert (again["cache_hit"], again["document_id"]) == (True, document["document_id"])
    decision = {"query_id": query_id, "approved": True}
    assert client.post("/query/sql/execute", json=decision).status_code == 200
    assert problem(client.post("/query/sql/execute", json=decision), 409)["reason"] == "QUERY_STATE_CONFLICT"
