"""`/dashboard`: conversations, one of them in full, and what went wrong. Reads only; server-rendered."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from config.settings import Settings
from dashboard.pages import PATH, is_veiled, page
from schemas.cursors import Moment
from storage.overview import Overview
from storage.questions import Questions
from storage.sessions import Sessions
from storage.turn_views import TurnViews

_ROWS = 50


def overview(settings: Settings) -> APIRouter:
    """The pages. They read through `app.state.database`."""
    router = APIRouter(prefix=PATH, include_in_schema=False)

    @router.get("")
    async def conversations(request: Request, before: Annotated[Moment | None, Query()] = None) -> Response:
        rows = await _overview(request).conversations(_ROWS, before)
        more = rows[-1].last_message_at if len(rows) == _ROWS else None
        return page(request, "conversations.html", rows=rows, more=more)

    @router.get("/trouble")
    async def trouble(request: Request) -> Response:
        rows = await _overview(request).trouble(_ROWS)
        return page(request, "trouble.html", rows=[row.veiled() for row in rows] if is_veiled(request) else rows)

    @router.get("/conversations/{conversation_id}")
    async def conversation(request: Request, conversation_id: UUID) -> Response:
        database = request.app.state.database
        turns = await TurnViews(database).newest(conversation_id, _ROWS)
        return page(
            request,
            "conversation.html",
            id=conversation_id,
            standing=await _overview(request).standing(conversation_id),
            messages=await _overview(request).messages(conversation_id, _ROWS),
            turns=[turn.veiled() for turn in turns] if is_veiled(request) else turns,
            questions=await Questions(database, settings.default_language).open(conversation_id),
            threads=(await Sessions(database).threads(conversation_id)).history,
        )

    return router


def _overview(request: Request) -> Overview:
    return Overview(request.app.state.database)
