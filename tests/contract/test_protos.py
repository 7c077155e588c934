"""The manner of the contracts: commented to the last field, paged, versioned, and true about how calls fail."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google.api
import grpc
import grpc_tools  # type: ignore[import-untyped]
import pytest
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("ingest", "rag", "router", "sql")
PROTOS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("protos/*/v1/*.proto"))

# Numbers of the fields of descriptor.proto, of which source locations are made.
MESSAGE, ENUM, SERVICE, SYNTAX = 4, 5, 6, 12
FIELD, NESTED, NESTED_ENUM, ONEOF = 2, 3, 4, 8

_REASON = r"[A-Z][A-Z0-9_]+\b(?! /)"
_FAILURE = re.compile(rf"\b([A-Z_]+) / ({_REASON}(?:(?:, | or ){_REASON})*)")

Path_ = tuple[int, ...]


class Contract:
    """One proto file, with the comment above each of its elements."""

    def __init__(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        self.file = file
        self._locations = {tuple(location.path): location for location in file.source_code_info.location}

    def comment(self, path: Path_) -> str:
        location = self._locations.get(path)
        return " ".join(location.leading_comments.split()) if location is not None else ""

    def file_comment(self) -> str:
        location = self._locations[(SYNTAX,)]
        return " ".join((*location.leading_detached_comments, location.leading_comments)).strip()

    def messages(self) -> Iterator[tuple[str, Path_, descriptor_pb2.DescriptorProto]]:
        for number, message in enumerate(self.file.message_type):
            yield from self._messages(message.name, (MESSAGE, number), message)

    def _messages(self, name: str, path: Path_, message: descriptor_pb2.DescriptorProto) -> Iterator[Any]:
        yield name, path, message
        for number, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:  # made by the compiler for a map field
                yield from self._messages(f"{name}.{nested.name}", (*path, NESTED, number), nested)

    def enums(self) -> Iterator[tuple[str, Path_, descriptor_pb2.EnumDescriptorProto]]:
        for number, enum in enumerate(self.file.enum_type):
            yield enum.name, (ENUM, number), enum
        for name, path, message in self.messages():
            for number, enum in enumerate(message.enum_type):
                yield f"{name}.{enum.name}", (*path, NESTED_ENUM, number), enum

    def methods(self) -> Iterator[tuple[str, Path_, descriptor_pb2.MethodDescriptorProto]]:
        for service_number, service in enumerate(self.file.service):
            for number, method in enumerate(service.method):
                yield f"{service.name}.{method.name}", (SERVICE, service_number, 2, number), method

    def elements(self) -> Iterator[tuple[str, Path_]]:
        """Everything that needs a comment."""
        for number, service in enumerate(self.file.service):
            yield service.name, (SERVICE, number)
        for name, path, _ in self.methods():
            yield name, path
        for name, path, message in self.messages():
            yield name, path
            for number, field in enumerate(message.field):
                yield f"{name}.{field.name}", (*path, FIELD, number)
            made_by_optional = {field.oneof_index for field in message.field if field.proto3_optional}
            for number, oneof in enumerate(message.oneof_decl):
                if number not in made_by_optional:
                    yield f"{name}.{oneof.name}", (*path, ONEOF, number)
        for name, path, enum in self.enums():
            yield name, path
            for number, value in enumerate(enum.value):
                yield f"{name}.{value.name}", (*path, 2, number)


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Contract]:
    """Every proto file by its path."""
    output = tmp_path_factory.mktemp("protos") / "protos.binpb"
    includes = (ROOT, Path(google.api.__path__[0]).parents[1], Path(grpc_tools.__path__[0]) / "_proto")
    arguments = [f"-I{folder}" for folder in includes]
    assert protoc.main(["protoc", *arguments, "--include_source_info", f"-o{output}", *PROTOS]) == 0
    files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file
    return {file.name: Contract(file) for file in files}


def test_every_service_has_a_contract() -> None:
    for service in SERVICES:
        assert f"protos/{service}/v1/{service}_service.proto" in PROTOS


@pytest.mark.parametrize("proto", PROTOS)
def test_every_element_is_commented(contracts: dict[str, Contract], proto: str) -> None:
    contract = contracts[proto]

    uncommented = [name for name, path in contract.elements() if len(contract.comment(path)) < 5]

    assert contract.file_comment()
    assert uncommented == []


@pytest.mark.parametrize("proto", PROTOS)
def test_packages_follow_their_folder_and_are_versioned(contracts: dict[str, Contract], proto: str) -> None:
    _, service, version, _ = proto.split("/")

    assert contracts[proto].file.package == f"diglot.{service}.{version}"
    assert version == "v1"


@pytest.mark.parametrize("proto", PROTOS)
def test_the_zero_of_an_enum_is_unspecified(contracts: dict[str, Contract], proto: str) -> None:
    for name, _, enum in contracts[proto].enums():
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.split(".")[-1]).upper()
        assert (enum.value[0].number, enum.value[0].name) == (0, f"{words}_UNSPECIFIED"), name


@pytest.mark.parametrize("proto", PROTOS)
def test_lists_are_paged(contracts: dict[str, Contract], proto: str) -> None:
    contract = contracts[proto]
    fields = {name: {field.name: field for field in message.field} for name, _, message in contract.messages()}
    field_type = descriptor_pb2.FieldDescriptorProto

    for name, _, method in contract.methods():
        if not method.name.startswith("List"):
            continue
        request = fields[method.input_type.split(".")[-1]]
        response = fields[method.output_type.split(".")[-1]]
        assert request["page_size"].type == field_type.TYPE_INT32, name
        assert request["page_token"].type == field_type.TYPE_STRING, name
        assert response["next_page_token"].type == field_type.TYPE_STRING, name
        assert any(field.label == field_type.LABEL_REPEATED for field in response.values()), name


@pytest.mark.parametrize("proto", PROTOS)
def test_every_field_of_a_request_says_whether_it_is_required(contracts: dict[str, Contract], proto: str) -> None:
    unsaid = [
        f"{name}.{field.name}"
        for name, _, message in contracts[proto].messages()
        if name.endswith("Request")
        for field in message.field
        if not field.options.Extensions[field_behavior_pb2.field_behavior]
    ]

    assert unsaid == []


@pytest.mark.parametrize("proto", PROTOS)
def test_rpcs_have_requests_of_their_own(contracts: dict[str, Contract], proto: str) -> None:
    for name, _, method in contracts[proto].methods():
        assert method.input_type.split(".")[-1] == f"{method.name}Request", name
        assert method.input_type.startswith(f".{contracts[proto].file.package}."), name


def _promised_failures(contract: Contract) -> dict[tuple[str, str], str]:
    """(code, reason) → the element whose comment promises it."""
    promised: dict[tuple[str, str], str] = {}
    for name, path in contract.elements():
        for code, reasons in _FAILURE.findall(contract.comment(path)):
            assert code in grpc.StatusCode.__members__, f"{name}: {code} is no status code"
            for reason in re.split(r", | or ", reasons):
                promised.setdefault((code, reason), name)
    return promised


@pytest.mark.parametrize("service", SERVICES)
def test_promised_failures_are_the_failures_of_the_service(contracts: dict[str, Contract], service: str) -> None:
    promised: dict[tuple[str, str], str] = {}
    for proto, contract in contracts.items():
        if proto.startswith(f"protos/{service}/"):
            promised |= _promised_failures(contract)
    failures = importlib.import_module(f"services.{service}.service").FAILURES
    kept = {(failure.code.name, failure.reason) for failure in failures.values()}

    assert {pair: promised[pair] for pair in promised.keys() - kept} == {}, "promised, but in no failure table"
    assert kept - promised.keys() == set(), "in the failure table, but promised by no comment"


def test_the_pattern_reads_what_comments_say() -> None:
    text = "INVALID_ARGUMENT / QUESTION_INVALID, TOP_K_INVALID or NAME_INVALID as for X. NOT_FOUND / GONE when away."

    assert _FAILURE.findall(text) == [
        ("INVALID_ARGUMENT", "QUESTION_INVALID, TOP_K_INVALID or NAME_INVALID"),
        ("NOT_FOUND", "GONE"),
    ]
