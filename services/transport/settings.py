"""Settings that every process of the system shares, and how a process reads its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.transport.errors import SettingsRefused

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails


class TransportSettings(BaseSettings):
    """How this process calls and is called. Each field is read from DIGLOT_<FIELD NAME>."""

    # Values stay out of error texts: the key is a secret even when it is too short.
    model_config = SettingsConfigDict(env_prefix="DIGLOT_", frozen=True, extra="ignore", hide_input_in_errors=True)

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
    claim_check_ttl_seconds: float = Field(
        default=900, gt=0, description="How long such a body stays readable; longer than any call may take."
    )


Settings = TypeVar("Settings", bound=BaseSettings)


def read_settings(kind: type[Settings], **fixed: Any) -> Settings:
    """The settings of a process, from its environment; `fixed` are those that its entry point decides.

    Raises: SettingsRefused: with every variable at fault, each with an example and none with its value.
    """
    faults: list[str] = []
    try:
        transport = TransportSettings()
    except ValidationError as error:
        faults += _tell(TransportSettings, error)
        transport = TransportSettings.model_construct()  # in its place, so that all faults are told at once
    try:
        settings = kind(transport=transport, **fixed)
    except ValidationError as error:
        faults += _tell(kind, error)
    if faults:
        raise SettingsRefused("; ".join(faults))
    return settings


def settings_or_exit(kind: type[Settings]) -> Settings:
    """The settings of a server process. Refused ones end it: one line on stderr, exit status 1."""
    try:
        return read_settings(kind)
    except SettingsRefused as error:
        sys.exit(f"settings refused: {error}")


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
    prefix = kind.model_config["env_prefix"]
    for name, field in kind.model_fields.items():
        alias = field.validation_alias
        variable = alias if isinstance(alias, str) else f"{prefix}{name}".upper()
        if told in (name, alias):
            return variable, field
    raise LookupError(told)


def _example(field: FieldInfo) -> str:
    if field.examples:
        return str(field.examples[0])
    return "" if field.default is PydanticUndefined else str(field.default)
