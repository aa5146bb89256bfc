"""The ledger of everything visible outside: claim → complete · fail · release, and what nobody carries on.

A row (`effects`) holds all of itself; what it belongs to is its owner's to know (`storage.actions`, `storage.outbox`).
That something is about to be done is committed before it is done; who comes late, with an older fence, writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from schemas.effects import Claim, EffectStatus, LedgerRow, Settlement
from schemas.encoding import dump_json
from storage.database import Database

CLAIM = """
WITH before AS (
    SELECT * FROM effects WHERE key = :key FOR UPDATE
), claimed AS (
    UPDATE effects e
       SET status = 'sending', fence = e.fence + 1, attempts = e.attempts + 1, claimed_at = agent_now(),
           unknown_attempts = e.unknown_attempts + (before.status = 'sending')::int,
           not_before = agent_now() + make_interval(secs => :lease),
           deadline = coalesce(e.deadline, agent_now() + make_interval(secs => :give_up)),
           reached = NULL, settled_at = NULL
      FROM before
     WHERE e.key = before.key
       AND before.status = ANY(:from_statuses)
       AND (CAST(:fence AS bigint) IS NULL OR before.fence = :fence)
    RETURNING e.*
)
SELECT claimed.*, true AS won, before.status AS status_before FROM claimed JOIN before USING (key)
UNION ALL
SELECT before.*, false, before.status FROM before WHERE NOT EXISTS (SELECT 1 FROM claimed)
"""
"""Takes a row under a new fence, or tells how it stands. Whoever claims under more conditions adds a line to the last
WHERE."""

_IF_OPEN = "CASE WHEN e.status IN ('sending', 'unknown') THEN"

COMPLETE = f"""
UPDATE effects e
   SET status = {_IF_OPEN} :status ELSE e.status END,
       settled_at = {_IF_OPEN} agent_now() ELSE e.settled_at END,
       result = {_IF_OPEN} CAST(:result AS jsonb) ELSE e.result END,
       failure = {_IF_OPEN} :failure ELSE e.failure END,
       error = {_IF_OPEN} CAST(:error AS jsonb) ELSE e.error END,
       external_id = coalesce(e.external_id, :external_id),
       reached = coalesce(e.reached, :reached),
       unknown_attempts = e.unknown_attempts + (e.status = 'sending' AND :status = 'unknown')::int
 WHERE e.key = :key AND e.fence = :fence AND e.status <> 'planned'
RETURNING e.*
"""
"""The outcome: `confirmed`, or `unknown`. What the other side has reported meanwhile stands."""

_FAIL = """
UPDATE effects SET status = 'failed', failure = :failure, error = CAST(:error AS jsonb), settled_at = agent_now()
 WHERE key = :key AND fence = :fence AND status IN ('sending', 'unknown') RETURNING key
"""

_RELEASE = """
UPDATE effects SET status = 'planned', failure = :failure, error = CAST(:error AS jsonb), external_id = NULL,
       not_before = agent_now() + make_interval(secs => :pause)
 WHERE key = :key AND fence = :fence AND status IN ('sending', 'unknown', 'failed') RETURNING key
"""

_EARLIER = """
SELECT key, result, settled_at FROM effects
 WHERE conversation_id = :conversation_id AND kind = :kind AND request_hash = :request_hash AND key <> :key
   AND status = 'confirmed'
 ORDER BY settled_at DESC LIMIT 1
"""

OPEN = (EffectStatus.PLANNED, EffectStatus.SENDING)


class Earlier(BaseModel):
    """The newest confirmed effect of this conversation of the same kind with the same parameters."""

    key: str
    result: dict[str, Any] | None
    settled_at: datetime


class Ledger:
    """One statement each.

    *lease_seconds*: how long whoever claims a row may be at it before the sweep asks. *give_up_seconds*: a row's time
    from its first claim to its deadline, where it was planned without one.
    """

    def __init__(self, database: Database, *, lease_seconds: float, give_up_seconds: float) -> None:
        self._database = database
        self._lease = lease_seconds
        self._give_up = give_up_seconds

    async def claim(self, key: str, *, from_statuses: Sequence[EffectStatus] = OPEN, fence: int | None = None) -> Claim:
        """`sending` under a new fence, or the row as it stands. With *fence* only if nobody has claimed it since."""
        values = {"key": key, "from_statuses": list(from_statuses), "fence": fence}
        row = await self._database.row(CLAIM, {**values, "lease": self._lease, "give_up": self._give_up})
        if row is None:
            raise LookupError(f"no effect {key}")
        return Claim.model_validate(dict(row))

    async def complete(self, claimed: LedgerRow, settlement: Settlement) -> bool:
        """Records `confirmed` or `unknown`; False if another attempt holds the fence by now, and nothing was written.

        Safe to repeat.
        """
        rows = await self._database.rows(COMPLETE, complete_values(claimed, settlement))
        return bool(rows)

    async def fail(self, claimed: LedgerRow, failure: str, error: dict[str, Any]) -> bool:
        """It was surely not done, and is not tried again by itself; False as for `complete`."""
        return await self._end(_FAIL, claimed, failure, error)

    async def release(
        self, claimed: LedgerRow, failure: str | None, error: dict[str, Any], pause_seconds: float = 0
    ) -> bool:
        """Back to `planned`: surely nothing was done, so the next attempt may, after *pause_seconds*."""
        return await self._end(_RELEASE, claimed, failure, error, pause=pause_seconds)

    async def earlier(self, claimed: LedgerRow) -> Earlier | None:
        """The same thing, done before."""
        names = {"conversation_id", "kind", "request_hash", "key"}
        row = await self._database.row(_EARLIER, claimed.model_dump(include=names))
        return None if row is None else Earlier.model_validate(dict(row))

    async def _end(
        self, statement: str, claimed: LedgerRow, failure: str | None, error: dict[str, Any], **more: Any
    ) -> bool:
        values = {"key": claimed.key, "fence": claimed.fence, "failure": failure, "error": dump_json(error), **more}
        return bool(await self._database.rows(statement, values))


def complete_values(claimed: LedgerRow, settlement: Settlement, **more: Any) -> dict[str, Any]:
    """The values that COMPLETE names."""
    error = dump_json({"explanation": settlement.error}) if settlement.error else None
    values = {"failure": None, "error": error, "reached": None, **more}
    return values | {
        "key": claimed.key,
        "fence": claimed.fence,
        "status": settlement.status,
        "result": dump_json(settlement.result),
        "external_id": settlement.external_id,
    }
