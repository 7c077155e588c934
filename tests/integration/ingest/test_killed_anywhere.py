"""`kill -9` after every single step of uploading, replacing, deleting, cancelling and retrying.

Each step is broken off in a process of its own, for a tenant of its own; then one process works on what they left. The
end must be that of a run that nobody killed: the same documents, names, chunks, vectors and files, nothing besides.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.rag.settings import RagSettings
from services.rag.wiring import open_rag
from services.transport.serving import serving
from tests.fakes.servicers import INTERNAL_KEY, transport_settings
from tests.unit.ingest.files import lines, pdf_of

ROOT = Path(__file__).parents[3]
PROCESSES = 2
TEXT = "\n\n".join(f"# Part {part}\n\n" + f"Sentence of part {part} about its matter. " * 30 for part in range(6))
NEWER = TEXT.replace("Part 5", "Part 9")
FILES = {"text": ("text.md", TEXT.encode()), "newer": ("newer.md", NEWER.encode())}
FILES["pdf"] = ("paper.pdf", pdf_of(lines(["Words of the first page."]), lines(["Words of the second page."])))


@dataclass(frozen=True)
class Scenario:
    """What is done before, and what is broken off: after each of its steps from the one called `since` on.

    The steps until then are those of an upload. Of a call that did not come to one in `unpromised` its caller may know
    nothing, and so makes it again.
    """

    name: str
    steps: list[list[str]]
    before: list[list[str]] = field(default_factory=list)
    since: str = ""
    unpromised: frozenset[str] = frozenset()

    def broken_off(self, steps: list[str]) -> list[str]:
        """The steps that are broken off, each once."""
        return list(dict.fromkeys(steps[steps.index(self.since) if self.since else 0 :]))


SCENARIOS = [
    # Until its file is stored an upload is not taken in; who sends it learns that, and sends it again.
    Scenario(
        "upload",
        [["upload", "text", "notes.md"]],
        since="jobs.create:1",
        unpromised=frozenset({"jobs.create:1", "disk.written:1"}),
    ),
    Scenario("images", [["upload", "pdf", "paper.pdf"]], since="jobs.finish:1"),
    Scenario(
        "replace", [["upload", "newer", "notes.md"]], [["upload", "text", "notes.md"]], since="registry.publish:1"
    ),
    Scenario(
        "rename",
        [["upload", "newer", "notes.md"]],
        [["upload", "text", "notes.md"], ["upload", "text", "copy.md"]],
        since="registry.publish:1",
    ),
    # A job that nobody holds, and whose file is there; two more names join it, and the second caller finishes it.
    Scenario(
        "join",
        [["start", "text", "copy.md"], ["upload", "text", "third.md"]],
        [["start", "text", "notes.md"]],
        since="jobs.join:1",
        unpromised=frozenset({"jobs.join:1", "registry.point:2"}),
    ),
    Scenario("delete", [["delete"]], [["upload", "text", "notes.md"]]),
    Scenario("cancel", [["cancel"]], [["start", "text", "notes.md"]]),
    Scenario("retry", [["retry"]], [["fail", "text", "notes.md"]]),
]


class Zygotes:
    """Processes that fork the ones to be killed."""

    def __init__(self, common: dict[str, Any]) -> None:
        self._common = common
        self._free: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()

    async def add(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.ingest.killable",
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,
        )
        self._free.put_nowait(process)
        return process

    async def run(self, **command: Any) -> dict[str, Any]:
        """Have a process do something; how it ended."""
        process = await self._free.get()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"tenants": [], "before": [], "steps": [], **self._common, **command}).encode())
        process.stdin.write(b"\n")
        told: dict[str, Any] = json.loads(await process.stdout.readline())
        self._free.put_nowait(process)
        return told


@dataclass
class House:
    """The processes, and what they leave behind."""

    zygotes: Zygotes
    store: str
    folder: Path

    async def steps_of(self, scenario: Scenario) -> list[str]:
        """The steps of a run that nobody kills, for the tenant of the scenario's name."""
        log = self.folder / f"{scenario.name}.log"
        ended = await self.zygotes.run(
            tenants=[scenario.name], before=scenario.before, steps=scenario.steps, log=str(log)
        )
        assert ended == {"killed": False, "status": 0}, scenario.name
        return log.read_text().split()

    async def recover(self) -> None:
        """Let one process work until nothing is left to be done."""
        end = self.folder / "recovered"
        working = asyncio.create_task(self.zygotes.run(until=str(end)))
        try:
            async with asyncio.timeout(40):
                while await self._unfinished():  # noqa: ASYNC110 -- other processes are at work
                    await asyncio.sleep(0.1)
        finally:
            end.touch()
            await working

    async def _unfinished(self) -> int:
        [(count,)] = await self._rows(
            "SELECT (SELECT count(*) FROM ingest.jobs"
            " WHERE state NOT IN ('READY', 'FAILED', 'CANCELLED') OR images_due_time IS NOT NULL)"
            " + (SELECT count(*) FROM ingest.documents WHERE state <> 'READY' OR renamed)"
        )
        return int(count)

    async def state_of(self, tenant: str) -> dict[str, Any]:
        """Everything that is stored for a tenant, but for the jobs' histories."""
        documents = await self._rows(
            "SELECT document_id, state, chunk_count, title, tags, indexed_filename, page_count, ARRAY(SELECT filename"
            " FROM ingest.filenames f WHERE (f.tenant, f.document_id) = (d.tenant, d.document_id) ORDER BY filename)"
            " FROM ingest.documents d WHERE tenant = %s ORDER BY document_id",
            tenant,
        )
        chunks = await self._rows(
            "SELECT c.document, d.filename, c.chunk_index, c.text, count(e.chunk_id) FROM rag.chunks c"
            " JOIN rag.documents d USING (tenant, document) LEFT JOIN rag.embeddings e ON e.chunk_id = c.id"
            " WHERE c.tenant = %s GROUP BY c.id, d.filename ORDER BY c.document, c.chunk_index",
            tenant,
        )
        known = await self._rows(
            "SELECT document, filename FROM rag.documents WHERE tenant = %s ORDER BY document", tenant
        )
        newest = await self._rows(
            "SELECT state FROM ingest.jobs WHERE tenant = %s ORDER BY create_time DESC LIMIT 1", tenant
        )
        root = self.folder / "data" / "files" / tenant
        files = {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob("*")
            if path.is_file() and not path.name.endswith(".tmp")
        }
        return {"documents": documents, "chunks": chunks, "known": known, "job": newest, "files": files}

    async def _rows(self, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.store) as connection:
            cursor = await connection.execute(statement.encode(), parameters or None)
            return await cursor.fetchall()


