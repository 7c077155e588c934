"""The REST application: routes, limits, identity and errors, put around the callees."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from gateway import (
    docs,
    document_content,
    documents,
    health,
    jobs,
    queries,
    sql_audit,
    sql_queries,
    sql_schema,
    sql_training,
    system_info,
    upload_sessions,
    uploads,
)
from gateway.callees import Callees
from gateway.identity import IdentityMiddleware
from gateway.limits import BodyLimitMiddleware
from gateway.openapi import openapi_of
from gateway.origins import OriginMiddleware
from gateway.problems import add_problem_handlers
from gateway.query_parameters import refuse_unknown_parameters
from gateway.request_scope import REQUEST_ID_HEADER, RequestScopeMiddleware
from gateway.settings import GatewaySettings
from gateway.upload_budget import UploadBudget
from gateway.version import VERSION

RESOURCES = (
    docs,
    health,
    system_info,
    uploads,
    upload_sessions,
    documents,
    document_content,
    jobs,
    queries,
    sql_queries,
    sql_audit,
    sql_schema,
    sql_training,
)
DESCRIPTION = "One question, answered from documents and a PostgreSQL database, with proof."


def create_app(callees: Callees, settings: GatewaySettings, *, own_machine_alone: bool = False) -> FastAPI:
    """The app over open channels; it opens and closes nothing itself. `own_machine_alone`: see `OriginMiddleware`."""
    app = FastAPI(
        title="Diglot",
        version=VERSION,
        description=DESCRIPTION,
        docs_url=None,  # docs.py serves it without a content delivery network
        redoc_url=None,
        redirect_slashes=False,
        # RequestScopeMiddleware tells of requests; FastAPI's own would tell messages of errors, which quote questions.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        middleware=_middleware(settings, own_machine_alone),
    )
    app.state.callees = callees
    app.state.settings = settings
    app.state.upload_budget = UploadBudget(settings.max_uploading_bytes)
    for resource in RESOURCES:
        # Whoever watches how it is, or opens the manual, may add what keeps caches away.
        strict = [] if resource in (docs, health, system_info) else [Depends(refuse_unknown_parameters)]
        app.include_router(resource.router, dependencies=strict)
    app.include_router(upload_sessions.content_router, dependencies=[Depends(refuse_unknown_parameters)])
    add_problem_handlers(app)
    app.openapi = lambda: openapi_of(app, settings)  # type: ignore[method-assign]  # FastAPI's documented way
    app.state.methods_at = _methods_at(app)
    return app


def _middleware(settings: GatewaySettings, own_machine_alone: bool) -> list[Middleware]:
    """Outermost first."""
    stack = [
        Middleware(RequestScopeMiddleware),
        Middleware(OriginMiddleware, settings=settings, own_machine_alone=own_machine_alone),
        Middleware(IdentityMiddleware, settings=settings),
        Middleware(BodyLimitMiddleware, settings=settings),
    ]
    if settings.allowed_origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", REQUEST_ID_HEADER, "traceparent"],
            expose_headers=[REQUEST_ID_HEADER, "Location", "Retry-After"],
        )
        stack.insert(0, cors)
    return stack


def _methods_at(app: FastAPI) -> Callable[[str], set[str]]:
    """Says which methods a path knows; one route names only its own (RFC 9110 wants all in `Allow`)."""
    routes = [route for resource in RESOURCES for route in resource.router.routes] + list(app.routes)
    known = [route for route in routes if isinstance(route, Route)]

    def methods_at(path: str) -> set[str]:
        # A path that is written out is a resource of its own, though `{query_id}` would match it too.
        named = [route for route in known if route.path == path]
        found = named or [route for route in known if route.path_regex.match(path)]
        return {method for route in found for method in route.methods or ()}

    return methods_at
