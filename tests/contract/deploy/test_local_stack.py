"""The stack made on a local AWS API.

That API says CREATE_COMPLETE and leaves out, without a word, what it does not know: those kinds are listed here and
asserted on the template (test_stack.py). What it does make is looked at through the services' own APIs.
"""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
import pytest

from deploy.aws.stack_template import TEMPLATES, Template
from services.ingest.adapters import dynamodb_tables as ingest_tables
from services.sql.adapters import dynamodb_tables as sql_tables
from tests.aws_server import AwsAccount

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")

IGNORED_BY_THE_LOCAL_API = {
    "AWS::CloudFormation::Stack",  # its template lies elsewhere; it is made by itself below
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Url",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
}
# Made, and reported without an id.
WITHOUT_ID = {"AWS::Lambda::Permission", "AWS::Lambda::Version"}
IMAGES = {part: f"123456789012.dkr.ecr.us-east-1.amazonaws.com/diglot-{part.lower()}:4f2c1e" for part in (
    "Gateway", "Router", "Rag", "Sql", "Ingest"
)}  # fmt: skip


class LocalApi:
    """Clients of the local AWS API."""

    def __init__(self, account: AwsAccount) -> None:
        self._url = account.endpoint_url

    def client(self, kind: str) -> Any:
        make: Any = boto3.client
        return make(kind, endpoint_url=self._url, region_name="us-east-1")

    def make_stack(self, name: str, document: Any, parameters: dict[str, str]) -> list[dict[str, Any]]:
        """Make a stack and return its resources as CloudFormation reports them."""
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName=name,
            TemplateBody=json.dumps(document),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        resources: list[dict[str, Any]] = formation.describe_stack_resources(StackName=name)["StackResources"]
        return resources


@pytest.fixture
def api(aws_account: AwsAccount) -> LocalApi:
    return LocalApi(aws_account)


@pytest.fixture
def made(api: LocalApi) -> list[dict[str, Any]]:
    """The resources of template.yaml, made. The local API knows no alias: functions stand in for theirs."""
    document = dict(Template.read(TEMPLATES / "template.yaml").document)
    document["Resources"] = {name: r for name, r in document["Resources"].items() if name != "Watching"}
    del document["Outputs"], document["Rules"]
    text = re.sub(r'\{"Ref": "(\w+)Alias"\}', r'{"Fn::GetAtt": ["\1Function", "Arn"]}', json.dumps(document))
    parameters = {f"{part}ImageUri": uri for part, uri in IMAGES.items()}
    return api.make_stack("diglot", json.loads(text), parameters)


def test_everything_is_made_that_the_local_api_knows(made: list[dict[str, Any]]) -> None:
    wanted = {name: r["Type"] for name, r in Template.read(TEMPLATES / "template.yaml").resolve().items()}

    ids = {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in made if "LogicalResourceId" in r}

    without = {kind for name, kind in wanted.items() if not ids.get(name)}
    assert without == IGNORED_BY_THE_LOCAL_API | WITHOUT_ID
    assert all(ids.get(name) for name, kind in wanted.items() if kind not in without)


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("table", [*ingest_tables.TABLES, *sql_tables.TABLES], ids=lambda table: table.suffix)
def test_tables_are_made_as_the_code_has_them(api: LocalApi, table: Any) -> None:
    found = api.client("dynamodb").describe_table(TableName=table.name("diglot"))["Table"]

    wanted = table.definition("diglot")
    assert found["KeySchema"] == wanted["KeySchema"]
    assert _sorted(found["AttributeDefinitions"]) == _sorted(wanted["AttributeDefinitions"])
    indexes = [
        {key: index[key] for key in ("IndexName", "KeySchema", "Projection")}
        for index in found["GlobalSecondaryIndexes"]
    ]
    assert _sorted(indexes) == _sorted(wanted["GlobalSecondaryIndexes"])
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.usefixtures("made")
def test_the_queue_sets_aside_what_fails_five_times(api: LocalApi) -> None:
    sqs = api.client("sqs")
    url = sqs.get_queue_url(QueueName="diglot-ingest")["QueueUrl"]

    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    dead = sqs.get_queue_url(QueueName="diglot-ingest-dlq")["QueueUrl"]
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert json.loads(attributes["RedrivePolicy"]) == {"deadLetterTargetArn": dead_arn, "maxReceiveCount": 5}
    assert attributes["VisibilityTimeout"] == "5400"
    assert attributes["SqsManagedSseEnabled"] == "true"


@pytest.mark.usefixtures("made")
def test_ingest_is_fed_by_the_queue_and_by_the_clock(api: LocalApi) -> None:
    (mapping,) = api.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    (sweep,) = api.client("events").list_targets_by_rule(Rule="diglot-sweep")["Targets"]

    assert mapping["EventSourceArn"].endswith(":diglot-ingest")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert json.loads(sweep["Input"])["source"] == "aws.events"
    assert sweep["Arn"] == mapping["FunctionArn"]


@pytest.mark.usefixtures("made")
def test_functions_are_made_with_their_role_memory_and_environment(api: LocalApi) -> None:
    functions = api.client("lambda")

    made = {f["FunctionName"]: f for f in functions.list_functions()["Functions"]}

    assert set(made) == {f"diglot-{part}" for part in ("gateway", "router", "rag", "sql", "ingest", "images")}
    ingest = made["diglot-ingest"]
    assert (ingest["MemorySize"], ingest["Timeout"]) == (3008, 900)
    assert ingest["Role"].endswith("role/diglot-us-east-1-ingest")
    variables = ingest["Environment"]["Variables"]
    assert variables["S3_CACHE_BUCKET"] == "rag-cache-diglot-123456789012-us-east-1"
    assert variables["INGEST_QUEUE_URL"].endswith("/diglot-ingest")
    image = functions.get_function(FunctionName="diglot-images")["Code"]["ImageUri"]
    assert image == IMAGES["Ingest"]


def test_repositories_are_made_as_they_are_written(api: LocalApi) -> None:
    document = dict(Template.read(TEMPLATES / "repositories.yaml").document)

    api.make_stack("diglot-repositories", document, {})

    made = {r["repositoryName"]: r for r in api.client("ecr").describe_repositories()["repositories"]}
    assert set(made) == {f"diglot-{part.lower()}" for part in IMAGES}
    assert all(r["repositoryUri"].endswith(f"/{name}") for name, r in made.items())


def test_the_topic_of_alarms_is_encrypted_with_its_key(api: LocalApi) -> None:
    document = dict(Template.read(TEMPLATES / "alarms.yaml").document)
    document["Resources"] = {
        name: r
        for name, r in document["Resources"].items()
        if r["Type"] in ("AWS::SNS::Topic", "AWS::KMS::Key", "AWS::SNS::Subscription")
    }

    api.make_stack("diglot-alarms", document, {"Prefix": "diglot", "AlarmEmail": "ops@example.com"})

    topics = api.client("sns")
    (topic,) = topics.list_topics()["Topics"]
    attributes = topics.get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]
    assert attributes["KmsMasterKeyId"]
    assert topic["TopicArn"].endswith(":diglot-alarms")


def _sorted(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
