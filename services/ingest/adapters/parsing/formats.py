"""Which parser reads which kind of file. Each is loaded when the first file of its kind comes."""

from collections.abc import Callable

from services.ingest.errors import FileBroken
from services.ingest.models import ParsedDocument

# Raised whenever a parser would read the same bytes differently, so that stored chunks are not taken for current ones.
PARSING_VERSION = 2


OnPage = Callable[[int, int], None]
"""Is told of each page that is done, counted from 1, and of how many there are."""


def parse_bytes(data: bytes, extension: str, on_page: OnPage | None = None) -> ParsedDocument:
    """Read a file of that extension (without its dot).

    Raises: FileBroken: also when a library fails in a way of its own. FileWithoutText.
    """
    try:
        return _parse(data, extension, on_page)
    except RecursionError as error:
        raise FileBroken("the file is nested too deeply") from error


def _parse(data: bytes, extension: str, on_page: OnPage | None) -> ParsedDocument:
    match extension:
        case "pdf":
            from services.ingest.adapters.parsing.pdf import parse_pdf

            return parse_pdf(data)
        case "docx":
            from services.ingest.adapters.parsing.docx import parse_docx

            return parse_docx(data)
        case "eml":
            from services.ingest.adapters.parsing.eml import parse_eml

            return parse_eml(data)
        case "pptx":
            from services.ingest.adapters.parsing.pptx import parse_pptx

            return parse_pptx(data, on_page)
        case "xlsx":
            from services.ingest.adapters.parsing.xlsx import parse_xlsx

            return parse_xlsx(data, on_page)
        case "csv" | "tsv":
            from services.ingest.adapters.parsing.delimited import parse_delimited

            return parse_delimited(data, extension)
        case "json":
            from services.ingest.adapters.parsing.json_tree import parse_json

            return parse_json(data)
        case "jsonl":
            from services.ingest.adapters.parsing.json_tree import parse_json_lines

            return parse_json_lines(data)
        case "md":
            from services.ingest.adapters.parsing.markdown import parse_markdown

            return parse_markdown(data)
        case "html" | "htm":
            from services.ingest.adapters.parsing.html import parse_html

            return parse_html(data)
        case "txt":
            from services.ingest.adapters.parsing.plain_text import parse_plain_text

            return parse_plain_text(data)
        case _:
            raise FileBroken(f"there is no parser for .{extension} files")
