"""The command that makes the tables, on the local AWS API."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.aws.create_tables import TABLES, main
from services.storage.dynamodb_tables import TTL_ATTRIBUTE
from services.transport.aws_clients import AwsClient, make_aws_client
from tests.aws_server import AwsAccount

NAMES = ["diglot-documents", "diglot-jobs", "diglot-queries"]


@pytest.fixture
def database(aws_account: AwsAccount) -> Any:
    client: AwsClient = make_aws_client("dynamodb")
    yield client._client
    client.close()


def test_it_makes_every_table_with_its_indexes_and_lets_it_forget(
    database: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--prefix", "diglot"]) == 0

    assert database.list_tables()["TableNames"] == NAMES
    for table in TABLES:
        found = database.describe_table(TableName=table.name("diglot"))["Table"]
        assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        assert {index["IndexName"] for index in found["GlobalSecondaryIndexes"]} == {
            index.name for index in table.indexes
        }
        forgetting = database.describe_time_to_live(TableName=table.name("diglot"))["TimeToLiveDescription"]
        assert forgetting == {"TimeToLiveStatus": "ENABLED", "AttributeName": TTL_ATTRIBUTE}
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: made, now forgets what is past its time" for name in NAMES
    ]


def test_it_can_be_run_again(database: Any, capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    database.delete_table(TableName="diglot-jobs")
    database.put_item(TableName="diglot-documents", Item={"pk": {"S": "x"}, "sk": {"S": "y"}})
    capsys.readouterr()

    assert main([]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "diglot-documents: was there",
        "diglot-jobs: made, now forgets what is past its time",
        "diglot-queries: was there",
    ]
    assert database.scan(TableName="diglot-documents")["Count"] == 1


def test_a_table_without_an_index_is_told_and_left_alone(database: Any, capsys: pytest.CaptureFixture[str]) -> None:
    definition = TABLES[0].definition("diglot")
    definition["GlobalSecondaryIndexes"] = definition["GlobalSecondaryIndexes"][:1]
    used = {"pk", "sk", "ready_tenant", "newest"}
    definition["AttributeDefinitions"] = [
        attribute for attribute in definition["AttributeDefinitions"] if attribute["AttributeName"] in used
    ]
    database.create_table(**definition)

    assert main([]) == 1

    assert "create_tables: diglot-documents is there without the index 'unsettled'" in capsys.readouterr().err


def test_a_table_with_another_key_is_told(database: Any, capsys: pytest.CaptureFixture[str]) -> None:
    database.create_table(
        TableName="diglot-jobs",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    assert main([]) == 1

    assert "diglot-jobs is there with another key; choose another --prefix" in capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["ab", "a b c", "x" * 201, "a/b"])
def test_a_prefix_that_no_table_can_have_is_refused(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--prefix", prefix]) == 1

    assert f"--prefix {prefix!r}: a table prefix has 3 to 200 letters" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AWS_REGION", "", "no region is set; for example AWS_REGION=us-east-1"),
        ("AWS_REGION", "the moon", "'the moon' doesn't match a supported format"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1", "DynamoDB cannot be reached"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "no address", "Invalid endpoint: no address"),
        ("AWS_ACCESS_KEY_ID", "", "no credentials are set"),
    ],
)
def test_what_is_wrong_with_the_place_is_said_in_one_line(
    aws_account: AwsAccount,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    told: str,
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv(variable, value) if value else monkeypatch.delenv(variable)

    assert main([]) == 1

    [line] = capsys.readouterr().err.splitlines()
    assert told in line
