"""`GET /api/leftovers`: what channels sent that could not be used, or is not for us, and why."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.authentication import Caller
from api.pages import Before, Limit, page_of
from api.problems import ProblemError, problem_docs
from api.services import Serving
from schemas.cursors import Cursor
from schemas.leftovers import KeptLeftover, LeftoverList

router = APIRouter(prefix="/api/leftovers", tags=["leftovers"], responses=problem_docs(401, 422, 503))

_LIST = "leftovers"


@router.get("", summary="What came in and had no effect, newest first")
async def list_leftovers(services: Serving, _: Caller, before: Before = None, limit: Limit = 50) -> LeftoverList:
    """What a webhook brought that cannot be read, is another's, or of which a part is not known here: as it came, with
    why. It is kept for LEFTOVERS_KEEP_SECONDS. `raw` is null where it is long: ask for that one by its id."""
    page, after = await page_of(
        _LIST, before, limit, services.leftovers.newest, lambda row: Cursor(at=row.received_at, id=row.id)
    )
    return LeftoverList(leftovers=page, next_before=after)


@router.get("/{leftover_id}", summary="All of one", responses=problem_docs(404))
async def get_leftover(leftover_id: UUID, services: Serving, _: Caller) -> KeptLeftover:
    found = await services.leftovers.get(leftover_id)
    if found is None:
        raise ProblemError(404, "There is no such leftover (any more).")
    return found
