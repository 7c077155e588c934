"""What importing a part of the transport must not bring along: each costs cold starts a tenth of a second or more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REFLECTION = "grpc_reflection.v1alpha.reflection"
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
