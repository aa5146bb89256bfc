"""`GET /api/effects` and `POST /api/effects/{id}/resolve`: what was done outside, and a human's word on the rest."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.authentication import Caller
from api.pages import Before, Limit, page_of
from api.problems import ProblemError, problem_docs
from api.services import Serving
from schemas.cursors import Cursor
from schemas.effects import Effect, EffectList, EffectStatus
from schemas.requests import Note
from storage.effects import NotUnknown

router = APIRouter(prefix="/api/effects", tags=["actions"], responses=problem_docs(401, 403, 422, 503))

_LIST = "effects"


class ResolveBody(BaseModel):
    """What became of an effect of unknown outcome, by somebody who looked it up; `note` says how they know."""

    model_config = ConfigDict(extra="forbid", strict=True)

    outcome: Literal["confirmed", "failed"]
    note: Note


@router.get("", summary="What was done outside, newest first")
async def list_effects(
    services: Serving,
    status: EffectStatus | None = None,
    before: Before = None,
    limit: Limit = 50,
) -> EffectList:
    """Effects of actions: planned, being sent, confirmed, failed, or `unknown`, which wait for a human."""
    page, after = await page_of(
        _LIST,
        before,
        limit,
        lambda rows, cursor: services.effects.newest(rows, status, cursor),
        lambda row: Cursor(at=row.planned_at, id=row.id),
    )
    return EffectList(effects=page, next_before=after)


@router.post("/{effect_id}/resolve", summary="Say what became of an effect", responses=problem_docs(404, 409))
async def resolve(effect_id: UUID, body: ResolveBody, services: Serving, caller: Caller) -> Effect:
    """Only for an effect that is `unknown`, once: another word than the one that stands is 409, which names that one.
    Nothing is done and nobody is told: it settles the ledger's row."""
    settled_by = caller.who
    try:
        effect = await services.effects.resolve(effect_id, body.outcome, note=body.note, settled_by=settled_by)
    except NotUnknown as known:
        raise ProblemError(409, f"Only an unknown effect is settled by hand. This one is {known}") from None
    if effect is None:
        raise ProblemError(404, "There is no such effect.")
    return effect
