"""The smoke test: it passes a system that is well, and says of an ailing one what is wrong."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.aws import smoke
from tests.integration.deploy.gateway_stand_in import GatewayStandIn
from tests.integration.deploy.stack import Clock, Ran, Stack

Try = Callable[..., Ran]


@pytest.fixture
def gateway() -> Iterator[GatewayStandIn]:
    with GatewayStandIn() as gateway:
        yield gateway


@pytest.fixture
def smoked(gateway: GatewayStandIn, capsys: pytest.CaptureFixture[str]) -> Try:
    """Runs `python -m deploy.aws.smoke` in this process, with time that flies."""

    def run(*arguments: str, url: str = "") -> Ran:
        code = smoke.main(["--url", url or gateway.url, *arguments], Clock().pacing)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


def results(ran: Ran) -> dict[str, str]:
    """By check, how it ended."""
    return dict(re.findall(r"^(.+?)  +(ok|FAILED|left out)\b", ran.out, re.MULTILINE))


def test_a_system_that_is_well_passes_and_keeps_nothing(gateway: GatewayStandIn, smoked: Try) -> None:
    ran = smoked()

    assert (ran.code, ran.err) == (0, "")
    assert results(ran) == dict.fromkeys(
        ["health", "info", "upload", "upload again", "document question", "sql question", "clean up"], "ok"
    )
    assert (gateway.documents, gateway.rejected) == ({}, ["q1"])


@pytest.mark.parametrize(
    ("faults", "failed", "told"),
    [
        ({"ailing": {"rag_service"}}, "health", "/health is degraded, not healthy: rag_service"),
        ({"unknown_adapters": {"chunk_index"}}, "info", "unknown: chunk_index"),
        ({"forgetful": True}, "upload again", "the same bytes again were worked on again (cache_hit false)"),
        ({"confused": True}, "upload", "document_id is 7, not the hash of the bytes"),
        ({"uncited": True}, "document question", "the answer does not cite the document that holds it"),
        ({"wordless": True}, "sql question", "No table. Ask one of your own with --sql-question."),
        ({"failed_job": True}, "upload", "job j1 is FAILED: The disk is full."),
    ],
)
def test_the_check_that_fails_is_named_and_the_file_is_deleted_all_the_same(
    gateway: GatewayStandIn, smoked: Try, faults: dict[str, Any], failed: str, told: str
) -> None:
    for name, value in faults.items():
        setattr(gateway, name, value)

    ran = smoked()

    assert ran.code == 1
    assert [check for check, verdict in results(ran).items() if verdict == "FAILED"] == [failed]
    assert f"smoke: {failed} failed: " in ran.err
    assert told in ran.err
    assert gateway.documents == {}


def test_an_upload_that_becomes_a_job_is_waited_for(gateway: GatewayStandIn, smoked: Try) -> None:
    gateway.jobs_to_wait_for = 3

    assert smoked().code == 0


def test_a_host_that_does_not_answer_fails_every_check_that_is_tried(smoked: Try) -> None:
    ran = smoked(url="http://127.0.0.1:9")

    assert ran.code == 1
    assert results(ran)["upload again"] == "left out"
    assert "health failed: GET /health got no answer" in ran.err


def test_an_answer_that_never_ends_is_cut_off_in_time(gateway: GatewayStandIn, smoked: Try) -> None:
    gateway.drips = True

    ran = smoked("--timeout-seconds", "1")

    assert ran.code == 1
    assert "health failed: no time is left (--timeout-seconds)" in ran.err
    assert results(ran)["upload"] == "left out"


def test_the_key_comes_from_the_environment(
    gateway: GatewayStandIn, smoked: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.api_key = "k-1"
    monkeypatch.setenv("SMOKE_KEY", "k-1")

    assert smoked("--api-key-env", "SMOKE_KEY").code == 0
    assert "401 (the key is missing or unknown: see --api-key-env and --token-env)" in smoked().err


def test_a_token_comes_from_the_environment(
    gateway: GatewayStandIn, smoked: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.token = "t-1"
    monkeypatch.setenv("SMOKE_TOKEN", "t-1")

    assert smoked("--token-env", "SMOKE_TOKEN").code == 0


def test_a_url_that_asks_for_signatures_gets_valid_ones(stack: Stack, gateway: GatewayStandIn, smoked: Try) -> None:
    gateway.secret_key = "local"
    gateway.api_key = ""

    assert smoked("--aws-iam").code == 0
    assert "403 (not admitted: does the URL need --aws-iam" in smoked().err

    gateway.secret_key = "another"
    assert smoked("--aws-iam").code == 1


@pytest.mark.parametrize(("tenant", "home"), [("default", ""), ("acme/eu", "tenants/acme%2Feu/")])
def test_the_files_are_looked_for_in_the_bucket(
    stack: Stack, gateway: GatewayStandIn, smoked: Try, tenant: str, home: str
) -> None:
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="rag-cache-local")
    answer = gateway.answer

    def store(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        replied = answer(method, path, headers, body)
        for content in gateway.documents.values():
            for name in ("original.txt", "metadata.json", "chunks.json"):
                key = f"{home}txt/{hashlib.sha256(content).hexdigest()}/{name}"
                s3.put_object(Bucket="rag-cache-local", Key=key, Body=b"{}")
        return replied

    assert "lacks original.txt, metadata.json, chunks.json" in smoked("--bucket", "rag-cache-local").err

    gateway.answer = store  # type: ignore[method-assign]
    ran = smoked("--bucket", "rag-cache-local", "--tenant", tenant)

    assert ran.code == 0
    assert results(ran)["stored files"] == "ok"


def test_a_bucket_that_is_not_there_is_named(stack: Stack, smoked: Try) -> None:
    ran = smoked("--bucket", "nowhere")

    assert ran.code == 1
    assert "stored files failed: cannot list s3://nowhere/txt/" in ran.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--api-key-env", "NOT_SET_ANYWHERE"], "--api-key-env names the environment variable NOT_SET_ANYWHERE"),
        (["--timeout-seconds", "0"], "--timeout-seconds 0 must be 1 to 900"),
        (["--token-env", "PATH", "--aws-iam"], "both need the Authorization header"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_refused_by_name(
    gateway: GatewayStandIn, smoked: Try, arguments: list[str], told: str
) -> None:
    ran = smoked(*arguments)

    assert (ran.code, gateway.asked) == (2, [])
    assert told in ran.err


def test_a_url_that_is_none_is_refused(smoked: Try) -> None:
    ran = smoked(url="diglot.example.com")

    assert ran.code == 2
    assert "--url 'diglot.example.com' must be a URL such as" in ran.err
