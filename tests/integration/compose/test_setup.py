"""What the cluster runs once at every start, on a real PostgreSQL and a local AWS API."""

import json
from urllib.parse import quote

import boto3
import psycopg
import pytest

from deploy.compose.setup import set_up_bucket, set_up_databases, set_up_queue
from deploy.local.databases import READER, SHOP_DATABASE, STORE_DATABASE, STORE_ROLES
from deploy.local.embedded_postgres import EmbeddedPostgres
from tests.aws_server import AwsAccount

PASSWORD = "only-for-tests"
CUSTOMERS = "SELECT count(*) FROM customers"


@pytest.fixture
def environment(postgres_server: EmbeddedPostgres) -> dict[str, str]:
    """As docker-compose.yml has it; the server is reached over its socket here."""
    names = ("rag", "sql", "ingest", "reader")
    address = postgres_server.url("postgres").rpartition("/")[0]
    return {"POSTGRES_URL": address, **{f"DIGLOT_{name.upper()}_PASSWORD": PASSWORD for name in names}}


def test_databases_are_ready_for_their_owners_however_often_they_are_set_up(
    postgres_server: EmbeddedPostgres, environment: dict[str, str]
) -> None:
    set_up_databases(environment)
    set_up_databases(environment)

    for role in STORE_ROLES.values():
        with psycopg.connect(postgres_server.url(STORE_DATABASE, role, PASSWORD)) as connection:
            connection.execute(f"CREATE SCHEMA {quote(role)}_probe")
            connection.rollback()
    with psycopg.connect(postgres_server.url(SHOP_DATABASE, READER, PASSWORD)) as connection:
        assert connection.execute(CUSTOMERS).fetchone() == (100,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM customers")


def test_the_bucket_ends_what_only_passes_through_and_nothing_else(aws_account: AwsAccount) -> None:
    s3 = boto3.client("s3")
    for _ in range(2):
        set_up_bucket(s3, "rag-cache-test", "us-east-1")

    rules = s3.get_bucket_lifecycle_configuration(Bucket="rag-cache-test")["Rules"]

    assert {rule["Filter"]["Prefix"] for rule in rules} == {"claims/", "tmp/"}
    assert {rule["Status"] for rule in rules} == {"Enabled"}


def test_a_bucket_elsewhere_is_made_where_it_belongs(aws_account: AwsAccount) -> None:
    s3 = boto3.client("s3", region_name="eu-central-1")

    set_up_bucket(s3, "rag-cache-elsewhere", "eu-central-1")

    assert s3.get_bucket_location(Bucket="rag-cache-elsewhere")["LocationConstraint"] == "eu-central-1"


def test_messages_that_nobody_can_use_go_to_a_queue_of_their_own(aws_account: AwsAccount) -> None:
    sqs = boto3.client("sqs")

    url = set_up_queue(sqs)

    assert set_up_queue(sqs) == url
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].endswith(":diglot-ingest-dlq")
