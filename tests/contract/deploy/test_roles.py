"""No role holds more than its function's code calls, and none holds less. Both are read: the code and the template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from deploy.aws.stack_template import ACCOUNT, REGION, TEMPLATES, Template
from services.ingest.adapters.dynamodb_tables import DOCUMENTS, JOBS
from services.sql.adapters.dynamodb_tables import QUERIES
from tests.contract.deploy.called_code import ENTRIES, TABLE_ROOM, AwsCall, aws_calls, imports_of, modules_of, table_use

TEMPLATE = Template.read(TEMPLATES / "template.yaml")
CONFIGURATIONS: Mapping[str, Mapping[str, str]] = {
    "as it comes": {},
    "rows in PostgreSQL": {"Store": "postgresql"},
    "no provider": {"LanguageModel": "none", "ChunkIndex": "pgvector", "SqlGenerator": "grounded"},
    "provider and pgvector": {"ChunkIndex": "pgvector", "SqlGenerator": "grounded"},
    "Pinecone without a model": {"LanguageModel": "none", "SqlGenerator": "grounded"},
    "everybody may ask who signs": {
        "Identity": "none",
        "UrlAuth": "AWS_IAM",
        "AllowedOrigins": "https://app.example.com",
    },
    "tokens and a cache outside": {"Identity": "jwt", "Cache": "upstash", "OtlpEndpoint": "https://otlp.example.com"},
    "another prefix": {"Prefix": "staging", "Environment": "staging", "TracesToOpik": "true", "Cache": "redis"},
}
Grant = tuple[str, str]

_S3_ACTIONS = {
    "get_object": "GetObject",
    "head_object": "GetObject",
    "put_object": "PutObject",
    "generate_presigned_post": "PutObject",
    "head_bucket": "ListBucket",
    "list_objects_v2": "ListBucket",
    "get_paginator": "ListBucket",
    "list_object_versions": "ListBucketVersions",
    "delete_object": "DeleteObject",
    "delete_objects": "DeleteObjectVersion",  # the house names the version of each
}
_ON_THE_BUCKET = frozenset({"ListBucket", "ListBucketVersions"})
# Where in the bucket a module's objects lie.
_S3_PLACES = {
    "services.transport.s3_claim_checks": "claims/*",
    "services.ingest.adapters.s3_bucket": "*",
    "services.ingest.adapters.s3_presigning": "*",  # puts under tmp/, gets of files
}
# Which table a module's rows are in.
_TABLE_MODULES = {
    "services.ingest.adapters.dynamodb_documents": DOCUMENTS,
    "services.ingest.adapters.dynamodb_ended_jobs": JOBS,
    "services.ingest.adapters.dynamodb_job_items": JOBS,
    "services.ingest.adapters.dynamodb_jobs": JOBS,
    "services.sql.adapters.dynamodb_audit": QUERIES,
    "services.sql.adapters.dynamodb_queries": QUERIES,
    "services.sql.adapters.dynamodb_query_items": QUERIES,
    "services.sql.adapters.dynamodb_schemas": QUERIES,
    "services.sql.adapters.dynamodb_training": QUERIES,
}
# These lend tables to adapters and look at nothing in them.
_OPENERS = frozenset({"services.ingest.adapters.dynamodb_stores", "services.sql.adapters.dynamodb_stores"})


@pytest.mark.parametrize("parameters", CONFIGURATIONS.values(), ids=list(CONFIGURATIONS))
@pytest.mark.parametrize("function", ENTRIES)
def test_a_role_holds_what_its_code_calls_and_no_more(function: str, parameters: Mapping[str, str]) -> None:
    resources = TEMPLATE.resolve(parameters)
    prefix = parameters.get("Prefix", "diglot")

    held = _held(resources[f"{function.capitalize()}Role"])
    called = _called(function, _environment(resources, function), prefix)

    assert held - called == set(), "the role holds more than the code calls"
    assert called - held == set(), "the code calls more than the role holds"


@pytest.mark.parametrize("function", ENTRIES)
def test_a_role_is_taken_on_by_lambda_alone_and_names_every_resource(function: str) -> None:
    role = TEMPLATE.resolve()[f"{function.capitalize()}Role"]["Properties"]

    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert "ManagedPolicyArns" not in role
    for action, resource in _held({"Properties": role}):
        assert "*" not in action
        assert resource.startswith("arn:aws:")
        assert REGION in resource or ":s3:::" in resource


def test_functions_are_called_by_their_live_alias_alone() -> None:
    for function in ENTRIES:
        for action, resource in _held(TEMPLATE.resolve()[f"{function.capitalize()}Role"]):
            if action == "lambda:InvokeFunction":
                assert resource.endswith(":live"), (function, resource)


def test_the_database_that_is_asked_is_known_to_sql_alone() -> None:
    resources = TEMPLATE.resolve()

    readers = {name for name in ENTRIES if any("/database-" in arn for _, arn in _held(resources[_role(name)]))}

    assert readers == {"sql"}


def test_the_code_that_is_read_holds_the_calls_it_is_known_to_hold() -> None:
    """The reading itself: were it blind, every role would seem too large and the empty one right."""
    calls = {(call.kind, call.method) for module in modules_of("ingest") for call in aws_calls(module)}

    assert {("s3", "put_object"), ("s3", "list_object_versions"), ("sqs", "send_message")} <= calls
    assert ("lambda", "invoke") in calls
    assert ("secretsmanager", "get_secret_value") in calls
    assert "services.sql.wiring" not in modules_of("ingest")


def _role(function: str) -> str:
    return f"{function.capitalize()}Role"


def _environment(resources: Mapping[str, Any], function: str) -> dict[str, str]:
    properties = resources[f"{function.capitalize()}Function"]["Properties"]
    return {name: str(value) for name, value in properties["Environment"]["Variables"].items()}


def _held(role: Mapping[str, Any]) -> set[Grant]:
    (policy,) = role["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return {
        (action, resource)
        for statement in statements
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def _called(function: str, environment: Mapping[str, str], prefix: str) -> set[Grant]:
    """What the function's code may call where its environment switches it on, as IAM's actions on IAM's resources."""
    modules = modules_of(function)
    calls = {call for module in modules for call in aws_calls(module)}
    grants = {
        (f"logs:{action}", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{prefix}-{function}:*")
        for action in ("CreateLogStream", "PutLogEvents")
    }
    for call in calls:
        match call.kind:
            case "s3":
                grants |= _s3_grants(call, environment, prefix)
            case "sqs" if "INGEST_QUEUE_URL" in environment:
                action = "".join(part.capitalize() for part in call.method.split("_"))
                grants.add((f"sqs:{action}", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{prefix}-ingest"))
            case "lambda":
                assert call.method == "invoke"
                grants |= {
                    ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{value[7:]}")
                    for value in environment.values()
                    if value.startswith("lambda:")
                }
            case "secretsmanager":
                assert call.method == "get_secret_value"
                grants |= {
                    ("secretsmanager:GetSecretValue", _secret_arn(value))
                    for value in environment.values()
                    if value.startswith("secretsmanager:")
                }
            case "ssm":
                assert not any(value.startswith("ssm:") for value in environment.values())
            case "dynamodb":
                assert call.module == TABLE_ROOM
    if environment.get("DIGLOT_STORE_URL", "").startswith("dynamodb://"):
        grants |= _table_grants(modules, prefix)
    return grants


def _s3_grants(call: AwsCall, environment: Mapping[str, str], prefix: str) -> set[Grant]:
    place = _S3_PLACES[call.module]
    is_on = "DIGLOT_CLAIM_CHECK_BUCKET" in environment if place == "claims/*" else "S3_CACHE_BUCKET" in environment
    if not is_on:
        return set()
    bucket = f"arn:aws:s3:::rag-cache-{prefix}-{ACCOUNT}-{REGION}"
    if call.method == "generate_presigned_url":
        signed = ("PutObject", "GetObject")
        return {(f"s3:{action}", f"{bucket}/{place}") for action in signed}
    action = _S3_ACTIONS[call.method]
    return {(f"s3:{action}", bucket if action in _ON_THE_BUCKET else f"{bucket}/{place}")}


def _secret_arn(reference: str) -> str:
    name = reference.removeprefix("secretsmanager:").partition("#")[0]
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-??????"


def _table_grants(modules: frozenset[str], prefix: str) -> set[Grant]:
    by_table: dict[str, set[str]] = {}
    for module in modules & set(_TABLE_MODULES):
        by_table.setdefault(_TABLE_MODULES[module].suffix, set()).add(module)
    assert by_table, "a service with a store in DynamoDB has adapters for it"
    tables = {table.suffix: table for table in (DOCUMENTS, JOBS, QUERIES)}
    grants = set()
    for suffix, about_it in by_table.items():
        use = table_use(frozenset(about_it), frozenset(index.name for index in tables[suffix].indexes))
        arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{prefix}-{suffix}"
        grants |= {(f"dynamodb:{action}", arn) for action in use.actions}
        grants |= {("dynamodb:Query", f"{arn}/index/{index}") for index in use.indexes}
    return grants


def test_every_module_that_keeps_rows_in_dynamodb_is_read() -> None:
    known = {module for function in ENTRIES for module in modules_of(function)}

    users = {
        module for module in known if TABLE_ROOM in imports_of(module) or f"{TABLE_ROOM}_items" in imports_of(module)
    }

    assert users - {TABLE_ROOM} == set(_TABLE_MODULES) | _OPENERS
