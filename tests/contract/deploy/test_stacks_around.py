"""The stacks that come before and in front of the system's own, and the parameters they are made with."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import pytest

from deploy.aws.parts import IMAGES
from deploy.aws.stack_template import TEMPLATES, Template

REPOSITORIES = Template.read(TEMPLATES / "repositories.yaml")
BOOTSTRAP = Template.read(TEMPLATES / "bootstrap.yaml")
EDGE = Template.read(TEMPLATES / "edge.yaml")
URL = "https://abc123.lambda-url.us-east-1.on.aws/"


def test_each_image_has_a_repository_that_scans_what_is_pushed() -> None:
    repositories = _of_kind(REPOSITORIES.resolve(), "AWS::ECR::Repository")

    assert {r["RepositoryName"] for r in repositories} == {f"diglot-{part}" for part in IMAGES}
    assert all(r["ImageScanningConfiguration"] == {"ScanOnPush": True} for r in repositories)


def test_every_tag_is_immutable_but_the_two_that_move() -> None:
    for repository in _of_kind(REPOSITORIES.resolve(), "AWS::ECR::Repository"):
        filters = repository["ImageTagMutabilityExclusionFilters"]

        assert repository["ImageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
        assert [f["ImageTagMutabilityExclusionFilterValue"] for f in filters] == ["latest", "amd64"]


def test_old_images_expire_and_lambda_alone_may_pull_besides_the_account() -> None:
    for repository in _of_kind(REPOSITORIES.resolve(), "AWS::ECR::Repository"):
        rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        (statement,) = repository["RepositoryPolicyText"]["Statement"]

        assert [(r["selection"]["tagStatus"], r["action"]["type"]) for r in rules] == [
            ("untagged", "expire"),
            ("any", "expire"),
        ]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
        part = repository["RepositoryName"].removeprefix("diglot-")
        arns = [arn.rpartition("diglot-")[2] for arn in statement["Condition"]["ArnLike"]["aws:SourceArn"]]
        runners = [part, "images"] if part == "ingest" else [part]
        assert arns == [pattern for name in runners for pattern in (name, f"{name}:*")]  # versions name themselves


def test_secrets_are_made_empty_and_kept_when_the_stack_goes() -> None:
    for resource in REPOSITORIES.resolve().values():
        if resource["Type"] == "AWS::SecretsManager::Secret":
            assert set(resource["Properties"]) == {"Name", "Description"}
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate"


def test_the_pipelines_role_is_for_jobs_of_one_environment_of_one_repository() -> None:
    role = BOOTSTRAP.resolve({"Repository": "acme/diglot"})["DeployRole"]["Properties"]

    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:acme/diglot:environment:production",
        }
    }


@pytest.mark.parametrize("repository", ["acme/diglot", "acme@123456/diglot@456789", "a.b-c/d_e.f"])
def test_the_repository_is_named_as_github_names_it_to_aws_with_numbers_or_without(repository: str) -> None:
    """Repositories made or renamed after 15 July 2026 have immutable subjects."""
    role = BOOTSTRAP.resolve({"Repository": repository})["DeployRole"]["Properties"]

    condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]

    assert condition["token.actions.githubusercontent.com:sub"] == f"repo:{repository}:environment:production"
    assert re.fullmatch(BOOTSTRAP.document["Parameters"]["Repository"]["AllowedPattern"], repository)


@pytest.mark.parametrize("repository", ["acme/*", "acme", "acme@*/diglot", "acme/diglot:environment:x", "*/*"])
def test_no_repository_is_a_pattern_for_many(repository: str) -> None:
    assert not re.fullmatch(BOOTSTRAP.document["Parameters"]["Repository"]["AllowedPattern"], repository)


def test_the_pipelines_role_holds_what_its_programs_say_they_need() -> None:
    """Each program's manual lists its actions; building and pushing an image need the rest of ecr."""
    needed = _said_by("release") | _said_by("rollback")
    statements = BOOTSTRAP.resolve({"Repository": "acme/diglot"})["DeployRole"]["Properties"]["Policies"][0]
    held = {action for s in statements["PolicyDocument"]["Statement"] for action in s["Action"]}

    assert needed - held == set()
    of_programs = {action for action in held if action.startswith(("lambda:", "cloudwatch:", "sns:"))}
    assert of_programs - needed == {"lambda:InvokeFunctionUrl"}  # the smoke test of a signed URL
    assert not any(action.startswith(("iam:", "dynamodb:", "secretsmanager:")) or "*" in action for action in held)


