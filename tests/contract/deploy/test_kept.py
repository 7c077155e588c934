"""What outlives a stack can be taken into a new one of the same name."""

from __future__ import annotations

import json

import pytest

from deploy.aws.kept import kept, main
from deploy.aws.stack_template import TEMPLATES, Template

NAMES = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SecretsManager::Secret": "Name",
}
KEPT = ("Retain", "RetainExceptOnCreate")


@pytest.mark.parametrize("name", ["template.yaml", "repositories.yaml"])
def test_what_is_kept_stands_alone_under_the_names_and_settings_it_has(name: str) -> None:
    whole = Template.read(TEMPLATES / name)

    alone = Template(kept(whole, tables=True))

    resolved, before = alone.resolve({"Prefix": "acme"}), whole.resolve({"Prefix": "acme"})
    assert set(resolved) == {name for name, resource in before.items() if resource.get("DeletionPolicy") in KEPT}
    for name, resource in resolved.items():
        assert resource["Properties"] == before[name]["Properties"]
        assert resource["Properties"][NAMES[resource["Type"]]].startswith(("acme-", "acme/", "rag-cache-acme-"))
        assert resource["DeletionPolicy"] in KEPT  # which an import asks for


@pytest.mark.parametrize("name", ["template.yaml", "repositories.yaml"])
def test_an_import_is_asked_for_nothing_that_it_cannot_do(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It makes nothing and adds no outputs, so nothing may refer to what is not there."""
    assert main([name]) == 0

    document = json.loads(capsys.readouterr().out)

    assert set(document) == {"AWSTemplateFormatVersion", "Parameters", "Resources"}
    assert set(document["Parameters"]) == {"Prefix"}
    assert all({"Condition", "DependsOn"}.isdisjoint(resource) for resource in document["Resources"].values())
    assert "Fn::If" not in json.dumps(document)


def test_there_are_no_tables_where_rows_are_in_postgresql(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", "postgresql", "template.yaml"]) == 0

    assert set(json.loads(capsys.readouterr().out)["Resources"]) == {"CacheBucket"}


def test_another_template_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(["edge.yaml"])

    assert exit_code.value.code == 2
    assert "edge.yaml" in capsys.readouterr().err
