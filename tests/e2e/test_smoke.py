"""The smoke test of a deployment, against the real system."""

import pytest

from deploy.aws import smoke
from tests.e2e.running_system import RunningSystem


def names_of_documents(system: RunningSystem) -> list[str]:
    return [document["filename"] for document in system.client.get("/documents?page_size=100").json()["documents"]]


def ids_of_pending_queries(system: RunningSystem) -> list[str]:
    return [query["query_id"] for query in system.client.get("/query/sql/pending?page_size=100").json()["queries"]]


def test_a_healthy_system_passes_and_is_left_as_it_was(
    system: RunningSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    pending_before = ids_of_pending_queries(system)

    code = smoke.main(["--url", f"http://127.0.0.1:{system.port}"])

    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    results = {line.rsplit(maxsplit=2)[0]: line.rsplit(maxsplit=2)[1] for line in shown.out.splitlines()[1:]}
    checks = ["health", "info", "upload", "upload again", "document question", "sql question", "clean up"]
    assert results == dict.fromkeys(checks, "ok")
    assert not [name for name in names_of_documents(system) if name.startswith("smoke-")]
    assert ids_of_pending_queries(system) == pending_before


def test_a_question_the_database_cannot_answer_is_told_with_the_option_to_change(
    system: RunningSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    code = smoke.main(["--url", f"http://127.0.0.1:{system.port}", "--sql-question", "Who painted the ceiling?"])

    assert code == 1
    assert "sql question failed: no SQL for 'Who painted the ceiling?'" in capsys.readouterr().err
