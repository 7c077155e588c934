"""Documents and the names that point to them in DynamoDB, in the table `{prefix}-documents`.

    DOCUMENT#{tenant}#{document_id}   the document with the names that point to it, oldest first
    NAME#{tenant}#{filename}          which document the name points to
    TOTAL#{tenant} / {shard}          number and size of the READY documents

A name and its document know each other by a `link`, new each time a name moves. A name points to a document when that
lists its link; a name item whose document does not is left over from a deletion and points nowhere. Each change reads
what it is about, works out how it shall be, and writes all of it in one transaction on condition that every item is as
it was read (`revision`, `link`); if not, it begins again. So one write, of the document alone, drops all its names; the
name items are cleared away before the document is forgotten.

Lists come from indexes and may lag behind by a moment; what they show is read again, by key and consistently. Times
are the process's own. Documents with more than about 300 KB of names, a thousand long ones, take no more.

Costs in write units, write units of indexes, and read units, for items below 1 KB: publish of a new document 6, 2 and
2, over one that loses its last name 8 to 10, 4 and 3, again under the same name 1, 0 and 1; point 0, 0 and 1, where the
name moves 4 to 8, up to 2 and 3; mark_deleting 4, 2 and 1; mark_indexed_filename 1, 1 and 1; remove 1 and 1 for each
name, 2 and 1; get 0, 0 and 1; a page half a read and one for each document, list_unsettled too; count 1 read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from services.ingest.adapters.dynamodb_job_items import notes_from
from services.ingest.errors import LeaseLost, StorageFull
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.models import NO_JOB, Document, DocumentState, DocumentTotals, Job, PageRequest, Pointed
from services.storage.dynamodb import ConditionFailed, DynamoTable, first
from services.storage.dynamodb_items import Item, Key, Value, Write, key_part, time_from, time_text, utc_now

_UNSETTLED = "unsettled"
_MAX_NAME_BYTES = 300_000  # of an item's 400 KB
_MAX_TITLE_CHARACTERS = 2_000  # a first heading can be as long as its document


@dataclass(frozen=True)
class _Record:
    """A document as it is kept. `links` holds the link of each of its names, and `dropped` those it has lost by
    deletion; `revision` is what the item has now, None before it is there. `hold` is who removes it, and until when."""

    document: Document
    links: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    revision: str | None = None
    hold: tuple[str, str] | None = None


class DynamoDocuments:
    """DocumentRegistry in one table of DynamoDB; see the module on costs and clocks."""

    def __init__(
        self,
        table: DynamoTable,
        *,
        clock_skew_seconds: float = 1.0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._table = table
        self._clock_skew_seconds = clock_skew_seconds
        self._now = now

    async def get(self, tenant: str, document_id: str) -> Document | None:
        record = await self._read(tenant, document_id)
        return record.document if record is not None else None

    async def named(self, tenant: str, filename: str) -> Document | None:
        name = await self._table.get(_name_key(tenant, filename))
        record = await self._read(tenant, name["points_to"]) if name else None
        if name is None or record is None or record.links.get(filename) != name["link"]:
            return None
        return record.document

    async def publish(self, document: Document, filename: str) -> Pointed | None:
        facts = replace(document, state=DocumentState.READY, title=document.title[:_MAX_TITLE_CHARACTERS])

        async def attempt() -> Pointed | None:
            known = await self._read(document.tenant, document.document_id)
            if known is None:
                made = _Record(replace(facts, filenames=(), create_time=self._now(), version=1))
                return await self._point(None, made, filename)
            if known.document.state is not DocumentState.READY:
                return None
            before = known.document
            kept = replace(facts, filenames=before.filenames, create_time=before.create_time, version=before.version)
            return await self._point(known, replace(known, document=kept), filename)

        return await self._table.until_it_holds(attempt)

    async def point(self, tenant: str, filename: str, document_id: str) -> Pointed | None:
        async def attempt() -> Pointed | None:
            known = await self._read(tenant, document_id)
            if known is None or known.document.state is not DocumentState.READY:
                return None
            if filename in known.links:
                return Pointed(known.document)
            return await self._point(known, known, filename)

        return await self._table.until_it_holds(attempt)

    async def _point(self, known: _Record | None, wanted: _Record, filename: str) -> Pointed:
        """Write the document as wanted, and the name pointing to it. Raises: ConditionFailed."""
        wanted = replace(wanted, document=replace(wanted.document, update_time=self._now()))
        if filename in wanted.links:
            await self._write([(known, wanted)], [])
            return Pointed(wanted.document)
        tenant, link = wanted.document.tenant, uuid4().hex
        key = _name_key(tenant, filename)
        name = await self._table.get(key)
        points = Write(
            key,
            {"points_to": wanted.document.document_id, "link": link},
            condition="#link = :link" if name else "attribute_not_exists(#pk)",
            values={"link": name["link"]} if name else {},
        )
        wanted = _with_names(wanted, {**wanted.links, filename: link})
        former = await self._read(tenant, name["points_to"]) if name else None
        if name is None or former is None or former.links.get(filename) != name["link"]:
            await self._write([(known, wanted)], [points])
            return Pointed(wanted.document)
        version = max(wanted.document.version, former.document.version + 1)
        wanted = replace(wanted, document=replace(wanted.document, version=version))
        bereft = _with_names(former, {other: its for other, its in former.links.items() if other != filename})
        bereft = replace(bereft, document=replace(bereft.document, update_time=self._now()))
        if not bereft.links:
            lost = replace(bereft.document, state=DocumentState.DELETING, successor=wanted.document.document_id)
            bereft = replace(bereft, document=lost)
        await self._write([(known, wanted), (former, bereft)], [points])
        if not bereft.links:
            return Pointed(wanted.document, orphan=bereft.document)
        if bereft.document.index_shows_old_name:
            return Pointed(wanted.document, renamed=bereft.document)
        return Pointed(wanted.document)

    async def mark_indexed_filename(self, tenant: str, document_id: str, filename: str) -> None:
        async def attempt() -> None:
            if (known := await self._read(tenant, document_id)) is not None:
                shown = replace(known, document=replace(known.document, indexed_filename=filename))
                await self._write([(known, shown)], [])

        await self._table.until_it_holds(attempt)

    async def mark_deleting(self, tenant: str, document_id: str) -> Document | None:
        async def attempt() -> Document | None:
            known = await self._read(tenant, document_id)
            return await self._mark_deleting(known, known) if known is not None else None

        return await self._table.until_it_holds(attempt)

    async def condemn(self, job: Job) -> Document:
        async def attempt() -> Document:
            known = await self._read(job.tenant, job.document_id)
            return await self._mark_deleting(known, self._condemned(known, job))

        return await self._table.until_it_holds(attempt)

    async def condemn_unready(self, job: Job) -> Document | None:
        async def attempt() -> Document | None:
            known = await self._read(job.tenant, job.document_id)
            if known is not None and known.document.state is DocumentState.READY:
                return None
            return await self._mark_deleting(known, self._condemned(known, job))

        return await self._table.until_it_holds(attempt)

    async def _mark_deleting(self, known: _Record | None, doomed: _Record) -> Document:
        document = replace(doomed.document, state=DocumentState.DELETING, filenames=(), update_time=self._now())
        wanted = replace(doomed, document=document, links={}, dropped={**doomed.dropped, **doomed.links})
        await self._write([(known, wanted)], [])
        return document

    def _condemned(self, known: _Record | None, job: Job) -> _Record:
        if known is not None and known.document.job_id != NO_JOB:
            return known
        if known is not None:
            return replace(known, document=replace(known.document, job_id=job.job_id, extension=job.extension))
        return _Record(
            Document(
                tenant=job.tenant,
                document_id=job.document_id,
                extension=job.extension,
                content_type=CONTENT_TYPES[job.extension],
                size_bytes=0,
                chunk_count=0,
                token_count=0,
                job_id=job.job_id,
                create_time=self._now(),
            )
        )

    async def hold_deletion(self, tenant: str, document_id: str, *, lease_seconds: float) -> str | None:
        async def attempt() -> str | None:
            known, now = await self._read(tenant, document_id), self._now()
            if known is None or known.document.state is not DocumentState.DELETING:
                return None
            if known.hold is not None and known.hold[1] > time_text(now):
                return None
            token = uuid4().hex
            await self._write([(known, replace(known, hold=(token, self._after(now, lease_seconds))))], [])
            return token

        return await self._table.until_it_holds(attempt)

    async def keep_deletion(self, tenant: str, document_id: str, token: str, *, lease_seconds: float) -> None:
        async def attempt() -> None:
            known = await self._held(tenant, document_id, token)
            if known is None:
                raise LeaseLost("somebody else removes the document, or it is gone")
            until = self._after(self._now(), lease_seconds)
            await self._write([(known, replace(known, hold=(token, until)))], [])

        await self._table.until_it_holds(attempt)

    async def let_deletion_go(self, tenant: str, document_id: str, token: str) -> None:
        async def attempt() -> None:
            if (known := await self._held(tenant, document_id, token)) is not None:
                await self._write([(known, replace(known, hold=None))], [])

        await self._table.until_it_holds(attempt)

    async def remove(self, tenant: str, document_id: str, token: str) -> bool:
        async def attempt() -> bool:
            known = await self._held(tenant, document_id, token)
            if known is None:
                return False
            # Names first: after the document they would never be found again.
            for filename, link in known.dropped.items():
                with suppress(ConditionFailed):  # It is gone already, or points elsewhere by now.
                    name = _name_key(tenant, filename)
                    await self._table.write(Write(name, condition="#link = :link", values={"link": link}))
            revision = {"revision": known.revision}
            await self._table.write(
                Write(_document_key(tenant, document_id), condition="#revision = :revision", values=revision)
            )
            return True

        return await self._table.until_it_holds(attempt)

    async def _held(self, tenant: str, document_id: str, token: str) -> _Record | None:
        known = await self._read(tenant, document_id)
        if known is None or known.document.state is not DocumentState.DELETING or known.hold is None:
            return None
        return known if known.hold[0] == token else None

    def _after(self, now: datetime, lease_seconds: float) -> str:
        return time_text(now + timedelta(seconds=lease_seconds + self._clock_skew_seconds))

    async def list_ready(self, tenant: str, page: PageRequest) -> list[Document]:
        condition, values = "#ready_tenant = :tenant", {"tenant": key_part(tenant)}
        if page.before is not None:
            condition += " AND #newest < :before"
            values["before"] = f"{time_text(page.before[0])}#{page.before[1]}"
        entries = self._table.query(condition, values, index="newest", newest_first=True, page_size=page.size)
        items = self._table.read_again(entries, batch=page.size)
        return [_record(item).document for item in await first(items, page.size, keep=lambda it: "ready_tenant" in it)]

    async def list_unsettled(self, *, limit: int) -> list[Document]:
        entries = self._table.query(
            "#unsettled = :unsettled", {"unsettled": _UNSETTLED}, index="unsettled", page_size=limit
        )
        items = self._table.read_again(entries, batch=limit)
        return [_record(item).document for item in await first(items, limit, keep=lambda it: "unsettled" in it)]

    async def count(self, tenant: str) -> DocumentTotals:
        count, size_bytes = 0, 0
        async for total in self._table.query("#pk = :pk", {"pk": f"TOTAL#{key_part(tenant)}"}):
            count += total["document_count"]
            size_bytes += total["size_bytes"]
        return DocumentTotals(count, size_bytes)

    async def _read(self, tenant: str, document_id: str) -> _Record | None:
        item = await self._table.get(_document_key(tenant, document_id))
        return _record(item) if item is not None else None

    async def _write(self, changes: list[tuple[_Record | None, _Record]], others: list[Write]) -> None:
        """Write documents over what they were, with other writes and the totals. Raises: ConditionFailed."""
        writes = [_write_over(before, after) for before, after in changes] + others
        totals: dict[Key, tuple[int, int]] = {}
        for before, after in changes:
            key = _total_key(after.document)
            documents, size_bytes = totals.get(key, (0, 0))
            for record, sign in ((before, -1), (after, 1)):
                if record is not None and record.document.state is DocumentState.READY:
                    documents, size_bytes = documents + sign, size_bytes + sign * record.document.size_bytes
            totals[key] = (documents, size_bytes)
        for key, (documents, size_bytes) in totals.items():
            if (documents, size_bytes) != (0, 0):
                values = {"documents": documents, "size": size_bytes}
                writes.append(Write(key, update="ADD #document_count :documents, #size_bytes :size", values=values))
        if len(writes) == 1:
            await self._table.write(writes[0])  # at half the price of a transaction
        else:
            await self._table.transact(writes)


def _with_names(record: _Record, links: Mapping[str, str]) -> _Record:
    """The same document under these names. Raises: StorageFull."""
    if len(links) > len(record.links) and sum(len(name.encode()) + 64 for name in links) > _MAX_NAME_BYTES:
        raise StorageFull(f"this content has {len(record.links):,} file names already; no more can be kept")
    return replace(record, links=links, document=replace(record.document, filenames=tuple(links)))


def _write_over(before: _Record | None, after: _Record) -> Write:
    document = after.document
    tenant_key = key_part(document.tenant)
    create_time, update_time = _time_text(document.create_time), _time_text(document.update_time)
    item: dict[str, Value] = {
        **{name: getattr(document, name) for name in _FIELDS},
        "document_state": document.state,
        "create_time": create_time,
        "update_time": update_time,
        "tenant_key": tenant_key,
        "names": [{"filename": filename, "link": link} for filename, link in after.links.items()],
        "dropped": dict(after.dropped),
        "revision": uuid4().hex,
        "tags": document.tags,
        "page_notes": [asdict(note) for note in document.page_notes],
    }
    if after.hold is not None:
        item["deletion_token"], item["deletion_until"] = after.hold
    if document.state is DocumentState.READY:
        item["ready_tenant"] = tenant_key
        item["newest"] = f"{create_time}#{document.document_id}"
    if document.state is DocumentState.DELETING or document.index_shows_old_name:
        item["unsettled"] = _UNSETTLED
        item["unsettled_since"] = update_time
    return Write(
        _document_key(document.tenant, document.document_id),
        item,
        condition="#revision = :revision" if before is not None else "attribute_not_exists(#pk)",
        values={"revision": before.revision} if before is not None else {},
    )


_FIELDS = [
    name
    for name in Document.__dataclass_fields__
    if name not in ("filenames", "state", "create_time", "update_time", "tags", "page_notes")
]  # fmt: skip


def _record(item: Item) -> _Record:
    facts: dict[str, Any] = {name: item[name] for name in _FIELDS if name in item}
    links = {name["filename"]: name["link"] for name in item["names"]}
    document = Document(
        **facts,
        filenames=tuple(links),
        state=DocumentState(item["document_state"]),
        create_time=time_from(item["create_time"]),
        update_time=time_from(item["update_time"]),
        tags=tuple(item.get("tags", ())),
        page_notes=notes_from(item.get("page_notes", ())),
    )
    hold = (item["deletion_token"], item["deletion_until"]) if "deletion_token" in item else None
    return _Record(document, links, item["dropped"], item["revision"], hold)


def _time_text(time: datetime | None) -> str:
    if time is None:
        raise ValueError("a document is kept with its times")
    return time_text(time)


def _document_key(tenant: str, document_id: str) -> Key:
    return Key(f"DOCUMENT#{key_part(tenant)}#{document_id}", "DOCUMENT")


def _name_key(tenant: str, filename: str) -> Key:
    return Key(f"NAME#{key_part(tenant)}#{filename}", "NAME")


def _total_key(document: Document) -> Key:
    # In shards, so that documents that come at the same time seldom wait for each other.
    return Key(f"TOTAL#{key_part(document.tenant)}", document.document_id[0])
