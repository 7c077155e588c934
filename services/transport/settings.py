"""Settings that every process of the system shares, and how a process reads its own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, SettingsConfigDict, SettingsError

from services.transport.errors import SettingsRefused
from services.transport.setting_types import none_when_blank

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails


# What a server says first, on stderr, when it ends because of its settings.
REFUSED_PREFIX = "settings refused: "


class TransportSettings(BaseSettings):
    """How this process calls and is called, and where it tells of it. Read from DIGLOT_<FIELD NAME>, or as told."""

    # Values stay out of error texts: the key is a secret even when it is too short.
    model_config = SettingsConfigDict(
        env_prefix="DIGLOT_", frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    internal_key: SecretStr = Field(
        default=...,
        min_length=32,
        description="Shared by all services: signs and verifies internal claims. At least 32 characters.",
        examples=["$(openssl rand -hex 32)"],
    )
    call_timeout_seconds: float = Field(
        default=30,
        gt=0,
        le=900,
        description="Deadline of a call that brings none and is not made while serving another.",
    )
    claim_check_dir: Path | None = Field(
        default=None,
        description="Folder that caller and callee share for bodies too large for an invoke; none: refused.",
        examples=["/var/lib/diglot/claims"],
    )
    claim_check_bucket: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="The same in S3, for functions on machines of their own: objects under claims/ of this bucket.",
        examples=["rag-cache-123456789012-us-east-1"],
    )
    claim_check_ttl_seconds: float = Field(
        default=900, gt=0, description="How long such a body stays readable; longer than any call may take."
    )
    metrics: Literal["none", "emf"] = Field(
        default="none", description="emf: one line in CloudWatch's embedded metric format on stdout for each call."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Takes traces and metrics over OTLP/HTTP, at /v1/traces and /v1/metrics below it.",
        examples=["http://collector:4318"],
    )
    otlp_protocol: Literal["http/protobuf"] = Field(
        default="http/protobuf", validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL", description="The one that is spoken."
    )
    otlp_headers: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="OTEL_EXPORTER_OTLP_HEADERS",
        description="Sent with each export: name=value, parted by commas, values percent-encoded.",
        examples=["api-key=secret,x-team=search"],
    )
    opik_api_key: SecretStr | None = Field(
        default=None, validation_alias="OPIK_API_KEY", description="Sends traces to Opik.", examples=["key of Opik"]
    )
    opik_workspace: str | None = Field(default=None, validation_alias="OPIK_WORKSPACE", examples=["default"])
    opik_project_name: str | None = Field(default=None, validation_alias="OPIK_PROJECT_NAME", examples=["diglot"])
    opik_url_override: str | None = Field(
        default=None,
        validation_alias="OPIK_URL_OVERRIDE",
        description="Another Opik than Comet's, which may need no key.",
        examples=["http://opik:5173/api"],
    )

    _empty_is_unset = field_validator(
        "claim_check_dir",
        "claim_check_bucket",
        "otlp_endpoint",
        "opik_api_key",
        "opik_workspace",
        "opik_project_name",
        "opik_url_override",
        mode="before",
    )(none_when_blank)

    @field_validator("otlp_endpoint", "opik_url_override")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value is not None and not _WEB_ADDRESS.fullmatch(value):
            raise ValueError("is no http or https address without user, query and fragment")
        return value

    @field_validator("opik_api_key", "opik_workspace", "opik_project_name")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | str | None) -> SecretStr | str | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
        if not (text.isprintable() and all(ord(character) < 256 for character in text)):
            raise ValueError("holds characters that no header of HTTP carries")
        return value

    @field_validator("otlp_headers")
    @classmethod
    def _are_headers(cls, value: SecretStr) -> SecretStr:
        parts = [part for part in value.get_secret_value().split(",") if part.strip()]
        if not all(_HEADER.fullmatch(part.strip()) for part in parts):
            raise ValueError("is no list of name=value, parted by commas")
        return value

    @model_validator(mode="after")
    def _one_place_for_claim_checks(self) -> TransportSettings:
        if self.claim_check_dir is not None and self.claim_check_bucket is not None:
            raise ValueError(
                "DIGLOT_CLAIM_CHECK_DIR and DIGLOT_CLAIM_CHECK_BUCKET are both set: large bodies lie in one place; "
                "keep the one that caller and callee both reach, for example "
                "DIGLOT_CLAIM_CHECK_BUCKET=rag-cache-123456789012-us-east-1"
            )
        return self


_REFERENCES = ("secretsmanager:", "ssm:")
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\s*=\s*[^\s,](?:[^\r\n,]*[^\s,])?")

Settings = TypeVar("Settings", bound=BaseSettings)


def read_settings(kind: type[Settings], **fixed: Any) -> Settings:
    """The settings of a process, from its environment; `fixed` are those that its entry point decides.

    Values that are references to secrets are resolved, see secret_references.py.

    Raises: SettingsRefused: with every variable at fault, each with an example and none with its value.
    """
    referring = {**_references(TransportSettings, ()), **_references(kind, ("transport", *fixed))}
    values, unresolved = _resolve(referring) if referring else ({}, {})
    faults = [*unresolved.values()]
    transport, told = _build(TransportSettings, values, unresolved, {})
    faults += _besides(unresolved, told)
    # In its place, so that all faults are told at once.
    transport = transport or TransportSettings.model_construct()
    settings, told = _build(kind, values, unresolved, {"transport": transport, **fixed})
    faults += _besides(unresolved, told)
    if faults or settings is None:
        raise SettingsRefused("; ".join(faults))
    return settings


def settings_or_exit(kind: type[Settings]) -> Settings:
    """The settings of a server process. Refused ones end it: one line on stderr, exit status 1."""
    try:
        return read_settings(kind)
    except SettingsRefused as error:
        sys.exit(f"{REFUSED_PREFIX}{error}")


def _build(
    kind: type[Settings], values: Mapping[str, str], unresolved: Mapping[str, str], fixed: Mapping[str, Any]
) -> tuple[Settings | None, list[str]]:
    """The settings of one class, or what is wrong with them."""
    try:
        if not values and not unresolved:
            return kind(**fixed), []
        # As kind() reads its environment, with the resolved values standing where the references do.
        source = EnvSettingsSource(kind)
        left_out = {name.lower() for name in unresolved}
        kept = {name: value for name, value in source.env_vars.items() if name not in left_out}
        source.env_vars = kept | {name.lower(): value for name, value in values.items()}
        return kind(_build_sources=((InitSettingsSource(kind, dict(fixed)), source), dict(fixed))), []
    except ValidationError as error:
        return None, _tell(kind, error)
    except SettingsError as error:  # a value that should be JSON and is none; the text names the field, not the value
        return None, [f"{kind.__name__}: {error}"]


def _references(kind: type[BaseSettings], left_out: tuple[str, ...]) -> dict[str, str]:
    """The variables of a settings class whose values are references."""
    told = {name.upper(): (name, value) for name, value in os.environ.items() if value.startswith(_REFERENCES)}
    if not told:
        return {}
    variables = (
        variable
        for name, field in kind.model_fields.items()
        if name not in left_out
        for variable in _variables(kind, name, field)
    )
    return dict(told[variable.upper()] for variable in variables if variable.upper() in told)


def _resolve(references: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    # Imported here: only processes whose settings lie elsewhere pay for it.
    from services.transport.secret_references import resolve_references

    return resolve_references(references)


def _besides(unresolved: Mapping[str, str], faults: list[str]) -> list[str]:
    """Without those of variables that are told already."""
    return [fault for fault in faults if fault.partition(":")[0] not in unresolved]


def _tell(kind: type[BaseSettings], error: ValidationError) -> list[str]:
    return [_tell_one(kind, fault) for fault in error.errors(include_input=False, include_url=False)]


def _tell_one(kind: type[BaseSettings], fault: ErrorDetails) -> str:
    what = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return what  # a rule about several settings names them itself
    variable, field = _find(kind, str(fault["loc"][0]))
    if fault["type"] == "missing" and len(fault["loc"]) == 1:
        what = "is not set"
    elif fault["type"] == "too_short":  # pydantic speaks of a secret's items
        what = f"has fewer than {fault['ctx']['min_length']} characters"
    example = _example(field)
    return f"{variable}: {what}" + (f" (for example {variable}={example})" if example else "")


def _find(kind: type[BaseSettings], told: str) -> tuple[str, FieldInfo]:
    """The variable and the field of a place in an error, which is a field's name or its alias."""
    for name, field in kind.model_fields.items():
        variables = list(_variables(kind, name, field))
        if told == name or told in variables:
            return variables[0], field
    raise LookupError(told)


def _variables(kind: type[BaseSettings], name: str, field: FieldInfo) -> Iterator[str]:
    """The environment variables a field is read from, the one to be named first."""
    alias = field.validation_alias
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, AliasChoices):
        yield from (choice for choice in alias.choices if isinstance(choice, str))
    else:
        yield f"{kind.model_config['env_prefix']}{name}".upper()


def _example(field: FieldInfo) -> str:
    if field.examples:
        return str(field.examples[0])
    return "" if field.default is PydanticUndefined else str(field.default)
