"""Office and web documents by docling, as pieces of ours. PDFs too, where its layout models lie on this machine.

Importing docling takes more than a second: only a parsing process that needs it does. It never downloads anything.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.ingest.adapters.parsing.table_rows import Tables
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument

if TYPE_CHECKING:
    from docling_core.types.doc import DoclingDocument

_CLOSES = re.compile(r"[.,;:!?)\]”’%]")


def parse_with_docling(data: bytes, extension: str) -> ParsedDocument:
    """Read a file of that extension (without its dot), one of DOCLING_FORMATS.

    Raises: FileBroken: docling cannot read it. FileWithoutText.
    """
    document = _converted(_converter(extension), data, extension)
    return compose(_pieces(document), page_count=len(document.pages) or None)


class DoclingPages:
    """Pages of PDFs by docling's layout and table models, which lie in the folder `models`; PagesElsewhere of pdf.py.

    With `recognises_text` it reads pictures too, by RapidOCR.
    """

    def __init__(self, models: Path, *, recognises_text: bool) -> None:
        self._models = models
        self.recognises_text = recognises_text

    def read(self, pdf: bytes) -> dict[int, list[Piece]]:
        """The pieces of each page, counted from 0. Raises: FileBroken: docling cannot read it."""
        try:
            format_option = self._format_option()
        except ImportError as error:
            raise FileBroken("docling's parts for PDFs are not installed") from error
        from docling.datamodel.base_models import InputFormat
        from docling.document_converter import DocumentConverter

        converter = DocumentConverter(
            allowed_formats=[InputFormat.PDF], format_options={InputFormat.PDF: format_option}
        )
        pages: dict[int, list[Piece]] = {}
        for piece in _pieces(_converted(converter, pdf, "pdf")):
            pages.setdefault((piece.page or 1) - 1, []).append(piece)
        return pages

    def _format_option(self) -> Any:
        """How docling reads PDFs: with models from the folder alone, and never from a hub."""
        from docling.datamodel.pipeline_options import PdfPipelineOptions, RapidOcrOptions
        from docling.document_converter import PdfFormatOption

        options = PdfPipelineOptions(artifacts_path=self._models, do_ocr=self.recognises_text)
        if self.recognises_text:
            options.ocr_options = RapidOcrOptions(backend="onnxruntime", **_models_of_rapidocr())
        return PdfFormatOption(pipeline_options=options)


def _models_of_rapidocr() -> dict[str, str]:
    """Where the models lie that RapidOCR's package carries, as docling names them; none it would look up itself."""
    import importlib.util

    package = importlib.util.find_spec("rapidocr")
    folders = list(package.submodule_search_locations or []) if package else []
    found: dict[str, str] = {}
    for path in sorted(file for folder in folders for file in (Path(folder) / "models").glob("*.onnx")):
        for part in ("det", "cls", "rec"):
            if f"_{part}_" in path.name:
                found[f"{part}_model_path"] = str(path)
    return found


def _converted(converter: Any, data: bytes, extension: str) -> DoclingDocument:
    os.environ["HF_HUB_OFFLINE"] = "1"
    from docling.datamodel.base_models import DocumentStream

    try:
        result = converter.convert(DocumentStream(name=f"file.{extension}", stream=io.BytesIO(data)))
    except Exception as error:  # docling hands on whatever the library behind a format raises
        raise FileBroken("docling cannot read the file") from error
    document: DoclingDocument = result.document
    return document


def _converter(extension: str) -> Any:
    """A converter of this one format; others are refused, whatever the bytes look like."""
    from docling.datamodel.base_models import InputFormat
    from docling.document_converter import DocumentConverter

    formats = {"docx": InputFormat.DOCX, "html": InputFormat.HTML, "htm": InputFormat.HTML, "md": InputFormat.MD}
    return DocumentConverter(allowed_formats=[formats[extension]])


def _pieces(document: DoclingDocument) -> Iterator[Piece]:
    """The document in reading order. Stretches of one paragraph that differ in style are one piece."""
    from docling_core.types.doc import InlineGroup

    tables = Tables()
    run: Piece | None = None
    run_of: object = None
    for item, _ in document.iterate_items():
        parent = item.parent.resolve(document) if item.parent else None
        inline = parent if isinstance(parent, InlineGroup) else None
        if run is not None and (inline is None or inline is not run_of):
            yield run
            run = None
        for piece in _read(item, tables):
            if inline is None:
                yield piece
            elif run is None:
                run, run_of = replace(piece, kind=_kind_of_run(document, inline)), inline
            else:
                run = replace(run, text=_joined(run.text, piece.text))
    if run is not None:
        yield run


def _read(item: Any, tables: Tables) -> Iterator[Piece]:
    from docling_core.types.doc import CodeItem, ListItem, SectionHeaderItem, TableItem, TextItem, TitleItem

    page = item.prov[0].page_no if getattr(item, "prov", None) else None
    match item:
        case TitleItem():
            yield Piece(BlockKind.HEADING, item.text, 1, page)
        case SectionHeaderItem():
            # A title is the outermost heading; sections stand under it.
            yield Piece(BlockKind.HEADING, item.text, item.level + 1, page)
        case TableItem():
            grid = [[cell.text for cell in row] for row in item.data.grid]
            yield from tables.of_texts(grid, page=page)
        case ListItem():
            yield Piece(BlockKind.ITEM, item.text, page=page)
        case CodeItem():
            yield Piece(BlockKind.CODE, item.text, page=page)
        case TextItem():
            yield Piece(BlockKind.PARAGRAPH, item.text, page=page)


def _kind_of_run(document: DoclingDocument, inline: Any) -> BlockKind:
    from docling_core.types.doc import ListItem

    holder = inline.parent.resolve(document) if inline.parent else None
    return BlockKind.ITEM if isinstance(holder, ListItem) else BlockKind.PARAGRAPH


def _joined(before: str, after: str) -> str:
    """docling trims the stretches; no space stands before a mark that closes."""
    return before + after if _CLOSES.match(after) else f"{before} {after}"
