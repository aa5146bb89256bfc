"""The ledger of everything visible outside: claim → complete · fail · release, and what nobody carries on.

A row (`effects`) holds all of itself; what it belongs to is its owner's to know (`storage.actions`, `storage.outbox`).
That something is about to be done is committed before it is done; who comes late, with an older fence, writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel

from schemas.conversation_ref import ConversationRef
from schemas.conversations import ApprovalDecision
from schemas.effects import Claim, EffectOutcome, EffectStatus, LedgerRow
from schemas.encoding import dump_json
from storage.database import Database
from storage.merges import WITH_MERGED

CLAIM = """
WITH before AS (
    SELECT * FROM effects WHERE key = :key FOR UPDATE
), place AS MATERIALIZED (
    SELECT owner_version, taken_version FROM conversations
     WHERE id = (SELECT conversation_id FROM before) FOR SHARE
), asked AS MATERIALIZED (
    SELECT status FROM actions
     WHERE id = (SELECT (m.meta ->> 'asks')::uuid FROM messages m WHERE m.id = (SELECT message_id FROM before))
       AND EXISTS (SELECT 1 FROM place) FOR SHARE
), owned AS (
    SELECT before.key, EXISTS (SELECT 1 FROM asked WHERE status <> 'awaiting_confirmation') AS is_over,
           before.failure IS DISTINCT FROM 'withheld' AND CASE WHEN before.owner_version IS NULL THEN true
               WHEN before.kind = 'part' THEN before.owner_version >= place.taken_version
               ELSE before.owner_version = place.owner_version OR before.status <> 'planned' END AS may_begin
      FROM before, place
), claimed AS (
    UPDATE effects e
       SET status = 'sending', fence = e.fence + 1, attempts = e.attempts + 1, claimed_at = agent_now(),
           unknown_attempts = e.unknown_attempts + (before.status = 'sending')::int,
           not_before = agent_now() + make_interval(secs => :lease),
           deadline = coalesce(e.deadline, agent_now() + make_interval(secs => :give_up)),
           reached = NULL, settled_at = NULL
      FROM before JOIN owned USING (key)
     WHERE e.key = before.key
       AND before.status = ANY(:from_statuses)
       AND (CAST(:fence AS bigint) IS NULL OR before.fence = :fence)
       AND owned.may_begin AND NOT owned.is_over
    RETURNING e.*
), withheld AS (
    UPDATE effects e
       SET status = 'failed', failure = 'withheld', fence = e.fence + 1, settled_at = agent_now(),
           error = jsonb_build_object('explanation', 'another owner has the conversation')
      FROM before JOIN owned USING (key)
     WHERE e.key = before.key AND before.status = 'planned' AND NOT owned.may_begin
    RETURNING e.*
), found AS (
    SELECT claimed.*, true AS won FROM claimed
    UNION ALL
    SELECT withheld.*, false FROM withheld
    UNION ALL
    SELECT before.*, false FROM before
     WHERE NOT EXISTS (SELECT 1 FROM claimed) AND NOT EXISTS (SELECT 1 FROM withheld)
)
SELECT found.*, NOT owned.may_begin AS withheld, owned.is_over, before.status AS status_before,
       before.claimed_at AS claimed_before, to_whom.phone, to_whom.user_id
  FROM found JOIN before USING (key) JOIN owned USING (key)
  LEFT JOIN LATERAL (SELECT * FROM address_of(found.conversation_id) WHERE found.kind = 'part') AS to_whom ON true
"""
"""Takes a row under a new fence, or tells how it stands. What belongs to an owner's version is begun under it only: the
conversation is locked, so that a change of the owner comes before or after. An action must belong to the version of
now (what was begun may be done again); a reply, its part or a resend of it, to one since a person last took the
conversation. What was not begun is withheld. Words that an action waits for a yes are begun only while it does: its
row is locked too, and read as it is by then. A part goes to whom the conversation is by then."""

_IF_OPEN = "CASE WHEN e.status IN ('sending', 'unknown') THEN"

COMPLETE = f"""
UPDATE effects e
   SET status = {_IF_OPEN} :status ELSE e.status END,
       settled_at = {_IF_OPEN} agent_now() ELSE e.settled_at END,
       result = CASE WHEN e.status IN ('sending', 'unknown') AND e.kind <> 'part' THEN CAST(:result AS jsonb)
                     ELSE with_copy(e, CAST(:external_id AS text)) END,
       failure = {_IF_OPEN} :failure ELSE e.failure END,
       error = {_IF_OPEN} CAST(:error AS jsonb) ELSE e.error END,
       external_id = coalesce(e.external_id, CAST(:external_id AS text)),
       reached = {_IF_OPEN} :reached ELSE e.reached END,
       unknown_attempts = e.unknown_attempts + (e.status = 'sending' AND :status = 'unknown')::int
 WHERE e.key = :key AND e.fence = :fence AND e.status <> 'planned'
