"""Templates are resolved as CloudFormation resolves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.aws.stack_template import Template

TEXT = """
Parameters:
  Prefix: {Type: String, Default: diglot}
  Size: {Type: Number, Default: 5}
  Origins: {Type: CommaDelimitedList, Default: ""}
Rules:
  AcmeIsSmall:
    RuleCondition: !Equals [!Ref Prefix, acme]
    Assertions:
      - Assert: !Equals [!Ref Size, 5]
        AssertDescription: acme takes size 5
Conditions:
  IsBig: !Not [!Equals [!Ref Size, 5]]
  IsAcme: !Equals [!Ref Prefix, acme]
  Both: !And [!Condition IsBig, !Condition IsAcme]
  Either: !Or [!Condition IsBig, !Condition IsAcme]
Resources:
  Thing:
    Type: A::B::C
    Properties:
      Name: !Sub "${Prefix}-${AWS::Region}-${!Literal}-${Other.Arn}"
      Role: !GetAtt Other.Arn
      Size: !If [IsBig, !Ref Size, !Ref "AWS::NoValue"]
      List: [!If [IsBig, big, !Ref "AWS::NoValue"], always]
      Joined: !Join [",", !Ref Origins]
      Picked: !Select [2, !Split ["/", "https://host/path"]]
      Other: !Ref Other
  Other:
    Type: A::B::D
    Condition: Either
  Rare:
    Type: A::B::E
    Condition: Both
"""


@pytest.fixture
def template(tmp_path: Path) -> Template:
    path = tmp_path / "template.yaml"
    path.write_text(TEXT)
    return Template.read(path)


def test_what_no_condition_holds_for_is_left_out(template: Template) -> None:
    assert set(template.resolve()) == {"Thing"}
    assert set(template.resolve({"Size": "7"})) == {"Thing", "Other"}
    assert set(template.resolve({"Size": "7", "Prefix": "acme"})) == {"Thing", "Other", "Rare"}


def test_parameters_fill_names_and_what_is_not_made_yet_stays_a_symbol(template: Template) -> None:
    properties = template.resolve({"Prefix": "acme", "Origins": "a, b"}, region="eu-west-1")["Thing"]["Properties"]

    assert properties == {
        "Name": "acme-eu-west-1-${Literal}-${Other.Arn}",
        "Role": "${Other.Arn}",
        "List": ["always"],
        "Joined": "a,b",
        "Picked": "host",
        "Other": "${Other}",
    }


def test_a_value_that_is_none_takes_its_place_away(template: Template) -> None:
    assert "Size" not in template.resolve()["Thing"]["Properties"]
    assert template.resolve({"Size": "7"})["Thing"]["Properties"]["List"] == ["big", "always"]


def test_rules_refuse_what_does_not_go_together(template: Template) -> None:
    assert template.refusals({"Prefix": "acme", "Size": "7"}) == ["acme takes size 5"]
    assert template.refusals({"Prefix": "acme"}) == template.refusals({"Size": "7"}) == []


def test_a_parameter_nobody_declared_is_refused(template: Template) -> None:
    with pytest.raises(KeyError, match="there is no parameter Colour"):
        template.resolve({"Colour": "red"})
