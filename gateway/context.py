"""What a route needs from the running app, and the time it has taken."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Depends, Request

from gateway.callees import Callees
from gateway.settings import GatewaySettings
from gateway.upload_budget import UploadBudget


async def _callees(request: Request) -> Callees:
    callees: Callees = request.app.state.callees
    return callees


async def _settings(request: Request) -> GatewaySettings:
    settings: GatewaySettings = request.app.state.settings
    return settings


async def _budget(request: Request) -> UploadBudget:
    budget: UploadBudget = request.app.state.upload_budget
    return budget


Budget = Annotated[UploadBudget, Depends(_budget)]
Asked = Annotated[Callees, Depends(_callees)]
Settings = Annotated[GatewaySettings, Depends(_settings)]


class Stopwatch:
    """Started when it is made."""

    def __init__(self) -> None:
        self._started_at = time.perf_counter()

    @property
    def elapsed_ms(self) -> float:
        return round((time.perf_counter() - self._started_at) * 1_000, 2)
