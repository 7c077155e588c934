"""docling itself in a parsing process, beside our own parsers. `make test-docling` installs it and runs this."""

import os
import sys
from pathlib import Path

import pytest

from services.ingest.adapters.parsing.choosing import ReadingHelp, parse_by_choice
from services.ingest.adapters.parsing.formats import parse_bytes
from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument
from services.ingest.ports import Parser
from tests.contract.ingest.parser_contract import ParserContract
from tests.unit.ingest.pdf_files import Sheet, pdf_of_sheets

SITE = os.environ.get("DIGLOT_TEST_DOCLING_SITE", "")
DOCUMENTS = Path(__file__).parents[3] / "deploy" / "sample" / "documents"
MEMORY_BYTES = 1024 * 1024 * 1024

pytestmark = pytest.mark.skipif(not SITE, reason="docling has an environment of its own: make test-docling")


@pytest.fixture
def docling(monkeypatch: pytest.MonkeyPatch) -> Parser:
    # The child gets its modules from where this process says it has its own.
    monkeypatch.setattr(sys, "path", [*sys.path, SITE])
    return ParsingProcess(
        timeout_seconds=60, memory_bytes=MEMORY_BYTES, max_parallel=2, reading_help=ReadingHelp("always")
    )


class TestParsingProcessWithDocling(ParserContract):
    broken = b"PK\x03\x04 and nothing else"
    broken_extension = "docx"

    @pytest.fixture
    def parser(self, docling: Parser) -> Parser:
        return docling


def told(document: ParsedDocument) -> list[tuple[BlockKind, tuple[str, ...], str]]:
    return [(block.kind, block.headings, document.text[block.start : block.end]) for block in document.blocks]


@pytest.mark.parametrize(
    "name", ["employee_handbook.docx", "customer_segments.md", "complaint_handling_procedure.html"]
)
async def test_docling_reads_the_sample_as_our_own_parsers_do(docling: Parser, name: str) -> None:
    path = DOCUMENTS / name
    extension = path.suffix.removeprefix(".")

    parsed = await docling.parse(path, extension)

    assert told(parsed) == told(parse_bytes(path.read_bytes(), extension))


async def test_it_is_docling_that_reads(monkeypatch: pytest.MonkeyPatch, docling: Parser, tmp_path: Path) -> None:
    from services.ingest.adapters.parsing import docling_reader

    monkeypatch.syspath_prepend(SITE)
    page = b"<html><body><h1>Rates</h1><p>We pay <b>5</b> <i>percent</i>, and no more.</p></body></html>"

    parsed = docling_reader.parse_with_docling(page, "html")

    assert told(parsed) == [
        (BlockKind.HEADING, (), "Rates"),
        (BlockKind.PARAGRAPH, ("Rates",), "We pay 5 percent, and no more."),
    ]


async def test_rows_keep_their_header(docling: Parser, tmp_path: Path) -> None:
    path = tmp_path / "original.md"
    path.write_text("# Fees\n\n| Plan | Fee |\n|---|---|\n| Basic | 5 |\n| Premium | 9 |\n")

    parsed = await docling.parse(path, "md")

    assert [parsed.text[block.start : block.end] for block in parsed.blocks if block.kind is BlockKind.ROW] == [
        "Plan: Basic; Fee: 5",
        "Plan: Premium; Fee: 9",
    ]


async def test_a_pdf_without_models_is_read_by_our_own_parser(docling: Parser) -> None:
    path = DOCUMENTS / "returns_and_refunds_policy.pdf"

    assert told(await docling.parse(path, "pdf")) == told(parse_bytes(path.read_bytes(), "pdf"))


async def test_docling_that_fails_is_told_as_a_broken_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.ingest.adapters.parsing import docling_reader

    monkeypatch.syspath_prepend(SITE)

    with pytest.raises(FileBroken):
        docling_reader.parse_with_docling(b"PK\x03\x04 and nothing else", "docx")


def test_pages_keep_their_numbers_when_docling_reads_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from services.ingest.adapters.parsing.docling_reader import DoclingPages

    monkeypatch.syspath_prepend(SITE)
    pytest.importorskip("docling_parse", reason="docling without its parts for PDFs")
    from docling.document_converter import NativePdfFormatOption

    class WithoutModels(DoclingPages):
        def _format_option(self) -> object:
            return NativePdfFormatOption()  # reads text alone, which takes no weights

    pdf = pdf_of_sheets(Sheet().text("Words of the first page", 60, 100), Sheet().text("And of the second", 60, 100))

    pages = WithoutModels(tmp_path, recognises_text=False).read(pdf)

    assert {page: [piece.text for piece in pieces] for page, pieces in pages.items()} == {
        0: ["Words of the first page"],
        1: ["And of the second"],
    }


def test_models_that_are_not_there_leave_pages_to_our_own_parser(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(SITE)
    (tmp_path / "layout").mkdir()
    pdf = pdf_of_sheets(Sheet().text("Words of the first page", 60, 100))

    document = parse_by_choice(pdf, "pdf", ReadingHelp("always", tmp_path))

    assert document.text == "Words of the first page"
