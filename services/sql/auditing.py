"""The audit log as a caller may read it."""

from __future__ import annotations

from dataclasses import replace

from services.sql.audit import AuditPage, AuditPosition, AuditScope
from services.sql.errors import QueryNotFound
from services.sql.ports import QueryStore

AUDITOR_ROLE = "sql_auditor"


class Auditing:
    """Lists steps of queries: a caller's own, and of the whole tenant to those who have the auditor's role."""

    def __init__(self, *, store: QueryStore) -> None:
        self._store = store

    async def page(self, scope: AuditScope, *, after: AuditPosition | None, limit: int) -> AuditPage:
        """Steps newest first.

        Raises: QueryNotFound: the scope names a query that is unknown or, to this caller, another's.
            QueryStoreUnavailable.
        """
        page = await self._store.audit(scope, after=after, limit=limit)
        if scope.query_id is not None and not page.entries:
            # Every query has a first step: where none is seen at any time, there is none to be seen.
            anywhere = replace(scope, start_time=None, end_time=None)
            if not (await self._store.audit(anywhere, after=None, limit=1)).entries:
                raise QueryNotFound
        return page
