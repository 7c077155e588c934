"""Which parser reads a file, without docling or text recognition being installed."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from services.ingest.adapters.parsing.choosing import NO_HELP, ReadingHelp, parse_by_choice
from services.ingest.adapters.reading_help import reading_help
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument
from services.transport.errors import SettingsRefused
from tests.unit.ingest.files import Words, pdf_of

READER = "services.ingest.adapters.parsing.docling_reader"
Reads = Callable[..., ParsedDocument]
ALWAYS = ReadingHelp("always")


def by_docling(data: bytes, extension: str) -> ParsedDocument:
    return compose([Piece(BlockKind.PARAGRAPH, f"docling read .{extension}")])


def failing(data: bytes, extension: str) -> ParsedDocument:
    raise FileBroken("docling cannot read the file")


class PagesByDocling:
    recognises_text = False

    def __init__(self, models: Path, *, recognises_text: bool) -> None:
        pass

    def read(self, pdf: bytes) -> dict[int, list[Piece]]:
        return {0: [Piece(BlockKind.PARAGRAPH, "docling read the page")]}


@pytest.fixture
def docling_is(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reads], None]:
    def put(read: Reads) -> None:
        stand_in = ModuleType(READER)
        stand_in.parse_with_docling = read  # type: ignore[attr-defined]
        stand_in.DoclingPages = PagesByDocling  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, READER, stand_in)

    return put


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The packages that are installed, to be filled."""
    packages: set[str] = set()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in packages else None)
    return packages


def test_without_docling_ours_read() -> None:
    assert parse_by_choice(b"Hello", "md").text == "Hello"
    assert READER not in sys.modules


@pytest.mark.parametrize("extension", ["md", "html", "htm"])
def test_docling_reads_what_it_can_where_it_always_does(docling_is: Callable[[Reads], None], extension: str) -> None:
    docling_is(by_docling)

    assert parse_by_choice(b"Hello", extension, ALWAYS).text == f"docling read .{extension}"


@pytest.mark.parametrize("extension", ["txt", "csv", "json"])
def test_docling_reads_nothing_that_needs_none_of_it(docling_is: Callable[[Reads], None], extension: str) -> None:
    docling_is(by_docling)

    assert "docling" not in parse_by_choice(b'{"a": 1}', extension, ALWAYS).text


def test_what_docling_fails_to_read_ours_have_read(docling_is: Callable[[Reads], None]) -> None:
    docling_is(failing)

    assert parse_by_choice(b"Hello", "md", ALWAYS).text == "Hello"


def test_what_ours_refuse_never_reaches_docling(docling_is: Callable[[Reads], None]) -> None:
    docling_is(by_docling)

    with pytest.raises(FileBroken):
        parse_by_choice(b"PK\x03\x04 and nothing else", "docx", ALWAYS)


@pytest.mark.parametrize(
    ("helpers", "text"),
    [
        (ALWAYS, "Own words"),
        (ReadingHelp("need", Path("/models")), "Own words"),
        (ReadingHelp("always", Path("/models")), "docling read the page"),
    ],
)
def test_a_page_with_text_goes_to_docling_only_always_and_with_models(
    docling_is: Callable[[Reads], None], helpers: ReadingHelp, text: str
) -> None:
    docling_is(by_docling)

    assert parse_by_choice(pdf_of([Words("Own words", 72, 72)]), "pdf", helpers).text == text


@pytest.mark.parametrize(
    "helpers",
    [ALWAYS, ReadingHelp("need", Path("/models")), ReadingHelp(ocr="rapidocr"), NO_HELP],
)
def test_a_choice_survives_the_command_line(helpers: ReadingHelp) -> None:
    assert ReadingHelp.of_arguments(helpers.arguments) == helpers


def test_other_help_has_another_fingerprint() -> None:
    choices = [NO_HELP, ALWAYS, ReadingHelp("always", Path("/models")), ReadingHelp("need", Path("/models"))]
    choices += [ReadingHelp(ocr="rapidocr"), ReadingHelp("need", Path("/models"), "docling")]

    assert len({helpers.fingerprint for helpers in choices}) == len(choices)
    assert NO_HELP.fingerprint == ""


def test_only_files_that_helpers_may_read_get_their_memory() -> None:
    assert ReadingHelp(ocr="rapidocr").may_read("pdf")
    assert not ReadingHelp(ocr="rapidocr").may_read("docx")
    assert ALWAYS.may_read("docx")
    assert not ALWAYS.may_read("pdf")
    assert not ReadingHelp("need", Path("/models")).may_read("docx")


def test_docling_that_is_wanted_and_missing_refuses_the_start(installed: set[str]) -> None:
    with pytest.raises(SettingsRefused, match=r"USE_DOCLING=true.*requirements/docling.txt"):
        reading_help("true", None)
    assert reading_help("auto", None) == NO_HELP
    assert reading_help("false", None) == NO_HELP


def test_models_count_only_where_there_are_any(installed: set[str], tmp_path: Path) -> None:
    installed.add("docling")
    empty, filled = tmp_path / "empty", tmp_path / "filled"
    empty.mkdir()
    (filled / "layout").mkdir(parents=True)

    assert reading_help("true", empty) == ReadingHelp("always")
    assert reading_help("true", filled) == ReadingHelp("always", filled)
    assert reading_help("auto", empty) == NO_HELP
    assert reading_help("auto", tmp_path / "absent") == NO_HELP
    assert reading_help("auto", filled) == ReadingHelp("need", filled)
    assert reading_help("false", filled) == NO_HELP


def test_nothing_is_downloaded_unless_that_is_allowed(installed: set[str], tmp_path: Path) -> None:
    installed.add("docling")
    folder = tmp_path / "models"

    def download(command: Sequence[str]) -> int:
        assert str(folder) in command[-1]
        (folder / "layout").mkdir(parents=True)
        return 0

    assert reading_help("auto", folder) == NO_HELP
    assert not folder.exists()
    assert reading_help("auto", folder, download=True, run=download) == ReadingHelp("need", folder)


def test_a_download_that_fails_leaves_docling_without_models(installed: set[str], tmp_path: Path) -> None:
    installed.add("docling")

    assert reading_help("auto", tmp_path / "models", download=True, run=lambda command: 1) == NO_HELP


def test_text_is_recognised_by_what_is_installed_unless_told_otherwise(installed: set[str]) -> None:
    assert reading_help("auto", None) == NO_HELP

    installed.update({"rapidocr", "onnxruntime"})

    assert reading_help("auto", None) == ReadingHelp(ocr="rapidocr")
    assert reading_help("auto", None, "rapidocr") == ReadingHelp(ocr="rapidocr")
    assert reading_help("auto", None, "none") == NO_HELP


def test_an_engine_that_is_wanted_and_missing_refuses_the_start(installed: set[str], tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match=r"INGEST_OCR_ENGINE=rapidocr.*pip install rapidocr"):
        reading_help("auto", None, "rapidocr")
    with pytest.raises(SettingsRefused, match=r"INGEST_OCR_ENGINE=docling.*DOCLING_ARTIFACTS_PATH"):
        reading_help("auto", None, "docling")
    installed.update({"rapidocr", "onnxruntime", "docling"})
    (tmp_path / "layout").mkdir()

    assert reading_help("auto", tmp_path, "docling") == ReadingHelp("need", tmp_path, "docling")
