"""What the stack promises, read in its templates as CloudFormation resolves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.aws.stack_template import TEMPLATES, Template
from services.ingest.adapters import dynamodb_tables as ingest_tables
from services.sql.adapters import dynamodb_tables as sql_tables
from services.transport.envelope import unpack_call

TEMPLATE = Template.read(TEMPLATES / "template.yaml")
ALARMS = Template.read(TEMPLATES / "alarms.yaml")
FUNCTIONS = ("gateway", "router", "rag", "sql", "ingest", "images")
Resources = Mapping[str, Mapping[str, Any]]


def of_kind(resources: Resources, kind: str) -> dict[str, Any]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


def function(name: str, parameters: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = TEMPLATE.resolve(parameters)[f"{name.capitalize()}Function"]["Properties"]
    return properties


# ---- functions ----------------------------------------------------------------------------------------------------
def test_there_are_six_functions_from_five_images_for_x86() -> None:
    functions = of_kind(TEMPLATE.resolve(), "AWS::Lambda::Function")

    assert {f["FunctionName"] for f in functions.values()} == {f"diglot-{name}" for name in FUNCTIONS}
    assert all(f["PackageType"] == "Image" and f["Architectures"] == ["x86_64"] for f in functions.values())
    assert function("images")["Code"] == function("ingest")["Code"]
    assert len({json.dumps(f["Code"]) for f in functions.values()}) == 5


def test_memory_and_time_fit_what_a_function_does() -> None:
    sizes = {name: (function(name)["MemorySize"], function(name)["Timeout"]) for name in FUNCTIONS}

    assert sizes == {
        "gateway": (384, 900),
        "router": (256, 60),
        "rag": (512, 60),
        "sql": (512, 60),
        "ingest": (3008, 900),
        "images": (3008, 900),
    }
    assert all(function(name)["EphemeralStorage"] == {"Size": 10240} for name in ("ingest", "images"))


def test_gateway_and_images_alone_are_bounded_and_neither_where_the_account_is_too_small() -> None:
    bounded = {"GatewayConcurrency": "100", "ImagesConcurrency": "5"}
    unbounded = {"GatewayConcurrency": "0", "ImagesConcurrency": "0"}

    reserved = {name: function(name, bounded).get("ReservedConcurrentExecutions") for name in FUNCTIONS}

    assert {name: reserve for name, reserve in reserved.items() if reserve} == {"gateway": "100", "images": "5"}
    assert not any("ReservedConcurrentExecutions" in function(name, unbounded) for name in FUNCTIONS)


def test_changed_secrets_make_every_function_another_one_for_the_next_release() -> None:
    """Lambda publishes no version of the same code with the same configuration."""
    for name in FUNCTIONS:
        before, after = (
            function(name, {"SecretsAsOf": told})["Environment"]["Variables"] for told in ("", "2026-11-21")
        )
        assert set(after.items()) - set(before.items()) == {("DIGLOT_SECRETS_AS_OF", "2026-11-21")}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"Identity": "jwt", "UrlAuth": "AWS_IAM"}, "Identity=jwt needs UrlAuth=NONE"),
        ({"Identity": "none"}, "Identity=none with UrlAuth=NONE lets the whole internet ask"),
        ({"LanguageModel": "none"}, "SqlGenerator=vanna needs LanguageModel=openai"),
        ({"TracesToOpik": "true", "OtlpEndpoint": "https://otlp.example.com"}, "traces go to OtlpEndpoint or to Opik"),
        (
            {"DistributionArn": "arn:aws:cloudfront::123456789012:distribution/E1"},
            "DistributionArn is for UrlAuth=AWS_IAM",
        ),
    ],
)
def test_parameters_that_cannot_work_together_are_refused_before_anything_is_made(
    given: Mapping[str, str], told: str
) -> None:
    (refusal,) = TEMPLATE.refusals(given)

    assert refusal.startswith(told)


@pytest.mark.parametrize(
    "given",
    [
        {"Identity": "jwt"},
        {"Identity": "none", "UrlAuth": "AWS_IAM"},
        {"Identity": "none", "Environment": "demo"},
        {"LanguageModel": "none", "SqlGenerator": "grounded", "ChunkIndex": "pgvector"},
    ],
)
def test_parameters_that_can_work_together_are_taken(given: Mapping[str, str]) -> None:
    assert TEMPLATE.refusals(given) == []


def test_the_stack_never_moves_an_alias_that_releases_move() -> None:
    """Whatever property of an alias a parameter could change, CloudFormation would set its version back with it."""
    aliases = TEMPLATE.document["Resources"]
    for name in FUNCTIONS:
        alias = aliases[f"{name.capitalize()}Alias"]["Properties"]
        assert alias == {
            "FunctionName": {"Ref": f"{name.capitalize()}Function"},
            "FunctionVersion": {"Fn::GetAtt": [f"{name.capitalize()}FirstVersion", "Version"]},
            "Name": "live",
        }
        version = aliases[f"{name.capitalize()}FirstVersion"]["Properties"]
        assert version == {"FunctionName": {"Ref": f"{name.capitalize()}Function"}}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_writes_to_a_log_that_forgets(name: str) -> None:
    resources = TEMPLATE.resolve({"LogRetentionDays": "14"})

    log = resources[f"{name.capitalize()}Logs"]["Properties"]

    assert log == {"LogGroupName": f"/aws/lambda/diglot-{name}", "RetentionInDays": "14"}
    assert function(name)["LoggingConfig"]["LogGroup"] == f"${{{name.capitalize()}Logs}}"


# ---- the door -----------------------------------------------------------------------------------------------------
def test_a_public_url_needs_both_permissions_on_the_alias() -> None:
    resources = TEMPLATE.resolve()

    url = resources["GatewayUrl"]["Properties"]
    permissions = [p for p in of_kind(resources, "AWS::Lambda::Permission").values() if p["Principal"] == "*"]

    assert (url["AuthType"], url["Qualifier"], url["InvokeMode"]) == ("NONE", "live", "BUFFERED")
    assert all(p["FunctionName"] == "${GatewayAlias}" for p in permissions)
    assert {p["Action"]: (p.get("FunctionUrlAuthType"), p.get("InvokedViaFunctionUrl")) for p in permissions} == {
        "lambda:InvokeFunctionUrl": ("NONE", None),
        "lambda:InvokeFunction": (None, True),
    }


def test_a_signed_url_lets_the_distribution_in_and_nobody_else() -> None:
    arn = "arn:aws:cloudfront::123456789012:distribution/E123"
    resources = TEMPLATE.resolve({"UrlAuth": "AWS_IAM", "DistributionArn": arn, "KeepWarm": "false"})

    permissions = of_kind(resources, "AWS::Lambda::Permission")

    assert resources["GatewayUrl"]["Properties"]["AuthType"] == "AWS_IAM"
    on_gateway = [p for p in permissions.values() if p["FunctionName"] == "${GatewayAlias}"]
    assert len(on_gateway) == 2
    assert all(p["Principal"] == "cloudfront.amazonaws.com" and p["SourceArn"] == arn for p in on_gateway)


@pytest.mark.parametrize("identity", ["api_key", "jwt", "none"])
def test_cors_headers_come_from_the_url_or_from_the_gateway_and_never_from_both(identity: str) -> None:
    origins = "https://app.example.com, https://admin.example.com"
    resources = TEMPLATE.resolve({"Identity": identity, "AllowedOrigins": origins})

    cors = resources["GatewayUrl"]["Properties"].get("Cors")
    told = resources["GatewayFunction"]["Properties"]["Environment"]["Variables"].get("ALLOWED_ORIGINS")

    assert (cors is None) != (told is None)
    if cors is not None:
        assert cors["AllowOrigins"] == ["https://app.example.com", "https://admin.example.com"]
    else:
        assert told == "https://app.example.com,https://admin.example.com"


def test_without_origins_no_page_may_ask() -> None:
    resources = TEMPLATE.resolve()

    assert "Cors" not in resources["GatewayUrl"]["Properties"]
    assert "CorsConfiguration" not in resources["CacheBucket"]["Properties"]


def test_streaming_starts_the_server_in_the_image_and_tells_the_adapter_of_it() -> None:
    gateway = function("gateway", {"InvokeMode": "RESPONSE_STREAM"})

    assert gateway["ImageConfig"] == {"Command": ["serve"]}
    assert gateway["Environment"]["Variables"]["AWS_LWA_INVOKE_MODE"] == "response_stream"
    assert "ImageConfig" not in function("gateway")
    assert not any(name.startswith("AWS_LWA") for name in function("gateway")["Environment"]["Variables"])


# ---- what calls functions by itself -------------------------------------------------------------------------------
def test_the_queue_feeds_the_live_ingest_one_message_at_a_time() -> None:
    resources = TEMPLATE.resolve({"IngestConcurrency": "7"})

    mapping = resources["IngestFromQueue"]["Properties"]

    assert mapping["FunctionName"] == "${IngestAlias}"
    assert mapping["BatchSize"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": "7"}


def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_run() -> None:
    queue = TEMPLATE.resolve()["IngestQueue"]["Properties"]

    assert queue["VisibilityTimeout"] >= 6 * function("ingest")["Timeout"]
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": "${IngestDeadLetters.Arn}", "maxReceiveCount": 5}


def test_a_sweep_comes_every_minute_and_a_missed_one_is_not_made_up_for() -> None:
    resources = TEMPLATE.resolve()

    rule = resources["SweepRule"]["Properties"]

    assert rule["ScheduleExpression"] == "rate(1 minute)"
    (target,) = rule["Targets"]
    assert target["Arn"] == "${IngestAlias}"
    assert json.loads(target["Input"])["source"] == "aws.events"
    assert resources["IngestSweepRetries"]["Properties"]["MaximumRetryAttempts"] == 0


def test_every_rule_may_invoke_what_it_aims_at() -> None:
    resources = TEMPLATE.resolve()
    allowed = {
        (p["SourceArn"], p["FunctionName"])
        for p in of_kind(resources, "AWS::Lambda::Permission").values()
        if p["Principal"] == "events.amazonaws.com" and p["Action"] == "lambda:InvokeFunction"
    }

    wanted = {
        (f"${{{name}.Arn}}", target["Arn"])
        for name, rule in of_kind(resources, "AWS::Events::Rule").items()
        for target in rule["Targets"]
    }

    assert wanted == allowed


async def test_a_ping_is_a_health_check_that_services_understand() -> None:
    targets = {t["Id"]: t["Input"] for t in TEMPLATE.resolve()["WarmRule"]["Properties"]["Targets"]}

    assert json.loads(targets.pop("gateway")) == {"source": "aws.events"}
    assert set(targets) == {"router", "rag", "sql"}
    for text in targets.values():
        call = await unpack_call(json.loads(text), None)
        assert (call.method, call.body) == ("/grpc.health.v1.Health/Check", b"")


def test_environments_are_kept_warm_by_pings_or_held_ready_by_parameter() -> None:
    assert "WarmRule" in TEMPLATE.resolve()
    held = TEMPLATE.resolve({"KeepWarm": "false", "ProvisionedConcurrency": "2"})

    assert "WarmRule" not in held
    targets = of_kind(held, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert {t["ResourceId"].partition(":")[2] for t in targets.values()} == {
        f"${{{name}Function}}:live" for name in ("Gateway", "Router", "Rag", "Sql")
    }
    assert all(t["MinCapacity"] == t["MaxCapacity"] == "2" for t in targets.values())


# ---- stores -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", [*ingest_tables.TABLES, *sql_tables.TABLES], ids=lambda table: table.suffix)
def test_a_table_is_the_one_its_code_defines(table: Any) -> None:
    resource = TEMPLATE.resolve({"Prefix": "acme"})[f"{table.suffix.capitalize()}Table"]
    properties = dict(resource["Properties"])

    guards = {name: properties.pop(name) for name in list(properties) if name not in table.definition("acme")}

    assert properties == table.definition("acme") | {
        "GlobalSecondaryIndexes": properties["GlobalSecondaryIndexes"],
        "AttributeDefinitions": properties["AttributeDefinitions"],
    }
    assert _set(properties["GlobalSecondaryIndexes"]) == _set(table.definition("acme")["GlobalSecondaryIndexes"])
    assert _set(properties["AttributeDefinitions"]) == _set(table.definition("acme")["AttributeDefinitions"])
    assert guards == {
        "DeletionProtectionEnabled": True,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
    }
    assert resource["DeletionPolicy"] == "Retain"


def test_no_table_is_made_where_rows_are_kept_in_postgresql() -> None:
    assert of_kind(TEMPLATE.resolve({"Store": "postgresql"}), "AWS::DynamoDB::Table") == {}


def test_the_bucket_is_private_versioned_encrypted_and_outlives_the_stack() -> None:
    resource = TEMPLATE.resolve()["CacheBucket"]
    bucket = resource["Properties"]

    assert bucket["BucketName"] == "rag-cache-diglot-123456789012-us-east-1"
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_tables_come_last_so_that_a_failed_first_attempt_leaves_no_name_taken() -> None:
    """What holds them back is what may fail on a fresh account; a sweep waits for them in turn."""
    resources = TEMPLATE.resolve()
    tables = {name: r for name, r in resources.items() if r["Type"] == "AWS::DynamoDB::Table"}
    aliases = {name for name, r in resources.items() if r["Type"] == "AWS::Lambda::Alias"}

    for table in tables.values():
        waits_for = set(table["DependsOn"])
        waits_for |= {"GatewayAlias", "IngestAlias"}  # by way of the URL and the queue's mapping
        assert aliases | {"GatewayUrl", "IngestFromQueue", "Watching"} == waits_for
    assert resources["GatewayUrl"]["DependsOn"] == "GatewayAlias"
    assert resources["IngestFromQueue"]["Properties"]["FunctionName"] == "${IngestAlias}"
    assert "${JobsTable}, ${DocumentsTable}" in resources["SweepRule"]["Properties"]["Description"]
    assert "Table" not in TEMPLATE.resolve({"Store": "postgresql"})["SweepRule"]["Properties"]["Description"]


def test_only_leftovers_expire_and_earlier_versions_are_kept_for_thirty_days() -> None:
    rules = TEMPLATE.resolve()["CacheBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]

    expiring = {rule.get("Prefix"): rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    (everywhere,) = (r for r in rules if "Prefix" not in r and "NoncurrentVersionExpiration" in r)

    assert expiring == {"claims/": 1, "tmp/": 1}
    assert everywhere["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert everywhere["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


@pytest.mark.parametrize(
    ("template", "policy", "places"),
    [
        (TEMPLATE, "CacheBucketPolicy", {"${CacheBucket.Arn}", "${CacheBucket.Arn}/*"}),
        (TEMPLATE, "QueuePolicy", {"${IngestQueue.Arn}", "${IngestDeadLetters.Arn}"}),
        (ALARMS, "AlarmTopicPolicy", {"${AlarmTopic}"}),
    ],
)
def test_nothing_is_taken_or_given_without_tls(template: Template, policy: str, places: set[str]) -> None:
    statements = template.resolve()[policy]["Properties"]["PolicyDocument"]["Statement"]

    (deny,) = (s for s in statements if s["Sid"] == "RefuseWithoutTls")

    assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert set(deny["Resource"] if isinstance(deny["Resource"], list) else [deny["Resource"]]) == places


# ---- alarms -------------------------------------------------------------------------------------------------------
def test_each_live_function_has_alarms_for_errors_duration_and_throttles() -> None:
    alarms = of_kind(ALARMS.resolve({"Prefix": "diglot"}), "AWS::CloudWatch::Alarm").values()

    watched = {
        (dimensions["Resource"], alarm["MetricName"], alarm.get("Statistic") or alarm["ExtendedStatistic"])
        for alarm in alarms
        if "Resource" in (dimensions := {d["Name"]: d["Value"] for d in alarm["Dimensions"]})
    }

    kinds = (("Errors", "Sum"), ("Duration", "p95"), ("Throttles", "Sum"))
    assert watched == {(f"diglot-{name}:live", *kind) for name in FUNCTIONS for kind in kinds}


def test_durations_alarm_before_a_function_is_cut_off() -> None:
    for name in FUNCTIONS:
        alarm = ALARMS.resolve({"Prefix": "diglot"})[f"{name.capitalize()}DurationAlarm"]["Properties"]
        assert alarm["Threshold"] < function(name)["Timeout"] * 1000


def test_dead_letters_and_waiting_files_and_charges_alarm_too() -> None:
    here = ALARMS.resolve({"Prefix": "diglot", "MonthlyBillingLimit": "40"}, region="us-east-1")
    elsewhere = ALARMS.resolve({"Prefix": "diglot"}, region="eu-west-1")

    assert here["DeadLettersAlarm"]["Properties"]["Dimensions"][0]["Value"] == "diglot-ingest-dlq"
    assert here["QueueAgeAlarm"]["Properties"]["MetricName"] == "ApproximateAgeOfOldestMessage"
    assert here["BillingAlarm"]["Properties"]["Threshold"] == "40"
    assert "BillingAlarm" not in elsewhere


def test_every_alarm_tells_the_topic_which_cloudwatch_may_encrypt_for() -> None:
    resources = ALARMS.resolve({"Prefix": "diglot", "AlarmEmail": "ops@example.com"})

    alarms = of_kind(resources, "AWS::CloudWatch::Alarm").values()
    topic = resources["AlarmTopic"]["Properties"]
    statements = resources["AlarmKey"]["Properties"]["KeyPolicy"]["Statement"]

    assert all(alarm["AlarmActions"] == ["${AlarmTopic}"] for alarm in alarms)
    assert topic["KmsMasterKeyId"] == "${AlarmKey}"
    (encrypting,) = (s for s in statements if s["Principal"] == {"Service": "cloudwatch.amazonaws.com"})
    assert encrypting["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert resources["AlarmSubscription"]["Properties"]["Endpoint"] == "ops@example.com"


def test_the_dashboard_is_json_that_shows_every_function() -> None:
    body = json.loads(ALARMS.resolve({"Prefix": "acme"})["Dashboard"]["Properties"]["DashboardBody"])

    assert all(f"acme-{name}" in json.dumps(body) for name in FUNCTIONS)
    assert all(widget["properties"]["region"] == "us-east-1" for widget in body["widgets"])


def _set(items: list[Any]) -> set[str]:
    return {json.dumps(item, sort_keys=True) for item in items}