def test_a_provider_that_the_account_has_already_is_taken() -> None:
    arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"

    resources = BOOTSTRAP.resolve({"Repository": "acme/diglot", "ProviderArn": arn})

    assert "Provider" not in resources
    trust = resources["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"] == {"Federated": arn}


def test_the_front_limits_addresses_and_lets_documents_through() -> None:
    rules = EDGE.resolve({"FunctionUrl": URL})["Firewall"]["Properties"]["Rules"]

    assert rules[0]["Statement"]["RateBasedStatement"]["AggregateKeyType"] == "IP"
    groups = [r["Statement"]["ManagedRuleGroupStatement"] for r in rules if "OverrideAction" in r]
    overrides = [override for group in groups for override in group.get("RuleActionOverrides", [])]
    assert all(o["Name"].endswith("_BODY") and o["ActionToUse"] == {"Count": {}} for o in overrides)
    counted = {o["Name"] for o in overrides}
    assert {"SizeRestrictions_BODY", "CrossSiteScripting_BODY", "Log4JRCE_BODY"} <= counted


def test_the_front_caches_nothing_and_speaks_tls_alone() -> None:
    config = EDGE.resolve({"FunctionUrl": URL})["Distribution"]["Properties"]["DistributionConfig"]

    assert config["DefaultCacheBehavior"]["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    assert config["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"
    (origin,) = config["Origins"]
    assert origin["DomainName"] == "abc123.lambda-url.us-east-1.on.aws"
    assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert "Aliases" not in config


def test_a_domain_brings_its_certificate_and_records() -> None:
    given = {"FunctionUrl": URL, "DomainName": "api.example.com", "HostedZoneId": "Z123"}

    resources = EDGE.resolve(given)

    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    assert config["Aliases"] == ["api.example.com"]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert [resources[name]["Properties"]["Type"] for name in ("Name4", "Name6")] == ["A", "AAAA"]


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_exception_from_a_policy_has_its_reason(path: Any) -> None:
    skips = [
        skip
        for resource in Template.read(path).document["Resources"].values()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]

    assert [skip["id"] for skip in skips if len(skip.get("comment", "").split()) < 8] == []


@pytest.mark.parametrize("path", sorted((TEMPLATES / "parameters").glob("*.json")), ids=lambda path: path.stem)
def test_parameter_files_hold_values_that_the_template_takes(path: Any) -> None:
    template = Template.read(TEMPLATES / "template.yaml")

    given = dict(pair.split("=", 1) for pair in json.loads(path.read_text()))

    assert template.refusals(given) == []  # an unknown name is a KeyError
    for name, value in given.items():
        declared = template.document["Parameters"][name]
        assert value in map(str, declared.get("AllowedValues", [value]))
        assert re.fullmatch(declared.get("AllowedPattern", ".*"), value)
        assert " " not in value  # the guide hands them on as words


def _of_kind(resources: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [r["Properties"] for r in resources.values() if r["Type"] == kind]


def _said_by(program: str) -> set[str]:
    """The IAM actions in a manual, written as in `lambda:GetAlias, UpdateAlias and ListVersions`."""
    manual = str(importlib.import_module(f"deploy.aws.{program}").__doc__).partition("They need")[2]
    actions, service = set(), ""
    for found in re.finditer(r"(?:\b(lambda|ecr|cloudwatch|sns|sqs):)?\b([A-Z][a-z]+[A-Z]\w+|Publish)\b", manual):
        service = found[1] or service
        actions.add(f"{service}:{found[2]}")
    return {action for action in actions if not action.endswith("CloudWatch")}
