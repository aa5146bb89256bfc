"""`/dashboard`: conversations, one of them in full, and what went wrong. Reads only; server-rendered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape

from config.settings import Settings
from dashboard.headers import PAGE_HEADERS
from dashboard.visitors import PATH, Visitors
from schemas.cursors import Moment
from storage.overview import Overview
from storage.questions import Questions
from storage.sessions import Sessions
from storage.turn_views import TurnViews

_HERE = Path(__file__).parent
_ROWS = 50
_pages = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=select_autoescape(default=True), trim_blocks=True
)


def overview(settings: Settings) -> APIRouter:
    """The pages. They read through `app.state.database`."""
    visitors = Visitors(settings)
    router = APIRouter(prefix=PATH, include_in_schema=False)
    _add_door(router, visitors)

    @router.get("")
    async def conversations(request: Request, before: Annotated[Moment | None, Query()] = None) -> Response:
        async def shown() -> dict[str, Any]:
            rows = await _overview(request).conversations(_ROWS, before)
            return {"rows": rows, "more": rows[-1].last_message_at if len(rows) == _ROWS else None}

        return await _page(visitors, request, "conversations.html", shown)

    @router.get("/trouble")
    async def trouble(request: Request) -> Response:
        async def shown() -> dict[str, Any]:
            return {"rows": await _overview(request).trouble(_ROWS)}

        return await _page(visitors, request, "trouble.html", shown)

    @router.get("/conversations/{conversation_id}")
    async def conversation(request: Request, conversation_id: UUID) -> Response:
        async def shown() -> dict[str, Any]:
            database = request.app.state.database
            return {
                "id": conversation_id,
                "standing": await _overview(request).standing(conversation_id),
                "messages": await _overview(request).messages(conversation_id, _ROWS),
                "turns": await TurnViews(database).newest(conversation_id, _ROWS),
                "questions": await Questions(database, settings.default_language).open(conversation_id),
                "threads": (await Sessions(database).threads(conversation_id)).history,
            }

        return await _page(visitors, request, "conversation.html", shown)

    return router


def _add_door(router: APIRouter, visitors: Visitors) -> None:
    """Coming in, going out, and what may be seen from outside."""

    @router.get("/enter")
    async def enter(token: str = "") -> Response:
        response = RedirectResponse(PATH, 303)
        return response if visitors.enter(token, response) else _closed()

    @router.post("/leave")
    async def leave(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return _closed()
        response = RedirectResponse(PATH, 303)
        visitors.leave(response)
        return response

    @router.get("/dashboard.css")
    async def style() -> FileResponse:
        return FileResponse(_HERE / "static" / "dashboard.css", media_type="text/css", headers=PAGE_HEADERS)


async def _page(
    visitors: Visitors, request: Request, template: str, shown: Callable[[], Awaitable[dict[str, Any]]]
) -> Response:
    """The page for those who may see it; what it shows is read for them only."""
    if not visitors.knows(request):
        return _closed()
    return _html(template, 200, await shown())


def _closed() -> HTMLResponse:
    return _html("closed.html", 403, {})


def _html(template: str, status: int, values: dict[str, Any]) -> HTMLResponse:
    return HTMLResponse(_pages.get_template(template).render(values), status, PAGE_HEADERS)


def _overview(request: Request) -> Overview:
    return Overview(request.app.state.database)
