"""The templates of this folder as data: read with their short tags, and resolved for given parameters.

    Template.read(TEMPLATES / "template.yaml").resolve({"Store": "postgresql"})["SqlFunction"]["Properties"]

Resolving does what CloudFormation does before it makes anything: conditions, Fn::If, Ref of parameters, Fn::Sub and
the functions on lists. What is known only once a resource is made stays symbolic: a Ref is "${Name}", an attribute
"${Name.Arn}".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

TEMPLATES: Final = Path(__file__).parent
REGION, ACCOUNT = "us-east-1", "123456789012"
_NOTHING: Final = object()  # AWS::NoValue: what holds it goes
_PLACEHOLDER = re.compile(r"\$\{(!?)([A-Za-z0-9:.]+)\}")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags: `!Sub x` is read as {"Fn::Sub": x}."""


def _read_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _read_tag)


@dataclass(frozen=True)
class Template:
    """One template, as it is written."""

    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Template:
        return cls(yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader))  # noqa: S506 -- a SafeLoader it is

    def parameters(self, given: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The value of every parameter: as given, by its default, or PARAMETER where it has none.

        Raises: KeyError: there is no such parameter.
        """
        declared = self.document.get("Parameters", {})
        values = {name: spec.get("Default", name.upper()) for name, spec in declared.items()}
        for name, value in (given or {}).items():
            if name not in declared:
                raise KeyError(f"there is no parameter {name}")
            values[name] = value
        for name, spec in declared.items():
            if spec["Type"] == "CommaDelimitedList":
                values[name] = [part.strip() for part in str(values[name]).split(",")]
        return values

    def resolve(self, given: Mapping[str, str] | None = None, *, region: str = REGION) -> dict[str, dict[str, Any]]:
        """The resources that CloudFormation would make of it with these parameters, by logical name."""
        resolver = _Resolver(self.document, self.parameters(given), region)
        return {
            name: resolver.value(resource)
            for name, resource in self.document["Resources"].items()
            if "Condition" not in resource or resolver.holds(resource["Condition"])
        }

    def refusals(self, given: Mapping[str, str] | None = None) -> list[str]:
        """What CloudFormation would say before it makes anything, by the template's rules; nothing when it goes on."""
        resolver = _Resolver(self.document, self.parameters(given), REGION)
        rules = self.document.get("Rules", {}).values()
        return [
            assertion["AssertDescription"]
            for rule in rules
            if resolver.truth(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not resolver.truth(assertion["Assert"])
        ]


class _Resolver:
    def __init__(self, document: Mapping[str, Any], parameters: Mapping[str, Any], region: str) -> None:
        self._conditions = document.get("Conditions", {})
        self._known: dict[str, Any] = {
            **parameters,
            "AWS::Region": region,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": "stack",
            "AWS::NoValue": _NOTHING,
        }

    def holds(self, name: str) -> bool:
        return self.truth(self._conditions[name])

    def truth(self, rule: Any) -> bool:
        ((kind, parts),) = rule.items()
        match kind:
            case "Condition":
                return self.holds(parts)
            case "Fn::Equals":
                left, right = (self.value(part) for part in parts)
                return str(left) == str(right)
            case "Fn::Not":
                return not self.truth(parts[0])
            case "Fn::And":
                return all(self.truth(part) for part in parts)
            case "Fn::Or":
                return any(self.truth(part) for part in parts)
        raise ValueError(f"no condition: {kind}")

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [value for part in node if (value := self.value(part)) is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((kind, parts),) = node.items()
            if kind == "Ref" or str(kind).startswith("Fn::"):
                return self._function(kind, parts)
        return {key: value for key, part in node.items() if (value := self.value(part)) is not _NOTHING}

    def _function(self, kind: str, parts: Any) -> Any:
        match kind:
            case "Ref":
                return self._known.get(parts, f"${{{parts}}}")
            case "Fn::GetAtt":
                return f"${{{'.'.join(parts)}}}"
            case "Fn::If":
                return self.value(parts[1] if self.holds(parts[0]) else parts[2])
            case "Fn::Join":
                return parts[0].join(str(part) for part in self.value(parts[1]))
            case "Fn::Split":
                return str(self.value(parts[1])).split(parts[0])
            case "Fn::Select":
                return self.value(parts[1])[int(parts[0])]
            case "Fn::Sub":
                return _PLACEHOLDER.sub(self._fill, parts)
        raise ValueError(f"{kind} is not resolved here")

    def _fill(self, found: re.Match[str]) -> str:
        literal, name = found.groups()
        return f"${{{name}}}" if literal else str(self._known.get(name, f"${{{name}}}"))
