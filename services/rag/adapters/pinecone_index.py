"""The index of chunks in Pinecone: a namespace for each tenant, words by sparse values where the metric allows it.

What readers may see. Pinecone has no transactions, and its reads follow its writes after moments, most often within a
second. A changed chunk is stored before its predecessor is removed; who searches in between sees one of them, and of
both the newer. This process takes into account at once what it stored and deleted when it writes again, and shows no
more what it deleted; other processes, searches for what is new, and statistics are up to date moments later. Writes of
one document are carried out one after the other in this process; across processes whoever indexes keeps them apart. A
write that fails midway is completed by repeating it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from pinecone.errors import NotFoundError

from services.rag.adapters.pinecone_calls import Answer, ask, together
from services.rag.adapters.pinecone_recent import RecentWrites
from services.rag.adapters.pinecone_records import (
    MODEL_NAMESPACE,
    MODEL_RECORD,
    Record,
    StoredChunk,
    batches,
    chunk_record,
    chunk_record_id,
    chunks_namespace,
    document_metadata,
    id_prefix,
    is_chunk,
    narrowing,
    read_chunk_id,
    register_id,
    register_namespace,
    slices,
    sparse_question,
    to_found,
    with_embedding,
)
from services.rag.errors import ChunkStoreUnavailable, EmbeddingModelMismatch
from services.rag.models import (
    ChunkId,
    DocumentWrite,
    Embedding,
    EmbeddingModel,
    FoundChunk,
    IndexQuery,
    IndexStatistics,
    Retrieved,
    TermCounts,
    WriteOutcome,
)

if TYPE_CHECKING:
    from pinecone import AsyncIndex
    from pinecone.models.vectors.responses import QueryResponse

_CHECK_WAIT_SECONDS = 2.0
_UPSERTS_AT_A_TIME = 4
_IDS_PER_DELETE = 1_000
_IDS_PER_FETCH = 50  # they stand in the address, and come back with their embeddings
# A search takes this long to notice that another process added chunks; only the weight of words depends on it.
_COUNT_TRUSTED_SECONDS = 30.0
# Beside the weight of a single term this much of a cosine is nothing, and yet no vector of zeros, which is refused.
_FAINT = 1e-4
_LEAST_TERM_SCORE = 0.01


class PineconeIndex:
    """ChunkIndex over one Pinecone index. `hybrid`: its metric is dotproduct, so that it takes sparse values."""

    def __init__(self, index: AsyncIndex, model: EmbeddingModel, *, hybrid: bool, wait_seconds: float = 10) -> None:
        """`wait_seconds`: how long one request may take, the SDK's own retries included."""
        self._index: Final = index
        self._model: Final = model
        self._hybrid: Final = hybrid
        self._wait_seconds: Final = wait_seconds
        self._recent = RecentWrites()
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._upserts = asyncio.Semaphore(_UPSERTS_AT_A_TIME)
        self._counts: dict[str, tuple[float, int]] = {}

    @property
    def kind(self) -> str:
        return "pinecone"

    async def fingerprints(self, tenant: str, document: str) -> dict[int, str]:
        return {stored.index: stored.fingerprint for stored in await self._stored(tenant, document)}

    async def write(self, write: DocumentWrite) -> WriteOutcome:
        async with self._turn(write.tenant, write.document):
            stored, registered, _ = await together(
                self._stored(write.tenant, write.document),
                self._registered(write.tenant, write.document),
                self._claim_model(),
            )
            told = document_metadata(write.filename, write.facts, registered)
            records, missing = await self._new_records(write, told, stored)
            if missing:
                return WriteOutcome(missing=missing)
            wanted = {chunk_record_id(write.document, given) for given in write.chunks}
            given_indexes = {given.chunk.index for given in write.chunks}
            stale = [each for each in stored if each.index >= write.chunk_count]
            superseded = [each for each in stored if each.index in given_indexes and each.id not in wanted]
            gone = {each.id for each in [*stale, *superseded]}
            stays = any(each.id not in gone for each in stored)
            await self._upsert(chunks_namespace(write.tenant), records)
            has_changed = any(registered.get(name) != value for name, value in told.items())
            if stays and has_changed:
                await self._tell(write, told)
            if (stays or records) and has_changed:
                await self._register(write, told)
            await self._remove(chunks_namespace(write.tenant), sorted(gone))
            if not (stays or records):
                await self._remove(register_namespace(write.tenant), [register_id(write.document)])
            self._counts.pop(write.tenant, None)
            return WriteOutcome(len({each.index for each in stale}))

    async def delete(self, tenant: str, document: str, *, successor: str = "") -> int:
        async with self._turn(tenant, document):
            namespace = chunks_namespace(tenant)
            # Even what was deleted a moment ago: another process may have stored it again.
            stored = await self._stored(tenant, document, with_deleted=True)
            known = {each.index for each in stored if not self._recent.is_deleted(namespace, each.id)}
            await self._remove(namespace, [each.id for each in stored])
            await self._remove(register_namespace(tenant), [register_id(document)])
            self._counts.pop(tenant, None)
            return len(known)

    async def show(self, tenant: str, document: str) -> None:
        """Nothing: no chunk is ever held back, as records cannot be shown and removed in one step."""

    async def count(self, tenant: str, document: str) -> int:
        return len({each.index for each in await self._stored(tenant, document, with_deleted=True)})

    async def search(self, query: IndexQuery) -> Retrieved:
        meaning, words, chunk_count = await together(
            self._query(query, query.embedding), self._query_words(query), self._trusted_count(query.tenant)
        )
        by_meaning = self._found(query.tenant, meaning)
        by_words = {
            chunk: found
            for chunk, found in self._found(query.tenant, words).items()
            if found[0] > _LEAST_TERM_SCORE  # the others hold no term; they only fill up the number asked for
        }
        similarity = {chunk: score for chunk, (score, _) in by_meaning.items()}
        unknown = [chunk for chunk in by_words if chunk not in similarity]
        if unknown:
            near = await self._query(query, query.embedding, only=unknown)
            similarity |= {chunk: score for chunk, (score, _) in self._found(query.tenant, near).items()}
        metadata = {chunk: held for chunk, (_, held) in [*by_words.items(), *by_meaning.items()]}
        chunks = {chunk: to_found(held, similarity[chunk]) for chunk, held in metadata.items() if chunk in similarity}
        return Retrieved(
            chunks=chunks,
            by_meaning=tuple(sorted(by_meaning, key=lambda chunk: (-similarity[chunk], chunk))),
            by_words=_ranked(by_words, chunks),
            counts=TermCounts(chunk_count),
        )

    async def statistics(self, tenant: str) -> IndexStatistics:
        documents, chunks = await together(
            self._record_count(register_namespace(tenant)), self._record_count(chunks_namespace(tenant))
        )
        return IndexStatistics(documents, chunks)

    async def check(self) -> bool:
        try:
            async with asyncio.timeout(_CHECK_WAIT_SECONDS):
                await self._call(lambda: self._index.list_paginated(namespace=MODEL_NAMESPACE, limit=1))
        except (ChunkStoreUnavailable, TimeoutError):
            return False
        return True

    # Reading

    async def _stored(self, tenant: str, document: str, *, with_deleted: bool = False) -> list[StoredChunk]:
        """A document's chunks as the ids tell. `with_deleted`: those too of which only we know that they are gone."""
        namespace, prefix = chunks_namespace(tenant), id_prefix(document)
        listed: list[str] = []
        token: str | None = None
        while True:
            page = await self._call(
                partial(self._index.list_paginated, namespace=namespace, prefix=prefix, pagination_token=token)
            )
            listed += [item.id for item in page.vectors if item.id]
            token = page.pagination.next if page.pagination else None
            if not token:
                break
        ids = self._recent.stored(namespace, prefix).union(listed)
        if not with_deleted:
            ids = frozenset(each for each in ids if not self._recent.is_deleted(namespace, each))
        return [stored for stored in map(read_chunk_id, sorted(ids)) if stored]

    async def _registered(self, tenant: str, document: str) -> Mapping[str, Any]:
        """What the document's own record tells of it; nothing when it has none."""
        namespace, record_id = register_namespace(tenant), register_id(document)
        fetched = await self._call(lambda: self._index.fetch(ids=[record_id], namespace=namespace))
        record = fetched.vectors.get(record_id)
        held = (record.metadata if record else None) or {}
        if not held or self._recent.is_deleted(namespace, record_id, written=held.get("written", 0)):
            return {}
        return held

    async def _query(
        self, query: IndexQuery, embedding: Embedding, *, sparse: Record | None = None, only: Sequence[ChunkId] = ()
    ) -> QueryResponse:
        narrowed = narrowing(query)
        if only:
            documents = sorted({chunk.document for chunk in only})
            places = {document: [c.chunk_index for c in only if c.document == document] for document in documents}
            narrowed = {"$or": [{"document": name, "chunk": {"$in": held}} for name, held in places.items()]}
        return await self._call(
            lambda: self._index.query(
                vector=[float(value) for value in embedding],
                sparse_vector=sparse,
                top_k=len(only) or query.limit,
                filter=narrowed,
                include_metadata=True,
                namespace=chunks_namespace(query.tenant),
            )
        )

    async def _query_words(self, query: IndexQuery) -> QueryResponse | None:
        if not self._hybrid or not query.terms:
            return None
        faint = [_FAINT * value for value in query.embedding]
        return await self._query(query, faint, sparse=sparse_question(query.terms))

    def _found(self, tenant: str, response: QueryResponse | None) -> dict[ChunkId, tuple[float, Mapping[str, Any]]]:
        """Score and content of what was found; of two versions of a chunk the newer. Raises EmbeddingModelMismatch."""
        found: dict[ChunkId, tuple[float, Mapping[str, Any]]] = {}
        namespace = chunks_namespace(tenant)
        for match in response.matches if response else ():
            held = match.metadata
            if held is None or not is_chunk(held) or read_chunk_id(match.id) is None:
                continue  # not of our making
            if self._recent.is_deleted(namespace, match.id, written=held["written"]):
                continue
            self._require(held["model"])
            chunk = ChunkId(held["document"], int(held["chunk"]))
            if chunk not in found or held["written"] > found[chunk][1]["written"]:
                found[chunk] = (match.score, held)
        return found

    async def _trusted_count(self, tenant: str) -> int:
        counted_at, count = self._counts.get(tenant, (float("-inf"), 0))
        if time.monotonic() - counted_at > _COUNT_TRUSTED_SECONDS:
            count = await self._record_count(chunks_namespace(tenant))
            if len(self._counts) > 10_000:
                self._counts.clear()
            self._counts[tenant] = (time.monotonic(), count)
        return count

    async def _record_count(self, namespace: str) -> int:
        async def describe() -> int:
            try:
                return (await self._index.describe_namespace(name=namespace)).record_count
            except NotFoundError:  # nothing was ever written for this tenant
                return 0

        return await self._call(describe)

    # Writing

    async def _claim_model(self) -> None:
        """Make sure that the index takes our embeddings; the first to write says whose it takes."""
        fetched = await self._call(lambda: self._index.fetch(ids=[MODEL_RECORD], namespace=MODEL_NAMESPACE))
        record = fetched.vectors.get(MODEL_RECORD)
        recorded = (record.metadata or {}).get("model") if record else None
        if recorded == str(self._model):
            return
        if recorded is not None:
            # An index that was emptied may be filled by another model.
            stats = await self._call(self._index.describe_index_stats)
            own = stats.namespaces.get(MODEL_NAMESPACE)
            if stats.total_vector_count > (own.vector_count if own else 0):
                self._require(recorded)
        note = {"id": MODEL_RECORD, "values": self._any_direction(), "metadata": {"model": str(self._model)}}
        await self._call(lambda: self._index.upsert(vectors=[note], namespace=MODEL_NAMESPACE))

    def _require(self, recorded: object) -> None:
        if recorded != str(self._model):
            raise EmbeddingModelMismatch(recorded=str(recorded), current=str(self._model))

    async def _new_records(
        self, write: DocumentWrite, told: Record, stored: Sequence[StoredChunk]
    ) -> tuple[list[Record], frozenset[int]]:
        """What has to be stored, and the chunks that come without an embedding of which the index has none either."""
        present = {each.id for each in stored}
        kept = {(each.index, each.fingerprint): each.id for each in stored}
        records: list[Record] = []
        moved: dict[str, Record] = {}
        missing: set[int] = set()
        for given in write.chunks:
            record_id = chunk_record_id(write.document, given)
            if record_id in present:
                continue
            record = chunk_record(record_id, write.document, told, given, self._model, hybrid=self._hybrid)
            if given.embedding is not None:
                records.append(with_embedding(record, given.embedding))
            elif (given.chunk.index, given.fingerprint) in kept:
                moved[kept[given.chunk.index, given.fingerprint]] = record
            else:
                missing.add(given.chunk.index)
        embeddings = {} if missing else await self._embeddings(chunks_namespace(write.tenant), list(moved))
        for predecessor, record in moved.items():
            if predecessor in embeddings:
                records.append(with_embedding(record, embeddings[predecessor]))
            else:
                missing.add(record["metadata"]["chunk"])
        return records, frozenset(missing)

    async def _embeddings(self, namespace: str, ids: Sequence[str]) -> dict[str, Embedding]:
        found: dict[str, Embedding] = {}
        for some in slices(ids, _IDS_PER_FETCH):
            fetched = await self._call(partial(self._index.fetch, ids=some, namespace=namespace))
            found |= {record_id: vector.values for record_id, vector in fetched.vectors.items()}
        return found

    async def _upsert(self, namespace: str, records: Sequence[Record]) -> None:
        async def upsert(batch: list[Record]) -> None:
            async with self._upserts:
                await self._call(lambda: self._index.upsert(vectors=batch, namespace=namespace))
            self._recent.note_stored(namespace, (record["id"] for record in batch))

        await together(*(upsert(batch) for batch in batches(records)))

    async def _tell(self, write: DocumentWrite, told: Record) -> None:
        """Write what is known of the document into the records of its chunks."""
        await self._call(
            lambda: self._index.update(
                filter={"document": write.document},
                set_metadata=told,
                namespace=chunks_namespace(write.tenant),
            )
        )

    async def _register(self, write: DocumentWrite, told: Record) -> None:
        metadata = told | {"document": write.document, "written": time.time()}
        namespace, record_id = register_namespace(write.tenant), register_id(write.document)
        record = {"id": record_id, "values": self._any_direction(), "metadata": metadata}
        await self._call(lambda: self._index.upsert(vectors=[record], namespace=namespace))
        self._recent.note_stored(namespace, [record_id])

    async def _remove(self, namespace: str, ids: Sequence[str]) -> None:
        for some in slices(ids, _IDS_PER_DELETE):

            async def remove(some: list[str] = some) -> None:
                try:
                    await self._index.delete(ids=some, namespace=namespace)
                except NotFoundError:
                    return  # nothing was ever written there

            await self._call(remove)
            self._recent.note_deleted(namespace, some)

    def _any_direction(self) -> list[float]:
        """The values of a record that is never searched for: Pinecone wants some, and not all of them zero."""
        return [1.0] + [0.0] * (self._model.dimension - 1)

    # Calling

    @asynccontextmanager
    async def _turn(self, tenant: str, document: str) -> AsyncIterator[None]:
        lock = self._turns.setdefault((tenant, document), asyncio.Lock())
        async with lock:
            yield

    async def _call(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        return await ask(call, wait_seconds=self._wait_seconds)


def _ranked(
    by_words: Mapping[ChunkId, tuple[float, Mapping[str, Any]]], chunks: Mapping[ChunkId, FoundChunk]
) -> tuple[ChunkId, ...]:
    """By the score of the words alone, without the faint rest of the embedding's."""
    scores = {
        chunk: round(score - _FAINT * chunks[chunk].similarity, 5)
        for chunk, (score, _) in by_words.items()
        if chunk in chunks
    }
    return tuple(sorted(scores, key=lambda chunk: (-scores[chunk], chunk)))
