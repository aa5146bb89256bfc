"""Actions and their ledger: planned with the output that asked for them, taken under a fence, settled once.

`effects` is the ledger: `planned → sending → confirmed | failed | unknown`. That something is
about to be done is committed before it is done; who comes late, with an older fence, writes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from actions import gates
from schemas.conversations import Decision
from schemas.encoding import dump_json
from schemas.standing import Standing
from schemas.transitions import Event
from schemas.turn_record import TurnStatus
from storage.channels import DELIVERY
from storage.database import Database

_BEGIN = """
WITH before AS (
    SELECT e.key, e.status, e.conversation_id FROM effects e JOIN actions a ON a.effect_key = e.key
     WHERE a.id = :action_id FOR UPDATE OF e
), place AS MATERIALIZED (
    SELECT owner_version FROM conversations WHERE id = (SELECT conversation_id FROM before) FOR SHARE
), stale AS (
    SELECT before.key FROM before, place, actions a JOIN turns t ON t.id = a.turn_id
     WHERE a.id = :action_id AND before.status = 'planned' AND t.owner_version <> place.owner_version
       AND NOT CAST(:by_staff AS boolean)
), withdrawn AS (
    UPDATE effects e SET status = 'failed', error = 'another owner has the conversation', settled_at = agent_now(),
           fence = e.fence + 1
      FROM stale WHERE e.key = stale.key
), cancelled AS (
    UPDATE actions SET status = 'cancelled', settled_at = agent_now()
     WHERE id = :action_id AND EXISTS (SELECT 1 FROM stale)
), taken AS (
    UPDATE effects e SET status = 'sending', fence = e.fence + 1, attempt = e.attempt + 1, sending_at = agent_now()
      FROM before
     WHERE e.key = before.key AND before.status IN ('planned', 'sending') AND NOT EXISTS (SELECT 1 FROM stale)
    RETURNING e.key, e.fence, e.attempt
)
SELECT a.id, a.conversation_id, a.turn_id, a.index, a.name, a.reason, a.metadata, a.digest, a.effect_key,
       a.status = 'cancelled' OR EXISTS (SELECT 1 FROM stale) AS withdrawn, t.owner_version,
       (SELECT to_jsonb(s) FROM standings s WHERE s.conversation_id = a.conversation_id) AS standing,
       before.status AS status_before, coalesce(taken.fence, e.fence) AS fence,
       coalesce(taken.attempt, e.attempt) AS attempt, e.result,
       t.attempt AS turn_attempt, t.step AS turn_step, t.last_seq, t.status AS turn_status,
       t.frontend_context_uuid, c.assistant, a.assistant_version,
       (SELECT jsonb_build_object('result', r.result, 'settled_at', r.settled_at) FROM effects r
         WHERE r.conversation_id IN (SELECT a.conversation_id UNION ALL
                                     SELECT id FROM conversations WHERE merged_into = a.conversation_id)
           AND r.kind = a.name AND r.request_hash = a.request_hash
           AND r.key <> a.effect_key AND r.status = 'confirmed' AND a.side_effect
           AND NOT EXISTS (SELECT 1 FROM tickets k WHERE k.effect_key = r.key AND k.status IN ('resolved', 'closed'))
         ORDER BY r.settled_at DESC LIMIT 1) AS repeated
  FROM actions a
  JOIN effects e ON e.key = a.effect_key
  JOIN before ON before.key = e.key
  JOIN conversations c ON c.id = a.conversation_id
  JOIN turns t ON t.id = a.turn_id
  LEFT JOIN taken ON taken.key = e.key
 WHERE a.id = :action_id
