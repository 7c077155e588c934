"""Settings that every process of the system shares."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class TransportSettings(BaseSettings):
    """How this process calls and is called. Each field is read from DIGLOT_<FIELD NAME>."""

    model_config = SettingsConfigDict(env_prefix="DIGLOT_", frozen=True, extra="ignore")

    internal_key: SecretStr = Field(
        default=...,
        min_length=32,
        description="Shared by all services: signs and verifies internal claims. At least 32 characters.",
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
    )
    claim_check_ttl_seconds: float = Field(
        default=900, gt=0, description="How long such a body stays readable; longer than any call may take."
    )
