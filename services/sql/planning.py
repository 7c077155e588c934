"""What a statement would cost, as far as the planner can be asked."""

from __future__ import annotations

import logging

from services.sql.errors import DatabaseUnavailable, StatementTimeout
from services.sql.ports import TargetDatabase

logger = logging.getLogger(__name__)


async def planned_cost(target: TargetDatabase, sql: str) -> float | None:
    """What the planner thinks; None while it cannot be asked, which takes nothing from a query that only waits.

    Raises QueryFailed, as `TargetDatabase.plan` does.
    """
    try:
        return (await target.plan(sql)).cost
    except (DatabaseUnavailable, StatementTimeout) as error:
        logger.warning("query.not_planned", extra={"error_kind": type(error).__name__})
        return None
