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
from tests.unit.ingest.office_files import pptx_of, shape

MEMORY_BYTES = 1024 * 1024 * 1024


def _runs(pid: int) -> bool:
    """Whether a process is there and not only waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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

    async def test_pages_are_told_as_they_are_done(self, tmp_path: Path) -> None:
        path = tmp_path / "original.pptx"
        path.write_bytes(pptx_of(shape("one"), shape("two"), shape("three")))
        told: list[tuple[int, int]] = []

        await parsing_process_with().parse(path, "pptx", on_page=lambda page, of: told.append((page, of)))

        assert told == [(1, 3), (2, 3), (3, 3)]

    async def test_a_process_that_falls_silent_is_given_up_before_its_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # What it says is no page of ours, but for the first line.
        code = (
            "import os, sys, time\n"
            'os.write(int(sys.argv[4]), b\'{"page": 1, "of": 2}\\n\')\n'
            "while True: time.sleep(0.05); os.write(int(sys.argv[4]), b'{\"page\": 9, \"of\": 2}\\n' + b'x' * 3000)"
        )
        self._replace_child(tmp_path, monkeypatch, code)
        path = tmp_path / "original.txt"
        path.write_text("text")
        told: list[tuple[int, int]] = []
        parser = ParsingProcess(timeout_seconds=60, memory_bytes=MEMORY_BYTES, max_parallel=1, quiet_seconds=2)

        with pytest.raises(ParsingTimeout, match="within 2 seconds"):
            await parser.parse(path, "txt", on_page=lambda page, of: told.append((page, of)))

        assert (9, 2) not in told  # a page past the last is none, and buys no time

    async def test_more_text_than_is_taken_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "original.txt"
        path.write_text("word " * 10_000)
        parser = ParsingProcess(timeout_seconds=30, memory_bytes=MEMORY_BYTES, max_parallel=1, max_output_bytes=20_000)

        with pytest.raises(FileBroken, match="more text than is taken"):
            await parser.parse(path, "txt")

    async def test_copies_that_a_process_made_of_itself_end_with_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = (
            "import os, time\n"
            "folder = os.environ['PYTHONPATH'].split(':')[0]\n"
            "if os.fork() == 0:\n"
            "    open(folder + '/pid', 'w').write(str(os.getpid()))\n"
            "    time.sleep(60)\n"
            "while not os.path.exists(folder + '/pid') or not open(folder + '/pid').read(): time.sleep(0.01)\n"
            "os._exit(3)"
        )
        self._replace_child(tmp_path, monkeypatch, code)
        path = tmp_path / "original.txt"
        path.write_text("text")

        with pytest.raises((FileBroken, ParsingTimeout)):
            await parsing_process_with(timeout_seconds=3).parse(path, "txt")

        copy = int((tmp_path / "pid").read_text())
        while _runs(copy):  # noqa: ASYNC110 -- another process, which nobody tells of
            await asyncio.sleep(0.02)

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
