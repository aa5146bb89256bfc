"""Actions: what the model asked for, and what people said to it. What came of one is its effect's to tell.

An action's effect is planned in the same commit that accepts it (`storage.turns`), or with staff's approval (`decide`).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel

from schemas.conversations import Decision
from schemas.effects import EffectStatus
from schemas.turn_record import TurnStatus
from schemas.turns import State
from storage.channels import DELIVERY
from storage.database import Database

EFFECT_OF_ACTION = """
    INSERT INTO effects (key, conversation_id, turn_id, kind, request_hash, request, recovery)
    SELECT effect_key, conversation_id, turn_id, 'action:' || name, request_hash,
           jsonb_build_object('reason', reason, 'metadata', metadata), recovery"""
"""How an accepted row of `actions`, selected FROM somewhere, enters the ledger."""

_GET = """
SELECT a.id, a.conversation_id, a.turn_id, a.index, a.name, a.reason, a.metadata, a.effect_key, a.return_to,
       a.assistant_version, c.assistant,
       t.attempt AS turn_attempt, t.step AS turn_step, t.status AS turn_status, t.last_seq, t.frontend_context_uuid
  FROM actions a
  JOIN conversations c ON c.id = a.conversation_id
  JOIN turns t ON t.id = a.turn_id
 WHERE a.id = :action_id
"""

_DECIDE = f"""
WITH decided AS (
    UPDATE actions SET status = CASE WHEN CAST(:approved AS boolean) THEN 'accepted' ELSE 'cancelled' END,
           decided_by = :decided_by, settled_at = agent_now()
     WHERE conversation_id = :conversation_id AND digest = :digest
       AND (confirmation_by = 'staff' OR CAST(:for_customer AS boolean))
       AND status = 'awaiting_confirmation' AND expires_at > agent_now()
    RETURNING *
), effect AS (
    {EFFECT_OF_ACTION} FROM decided WHERE CAST(:approved AS boolean) ON CONFLICT DO NOTHING
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT :decided_by, 'action.decided', 'action/' || id, jsonb_build_object('approved', CAST(:approved AS boolean))
      FROM decided
), found AS (
    SELECT id, conversation_id FROM decided
    UNION
    SELECT id, conversation_id FROM actions
     WHERE conversation_id = :conversation_id AND digest = :digest AND decided_by = :decided_by
       AND (status <> 'cancelled') = CAST(:approved AS boolean)
)
SELECT f.id AS action_id, c.assistant, c.channel, c.account,
       CASE WHEN c.state = 'awaiting_confirmation' AND a.confirmation_by = 'customer' THEN a.return_to ELSE c.state END
           AS state,
       (SELECT max(version) FROM configurations v WHERE v.assistant = c.assistant) AS newest_version
  FROM found f JOIN conversations c ON c.id = f.conversation_id JOIN actions a ON a.id = f.id LIMIT 1
"""

_TELL = f"""
WITH told AS (
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, channel_message_id, text, delivery)
    SELECT gen_random_uuid(), id, 'out', 'assistant', channel, 'action', CAST(:action_id AS text), :words, {DELIVERY}
      FROM conversations WHERE id = :conversation_id ON CONFLICT DO NOTHING RETURNING id
)
UPDATE conversations SET state = :state WHERE id = :conversation_id AND EXISTS (SELECT 1 FROM told)
"""

_LAST_RESULT = """
SELECT a.name, e.status, coalesce(e.result, '{}') AS result
  FROM actions a JOIN effects e ON e.key = a.effect_key
 WHERE a.turn_id = :turn_id ORDER BY a.index DESC LIMIT 1
"""


class AcceptedAction(BaseModel):
    """An action to be done, and the turn it belongs to as it stood when it was read."""

    id: UUID
    conversation_id: UUID
    turn_id: UUID
    index: int
    name: str
    reason: str
    metadata: dict[str, Any]
    effect_key: str
    return_to: State
    turn_attempt: int
    turn_step: int
    turn_status: TurnStatus
    last_seq: int
    frontend_context_uuid: UUID
    assistant: str
    assistant_version: int | None
    """The configuration it was accepted under."""


class LastResult(BaseModel):
    """What came of a turn's newest action."""

    name: str
    status: EffectStatus
    result: dict[str, Any]


class Decided(BaseModel):
    """A pending action that staff has decided on."""

    action_id: UUID
    assistant: str
    newest_version: int | None
    channel: str
    account: str
    state: State


class Actions:
    """One statement each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, action_id: UUID) -> AcceptedAction:
        """Raises LookupError for one that was never stored."""
        row = await self._database.row(_GET, {"action_id": action_id})
        if row is None:
            raise LookupError(f"no action {action_id}")
        return AcceptedAction.model_validate(dict(row))

    async def decide(self, decision: Decision) -> Decided | None:
        """The pending action of that digest, approved into the ledger or declined; None if there is none (any more).

        Decided again the same way by the same person, it is returned again: the first time may not have got far.
        """
        row = await self._database.row(_DECIDE, decision.model_dump())
        return None if row is None else Decided.model_validate(dict(row))

    async def state_of(self, conversation_id: UUID) -> State:
        row = await self._database.row("SELECT state FROM conversations WHERE id = :id", {"id": conversation_id})
        assert row is not None
        return State(row["state"])

    async def tell(self, conversation_id: UUID, action_id: UUID, words: str, state: State) -> None:
        """What the customer is told of a decided action, once, and the state after it."""
        values = {"conversation_id": conversation_id, "action_id": str(action_id), "words": words, "state": state}
        await self._database.rows(_TELL, values)

    async def last_result(self, turn_id: UUID) -> LastResult:
        row = await self._database.row(_LAST_RESULT, {"turn_id": turn_id})
        assert row is not None
        return LastResult.model_validate(dict(row))
