"""Which parser reads a file, without docling being installed."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from services.ingest.adapters.docling_use import docling_use
from services.ingest.adapters.parsing.choosing import DoclingUse, parse_by_choice
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument
from services.transport.errors import SettingsRefused
from tests.unit.ingest.files import Words, pdf_of

READER = "services.ingest.adapters.parsing.docling_reader"
Reads = Callable[..., ParsedDocument]


def by_docling(data: bytes, extension: str, *, models: Path | None = None) -> ParsedDocument:
    return compose([Piece(BlockKind.PARAGRAPH, f"docling read .{extension}")])


def failing(data: bytes, extension: str, *, models: Path | None = None) -> ParsedDocument:
    raise FileBroken("docling cannot read the file")


@pytest.fixture
def docling_is(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reads], None]:
    def put(read: Reads) -> None:
        stand_in = ModuleType(READER)
        stand_in.parse_with_docling = read  # type: ignore[attr-defined]
        stand_in.WITHOUT_MODELS = frozenset({"docx", "html", "htm", "md"})  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, READER, stand_in)

    return put


def test_without_docling_ours_read() -> None:
    assert parse_by_choice(b"Hello", "md", None).text == "Hello"
    assert READER not in sys.modules


@pytest.mark.parametrize("extension", ["md", "html", "htm"])
def test_docling_reads_what_it_can_where_it_always_does(docling_is: Callable[[Reads], None], extension: str) -> None:
    docling_is(by_docling)

    assert parse_by_choice(b"Hello", extension, DoclingUse("always")).text == f"docling read .{extension}"


@pytest.mark.parametrize("extension", ["txt", "csv", "json"])
def test_docling_reads_nothing_that_needs_none_of_it(docling_is: Callable[[Reads], None], extension: str) -> None:
    docling_is(by_docling)

    assert "docling" not in parse_by_choice(b'{"a": 1}', extension, DoclingUse("always")).text


def test_what_docling_fails_to_read_ours_have_read(docling_is: Callable[[Reads], None]) -> None:
    docling_is(failing)

    assert parse_by_choice(b"Hello", "md", DoclingUse("always")).text == "Hello"


def test_what_ours_refuse_never_reaches_docling(docling_is: Callable[[Reads], None]) -> None:
    docling_is(by_docling)

    with pytest.raises(FileBroken):
        parse_by_choice(b"PK\x03\x04 and nothing else", "docx", DoclingUse("always"))


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (DoclingUse("always"), "Own words"),
        (DoclingUse("need", Path("/models")), "Own words"),
        (DoclingUse("always", Path("/models")), "docling read .pdf"),
    ],
)
def test_a_pdf_with_text_goes_to_docling_only_always_and_with_models(
    docling_is: Callable[[Reads], None], use: DoclingUse, text: str
) -> None:
    docling_is(by_docling)

    assert parse_by_choice(pdf_of([Words("Own words", 72, 72)]), "pdf", use).text == text


def test_a_pdf_without_text_goes_to_docling_where_there_is_need(docling_is: Callable[[Reads], None]) -> None:
    docling_is(by_docling)

    assert parse_by_choice(pdf_of([]), "pdf", DoclingUse("need", Path("/models"))).text == "docling read .pdf"
    with pytest.raises(FileWithoutText):
        parse_by_choice(pdf_of([]), "pdf", DoclingUse("need"))


def test_a_pdf_without_text_that_docling_cannot_read_has_none(docling_is: Callable[[Reads], None]) -> None:
    docling_is(failing)

    with pytest.raises(FileWithoutText):
        parse_by_choice(pdf_of([]), "pdf", DoclingUse("need", Path("/models")))


@pytest.mark.parametrize("use", [DoclingUse("always"), DoclingUse("need", Path("/models"))])
def test_a_choice_survives_the_command_line(use: DoclingUse) -> None:
    assert DoclingUse.of_arguments(use.arguments) == use
    assert DoclingUse.of_arguments([]) is None


def test_docling_that_is_wanted_and_missing_refuses_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(SettingsRefused, match=r"USE_DOCLING=true.*requirements/docling.txt"):
        docling_use("true", None)
    assert docling_use("auto", None) is None
    assert docling_use("false", None) is None


def test_models_count_only_where_there_are_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    empty, filled = tmp_path / "empty", tmp_path / "filled"
    empty.mkdir()
    filled.mkdir()
    (filled / "layout").mkdir()

    assert docling_use("true", empty) == DoclingUse("always")
    assert docling_use("true", filled) == DoclingUse("always", filled)
    assert docling_use("auto", empty) is None
    assert docling_use("auto", tmp_path / "absent") is None
    assert docling_use("auto", filled) == DoclingUse("need", filled)
    assert docling_use("false", filled) is None
