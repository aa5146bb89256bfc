"""How often a Perplexity account may be asked: counted in PostgreSQL, so all workers and restarts share it.

A conversation that finds no room keeps one place in the account's queue. With the slot the turn becomes `asking`, in
one statement; the slot is a lease, renewed while the call is out, so a dead worker's is free soon.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.database import Database

_CLAIM = """
SELECT claim_slot(:turn_id, :attempt, :slot, :account, :in_flight, :per_minute, :lease_seconds, :place_seconds)
       AS wait_seconds
"""

_RENEW = """
UPDATE account_calls SET expires_at = agent_now() + make_interval(secs => :lease_seconds)
 WHERE id = :slot AND ended_at IS NULL
"""


@dataclass(frozen=True)
class Granted:
    """The slot is taken, and the turn is `asking`."""


@dataclass(frozen=True)
class NoRoom:
    """The turn keeps its place in the account's queue; coming again after *wait* may succeed."""

    wait: timedelta


@dataclass(frozen=True)
class Superseded:
    """The turn is another attempt's by now."""


SlotClaim = Granted | NoRoom | Superseded


class AccountSlots:
    """Slots for calls: so many in flight, so many a minute. A slot is freed by the statement that ends the step.

    *place_seconds*: a place in the queue is given up when its conversation has not come for so long.
    """

    def __init__(
        self, database: Database, *, in_flight: int, per_minute: int, lease_seconds: float, place_seconds: float
    ) -> None:
        self._database = database
        self.lease_seconds = lease_seconds
        self._limits = {
            "in_flight": in_flight,
            "per_minute": per_minute,
            "lease_seconds": lease_seconds,
            "place_seconds": place_seconds,
        }

    async def claim(self, turn_id: UUID, attempt: int, slot: UUID, account: str) -> SlotClaim:
        """A slot for the turn's model call, if there is room."""
        values = {"turn_id": turn_id, "attempt": attempt, "slot": slot, "account": account}
        row = await self._database.row(_CLAIM, {**values, **self._limits})
        assert row is not None
        if row["wait_seconds"] < 0:
            return Superseded()
        return NoRoom(timedelta(seconds=row["wait_seconds"])) if row["wait_seconds"] else Granted()

    async def renew(self, slot: UUID) -> None:
        """Keeps the slot for another lease."""
        await self._database.rows(_RENEW, {"slot": slot, "lease_seconds": self.lease_seconds})
