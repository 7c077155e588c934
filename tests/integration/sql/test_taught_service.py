"""The sql service whole, taught: by examples, words and structure, by documents, with rag at hand, away, or none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from protos.sql.v1 import sql_query_pb2, sql_service_pb2, sql_training_pb2
from services.sql.adapters.dynamodb_tables import TABLES
from services.sql.training_models import Passage
from services.transport.identity import Caller, acting_as
from tests.aws_server import AwsAccount
from tests.dynamodb import PREFIX, make_tables
from tests.fakes.sql_rag import RagForSql, serving_rag
from tests.integration.sql.running_service import ADA, OUTSIDER, TRANSPORT, failure_of, running, settings_for

if TYPE_CHECKING:
    from protos.sql.v1.sql_service_pb2_grpc import SqlServiceAsyncStub

TIM = Caller("acme", "tim", frozenset({"user", "sql_trainer"}))
QUESTION = "How many whales do we have?"
TAUGHT = "SELECT count(*) AS whales FROM customers WHERE customer_id < 7"
Item = sql_training_pb2.TrainingItem


async def teach_whales(sql: SqlServiceAsyncStub) -> Item:
    """A question that the schema alone cannot answer, with its query, approved."""
    example = sql_training_pb2.TrainingExample(question=QUESTION, sql=TAUGHT)
    with acting_as(TIM):
        added = (await sql.AddTraining(sql_service_pb2.AddTrainingRequest(example=example))).item
        approval = sql_service_pb2.ApproveTrainingRequest(name=added.name)
        item: Item = (await sql.ApproveTraining(approval)).item
    return item


async def generated(sql: SqlServiceAsyncStub, question: str = QUESTION, caller: Caller = ADA) -> sql_query_pb2.SqlQuery:
    """The query for a question; an empty one where there is none."""
    with acting_as(caller):
        reply = await sql.GenerateSql(sql_service_pb2.GenerateSqlRequest(question=question))
    query: sql_query_pb2.SqlQuery = reply.query
    return query


async def parts_of(sql: SqlServiceAsyncStub) -> dict[str, str]:
    with acting_as(ADA):
        return dict((await sql.GetStats(sql_service_pb2.GetStatsRequest())).parts)


async def rows(store_url: str, statement: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(store_url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


async def test_what_is_taught_and_approved_answers_over_restarts_and_no_more_once_deleted(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    rag = RagForSql()
    async with serving_rag(rag, TRANSPORT) as target:
        settings = settings_for(shop_url, store_url, rag_target=target)
        async with running(settings, tmp_path) as sql:
            before, parts = await generated(sql), await parts_of(sql)
            embedded_before = list(rag.embedded)
            item = await teach_whales(sql)
            after = await generated(sql)
            foreign = await generated(sql, caller=OUTSIDER)
        vectors = await rows(store_url, "SELECT model FROM sql.training_vectors")

        async with running(settings, tmp_path) as sql:
            restarted = await generated(sql, "how many whales do we have")
            with acting_as(TIM):
                await sql.DeleteTraining(sql_service_pb2.DeleteTrainingRequest(name=item.name))
            deleted = await generated(sql)

    assert (before.sql, foreign.sql, deleted.sql) == ("", "", "")
    assert parts["training"] == "pgvector"
    assert QUESTION not in embedded_before  # a tenant without training costs nothing
    assert "customer_id < 7" in after.sql
    assert "customer_id < 7" in restarted.sql
    assert vectors == [("words/64",)]
    assert await rows(store_url, "SELECT model FROM sql.training_vectors") == []


async def test_a_vector_that_outlived_its_row_is_not_used_and_is_swept(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    async with serving_rag(RagForSql(), TRANSPORT) as target:
        settings = settings_for(shop_url, store_url, rag_target=target)
        async with running(settings, tmp_path) as sql:
            await teach_whales(sql)
        # As if the process had died between the two: the row is gone, the vector is there.
        await rows(store_url, "DELETE FROM sql.training")

        async with running(settings, tmp_path) as sql:
            unused = await generated(sql)
            for _ in range(100):
                left = await rows(store_url, "SELECT id FROM sql.training_vectors")
                if not left:
                    break
                await asyncio.sleep(0.05)

    assert unused.sql == ""
    assert left == []


async def test_rag_away_leaves_examples_that_are_found_by_their_words(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    rag = RagForSql()
    async with (
        serving_rag(rag, TRANSPORT) as target,
        running(settings_for(shop_url, store_url, rag_target=target), tmp_path) as sql,
    ):
        rag.fault = grpc.StatusCode.UNAVAILABLE
        await teach_whales(sql)
        by_words = await generated(sql)
        parts = await parts_of(sql)

    assert "customer_id < 7" in by_words.sql
    assert parts["training"] == "pgvector"


async def test_a_store_that_may_not_have_the_extension_finds_by_words(
    postgres_server: EmbeddedPostgres, shop_url: str, store_url: str, tmp_path: Path
) -> None:
    store = psycopg.conninfo.conninfo_to_dict(store_url)["dbname"]
    await rows(postgres_server.url(str(store)), "DROP EXTENSION vector")
    rag = RagForSql()
    async with (
        serving_rag(rag, TRANSPORT) as target,
        running(settings_for(shop_url, store_url, rag_target=target), tmp_path) as sql,
    ):
        await teach_whales(sql)
        by_words, parts = await generated(sql), await parts_of(sql)

    assert "customer_id < 7" in by_words.sql
    assert parts["training"] == "words"
    assert QUESTION not in rag.embedded


async def test_in_dynamodb_without_pinecone_examples_are_found_by_words_and_learned(
    shop_url: str, aws_account: AwsAccount, tmp_path: Path
) -> None:
    await make_tables(*TABLES)
    async with running(settings_for(shop_url, f"dynamodb://{PREFIX}"), tmp_path) as sql:
        await teach_whales(sql)
        query = await generated(sql)
        with acting_as(ADA):
            await sql.ApproveQuery(sql_service_pb2.ApproveQueryRequest(name=query.name, sql_hash=query.sql_hash))
            await sql.RunQuery(sql_service_pb2.RunQueryRequest(name=query.name, sql_hash=query.sql_hash))
            listed = (await sql.ListTraining(sql_service_pb2.ListTrainingRequest())).items
        with acting_as(OUTSIDER):
            foreign = (await sql.ListTraining(sql_service_pb2.ListTrainingRequest())).items

    assert "customer_id < 7" in query.sql
    assert [(item.source, item.query, item.state) for item in listed] == [
        (Item.APPROVED_QUERY, query.name, Item.PENDING),  # an approved example had a part in it
        (Item.API, "", Item.APPROVED),
    ]
    assert list(foreign) == []


@pytest.mark.parametrize("learns", [True, False])
async def test_what_a_person_approved_and_ran_is_learned_unless_switched_off(
    shop_url: str, store_url: str, tmp_path: Path, learns: bool
) -> None:
    async with running(settings_for(shop_url, store_url, learn_from_approved=learns), tmp_path) as sql:
        query = await generated(sql, "How many customers do we have?")
        with acting_as(ADA):
            await sql.ApproveQuery(sql_service_pb2.ApproveQueryRequest(name=query.name, sql_hash=query.sql_hash))
            await sql.RunQuery(sql_service_pb2.RunQueryRequest(name=query.name, sql_hash=query.sql_hash))
            listed = (await sql.ListTraining(sql_service_pb2.ListTrainingRequest())).items

    assert [(item.query, item.author, item.usable) for item in listed] == [(query.name, "ada", True)] * learns


async def test_a_document_explains_a_word_and_is_named(shop_url: str, store_url: str, tmp_path: Path) -> None:
    rag = RagForSql()
    passage = Passage("Whale means a customer whose segment is Premium.", "glossary.md", headings=("Terms",))
    rag.passages["acme"] = [passage]
    async with serving_rag(rag, TRANSPORT) as target:
        async with running(settings_for(shop_url, store_url, rag_target=target), tmp_path) as sql:
            defined, foreign = await generated(sql), await generated(sql, caller=OUTSIDER)
            searches = len(rag.searches)
            plain = await generated(sql, "How many customers do we have?")
            parts = await parts_of(sql)
        off = settings_for(shop_url, store_url, rag_target=target, document_terms=False)
        async with running(off, tmp_path) as sql:
            switched_off, parts_off = await generated(sql), await parts_of(sql)

    assert "Premium" in defined.sql
    assert "glossary.md" in defined.explanation
    assert "section Terms" in defined.explanation
    assert foreign.sql == switched_off.sql == ""
    assert plain.sql
    assert searches == len(rag.searches) == 1  # none for known words, none for a tenant without documents
    assert (parts["document_terms"], parts_off["document_terms"]) == ("rag", "off")


async def test_deciding_without_the_role_ends_with_the_way_out(shop_url: str, store_url: str, tmp_path: Path) -> None:
    async with running(settings_for(shop_url, store_url, training_max_items=1), tmp_path) as sql:
        with acting_as(ADA):
            request = sql_service_pb2.AddTrainingRequest(documentation="Whales are our largest customers.")
            added = await sql.AddTraining(request)
            approval = sql_service_pb2.ApproveTrainingRequest(name=added.item.name)
            refused = await failure_of(sql.ApproveTraining(approval))
            full = await failure_of(sql.AddTraining(sql_service_pb2.AddTrainingRequest(documentation="More.")))
            empty = await failure_of(sql.AddTraining(sql_service_pb2.AddTrainingRequest()))
            misnamed = await failure_of(sql.GetTraining(sql_service_pb2.GetTrainingRequest(name="training/x")))

    assert added.item.state == Item.PENDING
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "TRAINER_ROLE_MISSING")
    assert (full.code, full.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TRAINING_FULL")
    assert (empty.reason, misnamed.reason) == ("TRAINING_INVALID", "NAME_INVALID")
