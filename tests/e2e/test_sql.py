"""Questions to the database through REST: run at once, after approval, once only, or not at all."""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.running_system import RunningSystem, ask, problem

CUSTOMERS = "How many customers do we have?"


def generate(client: httpx.Client, question: str = CUSTOMERS) -> str:
    answer = ask(client, "/query/sql/generate", query=question)
    assert answer["status"] == "pending_approval"
    query_id: str = answer["query_id"]
    return query_id


def execute(client: httpx.Client, query_id: str, *, approved: bool = True, **more: object) -> httpx.Response:
    return client.post("/query/sql/execute", json={"query_id": query_id, "approved": approved, **more})


def only_value(rows: list[dict[str, object]]) -> object:
    assert len(rows) == 1
    return next(iter(rows[0].values()))


@pytest.mark.parametrize(("table", "count"), [("customers", 100), ("products", 200), ("orders", 50)])
def test_a_count_runs_at_once_when_it_may(client: httpx.Client, table: str, count: int) -> None:
    answer = ask(client, "/query", query=f"How many {table} do we have?", auto_approve_sql=True)

    assert answer["status"] == "success"
    assert answer["query_type"] == "SQL"
    assert answer["routing"]["route"] == "SQL"
    assert only_value(answer["results"]) == count
    assert answer["row_count"] == 1
    assert answer["truncated"] is False
    assert [set(column) for column in answer["columns"]] == [{"name", "type"}]
    assert answer["explanation"]
    assert "select" in answer["sql_generated"].lower()


def test_without_leave_nothing_runs_until_it_is_approved_and_then_once(client: httpx.Client) -> None:
    asked = ask(client, "/query", query=CUSTOMERS)
    assert asked["status"] == "pending_approval"
    assert not asked.get("results")

    done = execute(client, asked["query_id"])

    assert done.status_code == 200
    assert done.json()["status"] == "success"
    assert only_value(done.json()["results"]) == 100
    assert problem(execute(client, asked["query_id"]), 409)["reason"] == "QUERY_STATE_CONFLICT"
    assert client.get(f"/query/sql/{asked['query_id']}").json()["state"] == "EXECUTED"


def test_a_query_runs_in_another_process_and_of_many_attempts_one_succeeds(
    system: RunningSystem, client: httpx.Client
) -> None:
    query_id = generate(client)

    with system.another_gateway(sql={}) as other, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda one: execute(one, query_id), [other, client] * 25))

        assert sorted(reply.status_code for reply in replies) == [200] + [409] * 49
        assert only_value(next(reply for reply in replies if reply.status_code == 200).json()["results"]) == 100
        second = generate(client)
        assert only_value(execute(other, second).json()["results"]) == 100
        problem(execute(client, second), 409)


def test_a_rejected_query_never_runs(client: httpx.Client) -> None:
    query_id = generate(client)
    assert query_id in {query["query_id"] for query in client.get("/query/sql/pending").json()["queries"]}

    rejected = execute(client, query_id, approved=False)

    assert (rejected.status_code, rejected.json()["status"]) == (200, "rejected")
    assert "results" not in rejected.json()
    assert problem(execute(client, query_id), 409)["reason"] == "QUERY_STATE_CONFLICT"
    assert query_id not in {query["query_id"] for query in client.get("/query/sql/pending").json()["queries"]}


@pytest.mark.parametrize("query_id", ["unknown", "0" * 32, "../../etc/passwd", "a b", "ü"])
def test_an_unknown_query_is_not_found(client: httpx.Client, query_id: str) -> None:
    body = problem(execute(client, query_id), 404)

    assert body["reason"] == "QUERY_NOT_FOUND"
    assert body["errors"][0]["field"] == "query_id"


def test_an_expired_query_does_not_run(system: RunningSystem) -> None:
    with system.another_gateway(sql={"SQL_APPROVAL_SECONDS": "0.2"}) as other:
        query_id = generate(other)
        time.sleep(0.4)

        body = problem(execute(other, query_id), 409)

        assert body["reason"] == "QUERY_STATE_CONFLICT"
        assert body["metadata"]["state"] == "EXPIRED"
        assert client_state(other, query_id) == "EXPIRED"


def client_state(client: httpx.Client, query_id: str) -> str:
    state: str = client.get(f"/query/sql/{query_id}").json()["state"]
    return state


def test_anothers_query_is_not_told_from_an_unknown_one(system: RunningSystem) -> None:
    keys = {
        "key-of-ada": ("acme", "ada", "user"),
        "key-of-bob": ("acme", "bob", "user"),
        "key-of-eve": ("evil", "ada", "user"),
        "key-of-cy": ("acme", "cy", "sql_auditor"),
    }
    known = {
        hashlib.sha256(key.encode()).hexdigest(): {"tenant": tenant, "subject": subject, "roles": [role]}
        for key, (tenant, subject, role) in keys.items()
    }
    settings = {"GATEWAY_IDENTITY": "api_key", "GATEWAY_API_KEYS": json.dumps(known)}
    with system.another_gateway(gateway=settings) as other:

        def as_holder(key: str) -> httpx.Client:
            return httpx.Client(base_url=other.base_url, timeout=30, trust_env=False, headers={"X-API-Key": key})

        with as_holder("key-of-ada") as ada, as_holder("key-of-bob") as bob, as_holder("key-of-eve") as eve:
            query_id = generate(ada)
            for stranger in (bob, eve):
                foreign = problem(execute(stranger, query_id), 404)
                unknown = problem(execute(stranger, "unknown"), 404)
                for body in (foreign, unknown):
                    body.pop("request_id")
                assert foreign == unknown
                assert client_status(stranger, query_id) == 404
                problem(stranger.get("/sql/audit", params={"query_id": query_id}), 404)
                assert stranger.get("/sql/audit").json()["entries"] == []
            with as_holder("key-of-cy") as auditor:
                [step] = auditor.get("/sql/audit").json()["entries"]
                assert (step["query_id"], step["owner"]) == (query_id, "ada")
                problem(execute(auditor, query_id), 404)
            assert execute(ada, query_id).status_code == 200
        problem(execute(other, query_id), 401)


