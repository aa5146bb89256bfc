"""`/`: where a person who opens the printed address is led to; a program is told where the calls are listed."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.routing import Route

from api.problems import NO_CALL, problem_response

_PLAYGROUND, _DOCS = "/playground", "/docs"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def root(pages: Sequence[APIRouter]) -> APIRouter:
    """Leads browsers to the playground, where it is among *pages*, else to the docs."""
    paths = {route.path for page in pages for route in page.routes if isinstance(route, Route)}
    start = _PLAYGROUND if _PLAYGROUND in paths else _DOCS
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=_METHODS)
    async def lead(request: Request) -> Response:
        if request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(start, 303, {"Vary": "Accept"})
        return problem_response(404, NO_CALL)

    return router
