"""What a known document costs over a new one: the same bytes of twenty pages, uploaded twice through REST."""

import json
import statistics
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import httpx

from tests.e2e.field_report import field_report
from tests.e2e.running_system import RunningSystem

DOCUMENTS = 3
REPEATS = 9


def measure(client: httpx.Client) -> dict[str, float]:
    """`reupload_over_upload`, the medians it comes from, and the parse and embed calls that the repeats cost."""
    first_ms, again_ms = [], []
    spent = 0
    for _ in range(DOCUMENTS):
        content = field_report(uuid4().hex)
        first_ms.append(_upload_ms(client, "report.pdf", content, known=False))
        before = _work(client)
        again_ms.append(
            statistics.median(_upload_ms(client, "report.pdf", content, known=True) for _ in range(REPEATS))
        )
        spent += _work(client) - before
    return {
        "reupload_over_upload": statistics.median(again_ms) / statistics.median(first_ms),
        "upload_20_pages_ms": statistics.median(first_ms),
        "reupload_20_pages_ms": statistics.median(again_ms),
        "reupload_parse_and_embed_calls": spent,
    }


def _upload_ms(client: httpx.Client, name: str, content: bytes, *, known: bool) -> float:
    began = time.perf_counter()
    reply = client.post("/upload", files={"file": (name, content)})
    elapsed_ms = (time.perf_counter() - began) * 1000
    if reply.status_code != 201 or reply.json()["cache_hit"] is not known:
        raise RuntimeError(f"the upload went otherwise than measured: {reply.text}")
    return elapsed_ms


def _work(client: httpx.Client) -> int:
    stats = client.get("/stats").json()
    return int(stats["documents"]["parsed_file_count"] + stats["index"]["embedded_text_count"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        system = RunningSystem(Path(folder) / "data")
        try:
            system.start()
            print(json.dumps(measure(system.client), indent=2))
        finally:
            system.close()
