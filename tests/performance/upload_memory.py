"""What parallel uploads of large files take of the memory: twelve of 47 MB at once, through a form and by links.

`python -m tests.performance.upload_memory` prints one JSON line. Resident memory of the gateway and of the ingest
service without the processes that parse, whose memory has a limit of its own, at its highest beyond what it was before.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

import httpx

from tests.e2e.running_system import RunningSystem

FILES = 12
FILE_BYTES = 47_000_000
_LOOK_EVERY_SECONDS = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def padded_pdf(mark: str, *, size_bytes: int = FILE_BYTES) -> bytes:
    """A PDF of one short page and a stream of noise that no page shows, of about so many bytes."""
    noise = (hashlib.sha256(mark.encode()).digest() * (size_bytes // 32))[: size_bytes - 1_000]
    text = f"BT /F1 12 Tf 72 720 Td (The gate {mark} opens at nine.) Tj ET".encode()
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(noise), noise),
    ]
    made, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(bodies, start=1):
        places.append(len(made))
        made += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    made += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, table)
    return bytes(made)


class Watch:
    """The highest resident memory of some processes since it was made."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._before = {name: resident_bytes(pid) for name, pid in pids.items()}
        self._highest = dict(self._before)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def grown_mb(self) -> dict[str, float]:
        """How much more each had at its highest than in the beginning; ends the watch."""
        self._is_over.set()
        self._thread.join()
        return {name: round((self._highest[name] - before) / 1e6, 1) for name, before in self._before.items()}

    def _look(self) -> None:
        while not self._is_over.wait(_LOOK_EVERY_SECONDS):
            for name, pid in self._pids.items():
                self._highest[name] = max(self._highest[name], resident_bytes(pid))


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def service_pids(system: RunningSystem) -> dict[str, int]:
    """The processes of the gateway and of the ingest service."""
    found: dict[str, int] = {}
    for pid in system.descendants():
        command: list[bytes] = []
        with contextlib.suppress(OSError):  # it has ended meanwhile
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        for name, module in (("gateway", b"gateway.server"), ("ingest", b"services.ingest.server")):
            if module in command:
                found.setdefault(name, pid)
    return found


def send_form(client: httpx.Client, number: int) -> int:
    """The status of the reply to a file in a form."""
    content = padded_pdf(uuid4().hex)
    return client.post("/upload", files={"file": (f"form_{number}.pdf", content)}).status_code


def send_by_link(client: httpx.Client, number: int) -> int:
    """The status of the reply to the bytes of an upload, which is completed then."""
    content = padded_pdf(uuid4().hex)
    digest = hashlib.sha256(content).hexdigest()
    wanted = {"filename": f"link_{number}.pdf", "size_bytes": len(content), "sha256": digest}
    upload = client.post("/uploads", json=wanted).json()
    status = client.put(upload["url"], content=content, headers=upload["headers"]).status_code
    client.post(f"/uploads/{upload['upload_id']}/complete")
    return status


def main() -> None:
    ways = {"form": send_form, "link": send_by_link}
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="dg-memory-") as folder:
        system = RunningSystem(Path(folder) / "data")
        try:
            system.start()
            system.client.timeout = httpx.Timeout(300)
            for way, send in ways.items():
                began, watch = time.perf_counter(), Watch(service_pids(system))
                with concurrent.futures.ThreadPoolExecutor(FILES) as senders:
                    statuses = Counter(senders.map(send, [system.client] * FILES, range(FILES)))
                figures[way] = {
                    "grown_mb": watch.grown_mb(),
                    "statuses": dict(statuses),
                    "seconds": round(time.perf_counter() - began, 1),
                }
        finally:
            system.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
