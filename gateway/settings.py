"""Settings of the gateway, read from GATEWAY_…, JWT_…, ENVIRONMENT, ALLOW_ANONYMOUS and ALLOWED_ORIGINS."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.names import can_be_carried, is_name
from services.transport.addresses import Target, check_listen_address
from services.transport.setting_types import Stripped, none_when_blank
from services.transport.settings import TransportSettings

_API_KEYS_EXAMPLE = (
    '\'{"<sha-256 of the key, in hexadecimal>": {"tenant": "acme", "subject": "ada", "roles": ["user"]}}\''
)
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_WHOLE_FILE_BYTES = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _check_name(name: str) -> str:
    if not is_name(name):
        raise ValueError("is no name: printable characters, with no blanks around them")
    return name


Name = Annotated[str, AfterValidator(_check_name)]


class ApiKey(BaseModel):
    """Whom a key stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Name
    subject: Name
    roles: frozenset[Name] = frozenset({"user"})

    @model_validator(mode="after")
    def _fits_a_call(self) -> Self:
        if not can_be_carried([self.tenant, self.subject, *self.roles]):
            raise ValueError("tenant, subject and roles are too long together")
        return self


class GatewaySettings(BaseSettings):
    """Where the gateway listens, whom it asks, who may ask it."""

    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_", frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    listen: str = "127.0.0.1:8000"
    router_target: Target
    rag_target: Target
    sql_target: Target
    ingest_target: Target
    environment: Stripped = Field("development", validation_alias="ENVIRONMENT", max_length=50)
    identity: Literal["none", "api_key", "jwt"] = "none"
    api_keys: Annotated[dict[str, ApiKey], NoDecode] = Field(
        default_factory=dict, description="SHA-256 of each key → whom it stands for.", examples=[_API_KEYS_EXAMPLE]
    )
    jwt_secret_key: SecretStr | None = Field(
        None,
        validation_alias="JWT_SECRET_KEY",
        min_length=32,
        description="Verifies users' tokens (HS256). At least 32 characters.",
        examples=["$(openssl rand -hex 32)"],
    )
    jwt_audience: Stripped = Field("diglot", validation_alias="JWT_AUDIENCE", description="`aud` of a token.")
    jwt_issuer: Stripped = Field("diglot", validation_alias="JWT_ISSUER", description="`iss` of a token.")
    allow_anonymous: bool = Field(False, validation_alias="ALLOW_ANONYMOUS")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias="ALLOWED_ORIGINS", examples=["https://app.example.com,https://admin.example.com"]
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names, besides IP addresses, that a gateway without keys answers to; unset: localhost alone where "
        "only its machine reaches it, else any.",
        examples=["localhost,gateway"],
    )
    max_file_bytes: int = Field(50 * 1024 * 1024, gt=0, le=60 * 1024 * 1024, description="Below gRPC's message limit.")
    max_body_bytes: int = Field(1024 * 1024, gt=0, description="Of every body that is not a file.")
    body_timeout_seconds: float = Field(
        30, gt=0, le=3_600, description="For a body that is not a file to arrive whole."
    )
    file_timeout_seconds: float = Field(600, gt=0, le=3_600, description="For a file to arrive whole.")
    health_timeout_seconds: float = Field(3, gt=0, le=10)
    stats_timeout_seconds: float = Field(3, gt=0, le=30)
    upload_timeout_seconds: float = Field(120, gt=0, le=890)
    max_uploading_bytes: int = Field(
        1024**3, gt=0, description="Of all files on their way at a time, on the disk; more are refused with 429."
    )
    async_file_bytes: int = Field(
        20 * 1024 * 1024, ge=0, description="A larger file is not waited for, unless the client asks for it."
    )
    transport: TransportSettings = Field(default_factory=TransportSettings)

    def goes_in_pieces(self, size_bytes: int) -> bool:
        """Whether a file is handed on piece by piece: not where each call is a function's, and a file fits into one."""
        return size_bytes > _WHOLE_FILE_BYTES and not self.ingest_target.startswith("lambda:")

    _blank_is_unset = field_validator("jwt_secret_key", mode="before")(none_when_blank)

    @field_validator("listen")
    @classmethod
    def _is_tcp_address(cls, listen: str) -> str:
        if listen.startswith("unix:"):
            raise ValueError("the gateway listens on host:port")
        return check_listen_address(listen)

    @field_validator("allowed_origins", "allowed_hosts", mode="before")
    @classmethod
    def _parts_of_list(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin, which is scheme, host and perhaps port, with no path")
        return origins

    @field_validator("allowed_hosts")
    @classmethod
    def _are_host_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is no host name, which has neither scheme nor port")
        return tuple(host.lower() for host in hosts)

    @field_validator("api_keys", mode="before")
    @classmethod
    def _parsed(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("is no JSON object") from None

    @field_validator("api_keys")
    @classmethod
    def _are_hashes(cls, keys: dict[str, ApiKey]) -> dict[str, ApiKey]:
        if not all(_SHA256.fullmatch(digest) for digest in keys):
            raise ValueError("holds hashes of keys, never keys")
        return keys

    @model_validator(mode="after")
    def _identity_fits(self) -> GatewaySettings:
        if self.identity == "api_key" and not self.api_keys:
            raise ValueError(f"GATEWAY_IDENTITY=api_key needs keys, for example GATEWAY_API_KEYS={_API_KEYS_EXAMPLE}")
        if self.identity == "jwt" and self.jwt_secret_key is None:
            raise ValueError(
                "GATEWAY_IDENTITY=jwt needs JWT_SECRET_KEY, for example JWT_SECRET_KEY=$(openssl rand -hex 32)"
            )
        if self.identity == "none" and self.jwt_secret_key is not None:
            raise ValueError(
                "JWT_SECRET_KEY is set and GATEWAY_IDENTITY=none lets everybody in: "
                "set GATEWAY_IDENTITY=jwt, or leave JWT_SECRET_KEY out"
            )
        if self.identity == "none" and self.environment.lower() == "production" and not self.allow_anonymous:
            raise ValueError(
                "ENVIRONMENT=production with GATEWAY_IDENTITY=none lets everybody in: set GATEWAY_IDENTITY=api_key and "
                f"GATEWAY_API_KEYS={_API_KEYS_EXAMPLE}, or ALLOW_ANONYMOUS=1 where "
                "something in front of the gateway checks who asks"
            )
        return self
