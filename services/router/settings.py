"""Settings of the router, read from ROUTER_…; targets are checked here, so that a wrong one stops the start."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.transport.addresses import ListenAddress, Target
from services.transport.settings import TransportSettings


class RouterSettings(BaseSettings):
    """Where the router listens, whom it asks, and where evidence begins to count."""

    model_config = SettingsConfigDict(env_prefix="ROUTER_", frozen=True, extra="ignore")

    listen: ListenAddress = "127.0.0.1:50054"
    rag_target: Target
    sql_target: Target
    assess_timeout_seconds: float = Field(
        5, gt=0, lt=30, description="How long a source may take to say how well it fits; then the other is asked alone."
    )
    min_score: float = Field(0.3, ge=0, le=1, description="Score below which a source holds nothing on a question.")
    transport: TransportSettings = Field(default_factory=TransportSettings)
