import pytest

from protos.rag.v1 import chunk_pb2
from tests.contract.gateway.house import HOURS, House, problem

COUNT = "How many customers do we have?"


async def test_a_database_question_gives_rows(house: House) -> None:
    response = await house.post("/query", {"query": COUNT, "auto_approve_sql": True})

    body = response.json()
    assert response.status_code == 200
    assert (body["status"], body["query_type"]) == ("success", "SQL")
    assert body["results"] == [{"customer_count": 100}]
    assert body["columns"] == [{"name": "customer_count", "type": "int8"}]
    assert (body["row_count"], body["truncated"]) == (1, False)
    assert body["query_id"] == "q1"
    assert body["sql_generated"].startswith("SELECT")
    assert body["explanation"]
    assert body["execution_time_ms"] > 0
    assert set(body["routing"]) == {"route", "confidence", "reason", "sub_questions"}
    assert body["routing"]["route"] == "SQL"


async def test_the_question_may_be_called_question(house: House) -> None:
    response = await house.post("/query", {"question": COUNT, "auto_approve_sql": True})

    assert response.json()["results"] == [{"customer_count": 100}]


async def test_without_approval_it_is_pending_and_holds_no_results(house: House) -> None:
    body = (await house.post("/query", {"query": COUNT})).json()

    assert body["status"] == "pending_approval"
    assert f'POST /query/sql/execute with {{"query_id": "{body["query_id"]}", "approved": true}}' in body["answer"]
    assert (body["query_id"], body["pending_reason"]) == ("q1", "NOT_ASKED")
    assert body["plan_cost"] == 12.5
    assert body["expires_at"].endswith("Z")
    assert not {"results", "columns", "row_count", "truncated"} & set(body)


async def test_a_policy_that_lets_nothing_run_is_told_as_the_reason(house: House) -> None:
    house.sql.auto_approve_allowed = False

    alone = (await house.post("/query", {"query": COUNT, "auto_approve_sql": True})).json()
    house.sql.auto_approve_allowed = True
    answered = (await house.post("/query", {"query": COUNT, "auto_approve_sql": True})).json()

    assert (alone["status"], alone["pending_reason"]) == ("pending_approval", "POLICY_NEVER")
    assert not {"pending_reason", "plan_cost", "expires_at"} & set(answered)


async def test_numbers_of_more_than_15_digits_are_strings(house: House) -> None:
    body = (await house.post("/query", {"query": "total sales", "auto_approve_sql": True})).json()

    assert body["results"] == [{"total_sales": "12345678901234567.89"}]


async def test_a_documents_question_gives_its_source(house: House) -> None:
    body = (await house.post("/query", {"query": "What are the remote work hours?"})).json()

    assert (body["status"], body["query_type"]) == ("success", "DOCUMENTS")
    assert HOURS in body["answer"]
    assert body["cached"] is False
    assert body["usage"]["embedded_texts"] == 1
    assert body["sources"][0]["metadata"]["filename"] == "handbook.md"


async def test_a_hybrid_question_is_answered_by_both(house: House) -> None:
    question = "How many customers do we have and what are the remote work hours?"

    body = (await house.post("/query", {"query": question, "auto_approve_sql": True})).json()

    assert (body["status"], body["query_type"]) == ("success", "HYBRID")
    assert {"query_id", "sql", "results"} <= set(body["sql_results"])
    assert body["sql_results"]["results"] == [{"customer_count": 100}]
    assert {"answer", "sources"} <= set(body["document_results"])
    assert "100" in body["answer"]
    assert HOURS in body["answer"]


async def test_a_question_nobody_can_answer_is_status_200(house: House) -> None:
    response = await house.post("/query", {"query": "Who won the cup in 1966?"})

    body = response.json()
    assert response.status_code == 200
    assert (body["status"], body["query_type"]) == ("no_answer", "NONE")
    assert body["answer"]


async def test_the_documents_alone_answer_with_metadata_and_score(house: House) -> None:
    body = (await house.post("/query/documents", {"query": "remote work hours", "top_k": 1})).json()

    assert body["status"] == "success"
    assert body["query_type"] == "DOCUMENTS"
    source = body["sources"][0]
    assert source["content"] == HOURS
    assert source["similarity_score"] == 0.8
    assert len(source["metadata"].pop("document_id")) == 64
    assert source["metadata"] == {
        "filename": "handbook.md",
        "chunk_index": 0,
        "page": 2,
        "heading": "Work > Hours",
        "start": 0,
        "end": len(HOURS),
    }
    assert body["citations"][0]["quote"] == HOURS


