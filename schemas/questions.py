"""What a question has come to: the words to a customer who presses its button again, and to staff who decide it late,
follow from this and from nothing else."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel

from schemas.actions import ActionStatus
from schemas.effects import EffectStatus

CUSTOMER = "customer"
"""`decided_by` where the customer answered; else it is whoever of staff did."""


class CameTo(StrEnum):
    """The end of a question to the customer, or of an approval, as its action and that one's effect stand.

    open ──yes──▶ under_way ──▶ done · failed · unknown
         ├─no───▶ declined · declined_by_staff
         └──────▶ expired · refused · dropped
    """

    OPEN = "open"
    UNDER_WAY = "under_way"  #: agreed to, and about to be done
    DONE = "done"
    FAILED = "failed"  #: surely not done
    UNKNOWN = "unknown"  #: nobody can say whether it was done
    DECLINED = "declined"  #: by the customer
    DECLINED_BY_STAFF = "declined_by_staff"
    EXPIRED = "expired"
    REFUSED = "refused"  #: agreed to, and not configured any more
    DROPPED = "dropped"  #: replaced by another question, or set aside by words or another owner; nothing was done


class AskedQuestion(BaseModel):
    """A question that was asked, and its action. `effect`, `failure`: the ledger's, if there is one. `something_done`,
    `something_unknown`: of the other effects of its turn."""

    digest: str
    status: ActionStatus
    decided_by: str | None
    effect: EffectStatus | None
    failure: str | None
    something_done: bool = False
    something_unknown: bool = False

    @property
    def came_to(self) -> CameTo:
        if self.effect is not None:
            return CameTo.DROPPED if self.failure == "withheld" else _EFFECTS[self.effect]
        if self.status is not ActionStatus.CANCELLED:
            return _STATUSES[self.status]
        if self.decided_by is None:
            return CameTo.DROPPED
        return CameTo.DECLINED if self.decided_by == CUSTOMER else CameTo.DECLINED_BY_STAFF


_EFFECTS = {
    EffectStatus.PLANNED: CameTo.UNDER_WAY,
    EffectStatus.SENDING: CameTo.UNDER_WAY,
    EffectStatus.CONFIRMED: CameTo.DONE,
    EffectStatus.FAILED: CameTo.FAILED,
    EffectStatus.UNKNOWN: CameTo.UNKNOWN,
}
_STATUSES = {
    ActionStatus.AWAITING_CONFIRMATION: CameTo.OPEN,
    ActionStatus.ACCEPTED: CameTo.UNDER_WAY,
    ActionStatus.EXPIRED: CameTo.EXPIRED,
    ActionStatus.REFUSED: CameTo.REFUSED,
}