@pytest.fixture
async def house(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PINECONE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    files = {}
    for kind, (name, content) in FILES.items():
        (tmp_path / name).write_bytes(content)
        files[kind] = str(tmp_path / name)
    transport = transport_settings()
    async with AsyncExitStack() as stack:
        rag = await stack.enter_async_context(open_rag(RagSettings(DIGLOT_STORE_URL=store_url, transport=transport)))
        target = await stack.enter_async_context(serving(rag, listen="127.0.0.1:0", settings=transport))
        common = {
            "key": INTERNAL_KEY,
            "rag_target": target,
            "store_url": store_url,
            "data_dir": str(tmp_path / "data"),
            "files": files,
        }
        zygotes = Zygotes(common)
        for _ in range(PROCESSES):
            await stack.enter_async_context(_ended(await zygotes.add()))
        yield House(zygotes, store_url, tmp_path)


@asynccontextmanager
async def _ended(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@pytest.mark.timeout(400)  # some 25 seconds of two processors, of which others take their share
async def test_wherever_a_process_is_killed_the_end_is_that_of_a_run_nobody_killed(house: House) -> None:
    steps = await asyncio.gather(*(house.steps_of(scenario) for scenario in SCENARIOS))
    points = [
        (scenario, step) for scenario, its in zip(SCENARIOS, steps, strict=True) for step in scenario.broken_off(its)
    ]

    async def killed(number: int, scenario: Scenario, step: str) -> str:
        tenant = f"{scenario.name}{number}"
        ended = await house.zygotes.run(tenants=[tenant], before=scenario.before, steps=scenario.steps, point=step)
        assert ended == {"killed": True, "status": -9}, tenant
        return tenant

    tenants = await asyncio.gather(*(killed(number, *point) for number, point in enumerate(points)))
    await house.recover()

    wanted = {scenario.name: await house.state_of(scenario.name) for scenario in SCENARIOS}
    unlike = [
        (tenant, scenario, step)
        for (scenario, step), tenant in zip(points, tenants, strict=True)
        if await house.state_of(tenant) != wanted[scenario.name]
    ]
    assert [f"{scenario.name} {step}" for _, scenario, step in unlike if step not in scenario.unpromised] == []
    for tenant, scenario, _ in unlike:
        again = await house.zygotes.run(tenants=[tenant], steps=scenario.steps)
        assert again == {"killed": False, "status": 0}, tenant
        assert await house.state_of(tenant) == wanted[scenario.name], tenant
    assert len(points) > 50
