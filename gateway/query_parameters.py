"""Query parameters that a call does not have: a misspelt filter would be left out without a word."""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.models import Dependant

from gateway.problems import ProblemRaised

_MOST_SHOWN = 50  # characters of a name


async def refuse_unknown_parameters(request: Request) -> None:
    """Raises ProblemRaised (422) that names the first parameter the route does not have, and those it has."""
    dependant: Dependant = request.scope["route"].dependant
    known = [field.alias for field in dependant.query_params]
    for name in request.query_params:
        if name not in known:
            those = f"those of this call are {', '.join(known)}" if known else "this call has none"
            raise ProblemRaised(
                422, "REQUEST_INVALID", f"There is no parameter “{name[:_MOST_SHOWN]}”; {those}.", field=name
            )
