"""What a removal tells: how much was removed, and whether all of it is gone."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ErasedFromIndex:
    """What was removed of a document's chunks and of their cached embeddings, and how many chunks are still there."""

    chunk_count: int = 0
    cache_entry_count: int = 0
    remaining_count: int = 0


@dataclass(frozen=True)
class ErasedFiles:
    """What was removed of a document's files. `file_count` does not count the images."""

    file_count: int = 0
    image_count: int = 0


@dataclass(frozen=True)
class Removed:
    """What one removal removed of what is stored. `verified`: a second look found nothing, in any store."""

    chunks: ErasedFromIndex = ErasedFromIndex()
    files: ErasedFiles = ErasedFiles()
    verified: bool = False


@dataclass(frozen=True)
class Erasure:
    """What was removed of a document. `verified`: a second look found nothing of it in any store."""

    document_id: str
    erase_time: datetime
    filenames: tuple[str, ...] = ()
    chunks: ErasedFromIndex = ErasedFromIndex()
    files: ErasedFiles = ErasedFiles()
    verified: bool = False
