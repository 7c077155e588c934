"""PDFs made to do harm, in the processes that read them: a verdict soon, little memory, and nothing else lost."""

import asyncio
import sys
from pathlib import Path

import pytest

from services.ingest.adapters.parsing.pdf_document import Loss
from services.ingest.adapters.parsing.pdf_workers import IsolatedPages
from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.errors import FileBroken, FileRefused
from services.ingest.models import PageProblem
from tests.unit.ingest import hostile_pdfs
from tests.unit.ingest.pdf_files import Sheet, pdf_of_content, pdf_of_sheets, stream

MEMORY_BYTES = 416 * 1024 * 1024
MOST_RESIDENT_BYTES = 500 * 1024 * 1024
MOST_SECONDS = 30


@pytest.fixture
def parser() -> ParsingProcess:
    return ParsingProcess(timeout_seconds=MOST_SECONDS, memory_bytes=MEMORY_BYTES, max_parallel=1)


def written(folder: Path, content: bytes, name: str = "original.pdf") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", hostile_pdfs.REFUSED)
async def test_a_hostile_file_is_refused_soon_with_a_reason(parser: ParsingProcess, tmp_path: Path, name: str) -> None:
    path = written(tmp_path, hostile_pdfs.REFUSED[name]())

    with pytest.raises(FileRefused) as refused:
        await parser.parse(path, "pdf")

    assert len(str(refused.value)) > 30


async def test_no_hostile_file_makes_a_process_large(tmp_path: Path) -> None:
    for name in ("flate_bomb", "packed_objects_bomb"):
        written(tmp_path, hostile_pdfs.REFUSED[name](), f"{name}.pdf")

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.ingest.parsing_peak", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()

    assert process.returncode == 0
    assert int(output) < MOST_RESIDENT_BYTES


async def test_pages_that_take_too_much_are_noted_and_all_others_are_read(
    parser: ParsingProcess, tmp_path: Path
) -> None:
    document = await parser.parse(written(tmp_path, hostile_pdfs.bombs_among_pages(3)), "pdf")

    assert document.text.count("hello world") == 3
    assert [(note.page, note.reason) for note in document.page_notes] == [
        (page, PageProblem.PAGE_TOO_COMPLEX) for page in (2, 4, 6)
    ]


@pytest.mark.parametrize("make", [hostile_pdfs.with_script_and_attachment, hostile_pdfs.huge_page])
async def test_scripts_attachments_and_sizes_of_pages_change_nothing(
    parser: ParsingProcess, tmp_path: Path, make: object
) -> None:
    assert callable(make)

    document = await parser.parse(written(tmp_path, make()), "pdf")

    assert document.text == "hello world"
    assert document.page_notes == ()


async def test_a_file_cut_off_anywhere_is_read_or_refused(tmp_path: Path) -> None:
    whole = pdf_of_sheets(Sheet().text("hello world", 60, 100), Sheet().text("and more", 60, 100))
    outcomes = set()

    for end in range(20, len(whole), len(whole) // 30):
        try:
            with IsolatedPages(whole[:end]) as pages:
                outcomes.add(len(pages.read()))
        except FileBroken:
            outcomes.add(-1)

    assert -1 in outcomes
    assert outcomes <= {-1, 0, 1, 2}


def test_a_page_that_takes_too_long_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.ingest.adapters.parsing import pdf_workers

    monkeypatch.setattr(pdf_workers, "PAGE_CPU_SECONDS", 0.2)
    slow = pdf_of_content(stream(b"BT /F 12 Tf 1 0 0 1 10 10 Tm (a) Tj ET\n" * 400_000, packed=True))

    with IsolatedPages(slow) as pages:
        [page] = pages.read()

    assert isinstance(page, Loss)
    assert page.problem is PageProblem.PAGE_TOO_COMPLEX


def test_after_too_much_time_on_slow_pages_the_rest_is_left_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.ingest.adapters.parsing import pdf_workers

    monkeypatch.setattr(pdf_workers, "_MAX_LOST_PAGES", 1)

    with IsolatedPages(hostile_pdfs.bombs_among_pages(4), max_workers=1) as pages:
        read = pages.read()

    details = [page.detail for page in read if isinstance(page, Loss)]
    assert len(read) == 8
    assert "left out" in details[-1]
    assert not isinstance(read[0], Loss)


def test_the_document_can_be_drawn_and_copied_after_a_page_was_lost() -> None:
    with IsolatedPages(hostile_pdfs.bombs_among_pages(1)) as pages:
        assert isinstance(pages.read()[1], Loss)
        image = pages.render(0)
        part = pages.extract([0])

    assert image is not None
    assert len(image.pixels) == image.width * image.height
    assert part is not None
    with IsolatedPages(part) as copied:
        assert copied.opened.page_count == 1


def test_a_picture_too_large_to_draw_is_told_as_such() -> None:
    with IsolatedPages(hostile_pdfs.pixel_flood()) as pages:
        [page] = pages.read()
        image = pages.render(0)

    assert not isinstance(page, Loss)
    assert page.is_picture
    assert image is None or len(image.pixels) <= 6_100_000
