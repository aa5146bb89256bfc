"""How often a Perplexity account may be asked: counted in PostgreSQL, so all workers and restarts share it."""

from __future__ import annotations

from uuid import UUID

from storage.database import Database

_TAKE_SLOT = """
SELECT take_account_slot(:slot, :account, :in_flight, :per_minute, :lease_seconds) AS wait_seconds
"""


class AccountCalls:
    """Slots for calls: so many in flight, so many a minute. A slot is freed by the statement that ends the turn."""

    def __init__(self, database: Database, *, in_flight: int, per_minute: int, lease_seconds: float) -> None:
        self._database = database
        self._limits = {"in_flight": in_flight, "per_minute": per_minute, "lease_seconds": lease_seconds}

    async def take_slot(self, slot: UUID, account: str) -> float:
        """0 if the slot is taken, else the seconds after which asking again may succeed."""
        row = await self._database.row(_TAKE_SLOT, {"slot": slot, "account": account, **self._limits})
        assert row is not None
        return float(row["wait_seconds"])
