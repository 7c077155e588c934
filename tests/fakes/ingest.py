"""What the ingest service needs from the world, in memory. Each fake passes the behaviour suite of its port."""

# ruff: noqa: ASYNC240 -- files of tests are small

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from services.ingest.composing import Piece, compose
from services.ingest.erasures import ErasedFiles, ErasedFromIndex
from services.ingest.errors import FileBroken
from services.ingest.models import (
    BlockKind,
    Chunk,
    DocumentFacts,
    DocumentImage,
    EmbeddingLimits,
    FileKey,
    FoundImage,
    PageNote,
    ParsedDocument,
)
from tests.fakes.ingest_stores import Trouble


class FakeFileStore:
    """FileStore in memory; a fetched file lies in a temporary folder as long as it is fetched."""

    kind = "local"

    def __init__(self) -> None:
        self.originals: dict[FileKey, bytes] = {}
        self.records: dict[tuple[FileKey, str], bytes] = {}
        self.trouble = Trouble()

    async def save_original(self, key: FileKey, content: bytes | Path) -> None:
        self.trouble.strike("save_original")
        self.originals[key] = content if isinstance(content, bytes) else content.read_bytes()

    async def read_original(self, key: FileKey, offset: int, size_bytes: int) -> bytes | None:
        self.trouble.strike("read_original")
        content = self.originals.get(key)
        return content if content is None else content[offset : offset + size_bytes]

    async def link_original(self, key: FileKey, *, filename: str, content_type: str, seconds: int) -> str:
        return ""

    def fetched(self, key: FileKey) -> AbstractAsyncContextManager[Path | None]:
        return self._fetched(key)

    @asynccontextmanager
    async def _fetched(self, key: FileKey) -> AsyncIterator[Path | None]:
        self.trouble.strike("fetched")
        if key not in self.originals:
            yield None
            return
        folder = Path(tempfile.mkdtemp(prefix="dg-fake-"))
        try:
            path = folder / f"original.{key.extension}"
            path.write_bytes(self.originals[key])
            yield path
        finally:
            shutil.rmtree(folder)

    async def save_record(self, key: FileKey, name: str, data: bytes) -> None:
        self.trouble.strike("save_record")
        self.records[key, name] = data

    async def load_record(self, key: FileKey, name: str) -> bytes | None:
        return self.records.get((key, name))

    async def save_image(self, key: FileKey, image: DocumentImage, content: bytes) -> None:
        self.trouble.strike("save_image")
        self.records[key, f"images/{image.filename}"] = content

    async def load_image(self, key: FileKey, image: DocumentImage) -> bytes | None:
        return self.records.get((key, f"images/{image.filename}"))

    async def delete(self, key: FileKey) -> ErasedFiles:
        self.trouble.strike("delete")
        names = [name for place, name in self.records if place == key]
        images = sum(name.startswith("images/") for name in names)
        files = len(names) - images + (self.originals.pop(key, None) is not None)
        self.records = {place: data for place, data in self.records.items() if place[0] != key}
        return ErasedFiles(files, images)

    async def count(self, key: FileKey) -> int:
        self.trouble.strike("count")
        return (key in self.originals) + sum(place == key for place, _ in self.records)

    async def is_reachable(self) -> bool:
        return True


class FakeParser:
    """Reads text: `# ` begins a heading, an empty line a paragraph, and `broken` is what it cannot read."""

    def __init__(self) -> None:
        self.parsed: list[bytes] = []
        self.error: Exception | None = None
        self.pages = 0
        self.page_notes: tuple[PageNote, ...] = ()
        self.before_parsing: Callable[[], Awaitable[object]] | None = None

    async def parse(
        self, path: Path, extension: str, *, on_page: Callable[[int, int], None] | None = None
    ) -> ParsedDocument:
        content = path.read_bytes()
        self.parsed.append(content)
        if on_page is not None and self.pages:
            for page in range(1, self.pages + 1):
                on_page(page, self.pages)
        if self.before_parsing is not None:
            await self.before_parsing()
        if self.error is not None:
            raise self.error
        if content.startswith(b"broken"):
            raise FileBroken("the file is broken")
        pieces = [
            Piece(BlockKind.HEADING, text[2:], 1) if text.startswith("# ") else Piece(BlockKind.PARAGRAPH, text)
            for text in content.decode().split("\n\n")
        ]
        return compose(pieces, page_count=self.pages or None, page_notes=self.page_notes)


