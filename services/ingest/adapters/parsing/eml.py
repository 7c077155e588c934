"""Mail messages (RFC 5322, MIME), by the standard library: headers, text, and what is attached.

Attachments of served kinds are read by their own parsers, messages in messages to a depth; what is not read is named.
Of a text in two forms the plain one is read, but where only the other has a table. Images inside a text are left out.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message

from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken, FileRefused, FileTypeUnsupported, FileWithoutText
from services.ingest.filenames import served_extension
from services.ingest.models import Block, BlockKind, ParsedDocument, TablePlace
from services.ingest.sniffing import check_content

_MAX_MESSAGES_DEEP = 5
_MAX_PARTS = 2_000
_MAX_ATTACHMENTS_READ = 100
_MAX_ATTACHED_BYTES = 100 * 1024 * 1024
_MAX_HEADER_CHARACTERS = 2_000
_SHOWN_HEADERS = ("From", "To", "Cc", "Date")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")
_HTML = "html"
# Kinds of attachment that have no name of their own.
_EXTENSIONS = {
    "application/json": "json",
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}


def parse_eml(data: bytes) -> ParsedDocument:
    """Raises: FileBroken: nested too deeply, or too many parts. FileWithoutText."""
    reader = _Reader()
    try:
        # Not the newer policy: it parses addresses by a grammar that a long line keeps busy for minutes.
        message = message_from_bytes(data.removeprefix(codecs.BOM_UTF8))
        return compose(reader.message(message, 1), title=_header(message, "Subject"))
    except RecursionError as error:
        raise FileBroken("the message holds messages nested too deeply") from error
    except (MessageError, LookupError, ValueError) as error:
        raise FileBroken("the message cannot be read") from error


@dataclass
class _Reader:
    """Reads one file, with what it may still take."""

    parts_left: int = _MAX_PARTS
    attachments_left: int = _MAX_ATTACHMENTS_READ
    bytes_left: int = _MAX_ATTACHED_BYTES
    tables_count: int = 0
    depth: int = 0

    def message(self, message: Message, level: int) -> Iterator[Piece]:
        """The subject as a heading of that level, and everything else under it."""
        subject = _header(message, "Subject")
        yield Piece(BlockKind.HEADING, subject[:200] or "Message", level)
        told = ((name, _header(message, name)) for name in _SHOWN_HEADERS)
        yield Piece(BlockKind.PARAGRAPH, "\n".join(f"{name}: {value}" for name, value in told if value))
        texts: list[Message] = []
        attached: list[Message] = []
        self._sort(message, texts, attached)
        for text in texts:
            yield from self._text(text, level)
        for part in attached:
            yield from self._attachment(part, level + 1)

    def _sort(self, part: Message, texts: list[Message], attached: list[Message]) -> None:
        """Which parts are the text, and which are attached to it."""
        self.parts_left -= 1
        if self.parts_left < 0:
            raise FileBroken(f"the message has more than {_MAX_PARTS:,} parts")
        if part.get_content_type() == "message/rfc822" or part.get_content_disposition() == "attachment":
            attached.append(part)
        elif part.get_content_type() == "multipart/alternative" and part.is_multipart():
            self._choose(part, texts, attached)
        elif part.is_multipart():
            for each in _parts(part):
                self._sort(each, texts, attached)
        elif part.get_content_maintype() == "text" and not part.get_filename():
            texts.append(part)
        elif part.get_content_maintype() != "image" or not part.get("Content-ID"):  # such images belong to the text
            attached.append(part)

    def _choose(self, part: Message, texts: list[Message], attached: list[Message]) -> None:
        """Of the forms of one text: plain, but HTML where that has tables of data or plain is empty."""
        forms: list[Message] = []
        for each in _parts(part):
            self._sort(each, forms, attached)
        plain = [each for each in forms if each.get_content_subtype() != _HTML and _content(each).strip()]
        marked_up = [each for each in forms if each.get_content_subtype() == _HTML]
        if marked_up and (not plain or any(re.search(r"<th\b", _content(each), re.I) for each in marked_up)):
            texts += marked_up
        else:
            texts += plain

    def _text(self, part: Message, level: int) -> Iterator[Piece]:
        content = _content(part)
        if part.get_content_subtype() != _HTML:
            yield from (Piece(BlockKind.PARAGRAPH, paragraph) for paragraph in _PARAGRAPHS.split(content.strip()))
            return
        from services.ingest.adapters.parsing.formats import parse_bytes

        try:
            yield from self._pieces(parse_bytes(content.encode("utf-8", "replace"), _HTML), level)
        except FileRefused:  # nothing but pictures, for one
            return

    def _attachment(self, part: Message, level: int) -> Iterator[Piece]:
        if part.get_content_type() == "message/rfc822" and part.is_multipart():
            yield from self._inner_message(part, level)
            return
        name = _name(part)
        yield Piece(BlockKind.HEADING, f"Attachment: {name}", level)
        try:
            document = self._read(part, name)
        except FileTypeUnsupported:
            return  # the name is what is known of it
        except FileRefused as error:
            yield Piece(BlockKind.PARAGRAPH, f"{name} could not be read: {error}")
            return
        yield from self._pieces(document, level)

    def _inner_message(self, part: Message, level: int) -> Iterator[Piece]:
        if self.depth >= _MAX_MESSAGES_DEEP:
            raise FileBroken(f"the message holds messages nested deeper than {_MAX_MESSAGES_DEEP}")
        self.depth += 1
        for inner in _parts(part):
            yield from self.message(inner, level)
        self.depth -= 1

    def _read(self, part: Message, name: str) -> ParsedDocument:
        """Raises: FileRefused."""
        from services.ingest.adapters.parsing.formats import parse_bytes

        extension = served_extension(name)
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes) or not content:
            raise FileWithoutText("it is empty")
        self.attachments_left -= 1
        self.bytes_left -= len(content)
        if self.attachments_left < 0 or self.bytes_left < 0:
            raise FileBroken("the message has more attachments than are read")
        if extension == "eml":
            self.depth += 1
            if self.depth > _MAX_MESSAGES_DEEP:
                raise FileBroken(f"messages are nested deeper than {_MAX_MESSAGES_DEEP}")
            try:
                check_content(content, extension)
                return compose(self.message(message_from_bytes(content), 1))
            finally:
                self.depth -= 1
        check_content(content, extension)
        return parse_bytes(content, extension)

    def _pieces(self, document: ParsedDocument, level: int) -> Iterator[Piece]:
        """A document as a part of the message: its headings under one of that level, its tables numbered on."""
        tables = 0
        for block in document.blocks:
            table = block.table
            if table is not None:
                tables = max(tables, table.table + 1)
                table = TablePlace(self.tables_count + table.table, table.row, table.columns)
            yield Piece(block.kind, document.text[block.start : block.end], _level(block, level), table=table)
        self.tables_count += tables


def _level(block: Block, above: int) -> int:
    return above + 1 + len(block.headings) if block.kind is BlockKind.HEADING else 0


def _parts(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []


def _header(message: Message, name: str) -> str:
    """The header as it is shown, in one line."""
    # As it came: bytes past ASCII, which old programs send undecoded, are not put right by `get`.
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    return _decoded(raw[:_MAX_HEADER_CHARACTERS])


def _decoded(raw: str) -> str:
    raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        parts = decode_header(raw)
    except (HeaderParseError, ValueError):
        return " ".join(raw.split())
    told = ""
    for text, charset in parts:
        told += text if isinstance(text, str) else _in(text, charset or "ascii")
    return " ".join(told.split())


def _in(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset)
    except (LookupError, UnicodeDecodeError):
        return data.decode("utf-8", "replace")


def _name(part: Message) -> str:
    """The attachment's name, without folders; made up from its kind where it has none."""
    raw = part.get_filename() or ""
    name = _decoded(raw[:_MAX_HEADER_CHARACTERS]).replace("\\", "/").rpartition("/")[2][-200:].strip()
    kind = part.get_content_type()
    return name or (f"unnamed.{_EXTENSIONS[kind]}" if kind in _EXTENSIONS else f"unnamed ({kind})")


def _content(part: Message) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    charset = part.get_content_charset()
    if charset:
        try:
            return data.decode(charset)
        except (LookupError, UnicodeDecodeError):
            pass
    try:
        return decode(data)
    except FileBroken:
        return data.decode("ascii", "replace")
