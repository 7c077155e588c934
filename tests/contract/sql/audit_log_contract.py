"""What the audit log of every query store must tell, whatever it is kept in."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.sql.audit import MAX_REFUSED_EDITS, AuditEntry, AuditPage, AuditPosition, AuditScope
from services.sql.models import Owner, QueryState, SqlQuery, sql_hash
from services.sql.ports import QueryStore
from tests.contract.sql.query_store_contract import (
    ADA,
    BO,
    HOUR,
    OTHER_TENANT,
    SQL,
    MakeStore,
    StoreSuite,
    add,
    draft,
)

NEW = "SELECT 1 LIMIT 1001"
NEW_HASH = sql_hash(NEW)
OF_ADA = AuditScope("acme", "ada")
OF_ALL = AuditScope("acme", None)


async def log_of(store: QueryStore, query: SqlQuery) -> list[AuditEntry]:
    """The steps of a query in the order they were made."""
    scope = AuditScope(query.owner.tenant, query.owner.subject, query.id)
    return list(reversed((await store.audit(scope, after=None, limit=100)).entries))


def told(entries: Sequence[AuditEntry]) -> list[tuple[str, str, str, str, str]]:
    """Of each step: by whom, from where, to where, the hash of the text, the note."""
    return [(entry.subject, entry.from_state or "", entry.to_state, entry.sql_hash, entry.note) for entry in entries]


def place(entry: AuditEntry) -> tuple[datetime, str, int]:
    return entry.at_time, entry.query_id, entry.number


async def pages_of(store: QueryStore, scope: AuditScope, *, limit: int) -> list[AuditPage]:
    pages: list[AuditPage] = []
    after: AuditPosition | None = None
    while not pages or after is not None:
        pages.append(await store.audit(scope, after=after, limit=limit))
        after = pages[-1].next_after
    return pages


async def edit(store: QueryStore, query: SqlQuery, sql: str) -> SqlQuery:
    edited = await store.edit(
        query.owner, query.id, old_hash=query.sql_hash, sql=sql, explanation="", tables=(), plan_cost=3.5
    )
    assert edited is not None
    return edited


class AuditLogContract(StoreSuite):
    """Subclasses give a `make_store` fixture, as for the suite of the queries."""

    async def test_every_step_to_a_failed_run_is_told_with_who_made_it(self, store: QueryStore) -> None:
        query = await add(store)
        edited = await edit(store, query, NEW)
        await store.approve(ADA, query.id, sql_hash=NEW_HASH)
        await store.begin_run(ADA, query.id, sql_hash=NEW_HASH)
        await store.fail_run(ADA, query.id, reason="QUERY_FAILED")

        assert edited.sql_hash == NEW_HASH
        assert told(await log_of(store, query)) == [
            ("ada", "", "PENDING", query.sql_hash, ""),
            ("ada", "PENDING", "PENDING", NEW_HASH, "EDITED"),
            ("ada", "PENDING", "APPROVED", NEW_HASH, ""),
            ("ada", "APPROVED", "EXECUTING", NEW_HASH, ""),
            ("ada", "EXECUTING", "FAILED", NEW_HASH, "QUERY_FAILED"),
        ]

    async def test_the_text_of_every_version_can_be_told_from_the_log(self, store: QueryStore) -> None:
        query = await add(store)
        back = await edit(store, await edit(store, query, NEW), SQL)
        await store.approve(ADA, query.id, sql_hash=back.sql_hash)

        assert [(entry.sql, entry.sql_hash, entry.previous_sql_hash) for entry in await log_of(store, query)] == [
            (SQL, query.sql_hash, ""),
            (NEW, NEW_HASH, query.sql_hash),
            (SQL, query.sql_hash, NEW_HASH),
            ("", query.sql_hash, ""),
        ]

    async def test_a_refused_edit_is_a_step_that_changes_nothing(self, store: QueryStore) -> None:
        query = await add(store)

        kept = await store.tell_refused_edit(ADA, query.id, sql="DROP TABLE “é\n😀”", note="EDIT_REFUSED; NOT_A_SELECT")

        assert kept == replace(query, refused_edits=1) == await store.get(ADA, query.id)
        first, refused = await log_of(store, query)
        assert told([refused]) == [("ada", "PENDING", "PENDING", query.sql_hash, "EDIT_REFUSED; NOT_A_SELECT")]
        assert (refused.refused_sql, refused.sql, refused.previous_sql_hash) == ("DROP TABLE “é\n😀”", "", "")
        assert first.refused_sql == ""
        assert await store.approve(ADA, query.id, sql_hash=query.sql_hash) is not None

    async def test_of_refused_edits_the_log_tells_the_first_alone_however_many_come_at_once(
        self, store: QueryStore
    ) -> None:
        query = await add(store)

        async def refuse(number: int) -> bool:
            return await store.tell_refused_edit(ADA, query.id, sql=f"DROP {number}", note="no") is not None

        are_told = await asyncio.gather(*map(refuse, range(MAX_REFUSED_EDITS + 5)))

        assert sum(are_told) == MAX_REFUSED_EDITS
        assert len(await log_of(store, query)) == 1 + MAX_REFUSED_EDITS
        edited = await edit(store, query, NEW)
        assert edited.refused_edits == MAX_REFUSED_EDITS

    async def test_no_edit_is_told_of_another_s_or_a_decided_query(self, store: QueryStore) -> None:
        pending, rejected, late = await add(store), await add(store), await add(store, keeps_for=timedelta(0))
        await store.reject(ADA, rejected.id, note="")

        assert await store.tell_refused_edit(BO, pending.id, sql="DROP", note="no") is None
        assert await store.tell_refused_edit(OTHER_TENANT, pending.id, sql="DROP", note="no") is None
        assert await store.tell_refused_edit(ADA, rejected.id, sql="DROP", note="no") is None
        assert await store.tell_refused_edit(ADA, late.id, sql="DROP", note="no") is None
        assert await store.tell_refused_edit(ADA, "0" * 32, sql="DROP", note="no") is None
        assert {entry.refused_sql for entry in (await store.audit(OF_ALL, after=None, limit=50)).entries} == {""}

    async def test_a_decision_has_the_time_of_its_step(self, store: QueryStore) -> None:
        query = await add(store)
        approved = await store.approve(ADA, query.id, sql_hash=query.sql_hash)
        begun = await store.begin_run(ADA, query.id, sql_hash=query.sql_hash)

        assert approved is not None
        assert begun is not None
        times = [entry.at_time for entry in await log_of(store, query)]
        assert times == [query.create_time, approved.decide_time, begun.execute_time]

    async def test_what_time_decided_has_no_subject(self, make_store: MakeStore) -> None:
        store = make_store(timedelta(0))
        late = await add(store, keeps_for=timedelta(0))
        dead = await store.add_begun(draft(), note="AUTO_APPROVED", keeps_for=HOUR)

        assert told(await log_of(store, late)) == [
            ("ada", "", "PENDING", late.sql_hash, ""),
            ("", "PENDING", "EXPIRED", late.sql_hash, "EXPIRED"),
        ]
        assert told(await log_of(store, dead))[-1] == (
            "",
            "EXECUTING",
            "FAILED",
            dead.sql_hash,
            "OUTCOME_UNKNOWN",
        )

    async def test_an_approval_by_policy_has_no_subject(self, store: QueryStore) -> None:
        query = await store.add_begun(draft(), note="AUTO_APPROVED", keeps_for=HOUR)
        await store.finish_run(ADA, query.id, row_count=1)

        entries = await log_of(store, query)

        assert told(entries) == [
            ("ada", "", "PENDING", query.sql_hash, ""),
            ("", "PENDING", "APPROVED", query.sql_hash, "AUTO_APPROVED"),
            ("ada", "APPROVED", "EXECUTING", query.sql_hash, ""),
            ("ada", "EXECUTING", "EXECUTED", query.sql_hash, ""),
        ]
        assert [entry.sql for entry in entries] == [SQL, "", "", ""]

    async def test_what_changed_nothing_is_not_in_the_log(self, store: QueryStore) -> None:
        query = await add(store)
        await store.approve(BO, query.id, sql_hash=query.sql_hash)
        await store.approve(ADA, query.id, sql_hash="0" * 64)
        await store.begin_run(ADA, query.id, sql_hash=query.sql_hash)
        await store.finish_run(ADA, query.id, row_count=1)

        assert told(await log_of(store, query)) == [("ada", "", "PENDING", query.sql_hash, "")]

    async def test_of_many_that_decide_at_once_the_log_tells_one(self, store: QueryStore) -> None:
        query = await add(store)

        approved = [store.approve(ADA, query.id, sql_hash=query.sql_hash) for _ in range(8)]
        await asyncio.gather(*approved, *(store.reject(ADA, query.id, note="no") for _ in range(2)))

        states = [entry.to_state for entry in await log_of(store, query)]
        assert states in (["PENDING", "REJECTED"], ["PENDING", "APPROVED", "REJECTED"])

    async def test_of_edits_and_approvals_that_race_the_text_that_runs_is_the_one_that_was_approved(
        self, store: QueryStore
    ) -> None:
        query = await add(store)

        async def edit_and_run(number: int) -> SqlQuery | None:
            sql = f"SELECT {number} LIMIT 1001"
            edited = await store.edit(ADA, query.id, old_hash=query.sql_hash, sql=sql, explanation="", tables=())
            return await approve_and_run(edited.sql_hash) if edited is not None else None

        async def approve_and_run(sql_hash: str) -> SqlQuery | None:
            await store.approve(ADA, query.id, sql_hash=sql_hash)
            return await store.begin_run(ADA, query.id, sql_hash=sql_hash)

        outcomes = await asyncio.gather(
            *(edit_and_run(number) for number in range(4)), *(approve_and_run(query.sql_hash) for _ in range(4))
        )

        [begun] = [outcome for outcome in outcomes if outcome is not None]
        log = await log_of(store, query)
        [approval] = [entry for entry in log if entry.to_state is QueryState.APPROVED]
        texts = {entry.sql_hash: entry.sql for entry in log if entry.sql}
        assert begun.sql_hash == approval.sql_hash == sql_hash(begun.sql)
        assert texts[approval.sql_hash] == begun.sql

    async def test_a_list_goes_newest_first_and_its_pages_meet_each_step_once(self, store: QueryStore) -> None:
        for _ in range(3):
            query = await add(store)
            await store.reject(ADA, query.id, note="")
        await add(store, draft(BO))

        for scope, count in ((OF_ADA, 6), (OF_ALL, 7)):
            [whole] = await pages_of(store, scope, limit=50)
            pages = await pages_of(store, scope, limit=2)

            assert len(whole.entries) == count
            assert [place(entry) for entry in whole.entries] == sorted(map(place, whole.entries), reverse=True)
            assert [entry for page in pages for entry in page.entries] == list(whole.entries)
            assert [len(page.entries) for page in pages] == [2] * (count // 2) + [1] * (count % 2)

    async def test_the_log_of_one_query_is_paged_too(self, store: QueryStore) -> None:
        query = await add(store)
        await store.reject(ADA, query.id, note="")
        await add(store)

        pages = await pages_of(store, replace(OF_ADA, query_id=query.id), limit=1)

        assert [[entry.to_state for entry in page.entries] for page in pages] == [["REJECTED"], ["PENDING"]]
        assert {entry.query_id for page in pages for entry in page.entries} == {query.id}

    async def test_an_owner_s_log_holds_the_steps_of_that_owner_s_queries_alone(self, store: QueryStore) -> None:
        own, others = await add(store), await add(store, draft(BO))
        late = await add(store, keeps_for=timedelta(0))
        foreign = await add(store, draft(OTHER_TENANT))

        def queries(page: AuditPage) -> set[str]:
            return {entry.query_id for entry in page.entries}

        assert queries(await store.audit(OF_ADA, after=None, limit=50)) == {own.id, late.id}
        assert queries(await store.audit(OF_ALL, after=None, limit=50)) == {own.id, late.id, others.id}
        assert queries(await store.audit(AuditScope("umbrella", None), after=None, limit=50)) == {foreign.id}
        for scope in (
            AuditScope("acme", "ada", others.id),
            AuditScope("acme", None, foreign.id),
            AuditScope("acme", None, "0" * 32),
            AuditScope("nobody", None),
        ):
            assert await store.audit(scope, after=None, limit=50) == AuditPage((), None)
        assert queries(await store.audit(AuditScope("acme", None, others.id), after=None, limit=50)) == {others.id}

    async def test_entries_name_the_owner_of_their_query(self, store: QueryStore) -> None:
        query = await add(store, draft(BO), keeps_for=timedelta(0))

        for scope in (OF_ALL, AuditScope("acme", None, query.id)):
            page = await store.audit(scope, after=None, limit=50)
            assert [(entry.owner, entry.subject) for entry in page.entries] == [(BO, ""), (BO, "bo")]

    async def test_a_time_narrows_a_list_its_start_within_its_end_without(self, store: QueryStore) -> None:
        query = await add(store)
        await asyncio.sleep(0.002)  # so that the two steps are told apart by their times
        await store.reject(ADA, query.id, note="")
        first, second = (entry.at_time for entry in await log_of(store, query))

        async def states(scope: AuditScope) -> list[QueryState]:
            return [entry.to_state for entry in (await store.audit(scope, after=None, limit=9)).entries]

        assert first < second
        for scope in (OF_ALL, OF_ADA, replace(OF_ADA, query_id=query.id)):
            assert await states(replace(scope, start_time=second)) == ["REJECTED"]
            assert await states(replace(scope, end_time=second)) == ["PENDING"]
            assert await states(replace(scope, start_time=first, end_time=second)) == ["PENDING"]
            assert await states(replace(scope, start_time=second + timedelta(microseconds=1))) == []
            assert await states(replace(scope, start_time=second, end_time=first)) == []
            assert await states(replace(scope, start_time=datetime(1, 1, 1, tzinfo=UTC))) == ["REJECTED", "PENDING"]

    async def test_names_that_look_like_parts_of_keys_keep_their_logs_apart(self, store: QueryStore) -> None:
        owners = [Owner("a", "b#c"), Owner("a#b", "c"), Owner("AUDIT", "a"), Owner("@AUDIT#a", "b#c")]
        queries = [await add(store, draft(owner)) for owner in owners]

        for owner, query in zip(owners, queries, strict=True):
            for subject in (owner.subject, None):
                page = await store.audit(AuditScope(owner.tenant, subject), after=None, limit=9)
                assert [entry.query_id for entry in page.entries] == [query.id]
            listed = await store.page(owner, state=None, after=None, limit=9)
            assert [one.id for one in listed.queries] == [query.id]
