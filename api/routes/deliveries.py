"""`GET /api/deliveries` and `POST /api/deliveries/{id}/resend`: parts of replies, and what became of each."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.authentication import Caller
from api.pages import Before, Limit, page_of
from api.problems import ProblemError, problem_docs
from api.services import Serving
from schemas.cursors import Cursor
from schemas.deliveries import Delivery, DeliveryList, DeliveryState
from storage.deliveries import NotResendable

router = APIRouter(prefix="/api/deliveries", tags=["deliveries"], responses=problem_docs(401, 403, 422, 503))

_LIST = "deliveries"


@router.get("", summary="Parts of replies, newest first")
async def list_deliveries(
    services: Serving,
    status: DeliveryState | None = None,
    before: Before = None,
    limit: Limit = 50,
) -> DeliveryList:
    """What went out over channels: `failed` parts surely did not arrive, of `unknown` ones nobody knows."""
    page, after = await page_of(
        _LIST,
        before,
        limit,
        lambda rows, cursor: services.deliveries.newest(rows, status, cursor),
        lambda row: Cursor(at=row.created_at, id=row.id),
    )
    return DeliveryList(deliveries=page, next_before=after)


@router.post("/{delivery_id}/resend", summary="Send a part once more", responses=problem_docs(404, 409))
async def resend(delivery_id: UUID, services: Serving, caller: Caller) -> Delivery:
    """Only of what failed for good or is unknown. The 24-hour window holds as ever; of an unknown one the customer
    may get a second copy."""
    try:
        resent = await services.deliveries.resend(delivery_id, asked_by=caller.who)
    except NotResendable as known:
        raise ProblemError(
            409, f"This delivery is {known.delivery.status}; only one given up as failed or unknown is sent again."
        ) from None
    if resent is None:
        raise ProblemError(404, "There is no such delivery.")
    services.signals.delivery_due([resent.ref])
    return resent.delivery