RETURNING e.*
"""
"""The outcome: `confirmed`, or `unknown`. What the other side has reported meanwhile stands, and so do the names of a
part's copies."""

_FAIL = """
UPDATE effects SET status = 'failed', failure = :failure, error = CAST(:error AS jsonb), settled_at = agent_now()
 WHERE key = :key AND fence = :fence AND status IN ('sending', 'unknown') RETURNING key
"""

_RELEASE = """
WITH claimed AS MATERIALIZED (
    SELECT id, message_id FROM effects
     WHERE key = :key AND fence = :fence AND status IN ('sending', 'unknown', 'failed') FOR UPDATE
), message AS MATERIALIZED (
    SELECT delivery FROM messages WHERE id = (SELECT message_id FROM claimed) FOR SHARE
), outcome AS (
    SELECT claimed.id, EXISTS (SELECT 1 FROM message WHERE delivery IS DISTINCT FROM 'due') AS over FROM claimed
)
UPDATE effects e SET status = CASE WHEN over THEN 'failed' ELSE 'planned' END, failure = :failure,
       error = CAST(:error AS jsonb), result = noted_copy(e, e.external_id), external_id = NULL,
       not_before = agent_now() + make_interval(secs => :pause),
       settled_at = CASE WHEN over THEN agent_now() END
  FROM outcome WHERE e.id = outcome.id RETURNING e.key
"""
"""It was surely not done, and may be tried again: but not for a reply that was given up or withheld meanwhile, by
somebody who did not know what became of it. Then it failed. The effect is locked first, then the message, and read as
they are by then: whoever withholds it does so before or after."""

_CLEAR = """
UPDATE effects SET unknown_attempts = 0 WHERE key = :key AND fence = :fence AND status = 'sending' RETURNING key
"""

_GET = "SELECT * FROM effects WHERE key = :key"

_GIVE_UP = """
UPDATE effects SET status = CASE status WHEN 'planned' THEN 'failed' ELSE 'unknown' END, fence = fence + 1,
       failure = 'abandoned', error = '{"explanation": "nobody carried it on"}', settled_at = agent_now()
 WHERE key = :key AND status IN ('planned', 'sending') RETURNING status, kind
"""

_ABANDONED = """
WITH due AS (
    SELECT conversation_id, min(stored_at) AS oldest FROM messages
     WHERE delivery = 'due' AND stored_at < agent_now() - make_interval(secs => :after)
     GROUP BY conversation_id ORDER BY oldest LIMIT :limit
), open AS (
    SELECT e.id FROM effects e JOIN turns t ON t.id = e.turn_id
     WHERE e.status IN ('planned', 'sending') AND e.kind <> 'part' AND t.finished_at IS NOT NULL
       AND e.planned_at < agent_now() - make_interval(secs => :after)
       AND coalesce(e.not_before, e.planned_at) <= agent_now()
     ORDER BY e.planned_at LIMIT :limit FOR UPDATE OF e SKIP LOCKED
), left_open AS (
    UPDATE effects SET not_before = agent_now() + make_interval(secs => :pause)
     WHERE id IN (SELECT id FROM open) RETURNING key, conversation_id
)
SELECT c.id AS conversation_id, c.workflow_id, c.channel, c.assistant, 0 AS seq, found.key, found.decision
  FROM (SELECT conversation_id, NULL AS key, NULL::jsonb AS decision FROM due
        UNION ALL
        SELECT l.conversation_id, l.key,
               CASE WHEN a.decided_by IS NOT NULL THEN jsonb_build_object('digest', a.digest, 'approved', true,
                    'for_customer', a.confirmation_by <> 'staff') END
          FROM left_open l LEFT JOIN actions a ON a.effect_key = l.key AND a.status = 'accepted'
       ) AS found
  JOIN conversations c ON c.id = found.conversation_id AND NOT is_stopped(c)
"""
"""What is due and nobody carries on: replies, and effects whose turn is over, so that no message brings them back. A
turn that is not finished is woken with its messages (`storage.waiting`)."""

_EARLIER = f"""
SELECT key, result, settled_at FROM effects
 WHERE conversation_id IN {WITH_MERGED} AND kind = :kind AND request_hash = :request_hash AND key <> :key
   AND status = 'confirmed' AND NOT coalesce(result ? 'repeated', false)
 ORDER BY settled_at DESC LIMIT 1
"""

OPEN = (EffectStatus.PLANNED, EffectStatus.SENDING)


class Earlier(BaseModel):
    """The newest confirmed effect of this conversation of the same kind and parameters, done and not repeated."""

    key: str
    result: dict[str, Any] | None
    settled_at: datetime


