"""From a question straight to rows, where policy lets it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

from services.sql.approvals import Approvals
from services.sql.errors import QueryFailed
from services.sql.generating import Generating
from services.sql.guidance import Objection
from services.sql.models import NoDraft, Owner, ResultTable, SqlQuery, WaitReason

logger = logging.getLogger(__name__)

BY_POLICY = "AUTO_APPROVED"  # in the audit log, where a person's decision has none


class AutoApprovePolicy(StrEnum):
    """Whether queries may run without a person's decision when the caller asks for it."""

    NEVER = "never"
    ALLOWED = "allowed"
    COST_BELOW = "cost_below"


@dataclass(frozen=True)
class AutoApproval:
    """The policy, and below which cost of its plan a query may run where the policy is COST_BELOW."""

    policy: AutoApprovePolicy
    cost_below: float = 0.0

    def reason_to_wait(self, query: SqlQuery) -> WaitReason | None:
        """Why a query that its caller wants run at once waits for a person; None when it may run."""
        match self.policy:
            case AutoApprovePolicy.NEVER:
                return WaitReason.POLICY_NEVER
            case AutoApprovePolicy.ALLOWED:
                return None
            case AutoApprovePolicy.COST_BELOW:
                if query.plan_cost is None:
                    return WaitReason.PLAN_UNKNOWN
                return None if query.plan_cost < self.cost_below else WaitReason.COST_ABOVE_POLICY


class Answering:
    """Generates, and approves and runs in the caller's name when both caller and policy say so."""

    def __init__(self, *, generating: Generating, approvals: Approvals, auto_approval: AutoApproval) -> None:
        self._generating = generating
        self._approvals = approvals
        self._auto_approval = auto_approval

    @property
    def auto_approval(self) -> AutoApproval:
        """The policy in force."""
        return self._auto_approval

    async def answer(
        self, owner: Owner, question: str, *, auto_approve: bool
    ) -> tuple[SqlQuery | NoDraft, ResultTable | None]:
        """The query with its rows, the query PENDING without rows, or why there is no query.

        A query that the database refuses as it runs goes back to the generator, within the same number of rounds as
        what is refused before. Each try is a query of its own: none is run twice.

        Raises: what `Generating.begin` and `Approvals.run_begun` raise.
        """
        if not auto_approve:
            return await self._generating.generate(owner, question), None
        objections: tuple[Objection, ...] = ()
        failed: dict[str, SqlQuery] = {}
        failure: QueryFailed | None = None
        while True:
            drafted = await self._generating.draft(owner, question, objections=objections)
            if isinstance(drafted, NoDraft):
                if failure is not None:
                    raise failure
                return drafted, None
            query, objections = drafted.query, drafted.objections
            if failure is not None and query.sql in failed:  # it would fail again
                raise failure
            reason = self._auto_approval.reason_to_wait(query)
            if reason is not None:
                return await self._generating.keep(query, reason), None
            begun = await self._generating.begin(query, note=_note(list(failed.values())))
            try:
                return await self._approvals.run_begun(begun)
            except QueryFailed as error:
                if not self._generating.may_repair(objections):
                    raise
                logger.info("query.goes_back", extra={"sqlstate": error.metadata["sqlstate"]})
                failure, failed[begun.sql] = error, begun
                # Of an error at run time the text says no more than its class: the database's own may hold data.
                said = f"{error} (SQLSTATE {error.metadata['sqlstate']})"
                objections = (*objections, Objection(begun.sql, said))


def _note(failed: list[SqlQuery]) -> str:
    """What the audit log says of an approval by policy, and which query that failed it takes the place of."""
    return f"{BY_POLICY}; REPAIRS queries/{failed[-1].id}" if failed else BY_POLICY
