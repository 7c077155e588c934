"""Office files (OOXML) as what they are: ZIP archives of XML parts that point to each other, opened with suspicion."""

import io
import posixpath
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO
from urllib.parse import unquote

from lxml import etree

from services.ingest.errors import FileBroken

_MAX_MEMBERS = 5_000
# A tree takes ten times the bytes of its XML; large worksheets are streamed instead, and may be longer.
_MAX_TREE_BYTES = 24 * 1024 * 1024
_MAX_STREAM_BYTES = 400 * 1024 * 1024
_MAX_TOTAL_BYTES = 500 * 1024 * 1024
# Office's own XML shrinks 10 to 30 times; a bomb a thousand times. Small members may shrink as they like.
_MAX_RATIO = 200
_RATIO_COUNTS_FROM_BYTES = 1024 * 1024

_RELATIONSHIPS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
# The strict edition of the standard has namespaces of its own for the same elements.
_STRICT = (
    (
        b"http://purl.oclc.org/ooxml/wordprocessingml/main",
        b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    ),
    (b"http://purl.oclc.org/ooxml/spreadsheetml/main", b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"),
    (b"http://purl.oclc.org/ooxml/presentationml/main", b"http://schemas.openxmlformats.org/presentationml/2006/main"),
    (b"http://purl.oclc.org/ooxml/drawingml/", b"http://schemas.openxmlformats.org/drawingml/2006/"),
    (
        b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    ),
)


class OfficePackage:
    """The parts of an opened file. `kind` is its extension, for messages."""

    def __init__(self, archive: zipfile.ZipFile, kind: str) -> None:
        self._archive = archive
        self._kind = kind
        self._names = {member.filename.lower(): member.filename for member in archive.infolist()}

    def part(self, name: str) -> etree._Element | None:
        """The root of an XML part, None when there is none of that name. Raises FileBroken."""
        found = self._names.get(name.lower())
        if found is None:
            return None
        if self._archive.getinfo(found).file_size > _MAX_TREE_BYTES:
            raise FileBroken(
                f"the .{self._kind} file unpacks to too much: {_shown(name)} alone is larger than is taken"
            )
        data = self._archive.read(found)
        if b"<!DOCTYPE" in data:  # before parsing, which would expand entities in attributes
            raise FileBroken(self.declares_entities)
        for strict, usual in _STRICT:
            data = data.replace(strict, usual)
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
        root = etree.fromstring(data, parser)
        if root.getroottree().docinfo.internalDTD is not None:  # in an encoding that hides it from the look above
            raise FileBroken(self.declares_entities)
        return root

    def main_part(self, usual: str) -> str:
        """The name of the part that everything hangs on; `usual` where the file does not say."""
        for kind, target in self.related("").values():
            if kind == "officeDocument":
                return target
        return usual

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """What the part of that name points to inside the file: kind and part name by id. "" stands for the file."""
        folder, _, base = name.rpartition("/")
        root = self.part(posixpath.join(folder, "_rels", f"{base}.rels"))
        found: dict[str, tuple[str, str]] = {}
        for each in root.iter(_RELATIONSHIPS) if root is not None else ():
            target, mode = each.get("Target") or "", each.get("TargetMode")
            if mode == "External" or not target:
                continue
            path = posixpath.normpath(posixpath.join("/", folder, unquote(target))).lstrip("/")
            found[each.get("Id") or ""] = ((each.get("Type") or "").rpartition("/")[2], path)
        return found

    def named(self, name: str, kind: str) -> list[str]:
        """The parts of one kind that a part points to, in the order of their ids' first mention."""
        return [target for each, target in self.related(name).values() if each == kind]

    def title(self) -> str:
        core = self.part("docProps/core.xml")
        return (core.findtext(f".//{_DC_TITLE}") or "") if core is not None else ""

    @contextmanager
    def streamed(self, name: str) -> Iterator[IO[bytes] | None]:
        """A part too large for a tree, to be read from its beginning; None when there is none of that name.

        Its namespaces may be those of the strict edition.
        """
        found = self._names.get(name.lower())
        if found is None:
            yield None
            return
        if self._archive.getinfo(found).file_size > _MAX_STREAM_BYTES:
            raise FileBroken(
                f"the .{self._kind} file unpacks to too much: {_shown(name)} alone is larger than is taken"
            )
        with self._archive.open(found) as file:
            yield file

    @property
    def declares_entities(self) -> str:
        """What to say of a part with a DTD of its own."""
        return f"the .{self._kind} file declares entities, which no Office document does"


@contextmanager
def opened_package(data: bytes, kind: str) -> Iterator[OfficePackage]:
    """The file, checked for what unpacks to too much or leads out of it.

    Raises: FileBroken: also for whatever goes wrong with its ZIP or XML inside the block.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_size(archive, kind)
            yield OfficePackage(archive, kind)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError, RuntimeError, etree.LxmlError) as error:
        if isinstance(error, RecursionError):
            raise
        # RuntimeError is zipfile's word for "encrypted" and for compression it does not know.
        raise FileBroken(f"the .{kind} file is damaged or encrypted") from error


def _check_size(archive: zipfile.ZipFile, kind: str) -> None:
    """Judge by the sizes the archive declares; zipfile reads no member past its declared size."""
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise FileBroken(f"the .{kind} file has more than {_MAX_MEMBERS} parts")
    if sum(member.file_size for member in members) > _MAX_TOTAL_BYTES:
        raise FileBroken(f"the .{kind} file unpacks to too much")
    for member in members:
        if member.file_size > _RATIO_COUNTS_FROM_BYTES and member.file_size > _MAX_RATIO * max(member.compress_size, 1):
            raise FileBroken(f"the .{kind} file unpacks to too much")
        if ".." in member.filename.replace("\\", "/").split("/") or member.filename.startswith(("/", "\\")):
            raise FileBroken(f"the .{kind} file holds a part whose name leads out of it")


def _shown(name: str) -> str:
    return "".join(character for character in name[-60:] if character.isprintable())
