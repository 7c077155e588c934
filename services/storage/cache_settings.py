"""Where caches are kept and for how long, from the environment."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_MAX_TTL_SECONDS = 30 * 24 * 60 * 60  # 30 days


# What an address may add; the client takes any other word for an argument of its own.
_REDIS_OPTIONS = frozenset({"ssl_cert_reqs", "ssl_ca_certs", "ssl_check_hostname"})
_REST_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/*")
_REST_TOKEN = re.compile(r"[!-~]+")


def _check_redis_url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        has_place = bool(parts.hostname) and parts.port != 0  # reading a port that is none raises ValueError
        options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        raise ValueError("is no Redis address") from None
    if parts.scheme not in ("redis", "rediss") or not has_place or not re.fullmatch(r"(/[0-9]*)?", parts.path):
        raise ValueError("is no Redis address")
    if options and (parts.scheme == "redis" or not options <= _REDIS_OPTIONS):
        raise ValueError(f"has options; a rediss:// address may have {', '.join(sorted(_REDIS_OPTIONS))}, others none")
    return url


def _check_rest_url(url: str) -> str:
    if not _REST_URL.fullmatch(url):
        raise ValueError("is no address of a REST interface")
    return url.rstrip("/")


def _check_rest_token(token: SecretStr) -> SecretStr:
    if not _REST_TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("holds blanks or signs that no token has")
    return token


RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]
RestUrl = Annotated[str, AfterValidator(_check_rest_url)]
RestToken = Annotated[SecretStr, AfterValidator(_check_rest_token)]


class CacheSettings(BaseSettings):
    """The part of a service's settings that tells of caches: derive from it.

    A Redis that is named goes before Upstash. Without either, entries are kept in the process, within a bound.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    redis_url: RedisUrl | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Redis that keeps cached entries for all processes.",
        examples=["redis://:password@host:6379/0"],
    )
    upstash_redis_url: RestUrl | None = Field(
        default=None,
        validation_alias="UPSTASH_REDIS_URL",
        description="The same over Upstash's REST interface; needs UPSTASH_REDIS_TOKEN.",
        examples=["https://name.upstash.io"],
    )
    upstash_redis_token: RestToken | None = Field(
        default=None,
        validation_alias="UPSTASH_REDIS_TOKEN",
        description="Lets this service in at UPSTASH_REDIS_URL.",
        examples=["AXlzb21lLXRva2Vu"],
    )
    cache_ttl_embeddings_seconds: int = Field(
        default=7 * 24 * 60 * 60,  # 7 days: a text's embedding changes with the model alone, and that is in the key
        ge=0,
        le=_MAX_TTL_SECONDS,
        validation_alias="CACHE_TTL_EMBEDDINGS",
        description="For how many seconds embeddings are kept; 0: they are not.",
    )
    cache_ttl_rag_seconds: int = Field(
        default=3_600,
        ge=0,
        le=_MAX_TTL_SECONDS,
        validation_alias="CACHE_TTL_RAG",
        description="For how many seconds answers from documents are to be kept; read, but no such cache exists yet.",
    )
    cache_ttl_sql_gen_seconds: int = Field(
        default=86_400,
        ge=0,
        le=_MAX_TTL_SECONDS,
        validation_alias="CACHE_TTL_SQL_GEN",
        description="For how many seconds generated SQL is to be kept; read, but no such cache exists yet.",
    )
    cache_ttl_sql_result_seconds: int = Field(
        default=0,
        ge=0,
        le=_MAX_TTL_SECONDS,
        validation_alias="CACHE_TTL_SQL_RESULT",
        description="For how many seconds rows are to be kept; read, but no such cache exists yet.",
    )
    cache_memory_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=0,
        le=4 * 1024**3,
        validation_alias="CACHE_MEMORY_BYTES",
        description="How much memory a process gives to cached entries where there is no Redis.",
    )

    @property
    def cache_kind(self) -> Literal["redis", "upstash", "memory"]:
        """Where entries are kept."""
        if self.redis_url is not None:
            return "redis"
        return "memory" if self.upstash_redis_url is None else "upstash"

    @field_validator("redis_url", "upstash_redis_url", "upstash_redis_token", mode="before")
    @classmethod
    def _blank_is_absent(cls, value: object) -> object:
        """A template that passes every variable on passes empty ones too."""
        if isinstance(value, str):
            return value.strip() or None
        return value

    @model_validator(mode="after")
    def _upstash_is_whole(self) -> Self:
        if self.upstash_redis_url is not None and self.upstash_redis_token is None:
            raise ValueError(
                "UPSTASH_REDIS_TOKEN: is not set, but UPSTASH_REDIS_URL is "
                "(for example UPSTASH_REDIS_TOKEN=AXlzb21lLXRva2Vu)"
            )
        if self.upstash_redis_token is not None and self.upstash_redis_url is None:
            raise ValueError(
                "UPSTASH_REDIS_URL: is not set, but UPSTASH_REDIS_TOKEN is "
                "(for example UPSTASH_REDIS_URL=https://name.upstash.io)"
            )
        return self