class Fenced(Protocol):
    """A row as somebody has claimed it: under this fence, or not at all any more."""

    @property
    def key(self) -> str: ...

    @property
    def fence(self) -> int: ...


class Abandoned(ConversationRef):
    """Something due that nobody carries on, and the conversation it belongs to.

    `key` is None for replies that wait to be sent. `decision` is the approval to act on once more; None: nobody can.
    """

    key: str | None = None
    decision: ApprovalDecision | None = None


class GivenUp(BaseModel):
    """An effect that nobody carried on, as it has ended."""

    kind: str
    status: EffectStatus


class Ledger:
    """One statement each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self,
        key: str,
        *,
        lease_seconds: float,
        give_up_seconds: float,
        from_statuses: Sequence[EffectStatus] = OPEN,
        fence: int | None = None,
    ) -> Claim:
        """`sending` under a new fence, or the row as it stands. With *fence* only if nobody has claimed it since.

        *lease_seconds*: how long the claimer may be at it before the sweep asks. *give_up_seconds*: from the first
        claim to the deadline, where it was planned without one.
        """
        row = await self._database.row(
            CLAIM,
            {
                "key": key,
                "from_statuses": list(from_statuses),
                "fence": fence,
                "lease": lease_seconds,
                "give_up": give_up_seconds,
            },
        )
        if row is None:
            raise LookupError(f"no effect {key}")
        return Claim.model_validate(dict(row))

    async def get(self, key: str) -> LedgerRow:
        """The row as it stands."""
        row = await self._database.row(_GET, {"key": key})
        assert row is not None
        return LedgerRow.model_validate(dict(row))

    async def complete(self, claimed: Fenced, outcome: EffectOutcome, failure: StrEnum | None = None) -> bool:
        """Records `confirmed` or `unknown`; False if another attempt holds the fence by now, and nothing was written.

        Safe to repeat.
        """
        rows = await self._database.rows(COMPLETE, complete_values(claimed, outcome, failure))
        return bool(rows)

    async def fail(self, claimed: Fenced, failure: StrEnum, error: dict[str, Any]) -> bool:
        """It was surely not done, and is not tried again by itself; False as for `complete`."""
        return await self._end(_FAIL, claimed, failure, error)

    async def release(
        self, claimed: Fenced, failure: StrEnum | None, error: dict[str, Any], pause_seconds: float = 0
    ) -> bool:
        """Back to `planned`: surely nothing was done, so the next attempt may, after *pause_seconds*."""
        return await self._end(_RELEASE, claimed, failure, error, pause=pause_seconds)

    async def clear(self, claimed: Fenced) -> bool:
        """It was looked up: no attempt before this one was executed. False as for `complete`."""
        return bool(await self._database.rows(_CLEAR, {"key": claimed.key, "fence": claimed.fence}))

    async def earlier(self, claimed: LedgerRow) -> Earlier | None:
        """The same thing, done before."""
        names = {"conversation_id", "kind", "request_hash", "key"}
        row = await self._database.row(_EARLIER, claimed.model_dump(include=names))
        return None if row is None else Earlier.model_validate(dict(row))

    async def abandoned(self, after_seconds: float, pause_seconds: float, limit: int) -> list[Abandoned]:
        """Up to *limit* of each kind that have waited for longer than *after_seconds*, and longer than any lease.

        What is returned is not returned again for *pause_seconds*, replies apart: they are told of by each sweep.
        """
        values = {"after": after_seconds, "pause": pause_seconds, "limit": limit}
        return [Abandoned.model_validate(dict(row)) for row in await self._database.rows(_ABANDONED, values)]

    async def give_up(self, key: str) -> GivenUp | None:
        """Ends what nobody can carry on: never begun, it failed; begun, nobody knows. None: it has ended by now."""
        row = await self._database.row(_GIVE_UP, {"key": key})
        return None if row is None else GivenUp.model_validate(dict(row))

    async def _end(
        self, statement: str, claimed: Fenced, failure: StrEnum | None, error: dict[str, Any], **more: Any
    ) -> bool:
        values = {"key": claimed.key, "fence": claimed.fence, "failure": failure, "error": dump_json(error), **more}
        return bool(await self._database.rows(statement, values))


def complete_values(
    claimed: Fenced, outcome: EffectOutcome, failure: StrEnum | None = None, reached: str | None = None
) -> dict[str, Any]:
    """The values that COMPLETE names."""
    return {
        "key": claimed.key,
        "fence": claimed.fence,
        "status": outcome.status,
        "result": dump_json(outcome.result),
        "external_id": outcome.external_id,
        "failure": failure,
        "error": dump_json({"explanation": outcome.error}) if outcome.error else None,
        "reached": reached,
    }
