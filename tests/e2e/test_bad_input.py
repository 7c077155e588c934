"""Bad input is the client's fault and told as such: a 4xx that names the field, and nothing stored."""

import httpx
import pytest

from tests.e2e.running_system import problem

QUESTION_PATHS = ("/query", "/query/documents", "/query/sql/generate")


def stored(client: httpx.Client) -> object:
    stats = client.get("/stats").json()
    return stats["documents"]["document_count"], stats["index"]["chunk_count"], stats["queries"]["queries_by_state"]


@pytest.mark.parametrize("path", QUESTION_PATHS)
@pytest.mark.parametrize(
    "body",
    [{"query": ""}, {"query": " \n"}, {"query": "x" * 10_000}, {"query": "a\x00b"}, {"query": 7}, {"query": None}, {}],
    ids=["empty", "blank", "10,000 characters", "NUL", "number", "null", "missing"],
)
def test_a_question_that_is_none_is_refused_by_its_field(client: httpx.Client, path: str, body: object) -> None:
    before = stored(client)

    reply = client.post(path, json=body)

    refusal = problem(reply, 422 if reply.status_code == 422 else 400)
    assert refusal["errors"][0]["field"] == "query"
    assert stored(client) == before


@pytest.mark.parametrize("path", QUESTION_PATHS)
@pytest.mark.parametrize(
    "content",
    [b'{"query": "caf\xe9?"}', b'{"query": "How', b"", b"[]", b'"query"', b'{"query": "\xed\xa0\x80"}'],
    ids=["not UTF-8", "broken JSON", "nothing", "list", "string", "surrogate"],
)
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, path: str, content: bytes) -> None:
    reply = client.post(path, content=content, headers={"Content-Type": "application/json"})

    refusal = problem(reply, 422 if reply.status_code == 422 else 400)
    assert refusal["errors"][0]["field"]


@pytest.mark.parametrize(("top_k"), [0, -1, 51, "three", 1.5])
def test_a_number_out_of_range_is_refused_by_its_field(client: httpx.Client, top_k: object) -> None:
    refusal = problem(client.post("/query", json={"query": "How many?", "top_k": top_k}), 422)

    assert refusal["errors"][0]["field"] == "top_k"


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("empty.txt", b"", 400),
        ("program.exe", b"MZ\x90\x00", 400),
        ("noextension", b"some text", 400),
        ("broken.pdf", b"%PDF-1.7\nthis is where it ends", 400),
        ("picture.pdf", b"\x89PNG\r\n\x1a\n" + b"\x00" * 64, 400),
        ("broken.docx", b"PK\x03\x04 but no archive", 400),
        ("blank.txt", b" \n\t ", 400),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_nothing_is_stored(
    client: httpx.Client, name: str, content: bytes, status: int
) -> None:
    before = stored(client)

    refusal = problem(client.post("/upload", files={"file": (name, content)}), status)

    assert refusal["errors"][0]["field"] == "file"
    assert stored(client) == before


def test_a_file_of_60_megabytes_is_refused_by_its_size(client: httpx.Client) -> None:
    before = stored(client)

    refusal = problem(client.post("/upload", files={"file": ("large.txt", b"x" * 60_000_000)}), 413)

    assert refusal["reason"] == "FILE_TOO_LARGE"
    assert refusal["errors"][0]["field"] == "file"
    assert stored(client) == before


@pytest.mark.parametrize("name", ["../../etc/passwd.txt", "..\\..\\boot.txt", "/etc/shadow.txt", "folder/y.txt"])
def test_a_path_is_no_file_name(client: httpx.Client, name: str) -> None:
    before = stored(client)

    refusal = problem(client.post("/upload", files={"file": (name, b"A note that claims a path.")}), 400)

    assert refusal["reason"] == "FILENAME_INVALID"
    assert refusal["errors"][0]["field"] == "file"
    assert stored(client) == before


def test_an_upload_without_a_file_is_refused_by_its_field(client: httpx.Client) -> None:
    assert problem(client.post("/upload", files={"file": (None, "text")}), 422)["errors"][0]["field"] == "file"
    assert problem(client.post("/upload", files={"data": ("a.txt", b"x")}), 422)["errors"][0]["field"] == "file"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/documents/unknown", "document_id"),
        (f"/documents/{'0' * 64}", "document_id"),
        ("/query/sql/unknown", "query_id"),
        ("/query/sql/%2e%2e", "query_id"),
    ],
)
def test_an_id_nothing_has_is_not_found_and_told_by_its_field(client: httpx.Client, path: str, field: str) -> None:
    assert problem(client.get(path), 404)["errors"][0]["field"] == field


def test_a_path_nothing_is_at_is_not_found(client: httpx.Client) -> None:
    assert problem(client.get("/nowhere"), 404)["reason"] == "PATH_UNKNOWN"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/query"),
        ("PUT", "/upload"),
        ("DELETE", "/health"),
        ("POST", "/documents"),
        ("PATCH", "/query/documents"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(client: httpx.Client, method: str, path: str) -> None:
    reply = client.request(method, path)

    assert problem(reply, 405)["reason"] == "METHOD_NOT_ALLOWED"
    assert reply.headers["allow"]


@pytest.mark.parametrize("path", ["/health", "/info", "/stats", "/docs", "/openapi.json", "/documents"])
def test_what_tells_about_the_system_answers(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200
