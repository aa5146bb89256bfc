"""What a channel sent that had no effect, as people see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel


class LeftoverSummary(BaseModel):
    """`why` says in our words what could not be used, and holds none of a customer's; `bytes` is how long it is as
    JSON. `account` is our own at the channel, as far as it could be read."""

    id: UUID
    channel: str
    account: str | None
    why: str
    bytes: int
    received_at: datetime


class KeptLeftover(LeftoverSummary):
    """`raw` is as it came. In a list that of a long one is left out."""

    raw: Any


class LeftoverList(BaseModel):
    """Newest first. `next_before` is None on the last page."""

    leftovers: list[KeptLeftover]
    next_before: str | None
