"""Markdown, by markdown-it-py. HTML inside it is read as text, never kept as markup."""

import re
from collections.abc import Iterator
from itertools import chain

from markdown_it import MarkdownIt
from markdown_it.token import Token

from services.ingest.adapters.parsing.table_rows import Tables
from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument

_MAX_NESTING = 100  # a list in a list counts two
_FENCE = re.compile(r"^(?:---|\.\.\.)[ \t]*$\n?", re.M)
_TITLE = re.compile(r"^title:[ \t]*(\S.*)$", re.M | re.I)


def parse_markdown(data: bytes) -> ParsedDocument:
    """Raises: FileWithoutText, FileBroken (encoding, nesting)."""
    front_matter, text = _parted(decode(data))
    reader = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable("table").enable("strikethrough")
    tokens = reader.parse(text)
    # The library leaves out what is nested deeper, without a word.
    if any(token.level >= _MAX_NESTING - 2 for token in tokens):
        raise FileBroken("the Markdown is nested too deeply")
    facts = [Piece(BlockKind.PARAGRAPH, front_matter)] if front_matter else []
    return compose(chain(facts, _pieces(tokens)), title=_title(front_matter))


def _parted(text: str) -> tuple[str, str]:
    """What stands between the two fences of a leading YAML block, and the text after it."""
    text = text.replace("\r\n", "\n")
    if text.startswith("---\n") and (end := _FENCE.search(text, 4)):
        return text[4 : end.start()], text[end.end() :]
    return "", text


def _title(front_matter: str) -> str:
    """The title that it gives in one line, as most do."""
    found = _TITLE.search(front_matter)
    return found[1].strip().strip("\"'") if found else ""


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