@pytest.mark.parametrize("path", ["/query", "/query/documents"])
async def test_sources_and_citations_tell_the_rows_they_are_from(house: House, path: str) -> None:
    house.rag.rows = chunk_pb2.TableRange(table=1, first_row=4, last_row=9)

    body = (await house.post(path, {"query": "remote work hours"})).json()

    rows = {"table": 1, "first_row": 4, "last_row": 9}
    assert [source["metadata"]["table"] for source in body["sources"]] == [rows] * len(body["sources"])
    assert [citation["table"] for citation in body["citations"]] == [rows] * len(body["citations"])
    assert body["sources"]
    assert body["citations"]


async def test_the_documents_say_when_they_hold_no_answer(house: House) -> None:
    response = await house.post("/query/documents", {"query": "cup final"})

    assert response.status_code == 200
    assert response.json()["status"] == "no_answer"


async def test_a_filter_names_the_documents_to_read(house: House) -> None:
    await house.post("/query/documents", {"query": "hours", "filters": {"document_ids": ["a" * 64]}})

    assert list(house.rag.requests[-1].documents) == [f"documents/{'a' * 64}"]


@pytest.mark.parametrize("path", ["/query", "/query/documents", "/query/sql/generate"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": "   \n"}, "query"),
        ({"query": "x" * 10_000}, "query"),
        ({"question": "x" * 4_001}, "question"),
        ({"query": "nul \0 byte"}, "query"),
        ({"query": "half \ud800 pair"}, "query"),
        ({"query": 7}, "query"),
        ({"query": None}, "query"),
        ({"query": "one", "question": "two"}, "question"),
        ({"query": "one", "colour": "red"}, "colour"),
    ],
)
async def test_what_is_no_question_is_refused_by_name(
    house: House, path: str, body: dict[str, object], field: str
) -> None:
    problem(await house.post(path, body), 422, "REQUEST_INVALID", field)


@pytest.mark.parametrize("top_k", [0, 51, -1, "3", 1.5, True, None])
async def test_top_k_outside_its_range_is_refused(house: House, top_k: object) -> None:
    problem(await house.post("/query", {"query": COUNT, "top_k": top_k}), 422, "REQUEST_INVALID", "top_k")


async def test_an_ill_formed_document_id_in_a_filter_is_refused_by_its_place(house: House) -> None:
    response = await house.post("/query/documents", {"query": "hours", "filters": {"document_ids": ["nope"]}})

    problem(response, 422, "REQUEST_INVALID", "filters.document_ids.0")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "JSON_INVALID"),
        (b"{", "JSON_INVALID"),
        (b"\xff\xfe\x00", "ENCODING_INVALID"),
        ('{"query": "größe"}'.encode("latin-1"), "ENCODING_INVALID"),
        ('{"query": "hours"}'.encode("utf-16"), "ENCODING_INVALID"),
        (b'\xef\xbb\xbf{"query": "hours"}', "ENCODING_INVALID"),
    ],
)
async def test_a_body_that_is_no_json_in_utf8_is_refused(house: House, content: bytes, reason: str) -> None:
    response = await house.client.post("/query", content=content, headers={"Content-Type": "application/json"})

    problem(response, 400, reason, "body")


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"query": ' + b"9" * 5_000 + b"}"])
async def test_json_made_to_break_the_parser_is_refused(house: House, content: bytes) -> None:
    response = await house.client.post("/query", content=content, headers={"Content-Type": "application/json"})

    assert 400 <= response.status_code < 500
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_other_media_types_are_refused(house: House, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    response = await house.client.post("/query", content=b'{"query": "hours"}', headers=headers)

    problem(response, 415, "MEDIA_TYPE_UNSUPPORTED", "Content-Type")


@pytest.mark.parametrize("content", ["[]", '"text"', "1", "null", "NaN"])
async def test_json_that_is_no_object_is_refused(house: House, content: str) -> None:
    response = await house.client.post("/query", content=content, headers={"Content-Type": "application/json"})

    assert response.status_code == 422
    assert response.json()["errors"]


async def test_a_body_beyond_any_question_is_refused_unread(house: House) -> None:
    problem(await house.post("/query", {"query": "x" * 2_000_000}), 413, "BODY_TOO_LARGE", "body")


async def test_a_question_under_both_names_is_refused_even_when_they_agree(house: House) -> None:
    problem(await house.post("/query", {"query": COUNT, "question": COUNT}), 422, "REQUEST_INVALID", "question")
