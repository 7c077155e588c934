"""From a question straight to rows, where policy lets it."""

from __future__ import annotations

from enum import StrEnum

from services.sql.approvals import Approvals
from services.sql.generating import Generating
from services.sql.models import NoDraft, Owner, ResultTable, SqlQuery

BY_POLICY = "AUTO_APPROVED"  # in the audit log, where a person's decision has none


class AutoApprovePolicy(StrEnum):
    """Whether queries may run without a person's decision when the caller asks for it."""

    NEVER = "never"
    ALLOWED = "allowed"


class Answering:
    """Generates, and approves and runs in the caller's name when both caller and policy say so."""

    def __init__(self, *, generating: Generating, approvals: Approvals, policy: AutoApprovePolicy) -> None:
        self._generating = generating
        self._approvals = approvals
        self._policy = policy

    @property
    def policy(self) -> AutoApprovePolicy:
        """The policy in force."""
        return self._policy

    async def answer(
        self, owner: Owner, question: str, *, auto_approve: bool
    ) -> tuple[SqlQuery | NoDraft, ResultTable | None]:
        """The query with its rows, the query PENDING without rows, or why there is no query.

        Raises: what `Generating.begin` and `Approvals.run_begun` raise.
        """
        if not auto_approve or self._policy is not AutoApprovePolicy.ALLOWED:
            return await self._generating.generate(owner, question), None
        begun = await self._generating.begin(owner, question, note=BY_POLICY)
        if isinstance(begun, NoDraft):
            return begun, None
        return await self._approvals.run_begun(begun)
