"""The registry of documents that the ingest service needs, in memory, on a clock that tests move."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from services.ingest.errors import LeaseLost
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.models import NO_JOB, Document, DocumentState, DocumentTotals, Job, PageRequest, Pointed
from tests.fakes.ingest_stores import Clock, Trouble


class FakeDocumentRegistry:
    """DocumentRegistry in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.trouble = Trouble()
        self._documents: dict[tuple[str, str], Document] = {}
        self._names: dict[tuple[str, str], tuple[str, datetime]] = {}
        self._holds: dict[tuple[str, str], tuple[str, datetime]] = {}

    async def get(self, tenant: str, document_id: str) -> Document | None:
        return self._read(tenant, document_id)

    async def named(self, tenant: str, filename: str) -> Document | None:
        document_id, _ = self._names.get((tenant, filename), ("", None))
        return self._read(tenant, document_id)

    async def publish(self, document: Document, filename: str) -> Pointed | None:
        self.trouble.strike("publish")
        before = self._read(document.tenant, document.document_id)
        if before is not None and before.state is not DocumentState.READY:
            return None
        now = self.clock.now()
        created = before.create_time if before is not None else now
        self._documents[document.tenant, document.document_id] = replace(
            document,
            create_time=created,
            update_time=now,
            state=DocumentState.READY,
            version=before.version if before is not None else 1,
        )
        return self._point(document.tenant, filename, document.document_id)

    async def point(self, tenant: str, filename: str, document_id: str) -> Pointed | None:
        self.trouble.strike("point")
        return self._point(tenant, filename, document_id)

    def _point(self, tenant: str, filename: str, document_id: str) -> Pointed | None:
        document = self._read(tenant, document_id)
        if document is None or document.state is not DocumentState.READY:
            return None
        former_id, _ = self._names.get((tenant, filename), (None, None))
        if former_id == document_id:
            return Pointed(document)
        self._names[tenant, filename] = (document_id, self.clock.now())
        self._touch(tenant, document_id)
        former = self._read(tenant, former_id) if former_id is not None else None
        if former is not None:
            self._change(tenant, document_id, version=max(document.version, former.version + 1))
        document = self._read(tenant, document_id) or document
        if former is None:
            return Pointed(document)
        if not former.filenames:
            self._change(tenant, former.document_id, successor=document_id)
            return Pointed(document, orphan=self._mark_deleting(tenant, former.document_id))
        return Pointed(document, renamed=former if former.index_shows_old_name else None)

    async def mark_indexed_filename(self, tenant: str, document_id: str, filename: str) -> None:
        self._change(tenant, document_id, indexed_filename=filename)

    async def mark_deleting(self, tenant: str, document_id: str) -> Document | None:
        return self._mark_deleting(tenant, document_id)

    async def condemn(self, job: Job) -> Document:
        key = (job.tenant, job.document_id)
        now = self.clock.now()
        self._documents.setdefault(
            key,
            Document(
                tenant=job.tenant,
                document_id=job.document_id,
                extension=job.extension,
                content_type=CONTENT_TYPES[job.extension],
                size_bytes=0,
                chunk_count=0,
                token_count=0,
                job_id=job.job_id,
                create_time=now,
                update_time=now,
            ),
        )
        if self._documents[key].job_id == NO_JOB:
            self._change(*key, job_id=job.job_id, extension=job.extension)
        document = self._mark_deleting(*key)
        assert document is not None
        return document

    async def condemn_unready(self, job: Job) -> Document | None:
        known = self._read(job.tenant, job.document_id)
        return None if known is not None and known.state is DocumentState.READY else await self.condemn(job)

    def _mark_deleting(self, tenant: str, document_id: str) -> Document | None:
        self._change(tenant, document_id, state=DocumentState.DELETING)
        self._touch(tenant, document_id)
        self._names = {key: place for key, place in self._names.items() if (key[0], place[0]) != (tenant, document_id)}
        return self._read(tenant, document_id)

    async def hold_deletion(self, tenant: str, document_id: str, *, lease_seconds: float) -> str | None:
        self.trouble.strike("hold_deletion")
        document, now = self._read(tenant, document_id), self.clock.now()
        if document is None or document.state is not DocumentState.DELETING:
            return None
        _, until = self._holds.get((tenant, document_id), ("", now))
        if until > now:
            return None
        token = uuid4().hex
        self._holds[tenant, document_id] = (token, now + timedelta(seconds=lease_seconds))
        return token

    async def keep_deletion(self, tenant: str, document_id: str, token: str, *, lease_seconds: float) -> None:
        if not self._is_holder(tenant, document_id, token):
            raise LeaseLost("somebody else removes the document, or it is gone")
        self._holds[tenant, document_id] = (token, self.clock.now() + timedelta(seconds=lease_seconds))

    async def let_deletion_go(self, tenant: str, document_id: str, token: str) -> None:
        if self._is_holder(tenant, document_id, token):
            del self._holds[tenant, document_id]

    def _is_holder(self, tenant: str, document_id: str, token: str) -> bool:
        return self._holds.get((tenant, document_id), ("",))[0] == token

    async def remove(self, tenant: str, document_id: str, token: str) -> bool:
        self.trouble.strike("remove")
        if not self._is_holder(tenant, document_id, token):
            return False
        del self._documents[tenant, document_id], self._holds[tenant, document_id]
        return True

    async def list_ready(self, tenant: str, page: PageRequest) -> list[Document]:
        found = sorted(self._ready(tenant), key=_newest, reverse=True)
        return [document for document in found if page.before is None or _newest(document) < page.before][: page.size]

    async def list_unsettled(self, *, limit: int) -> list[Document]:
        all_documents = [self._named(document) for document in self._documents.values()]
        unsettled = [
            document
            for document in all_documents
            if document.state is DocumentState.DELETING or document.index_shows_old_name
        ]
        return sorted(unsettled, key=lambda document: document.update_time or self.clock.now())[:limit]

    async def count(self, tenant: str) -> DocumentTotals:
        ready = self._ready(tenant)
        return DocumentTotals(len(ready), sum(document.size_bytes for document in ready))

    def _ready(self, tenant: str) -> list[Document]:
        return [
            self._named(document)
            for document in self._documents.values()
            if document.tenant == tenant and document.state is DocumentState.READY
        ]

    def _read(self, tenant: str, document_id: str) -> Document | None:
        document = self._documents.get((tenant, document_id))
        return self._named(document) if document is not None else None

    def _named(self, document: Document) -> Document:
        names = [
            (since, filename)
            for (tenant, filename), (document_id, since) in self._names.items()
            if (tenant, document_id) == (document.tenant, document.document_id)
        ]
        return replace(document, filenames=tuple(filename for _, filename in sorted(names)))

    def _touch(self, tenant: str, document_id: str) -> None:
        self._change(tenant, document_id, update_time=self.clock.now())

    def _change(self, tenant: str, document_id: str, **changes: object) -> None:
        if document := self._documents.get((tenant, document_id)):
            self._documents[tenant, document_id] = replace(document, **changes)  # type: ignore[arg-type]


def _newest(document: Document) -> tuple[datetime, str]:
    assert document.create_time is not None
    return document.create_time, document.document_id
