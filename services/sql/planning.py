"""What a statement would cost, as far as the planner can be asked."""

from __future__ import annotations

import logging

from services.sql.errors import DatabaseUnavailable, QueryFailed, StatementTimeout
from services.sql.ports import TargetDatabase

logger = logging.getLogger(__name__)

_NOT_IN_TIME = "the database could not plan the query within its time limit; ask for less at once, or in a simpler way"


async def planned_cost(target: TargetDatabase, sql: str) -> float | None:
    """What the planner thinks; None while it cannot be asked, which takes nothing from a query that only waits.

    Raises QueryFailed, as `TargetDatabase.plan` does, and where planning alone takes longer than a run may: such a
    query would hold up the database each time somebody looks at it.
    """
    try:
        return (await target.plan(sql)).cost
    except DatabaseUnavailable as error:
        logger.warning("query.not_planned", extra={"error_kind": type(error).__name__})
        return None
    except StatementTimeout as error:
        logger.warning("query.not_planned", extra={"error_kind": type(error).__name__})
        raise QueryFailed(_NOT_IN_TIME, sqlstate="57014") from error
