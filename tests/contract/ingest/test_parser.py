"""The behaviour of a parser, on the fake and on a process of its own."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from services.ingest.adapters import parsing_process
from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.errors import FileBroken, ParsingTimeout
from services.ingest.ports import Parser
from tests.contract.ingest.parser_contract import ParserContract
from tests.fakes.ingest import FakeParser

MEMORY_BYTES = 1024 * 1024 * 1024


class TestFakeParser(ParserContract):
    @pytest.fixture
    def parser(self) -> Parser:
        return FakeParser()


def parsing_process_with(*, timeout_seconds: float = 30, memory_bytes: int = MEMORY_BYTES) -> ParsingProcess:
    return ParsingProcess(timeout_seconds=timeout_seconds, memory_bytes=memory_bytes, max_parallel=2)


class TestParsingProcess(ParserContract):
    broken = b"%PDF-1.7 and nothing else"
    broken_extension = "pdf"

    @pytest.fixture
    def parser(self) -> Parser:
        return parsing_process_with()

    async def test_a_file_that_takes_too_long_is_given_up_and_its_process_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._replace_child(tmp_path, monkeypatch, "import time; time.sleep(60)")
        path = tmp_path / "original.txt"
        path.write_text("text")

        started = time.monotonic()
        with pytest.raises(ParsingTimeout):
            await parsing_process_with(timeout_seconds=0.5).parse(path, "txt")

        assert time.monotonic() - started < 10

    @pytest.mark.parametrize(
        "crash",
        ["import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "raise SystemExit(3)", "print('no JSON')", "1 / 0"],
    )
    async def test_a_process_that_dies_or_babbles_means_a_broken_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: str
    ) -> None:
        self._replace_child(tmp_path, monkeypatch, crash)
        path = tmp_path / "original.txt"
        path.write_text("text")

        with pytest.raises(FileBroken):
            await parsing_process_with().parse(path, "txt")

    async def test_a_file_that_needs_too_much_memory_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "original.json"
        path.write_text("[" + "[1]," * 3_000_000 + "1]")

        with pytest.raises(FileBroken, match="memory"):
            await parsing_process_with(memory_bytes=192 * 1024 * 1024).parse(path, "json")

    async def test_the_child_knows_no_secret_of_its_parent(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DIGLOT_INTERNAL_KEY", "hunter2")
        monkeypatch.setenv("DIGLOT_STORE_URL", "postgresql://hunter2")
        code = (
            "import os, json; open(os.environ['PYTHONPATH'].split(':')[0] + '/seen', 'w').write(repr(dict(os.environ)))"
        )
        self._replace_child(tmp_path, monkeypatch, code)
        path = tmp_path / "original.txt"
        path.write_text("text")

        with pytest.raises(FileBroken):
            await parsing_process_with().parse(path, "txt")

        seen = (tmp_path / "seen").read_text()
        assert "PYTHONPATH" in seen
        assert "hunter2" not in seen

    async def test_a_caller_that_leaves_takes_the_process_along(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = "import os, time; open(os.environ['PYTHONPATH'].split(':')[0] + '/pid', 'w').write(str(os.getpid()));"
        self._replace_child(tmp_path, monkeypatch, code + "time.sleep(60)")
        path = tmp_path / "original.txt"
        path.write_text("text")
        task = asyncio.create_task(parsing_process_with().parse(path, "txt"))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():  # noqa: ASYNC110 -- another process writes it
            await asyncio.sleep(0.02)

        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)

    def _replace_child(self, folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        (folder / "impostor.py").write_text(code)
        monkeypatch.setattr(parsing_process, "_CHILD_MODULE", "impostor")
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
