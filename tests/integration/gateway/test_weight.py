"""What the entry points load: a cold start pays for every import."""

import subprocess
import sys

import pytest

HEAVY = ["numpy", "onnxruntime", "psycopg", "sqlglot", "tokenizers", "openai", "lxml", "pypdfium2", "boto3", "botocore"]
ENVIRONMENT = {
    "DIGLOT_INTERNAL_KEY": "k" * 32,
    **{f"GATEWAY_{name}_TARGET": "127.0.0.1:1" for name in ("ROUTER", "RAG", "SQL", "INGEST")},
    **{f"ROUTER_{name}_TARGET": "127.0.0.1:1" for name in ("RAG", "SQL")},
}


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("module", ["gateway.handler", "services.router.handler"])
def test_an_entry_point_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(module) & set(HEAVY) == set()


def test_the_router_loads_no_web_framework() -> None:
    assert loaded_by("services.router.handler") & {"fastapi", "starlette", "uvicorn", "mangum", "httpx"} == set()