"""

"""An action of a turn begins only under the owner's version the turn belongs to; else it is withdrawn. What staff
decided begins under any."""

_RELEASE = """
UPDATE effects SET status = 'planned' WHERE key = :effect_key AND status = 'sending' AND fence = :fence
"""

_SETTLE = """
WITH effect AS (
    UPDATE effects SET status = :status, result = CAST(:result AS jsonb), external_id = :external_id, error = :error,
           settled_at = agent_now()
     WHERE key = :effect_key AND status = 'sending' AND fence = :fence RETURNING key
), turn AS (
    UPDATE turns SET status = 'resulted', step = step + 1, rounds = rounds + 1, commit_id = NULL, questions = 0
     WHERE id = :turn_id AND status = 'acting' AND step = :turn_step AND CAST(:goes_back AS boolean)
       AND EXISTS (SELECT 1 FROM effect)
)
UPDATE actions SET status = :status, result = CAST(:result AS jsonb), settled_at = agent_now()
 WHERE effect_key IN (SELECT key FROM effect) RETURNING id
"""


_DECIDE = """
WITH decided AS (
    UPDATE actions SET status = CASE WHEN CAST(:approved AS boolean) THEN 'planned' ELSE 'cancelled' END,
           decided_by = :decided_by
     WHERE conversation_id = :conversation_id AND digest = :digest
       AND (confirmation_by = 'staff' OR CAST(:for_customer AS boolean) AND EXISTS (
           SELECT 1 FROM conversations WHERE id = :conversation_id AND owner = ANY(:owners_asked)))
       AND status = 'awaiting_confirmation' AND expires_at > agent_now()
    RETURNING *
), effect AS (
    INSERT INTO effects (key, conversation_id, turn_id, kind, request_hash, request)
    SELECT effect_key, conversation_id, turn_id, name, request_hash, metadata FROM decided
     WHERE CAST(:approved AS boolean) ON CONFLICT DO NOTHING
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT :decided_by, 'action.decided', 'action/' || id, jsonb_build_object('approved', CAST(:approved AS boolean))
      FROM decided
), transition AS (
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who)
    SELECT c.id, c.owner_version, c.owner, c.owner,
           CASE WHEN confirmation_by = 'staff' AND CAST(:approved AS boolean) THEN 'approved'
                WHEN confirmation_by = 'staff' THEN 'disapproved'
                WHEN CAST(:approved AS boolean) THEN 'confirmed' ELSE 'declined' END, :decided_by
      FROM decided JOIN conversations c ON c.id = decided.conversation_id
), found AS (
    SELECT id, conversation_id FROM decided
    UNION
    SELECT id, conversation_id FROM actions
     WHERE conversation_id = :conversation_id AND digest = :digest AND decided_by = :decided_by
       AND (status <> 'cancelled') = CAST(:approved AS boolean)
)
SELECT f.id AS action_id, c.assistant, c.channel, c.account,
       (SELECT max(version) FROM configurations v WHERE v.assistant = c.assistant) AS newest_version
  FROM found f JOIN conversations c ON c.id = f.conversation_id LIMIT 1
"""

_TELL = f"""
INSERT INTO messages (conversation_id, direction, author, channel, id_scope, channel_message_id, kind, text,
                      owner_version, delivery)
SELECT id, CASE WHEN owner = ANY(:told_under) THEN 'out' ELSE 'event' END, 'assistant', channel, 'action',
       CAST(:action_id AS text), CASE WHEN owner = ANY(:told_under) THEN 'text' ELSE 'note' END, :words,
       owner_version, CASE WHEN owner = ANY(:told_under) THEN {DELIVERY} END
  FROM conversations WHERE id = :conversation_id ON CONFLICT DO NOTHING
