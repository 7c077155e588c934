"""Approved queries as examples for questions to come."""

from __future__ import annotations

import asyncio
import logging

from services.sql.models import SqlQuery
from services.sql.provenance import is_guided
from services.sql.training import Training

logger = logging.getLogger(__name__)

# A run has ended when this begins, and its caller waits: an example is not worth longer.
_LONGEST_SECONDS = 2.0


class Learning:
    """Keeps what a person approved as it was generated, and what ran without an error; nothing else is learned.

    It counts at once where that person may decide on training and the draft was written from the schema alone. All
    else waits for a trainer: what others ask, and what documents or earlier examples had a part in, would otherwise
    teach everybody in the tenant what nobody with a say has read.
    """

    def __init__(self, training: Training) -> None:
        self._training = training

    async def learn(self, query: SqlQuery, *, may_decide: bool) -> None:
        """Keep the question and its query. A store that is away, slow or full loses an example and nothing else."""
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                await self._training.learn_from(query, may_decide=may_decide and not is_guided(query))
        except Exception as error:  # of whatever kind: the query ran once for ever, and its rows are on their way
            logger.warning("example.lost", extra={"error_kind": type(error).__name__})
