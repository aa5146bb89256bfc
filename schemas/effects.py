"""Effects as people see them: what was done outside, what is known of it, and a human's word on what nobody knows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

EffectStatus = Literal["planned", "sending", "confirmed", "failed", "unknown"]


class Effect(BaseModel):
    """One row of the ledger. `error` is for staff; `settled_by` names the person who settled what nobody knew."""

    id: UUID
    key: str
    conversation_id: UUID
    turn_id: UUID | None
    kind: str
    status: EffectStatus
    attempt: int
    external_id: str | None
    error: str | None
    planned_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


class EffectList(BaseModel):
    """Newest first. `next_before` is None on the last page."""

    effects: list[Effect]
    next_before: str | None