def client_status(client: httpx.Client, query_id: str) -> int:
    return client.get(f"/query/sql/{query_id}").status_code


def test_an_edited_query_runs_when_the_guard_lets_it(client: httpx.Client) -> None:
    reply = execute(client, generate(client), sql="SELECT count(*) AS n FROM public.orders WHERE status = 'cancelled'")

    assert reply.status_code == 200
    assert reply.json()["results"] == [{"n": 3}]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE public.customers",
        "SELECT 1; DELETE FROM public.orders",
        "UPDATE public.orders SET total_amount = 0",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT rolpassword FROM pg_catalog.pg_authid",
        "WITH gone AS (DELETE FROM public.orders RETURNING *) SELECT * FROM gone",
        "SELECT * FROM public.customers FOR UPDATE",
    ],
)
def test_an_edit_that_would_do_more_than_read_is_refused_and_the_query_stays_as_it_was(
    client: httpx.Client, sql: str
) -> None:
    query_id = generate(client)

    body = problem(execute(client, query_id, sql=sql), 400)

    assert body["reason"] == "SQL_REFUSED"
    assert body["errors"][0]["field"] == "sql"
    assert client_state(client, query_id) == "PENDING"
    assert only_value(execute(client, query_id).json()["results"]) == 100


def test_money_is_exact(client: httpx.Client) -> None:
    answer = ask(client, "/query", query="What is the total sales amount of all orders?", auto_approve_sql=True)

    assert only_value(answer["results"]) == 19637.44


def test_of_many_who_edit_and_approve_at_once_one_runs_its_own_text(client: httpx.Client) -> None:
    query_id = generate(client)

    def edit_and_run(number: int) -> tuple[int, httpx.Response]:
        return number, execute(client, query_id, sql=f"SELECT {number} AS n FROM public.customers LIMIT 1")

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(edit_and_run, range(24)))

    assert {reply.status_code for _, reply in outcomes} <= {200, 409}
    ran = [(number, reply.json()) for number, reply in outcomes if reply.status_code == 200]
    assert len(ran) <= 1
    assert all(body["results"] == [{"n": number}] for number, body in ran)
    steps = client.get("/sql/audit", params={"query_id": query_id, "page_size": 200}).json()["entries"]
    begun = [step for step in steps if step["to_state"] == "EXECUTING"]
    texts = {step["sql_hash"]: step["sql"] for step in steps if "sql" in step}
    assert len(begun) == len(ran)
    assert all(f"SELECT {number} AS n" in texts[step["sql_hash"]] for (number, _), step in zip(ran, begun, strict=True))


def test_a_text_that_was_written_over_does_not_run_by_the_hash_that_was_read(client: httpx.Client) -> None:
    generated = ask(client, "/query/sql/generate", query=CUSTOMERS)
    query_id, read = generated["query_id"], generated["sql_hash"]
    refused = problem(execute(client, query_id, sql="SELECT 1 AS n", sql_hash="0" * 64), 409)

    done = execute(client, query_id, sql_hash=read)

    assert refused["reason"] == "SQL_HASH_MISMATCH"
    assert (generated["pending_reason"], generated["plan_cost"] > 0) == ("NOT_ASKED", True)
    assert only_value(done.json()["results"]) == 100


def test_the_audit_log_tells_each_step_and_every_text(client: httpx.Client) -> None:
    query_id = generate(client)
    execute(client, query_id, sql="SELECT count(*) AS n FROM public.orders")
    ask(client, "/query", query=CUSTOMERS, auto_approve_sql=True)

    steps = client.get("/sql/audit", params={"query_id": query_id}).json()["entries"][::-1]
    newest = client.get("/sql/audit", params={"page_size": 4}).json()

    assert [step["to_state"] for step in steps] == ["PENDING", "PENDING", "APPROVED", "EXECUTING", "EXECUTED"]
    assert "public.orders" in steps[1]["sql"]
    assert steps[1]["previous_sql_hash"] == steps[0]["sql_hash"] == hashlib.sha256(steps[0]["sql"].encode()).hexdigest()
    assert {step["subject"] for step in steps} == {steps[0]["owner"]}
    assert [(step["to_state"], step["subject"] == "") for step in newest["entries"]] == [
        ("EXECUTED", False),
        ("EXECUTING", False),
        ("APPROVED", True),
        ("PENDING", False),
    ]
    assert newest["next_page_token"]


def test_the_schema_is_told_and_read_again(client: httpx.Client) -> None:
    synced = client.post("/sql/schema/sync").json()
    schema = client.get("/sql/schema").json()

    customers = next(table for table in schema["tables"] if table["name"] == "public.customers")
    assert schema["fingerprint"] == synced["fingerprint"]
    assert synced["table_count"] == len(schema["tables"])
    assert customers["estimated_row_count"] == 100
    assert any(column["sample_values"] for column in customers["columns"])
