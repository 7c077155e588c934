"""GET /docs: the interactive manual, with everything it needs served from here, so that it works offline."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse

DOCS_PATH = "/docs"
SCRIPT_PATH = "/docs/swagger-ui-bundle.js"
STYLE_PATH = "/docs/swagger-ui.css"
# The page starts with an inline script and draws its icons from data: addresses.
DOCS_POLICY = (
    "default-src 'none'; connect-src 'self'; frame-ancestors 'none'; img-src data:; "
    "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
)
_ASSET_CACHING = {"Cache-Control": "public, max-age=86400"}

router = APIRouter(include_in_schema=False)


@router.get(DOCS_PATH)
async def docs() -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Diglot",
        swagger_js_url=SCRIPT_PATH,
        swagger_css_url=STYLE_PATH,
        swagger_favicon_url="data:,",
    )


@router.get(SCRIPT_PATH)
async def script() -> FileResponse:
    return FileResponse(_assets() / "swagger-ui-bundle.js", headers=_ASSET_CACHING)


@router.get(STYLE_PATH)
async def style() -> FileResponse:
    return FileResponse(_assets() / "swagger-ui.css", headers=_ASSET_CACHING)


@cache
def _assets() -> Path:
    """Where the package keeps the files; found without importing it."""
    found = find_spec("fastapi_offline")
    assert found is not None, "fastapi-offline belongs to the gateway's requirements"
    assert found.origin is not None
    return Path(found.origin).parent / "static"
