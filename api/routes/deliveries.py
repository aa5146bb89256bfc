"""`GET /api/deliveries` and `POST /api/deliveries/{id}/resend`: parts of replies, and what became of each."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.authentication import Caller
from api.problems import ProblemError, problem_docs
from api.services import Serving
from schemas.cursors import Cursor, InvalidCursor, decode_cursor
from schemas.deliveries import Delivery, DeliveryList, DeliveryState
from storage.deliveries import NotResendable

router = APIRouter(prefix="/api/deliveries", tags=["deliveries"], responses=problem_docs(401, 422, 503))

_LIST = "deliveries"


@router.get("", summary="Parts of replies, newest first")
async def list_deliveries(
    services: Serving,
    _: Caller,
    status: DeliveryState | None = None,
    before: Annotated[str | None, Query(max_length=200, description="`next_before` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeliveryList:
    """What went out over channels: `failed` parts surely did not arrive, of `unknown` ones nobody knows."""
    try:
        cursor = decode_cursor(before, _LIST) if before else None
    except InvalidCursor as invalid:
        raise ProblemError(422, f"{invalid}.") from None
    found = await services.deliveries.newest(limit + 1, status, cursor)
    page = found[:limit]
    more = len(found) > limit
    after = Cursor(at=page[-1].created_at, id=page[-1].id).encode(_LIST) if more else None
    return DeliveryList(deliveries=page, next_before=after)


@router.post("/{delivery_id}/resend", summary="Send a part once more", responses=problem_docs(404, 409))
async def resend(delivery_id: UUID, services: Serving, api_key: Caller) -> Delivery:
    """Only of what failed for good or is unknown. The 24-hour window holds as ever; of an unknown one the customer
    may get a second copy."""
    try:
        resent = await services.deliveries.resend(delivery_id, asked_by=f"api key {api_key.name}")
    except NotResendable as known:
        raise ProblemError(
            409, f"This delivery is {known.delivery.status}; only one given up as failed or unknown is sent again."
        ) from None
    if resent is None:
        raise ProblemError(404, "There is no such delivery.")
    services.wakes.delivery_due([resent.waking])
    return resent.delivery
