"""What the system does when a part of it dies, when all of it dies, and when it is told to stop."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from deploy.local.data_folder import generated_secrets
from deploy.local.databases import STORE_DATABASE
from deploy.local.settings import REPOSITORY
from tests.e2e.running_system import RunningSystem, ask, free_port, gone, problem

CUSTOMERS = "How many customers do we have?"
REMOTE_WORK = "What are the remote work hours?"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def fragile(make_folder: Callable[[], Path]) -> Iterator[RunningSystem]:
    """A system to be broken; every test leaves it running."""
    system = RunningSystem(make_folder() / "Daten für Ü & Co.")
    try:
        system.start()
        yield system
    finally:
        system.close()


def unwell(client: httpx.Client) -> set[str]:
    body = client.get("/health").json()
    assert body["status"] == "degraded"
    return {name for name, state in body["services"].items() if state == "unhealthy"}


def refused_for_now(reply: httpx.Response) -> None:
    body = problem(reply, 503)
    assert body["reason"].endswith("UNAVAILABLE")
    assert int(reply.headers["retry-after"]) >= 1


def test_without_sql_the_documents_answer_on(fragile: RunningSystem) -> None:
    client = fragile.client
    with fragile.without("sql"):
        refused_for_now(client.post("/query/sql/generate", json={"query": CUSTOMERS}))
        refused_for_now(client.get("/query/sql/pending"))
        assert unwell(client) == {"sql_service"}
        assert "10 AM to 3 PM" in ask(client, "/query/documents", query=REMOTE_WORK)["answer"]
        assert client.get("/stats").json()["queries"] is None

    assert ask(client, "/query", query=CUSTOMERS, auto_approve_sql=True)["status"] == "success"


def test_without_rag_the_database_answers_on(fragile: RunningSystem) -> None:
    client = fragile.client
    with fragile.without("rag"):
        refused_for_now(client.post("/query/documents", json={"query": REMOTE_WORK}))
        refused_for_now(client.post("/upload", files={"file": ("new.txt", b"A text nobody has seen before.")}))
        assert unwell(client) >= {"rag_service", "embedding_service", "vector_service"}
        query = ask(client, "/query/sql/generate", query=CUSTOMERS)
        reply = client.post("/query/sql/execute", json={"query_id": query["query_id"], "approved": True})
        assert reply.status_code == 200

    assert ask(client, "/query/documents", query=REMOTE_WORK)["status"] == "success"


def test_without_ingest_questions_are_answered_on(fragile: RunningSystem) -> None:
    client = fragile.client
    with fragile.without("ingest"):
        refused_for_now(client.post("/upload", files={"file": ("new.txt", b"A text nobody has seen before.")}))
        refused_for_now(client.get("/documents"))
        assert unwell(client) == {"ingest_service"}
        assert ask(client, "/query/documents", query=REMOTE_WORK)["status"] == "success"
        assert ask(client, "/query", query=CUSTOMERS, auto_approve_sql=True)["status"] == "success"


def test_without_the_router_each_source_can_still_be_asked(fragile: RunningSystem) -> None:
    client = fragile.client
    with fragile.without("router"):
        refused_for_now(client.post("/query", json={"query": CUSTOMERS}))
        assert unwell(client) == {"router_service"}
        assert ask(client, "/query/documents", query=REMOTE_WORK)["status"] == "success"


def test_an_approval_survives_the_death_of_the_process_that_gave_it(fragile: RunningSystem) -> None:
    client = fragile.client
    query_id = ask(client, "/query/sql/generate", query=CUSTOMERS)["query_id"]
    with fragile.without("sql"):
        pass

    first = client.post("/query/sql/execute", json={"query_id": query_id, "approved": True})
    second = client.post("/query/sql/execute", json={"query_id": query_id, "approved": True})

    assert (first.status_code, second.status_code) == (200, 409)


def test_what_was_stored_survives_a_kill_of_every_process(fragile: RunningSystem) -> None:
    client = fragile.client
    document = client.post("/upload", files={"file": ("kept.txt", b"The harbour master is called Ottilie Brandt.")})
    query_id = ask(client, "/query/sql/generate", query=CUSTOMERS)["query_id"]
    family = [fragile.pid, *fragile.descendants()]

    fragile.kill_everything()
    assert gone(family)
    fragile.start()

    assert "Ottilie Brandt" in ask(client, "/query/documents", query="What is the harbour master called?")["answer"]
    again = client.post("/upload", files={"file": ("kept.txt", b"The harbour master is called Ottilie Brandt.")})
    assert again.json()["cache_hit"] is True
    assert again.json()["document_id"] == document.json()["document_id"]
    run = client.post("/query/sql/execute", json={"query_id": query_id, "approved": True})
    assert list(run.json()["results"][0].values()) == [100]


def test_a_kill_of_the_supervisor_takes_everything_with_it_and_the_next_start_is_clean(fragile: RunningSystem) -> None:
    family = [fragile.pid, *fragile.descendants()]
    fragile.kill_supervisor()

    fragile.start()  # At once: what is left of the killed run has to make way.

    assert gone(family)
    assert ask(fragile.client, "/query", query=CUSTOMERS, auto_approve_sql=True)["status"] == "success"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean_and_a_second_start_is_quick(fragile: RunningSystem, number: signal.Signals) -> None:
    family = fragile.descendants()
    run_folder = (fragile.data_dir / "run-folder").read_text().strip()

    assert fragile.stop(number) == 0

    assert gone(family, within_seconds=1)
    assert fragile.console.rstrip().endswith("diglot: stopped")
    assert not os.path.exists(run_folder)  # noqa: PTH110 (a string in a file)
    fragile.start()
    print(f"second start: healthy after {fragile.start_seconds:.1f} s")


def test_a_second_stop_signal_stops_at_once(fragile: RunningSystem) -> None:
    family = fragile.descendants()
    os.kill(fragile.pid_of("gateway"), signal.SIGSTOP)  # It cannot hear the first signal.

    os.kill(fragile.pid, signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    assert fragile.stop(signal.SIGINT) == 0

    assert time.monotonic() - began < 5
    assert gone(family)
    fragile.start()


def test_a_sample_document_that_was_deleted_stays_deleted(fragile: RunningSystem) -> None:
    client = fragile.client

    def names() -> set[str]:
        return {document["filename"] for document in client.get("/documents").json()["documents"]}

    document = next(d for d in client.get("/documents").json()["documents"] if d["filename"] == "customer_segments.md")
    client.delete(f"/documents/{document['document_id']}")
    fragile.stop()
    fragile.start()

    assert "customer_segments.md" not in names()
    assert "employee_handbook.docx" in names()
    content = (REPOSITORY / "deploy" / "sample" / "documents" / "customer_segments.md").read_bytes()
    assert client.post("/upload", files={"file": ("customer_segments.md", content)}).json()["cache_hit"] is False


def test_a_second_run_on_the_same_folder_is_told_who_holds_it(fragile: RunningSystem) -> None:
    rival = RunningSystem(fragile.data_dir)
    rival._console = fragile.data_dir.with_name("rival.console")

    code = rival.launch().wait(30)

    assert code == 1
    assert f"process {fragile.pid}, http://127.0.0.1:{fragile.port}" in rival.console
    assert "DIGLOT_DATA_DIR" in rival.console
    rival.close()


def test_a_port_in_use_is_told_by_the_settings_name(make_folder: Callable[[], Path]) -> None:
    system = RunningSystem(make_folder() / "data")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", system.port))
        holder.listen()

        assert system.launch().wait(30) == 2

    assert "DIGLOT_PORT" in system.console
    assert "Traceback" not in system.console
    system.close()


def test_another_database_is_asked_when_it_is_named_and_nothing_runs_unapproved(
    make_folder: Callable[[], Path], shop_url: str
) -> None:
    system = RunningSystem(make_folder() / "data", DATABASE_URL=shop_url, DIGLOT_SAMPLE="0")
    try:
        system.start()

        asked = ask(system.client, "/query", query=CUSTOMERS, auto_approve_sql=True)
        assert asked["status"] == "pending_approval"
        run = system.client.post("/query/sql/execute", json={"query_id": asked["query_id"], "approved": True})

        assert list(run.json()["results"][0].values()) == [100]
        assert system.client.get("/documents").json()["documents"] == []
        assert system.client.get("/info").json()["features"]["auto_approve_sql"] == "never"
    finally:
        system.close()


def test_an_empty_start_has_nothing_to_answer_from_and_says_so(make_folder: Callable[[], Path]) -> None:
    system = RunningSystem(make_folder() / "data", DIGLOT_SAMPLE="0")
    try:
        system.start()

        answer = ask(system.client, "/query", query=CUSTOMERS, auto_approve_sql=True)

        assert answer["status"] in ("no_answer", "needs_clarification")
        assert answer["query_type"] == "NONE"
        assert system.client.get("/documents").json()["documents"] == []
    finally:
        system.close()


def test_the_reader_of_the_sample_cannot_get_at_the_store(fragile: RunningSystem) -> None:
    part = fragile.parts()["sql"]
    assert generated_secrets(fragile.data_dir)["diglot_sql"] not in part.environment["DATABASE_URL"]

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(part.environment["DATABASE_URL"].replace("/shop", f"/{STORE_DATABASE}"))


def test_a_malformed_setting_ends_the_start_with_an_example(make_folder: Callable[[], Path]) -> None:
    system = RunningSystem(make_folder() / "data", DIGLOT_PORT=f"{free_port()}x")

    assert system.launch().wait(30) == 2

    assert "For example: DIGLOT_PORT=8000" in system.console
    system.close()
