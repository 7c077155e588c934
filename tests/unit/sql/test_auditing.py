"""Which steps of queries a caller may read."""

from dataclasses import replace

import pytest

from services.sql.audit import AuditScope
from services.sql.errors import QueryNotFound
from services.sql.models import SqlQuery
from tests.unit.sql.service_parts import ADA, BO, HOUR, Parts

OF_ADA = AuditScope("acme", "ada")
OF_ALL = AuditScope("acme", None)


async def test_an_owner_reads_the_steps_of_own_queries_and_an_auditor_all() -> None:
    parts = Parts()
    own, others = await parts.pending(ADA), await parts.pending(BO)

    async def queries(scope: AuditScope) -> list[str]:
        return [entry.query_id for entry in (await parts.auditing.page(scope, after=None, limit=9)).entries]

    assert await queries(OF_ADA) == [own.id]
    assert sorted(await queries(OF_ALL)) == sorted([own.id, others.id])


async def test_another_s_query_is_as_unknown_as_one_that_is_none() -> None:
    parts = Parts()
    others: SqlQuery = await parts.pending(BO)

    for query_id in (others.id, "0" * 32):
        with pytest.raises(QueryNotFound):
            await parts.auditing.page(replace(OF_ADA, query_id=query_id), after=None, limit=9)
    page = await parts.auditing.page(replace(OF_ALL, query_id=others.id), after=None, limit=9)
    assert [entry.sql for entry in page.entries] == [others.sql]


async def test_a_known_query_without_steps_at_that_time_has_an_empty_log() -> None:
    parts = Parts()
    own = await parts.pending(ADA)
    scope = replace(OF_ADA, query_id=own.id, start_time=own.create_time + HOUR)

    assert (await parts.auditing.page(scope, after=None, limit=9)).entries == ()
