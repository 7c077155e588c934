"""What importing a part of the transport must not bring along: each costs cold starts a tenth of a second or more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REFLECTION = "grpc_reflection.v1alpha.reflection"
TARGETS = (
    *(f"GATEWAY_{name}_TARGET" for name in ("ROUTER", "RAG", "SQL", "INGEST")),
    *(f"ROUTER_{name}_TARGET" for name in ("RAG", "SQL")),
)
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("services.transport.channels", ("boto3", "botocore", "services.transport.lambda_channel", REFLECTION)),
        ("services.transport.serving", ("boto3", "botocore", REFLECTION)),
        ("services.transport.lambda_server", ("boto3", "botocore", REFLECTION)),
        ("services.transport.lambda_channel", ("boto3", "botocore")),
        ("services.transport.s3_claim_checks", ("boto3", "botocore")),
        ("services.transport.settings", ("boto3", "botocore", "services.transport.secret_references")),
    ],
)
def test_importing_a_part_brings_no_other(module: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*(name for name in {unwanted!r} if name in sys.modules))"

    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert result.stdout.strip() == ""


SDK = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "requests")


@pytest.mark.parametrize(
    "told", [{}, {"DIGLOT_METRICS": "emf"}, {"OPIK_API_KEY": "", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}]
)
@pytest.mark.parametrize(
    ("module", "unwanted"),
    # FastAPI imports OpenTelemetry's interfaces by itself.
    [("services.router.handler", ("opentelemetry", *SDK)), ("gateway.handler", SDK)],
)
def test_an_entry_point_brings_opentelemetry_only_where_there_is_somewhere_to_send(
    module: str, unwanted: tuple[str, ...], told: dict[str, str]
) -> None:
    environment = {"DIGLOT_INTERNAL_KEY": "k" * 32, **dict.fromkeys(TARGETS, "127.0.0.1:1"), **told}
    code = f"import sys, {module}; print(*({set(unwanted)!r} & set(sys.modules)))"

    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == ""
