"""Markdown, by markdown-it-py. HTML inside it is read as text, never kept as markup."""

from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from services.ingest.adapters.parsing.table_rows import Tables
from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.composing import Piece, compose
from services.ingest.models import BlockKind, ParsedDocument


def parse_markdown(data: bytes) -> ParsedDocument:
    """Raises: FileWithoutText, FileBroken (encoding)."""
    reader = MarkdownIt("commonmark", {"maxNesting": 50}).enable("table").enable("strikethrough")
    return compose(_pieces(reader.parse(_without_front_matter(decode(data)))))


def _without_front_matter(text: str) -> str:
    """Leave out the two fences of a leading YAML block; what it says stays, as text."""
    text = text.replace("\r\n", "\n")
    if text.startswith("---\n") and (end := text.find("\n---\n", 3)) > 0:
        return text[4:end].replace("\n", "  \n") + "\n\n" + text[end + 5 :]
    return text


def _pieces(tokens: list[Token]) -> Iterator[Piece]:
    heading_level = list_depth = 0
    tables = Tables()
    rows: list[list[str]] = []
    in_cell = False
    for token in tokens:
        match token.type:
            case "heading_open":
                heading_level = int(token.tag[1:])
            case "heading_close":
                heading_level = 0
            case "list_item_open":
                list_depth += 1
            case "list_item_close":
                list_depth -= 1
            case "table_open":
                rows = []
            case "tr_open":
                rows.append([])
            case "table_close":
                header, body = rows[0], rows[1:]
                yield from tables.of_rows(body, header) if any(map(any, body)) else tables.of_rows([header], None)
            case "th_open" | "td_open":
                in_cell = True
            case "th_close" | "td_close":
                in_cell = False
            case "inline" if in_cell:
                rows[-1].append(_plain(token))
            case "inline" if heading_level:
                yield Piece(BlockKind.HEADING, _plain(token), heading_level)
            case "inline":
                yield Piece(BlockKind.ITEM if list_depth else BlockKind.PARAGRAPH, _plain(token))
            case "fence" | "code_block":
                yield Piece(BlockKind.CODE, token.content)
            case "html_block":
                yield from _html(token.content)


def _html(markup: str) -> Iterator[Piece]:
    from services.ingest.adapters.parsing.html import parse_markup, read_pieces  # lxml, for the few that need it

    if markup.strip():
        yield from read_pieces(parse_markup(f"<div>{markup}</div>"))


def _plain(token: Token) -> str:
    words = []
    for child in token.children or ():
        match child.type:
            case "text" | "code_inline":
                words.append(child.content)
            case "softbreak":
                words.append(" ")
            case "hardbreak":
                words.append("\n")
            case "image":
                words.append(child.content)
    return "".join(words)