"""
"""To the customer, or where a person has the conversation: to staff, who tell them."""

_LAST_RESULT = """
SELECT name, status, coalesce(result, '{}') AS result FROM actions WHERE turn_id = :turn_id ORDER BY index DESC LIMIT 1
"""


class Earlier(BaseModel):
    """The newest confirmed effect of this conversation with the same parameters."""

    result: dict[str, Any] | None
    settled_at: datetime


class BegunAction(BaseModel):
    """An action about to be done. `status_before` tells: planned (nobody began), sending (somebody did, and nobody
    knows what came of it), or settled already, with its `result`."""

    id: UUID
    conversation_id: UUID
    turn_id: UUID
    index: int
    name: str
    reason: str
    metadata: dict[str, Any]
    digest: str
    effect_key: str
    standing: Standing
    owner_version: int
    """The owner's, that the turn belongs to."""
    withdrawn: bool
    """It was not begun and is not to be: another owner had the conversation first."""
    by_staff: bool = False
    """Staff decided on it: it is theirs, whoever has the conversation."""
    status_before: Literal["planned", "sending", "confirmed", "failed", "unknown"]
    fence: int
    attempt: int
    result: dict[str, Any] | None
    turn_attempt: int
    turn_step: int
    last_seq: int
    turn_status: TurnStatus
    frontend_context_uuid: UUID
    assistant: str
    assistant_version: int | None
    """The configuration it was accepted under."""
    repeated: Earlier | None

    @property
    def settled(self) -> bool:
        return self.status_before in {"confirmed", "failed", "unknown"}


class Settlement(BaseModel):
    """What came of an action. `result` is for the model or the customer; `error` for staff."""

    status: Literal["confirmed", "failed", "unknown"]
    result: dict[str, Any] = Field(default_factory=dict)
    external_id: str | None = None
    error: str | None = None


class LastResult(BaseModel):
    """What came of a turn's newest action."""

    name: str
    status: str
    result: dict[str, Any]


class Decided(BaseModel):
    """A pending action that staff has decided on."""

    action_id: UUID
    assistant: str
    newest_version: int | None
    channel: str
    account: str


class Ledger:
    """Begins and settles effects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, action_id: UUID, *, by_staff: bool = False) -> BegunAction:
        """`planned → sending` under a new fence; an action that is settled already is returned as it is.

        One of a turn is withdrawn instead if the conversation has another owner than the turn knew.
        """
        row = await self._database.row(_BEGIN, {"action_id": action_id, "by_staff": by_staff})
        if row is None:
            raise LookupError(f"no action {action_id}")
        return BegunAction.model_validate({**row, "by_staff": by_staff})

    async def decide(self, decision: Decision) -> Decided | None:
        """The pending action of that digest, approved into the ledger or declined; None if there is none (any more).

        Decided again the same way by the same person, it is returned again: the first time may not have got far.
        """
        owners = list(gates.rules_of(Event.CONFIRMED))
        row = await self._database.row(_DECIDE, {**decision.model_dump(), "owners_asked": owners})
        return None if row is None else Decided.model_validate(dict(row))

    async def tell(self, conversation_id: UUID, action_id: UUID, words: str, told_under: list[str]) -> None:
        """What is said of a decided action, once: to the customer under the owners *told_under*, else to staff."""
        values = {"conversation_id": conversation_id, "action_id": str(action_id), "words": words}
        await self._database.rows(_TELL, {**values, "told_under": told_under})

    async def last_result(self, turn_id: UUID) -> LastResult:
        row = await self._database.row(_LAST_RESULT, {"turn_id": turn_id})
        assert row is not None
        return LastResult.model_validate(dict(row))

    async def release(self, action: BegunAction) -> None:
        """Back to `planned`: this attempt surely did nothing, so the next one may."""
        await self._database.rows(_RELEASE, {"effect_key": action.effect_key, "fence": action.fence})

    async def settle(self, action: BegunAction, settlement: Settlement, *, goes_back: bool) -> bool:
        """Records the outcome; False if another attempt holds the fence by now, and nothing was written.

        *goes_back*: the turn goes on with the result, to the model.
        """
        rows = await self._database.rows(
            _SETTLE,
            {
                "effect_key": action.effect_key,
                "fence": action.fence,
                "turn_id": action.turn_id,
                "turn_step": action.turn_step,
                "goes_back": goes_back,
                **settlement.model_dump(exclude={"result"}),
                "result": dump_json(settlement.result),
            },
        )
        return bool(rows)
