"""`/docs` and `/openapi.json`: all calls, described; the page without anybody else's servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

_STATIC = "/static-offline-docs"
_OPENAPI = "/openapi.json"


def add_docs_files(app: FastAPI) -> None:
    """Swagger's own: the same for everybody, and nothing of ours."""
    app.mount(_STATIC, StaticFiles(directory=Path(fastapi_offline.__file__).with_name("static")))


@router.get(_OPENAPI)
async def openapi(request: Request) -> dict[str, Any]:
    app: FastAPI = request.app
    return app.openapi()


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    app: FastAPI = request.app
    return get_swagger_ui_html(
        openapi_url=_OPENAPI,
        title=f"{app.title} - Swagger UI",
        swagger_js_url=f"{_STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{_STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{_STATIC}/favicon.png",
    )
