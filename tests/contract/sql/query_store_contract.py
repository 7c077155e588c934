"""What every query store must do, whatever it keeps queries in."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from services.sql.models import EPOCH, Owner, QueryPosition, QueryState, SqlQuery, sql_hash
from services.sql.ports import QueryStore

ADA = Owner("acme", "ada")
BO = Owner("acme", "bo")
OTHER_TENANT = Owner("umbrella", "ada")
HOUR = timedelta(hours=1)
SQL = "SELECT COUNT(*) FROM public.customers LIMIT 1001"

MakeStore = Callable[[timedelta], QueryStore]


def draft(owner: Owner = ADA, sql: str = SQL) -> SqlQuery:
    return SqlQuery(
        id=uuid4().hex,
        owner=owner,
        question="How many customers do we have?",
        sql=sql,
        sql_hash=sql_hash(sql),
        explanation="Counts all customers.",
        state=QueryState.PENDING,
        confidence=0.9,
        tables=("public.customers",),
        create_time=EPOCH,
        expire_time=EPOCH,
    )


async def add(store: QueryStore, query: SqlQuery | None = None, *, keeps_for: timedelta = HOUR) -> SqlQuery:
    return await store.add(query or draft(), request_id="", keeps_for=keeps_for)


async def state_of(store: QueryStore, query: SqlQuery) -> tuple[QueryState, str]:
    stored = await store.get(query.owner, query.id)
    assert stored is not None
    return stored.state, stored.state_reason


class StoreSuite:
    """Subclasses give a `make_store` fixture: a store with a run lease, all of one test on the same data."""

    @pytest.fixture
    def make_store(self) -> MakeStore:
        raise AssertionError("a subclass gives the store")

    @pytest.fixture
    def store(self, make_store: MakeStore) -> QueryStore:
        return make_store(HOUR)


class QueryStoreContract(StoreSuite):
    """What becomes of queries."""

    async def test_a_stored_query_is_read_back_pending_with_times_of_the_store(self, store: QueryStore) -> None:
        query = draft()

        stored = await store.add(query, request_id="", keeps_for=HOUR)

        assert stored == await store.get(ADA, query.id)
        assert stored.state is QueryState.PENDING
        assert stored.expire_time - stored.create_time == HOUR
        assert stored.create_time > EPOCH
        assert replace(stored, create_time=EPOCH, expire_time=EPOCH) == query

    @pytest.mark.parametrize("cost", [None, 0.0, 12.25, 1e200])
    async def test_what_was_planned_and_why_it_waits_is_kept(self, store: QueryStore, cost: float | None) -> None:
        waiting = await add(store, replace(draft(), plan_cost=cost, state_reason="NOT_ASKED"))
        begun = await store.add_begun(replace(draft(), plan_cost=cost), note="", keeps_for=HOUR)

        assert (waiting.plan_cost, waiting.state_reason) == (cost, "NOT_ASKED")
        assert await store.get(ADA, waiting.id) == waiting
        assert await store.get(ADA, begun.id) == begun
        approved = await store.approve(ADA, waiting.id, sql_hash=waiting.sql_hash)
        assert approved is not None
        assert (approved.plan_cost, approved.state_reason) == (cost, "")

    async def test_queries_of_others_do_not_exist(self, store: QueryStore) -> None:
        query = await add(store)

        assert await store.get(BO, query.id) is None
        assert await store.get(OTHER_TENANT, query.id) is None
        assert not await store.approve(BO, query.id, sql_hash=query.sql_hash)
        assert not await store.reject(OTHER_TENANT, query.id, note="")
        assert await store.get(ADA, "0" * 32) is None

    async def test_the_same_request_of_the_same_owner_gives_the_same_query(self, store: QueryStore) -> None:
        request = str(uuid4())

        first = await store.add(draft(), request_id=request, keeps_for=HOUR)
        again = await store.add(draft(), request_id=request, keeps_for=HOUR)
        of_another = await store.add(draft(BO), request_id=request, keeps_for=HOUR)

        assert again == first == await store.find_by_request(ADA, request)
        assert of_another.id != first.id
        assert await store.find_by_request(ADA, str(uuid4())) is None

    async def test_concurrent_requests_of_one_id_store_one_query(self, store: QueryStore) -> None:
        request = str(uuid4())

        stored = await asyncio.gather(*(store.add(draft(), request_id=request, keeps_for=HOUR) for _ in range(8)))

        assert len({query.id for query in stored}) == 1

    async def test_a_query_goes_from_pending_over_approved_to_executed(self, store: QueryStore) -> None:
        query = await add(store)

        assert await store.approve(ADA, query.id, sql_hash=query.sql_hash)
        approved = await store.get(ADA, query.id)
        assert await store.begin_run(ADA, query.id, sql_hash=query.sql_hash)
        running = await store.get(ADA, query.id)
        finished = await store.finish_run(ADA, query.id, row_count=3)

        assert approved is not None
        assert approved.state is QueryState.APPROVED
        assert approved.decide_time is not None
        assert approved.execute_time is None
        assert running is not None
        assert running.state is QueryState.EXECUTING
        assert running.execute_time is not None
        assert finished is not None
        assert (finished.state, finished.row_count) == (QueryState.EXECUTED, 3)

    async def test_a_query_decided_by_policy_is_stored_as_it_begins_to_run(self, store: QueryStore) -> None:
        query = draft()

        begun = await store.add_begun(query, note="AUTO_APPROVED", keeps_for=HOUR)

        assert begun == await store.get(ADA, query.id)
        assert begun.state is QueryState.EXECUTING
        assert begun.create_time == begun.decide_time == begun.execute_time
        assert begun.expire_time - begun.create_time == HOUR
        unchanged = replace(begun, state=QueryState.PENDING, create_time=EPOCH, expire_time=EPOCH)
        assert replace(unchanged, decide_time=None, execute_time=None) == query
        finished = await store.finish_run(ADA, query.id, row_count=3)
        assert finished is not None
        assert (finished.state, finished.row_count) == (QueryState.EXECUTED, 3)

    async def test_a_query_that_was_stored_running_is_run_by_nobody_else(self, store: QueryStore) -> None:
        query = await store.add_begun(draft(), note="", keeps_for=HOUR)

        assert await store.get(BO, query.id) is None
        assert await store.approve(ADA, query.id, sql_hash=query.sql_hash) is None
        assert await store.begin_run(ADA, query.id, sql_hash=query.sql_hash) is None
        assert await store.reject(ADA, query.id, note="") is None
        assert not await store.edit(ADA, query.id, old_hash=query.sql_hash, sql="SELECT 1", explanation="", tables=())
        assert await state_of(store, query) == (QueryState.EXECUTING, "")

    async def test_a_run_that_was_stored_running_and_whose_process_died_failed(self, make_store: MakeStore) -> None:
        died_long_ago = make_store(timedelta(0))
        query = await died_long_ago.add_begun(draft(), note="", keeps_for=HOUR)

        assert await state_of(died_long_ago, query) == (QueryState.FAILED, "OUTCOME_UNKNOWN")
        assert await died_long_ago.finish_run(ADA, query.id, row_count=1) is None

    async def test_a_query_that_was_stored_running_stands_in_lists_and_counts(self, store: QueryStore) -> None:
        waiting = await add(store)
        running = await store.add_begun(draft(), note="", keeps_for=HOUR)

        page = await store.page(ADA, state=None, after=None, limit=9)

        assert [query.id for query in page.queries] == [running.id, waiting.id]
        assert await store.count_by_state("acme") == {QueryState.PENDING: 1, QueryState.EXECUTING: 1}

    async def test_of_many_that_begin_a_run_one_may(self, store: QueryStore) -> None:
        query = await add(store)
        await store.approve(ADA, query.id, sql_hash=query.sql_hash)

        begun = await asyncio.gather(*(store.begin_run(ADA, query.id, sql_hash=query.sql_hash) for _ in range(10)))

        assert [query.state for query in begun if query is not None] == [QueryState.EXECUTING]

    async def test_a_pending_query_cannot_be_run(self, store: QueryStore) -> None:
        query = await add(store)

        assert not await store.begin_run(ADA, query.id, sql_hash=query.sql_hash)
        assert await state_of(store, query) == (QueryState.PENDING, "")

    async def test_decisions_and_runs_need_the_hash_of_the_text(self, store: QueryStore) -> None:
        query = await add(store)

        assert not await store.approve(ADA, query.id, sql_hash="0" * 64)
        assert await store.approve(ADA, query.id, sql_hash=query.sql_hash)
        assert not await store.begin_run(ADA, query.id, sql_hash="0" * 64)
        assert await state_of(store, query) == (QueryState.APPROVED, "")

    @pytest.mark.parametrize("approved_first", [False, True])
    async def test_a_query_that_has_not_begun_can_be_rejected(self, store: QueryStore, approved_first: bool) -> None:
        query = await add(store)
        if approved_first:
            await store.approve(ADA, query.id, sql_hash=query.sql_hash)

        assert await store.reject(ADA, query.id, note="not needed")

        assert await state_of(store, query) == (QueryState.REJECTED, "REJECTED")
        assert not await store.approve(ADA, query.id, sql_hash=query.sql_hash)
        assert not await store.begin_run(ADA, query.id, sql_hash=query.sql_hash)

    async def test_an_edit_replaces_text_and_hash_of_a_pending_query(self, store: QueryStore) -> None:
        query = await add(store)
        new = "SELECT 1 LIMIT 1001"

        assert await store.edit(
            ADA,
            query.id,
            old_hash=query.sql_hash,
            sql=new,
            explanation="edited",
            tables=("public.orders",),
            plan_cost=2.5,
        )

        edited = await store.get(ADA, query.id)
        assert edited is not None
        assert (edited.sql, edited.sql_hash, edited.state) == (new, sql_hash(new), QueryState.PENDING)
        assert (edited.explanation, edited.tables) == ("edited", ("public.orders",))
        assert (edited.plan_cost, edited.state_reason) == (2.5, "EDITED")
        assert not await store.approve(ADA, query.id, sql_hash=query.sql_hash)

    async def test_an_edit_of_another_text_or_after_a_decision_changes_nothing(self, store: QueryStore) -> None:
        query = await add(store)
        assert not await store.edit(ADA, query.id, old_hash="0" * 64, sql="SELECT 1", explanation="", tables=())
        await store.approve(ADA, query.id, sql_hash=query.sql_hash)

        assert not await store.edit(ADA, query.id, old_hash=query.sql_hash, sql="SELECT 1", explanation="", tables=())

        stored = await store.get(ADA, query.id)
        assert stored is not None
        assert stored.sql == SQL

    @pytest.mark.parametrize("approved_first", [False, True])
    async def test_what_nobody_ran_in_time_is_expired_for_good(self, store: QueryStore, approved_first: bool) -> None:
        query = await add(store, keeps_for=timedelta(milliseconds=500))
        if approved_first:
            assert await store.approve(ADA, query.id, sql_hash=query.sql_hash)
        await asyncio.sleep(0.55)

        assert not await store.begin_run(ADA, query.id, sql_hash=query.sql_hash)
        assert not await store.approve(ADA, query.id, sql_hash=query.sql_hash)
        assert not await store.reject(ADA, query.id, note="")
        assert not await store.edit(ADA, query.id, old_hash=query.sql_hash, sql="SELECT 1", explanation="", tables=())
        assert await state_of(store, query) == (QueryState.EXPIRED, "EXPIRED")

    async def test_a_failed_run_keeps_its_reason_and_is_final(self, store: QueryStore) -> None:
        query = await add(store)
        await store.approve(ADA, query.id, sql_hash=query.sql_hash)
        await store.begin_run(ADA, query.id, sql_hash=query.sql_hash)

        failed = await store.fail_run(ADA, query.id, reason="STATEMENT_TIMEOUT")

        assert failed is not None
        assert (failed.state, failed.state_reason) == (QueryState.FAILED, "STATEMENT_TIMEOUT")
        assert not await store.begin_run(ADA, query.id, sql_hash=query.sql_hash)
        assert await store.finish_run(ADA, query.id, row_count=1) is None

    async def test_a_run_whose_process_died_failed_with_unknown_outcome(self, make_store: MakeStore) -> None:
        died_long_ago = make_store(timedelta(0))
        query = await add(died_long_ago)
        await died_long_ago.approve(ADA, query.id, sql_hash=query.sql_hash)
        assert await died_long_ago.begin_run(ADA, query.id, sql_hash=query.sql_hash)

        assert await state_of(died_long_ago, query) == (QueryState.FAILED, "OUTCOME_UNKNOWN")
        assert await died_long_ago.finish_run(ADA, query.id, row_count=1) is None
        assert not await died_long_ago.begin_run(ADA, query.id, sql_hash=query.sql_hash)

    async def test_pages_go_newest_first_and_meet_each_query_once(self, store: QueryStore) -> None:
        ids = [(await add(store)).id for _ in range(5)]
        await add(store, draft(BO))

        pages: list[list[str]] = []
        after: QueryPosition | None = None
        while True:
            page = await store.page(ADA, state=None, after=after, limit=2)
            pages.append([query.id for query in page.queries])
            after = page.next_after
            if after is None:
                break

        assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]

    async def test_a_full_last_page_has_no_next(self, store: QueryStore) -> None:
        for _ in range(2):
            await add(store)

        assert (await store.page(ADA, state=None, after=None, limit=2)).next_after is None
        assert (await store.page(BO, state=None, after=None, limit=2)).queries == ()

    async def test_pages_hold_only_the_state_asked_for(self, store: QueryStore) -> None:
        waiting, rejected, late = await add(store), await add(store), await add(store, keeps_for=timedelta(0))
        await store.reject(ADA, rejected.id, note="")

        async def ids(state: QueryState) -> list[str]:
            return [query.id for query in (await store.page(ADA, state=state, after=None, limit=9)).queries]

        assert await ids(QueryState.PENDING) == [waiting.id]
        assert await ids(QueryState.REJECTED) == [rejected.id]
        assert await ids(QueryState.EXPIRED) == [late.id]

    async def test_counts_are_those_of_the_whole_tenant(self, store: QueryStore) -> None:
        await add(store)
        await add(store, draft(BO))
        await add(store, draft(OTHER_TENANT))
        rejected = await add(store)
        await store.reject(ADA, rejected.id, note="")

        assert await store.count_by_state("acme") == {QueryState.PENDING: 2, QueryState.REJECTED: 1}
        assert await store.count_by_state("nobody") == {}

    async def test_a_store_that_answers_is_reachable(self, store: QueryStore) -> None:
        assert await store.is_reachable()