class FakeImageReader:
    """Takes each line of a file that begins with `image ` for an image of 20 × 10 pixels on the page of its number."""

    def __init__(self) -> None:
        self.read_count = 0
        self.error: Exception | None = None
        self.before_each: Callable[[], Awaitable[object]] | None = None

    async def images(self, path: Path) -> AsyncGenerator[FoundImage]:
        self.read_count += 1
        for page, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if self.error is not None:
                raise self.error
            if line.startswith(b"image "):
                if self.before_each is not None:
                    await self.before_each()
                yield FoundImage(page, 20, 10, "image/png", line)


class WordCounter:
    """TokenCounter for which words are tokens and a long word is one token for each 4 characters."""

    model = "words"

    def count_all(self, texts: Sequence[str]) -> list[int]:
        return [sum(-(-len(word) // 4) for word in re.findall(r"\S+", text)) for text in texts]


class FakeChunkIndexer:
    """ChunkIndexer in memory. `indexed_texts` counts what would have been embedded; `remaining` is told by `delete`."""

    def __init__(self, tenant: Callable[[], str] = lambda: "red", *, batch_chunks: int = 2) -> None:
        self._tenant = tenant
        self._batch_chunks = batch_chunks
        self.chunks: dict[tuple[str, str], dict[int, Chunk]] = {}
        self.filenames: dict[tuple[str, str], str] = {}
        self.facts: dict[tuple[str, str], DocumentFacts] = {}
        self.held_back: set[tuple[str, str]] = set()
        self.remaining = 0
        self.indexed_texts = 0
        self.trouble = Trouble()
        self.before_indexing: Callable[[], Awaitable[object]] | None = None

    async def limits(self) -> EmbeddingLimits:
        self.trouble.strike("limits")
        return EmbeddingLimits(WordCounter.model, 1_000)

    async def index(
        self,
        document_id: str,
        filename: str,
        chunks: Sequence[Chunk],
        *,
        chunk_count: int,
        facts: DocumentFacts | None = None,
        held_back: bool = False,
        progress: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        key = (self._tenant(), document_id)
        done = 0
        for at in range(0, max(len(chunks), 1), self._batch_chunks):
            if self.before_indexing is not None:
                await self.before_indexing()
            self.trouble.strike("index")
            if held_back and key not in self.chunks:
                self.held_back.add(key)
            stored = self.chunks.setdefault(key, {})
            for chunk in chunks[at : at + self._batch_chunks]:
                self.indexed_texts += stored.get(chunk.index) != chunk
                stored[chunk.index] = chunk
                done += 1
            self.chunks[key] = {index: chunk for index, chunk in stored.items() if index < chunk_count}
            self.filenames[key] = filename
            self.facts[key] = facts or self.facts.get(key, DocumentFacts())
            if progress is not None and chunks:
                await progress(done)

    async def delete(self, document_id: str, *, successor: str = "") -> ErasedFromIndex:
        self.trouble.strike("delete")
        key = (self._tenant(), document_id)
        removed = len(self.chunks.pop(key, {}))
        self.filenames.pop(key, None)
        self.facts.pop(key, None)
        self.held_back -= {key, (self._tenant(), successor)}
        return ErasedFromIndex(removed, 0, self.remaining)

    async def show(self, document_id: str) -> None:
        self.trouble.strike("show")
        self.held_back.discard((self._tenant(), document_id))

    def shown(self, tenant: str = "red") -> set[str]:
        """The documents that a search finds."""
        return {key[1] for key, chunks in self.chunks.items() if key[0] == tenant and chunks} - {
            document for owner, document in self.held_back if owner == tenant
        }
