"""The OpenAPI document: what FastAPI derives, with problems as its only errors and the keys it asks for."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.identity import OPEN_PATHS
from gateway.problems import FieldProblem, Problem
from gateway.settings import GatewaySettings

_REF = "#/components/schemas/{model}"
# How a caller proves who it is, by the setting `identity`.
_SCHEMES: dict[str, dict[str, dict[str, str]]] = {
    "none": {},
    "api_key": {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    },
    "jwt": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
}


def openapi_of(app: FastAPI, settings: GatewaySettings) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template=_REF)
    problem.pop("$defs", None)
    schemas["Problem"] = problem
    schemas["FieldProblem"] = FieldProblem.model_json_schema(ref_template=_REF)
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    _add_what_surrounds(document, settings)
    app.openapi_schema = document
    return document


def _add_what_surrounds(document: dict[str, Any], settings: GatewaySettings) -> None:
    """The refusals made around every route: who asks, from where, and how long a body may take."""
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}}
    schemes = _SCHEMES[settings.identity]
    if schemes:
        document["components"]["securitySchemes"] = schemes
    for path, operations in document["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            if schemes and path not in OPEN_PATHS:
                operation["security"] = [{name: []} for name in schemes]
                responses["401"] = {"description": "The key or token is missing or unknown.", "content": content}
            if not schemes:
                detail = "Sent by a foreign web page, or to a name that is not this machine's."
                responses["403"] = {"description": detail, "content": content}
            if "requestBody" in operation:
                responses["408"] = {"description": "The body did not arrive in time.", "content": content}
