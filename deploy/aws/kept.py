"""What outlives a stack, as a template to import it by: `python -m deploy.aws.kept template.yaml`

Tables, bucket, repositories and secrets are kept when their stack is deleted. The stack cannot be made again over
them, for their names are taken; CloudFormation can take them into a new stack of the same name first, by a template
that holds them alone. Then the whole template is deployed over it.

Options:
  TEMPLATE         template.yaml or repositories.yaml, of deploy/aws
  --store NAME     postgresql where there are no tables (dynamodb)

stdout: the template, as JSON. Exit codes: 0 done; 2 the command line cannot be used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from deploy.aws.console import say
from deploy.aws.stack_template import TEMPLATES, Template

_KEPT = frozenset({"Retain", "RetainExceptOnCreate"})
# What an import takes no part in: it makes nothing, so that nothing waits, and reads no setting but the prefix.
_LEFT_OUT = frozenset({"Condition", "DependsOn", "Metadata"})


def kept(template: Template, *, tables: bool) -> dict[str, Any]:
    """The template with nothing but what is kept; no outputs, which an import may not add."""
    return {
        "AWSTemplateFormatVersion": template.document["AWSTemplateFormatVersion"],
        "Parameters": {"Prefix": template.document["Parameters"]["Prefix"]},
        "Resources": {
            name: _as_it_stands(resource)
            for name, resource in template.document["Resources"].items()
            if resource.get("DeletionPolicy") in _KEPT and (tables or resource["Type"] != "AWS::DynamoDB::Table")
        },
    }


def _as_it_stands(resource: dict[str, Any]) -> dict[str, Any]:
    properties = {
        name: value
        for name, value in resource["Properties"].items()
        if not (isinstance(value, dict) and "Fn::If" in value)  # the deployment that follows settles these
    }
    return {name: part for name, part in resource.items() if name not in _LEFT_OUT} | {"Properties": properties}


def main(arguments: Sequence[str]) -> int:
    """Print the template. Returns the exit code; exits on --help and on arguments that make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.aws.kept",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="python -m deploy.aws.kept [--store NAME] TEMPLATE",
    )
    parser.add_argument("template", choices=("template.yaml", "repositories.yaml"), help=argparse.SUPPRESS)
    parser.add_argument("--store", choices=("dynamodb", "postgresql"), default="dynamodb", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    say(json.dumps(kept(Template.read(TEMPLATES / given.template), tables=given.store == "dynamodb"), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
