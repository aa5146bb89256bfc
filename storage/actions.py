"""Actions: what the model asked for, and what people said to it. What came of one is its effect's to tell.

An action's effect is planned in the same commit that accepts it (`storage.turn_commits`), or with staff's approval
(`decide`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from actions import gates
from schemas.conversations import ApprovalDecision
from schemas.effects import EffectStatus
from schemas.encoding import dump_json
from schemas.questions import CUSTOMER, AskedQuestion, CameTo
from schemas.standing import Standing
from schemas.transitions import Event
from schemas.turn_record import TurnAtStep, TurnFence, TurnStatus
from storage.database import Database

EFFECT_OF_ACTION = """
    INSERT INTO effects (key, conversation_id, turn_id, kind, request_hash, request, recovery, owner_version)
    SELECT effect_key, conversation_id, turn_id, 'action:' || name, request_hash,
           jsonb_build_object('reason', reason, 'metadata', metadata), recovery"""
"""How an accepted row of `actions`, selected FROM somewhere, enters the ledger. What comes next is the version of the
owner that it belongs to; NULL: it is staff's."""

CAME_TO = """
    a.digest, a.decided_by, e.status AS effect, e.failure,
    CASE WHEN a.status = 'awaiting_confirmation' AND a.expires_at <= agent_now() THEN 'expired' ELSE a.status END
        AS status, others.something_done, others.something_unknown
      FROM actions a CROSS JOIN effects_beside(a) AS others
      LEFT JOIN effects e ON e.key = a.effect_key"""
"""What actions that were asked about have come to: the columns of `AskedQuestion`, and where they stand."""

_CAME_TO = f"SELECT {CAME_TO} WHERE a.id = :action_id"

_GET = """
SELECT a.id, a.conversation_id, a.turn_id, a.index, a.name, a.reason, a.metadata, a.effect_key,
       a.assistant, a.assistant_version, a.confirmation_by IS NOT NULL AS agreed,
       (SELECT to_jsonb(s) FROM standings s WHERE s.conversation_id = a.conversation_id) AS standing,
       to_jsonb(t) AS turn, others.something_done, others.something_unknown, spoke_since(a) AS is_spoken_of
  FROM actions a
  CROSS JOIN effects_beside(a) AS others
  JOIN turns t ON t.id = a.turn_id
 WHERE a.id = :action_id
"""

OPERATOR = "operator"
"""Who acts by hand through Temporal, which does not say who it was."""

_HAND_IN = """
INSERT INTO audit (actor, deed, subject, details)
VALUES (:who, 'action.answered', 'conversation/' || CAST(:conversation_id AS uuid),
        jsonb_build_object('approved', CAST(:approved AS boolean))) RETURNING id
"""

_DECIDE = f"""
WITH who AS (
    SELECT coalesce((SELECT actor FROM audit WHERE id = :by), '{OPERATOR}') AS name
), place AS MATERIALIZED (
    SELECT id, owner, owner_version FROM conversations WHERE id = :conversation_id FOR NO KEY UPDATE
), decided AS (
    UPDATE actions SET status = CASE WHEN CAST(:approved AS boolean) THEN 'accepted' ELSE 'cancelled' END,
           decided_by = (SELECT name FROM who), settled_at = agent_now(),
           decided_version = place.owner_version
      FROM place
     WHERE conversation_id = place.id AND digest = :digest
       AND (confirmation_by = 'staff' OR CAST(:for_customer AS boolean) AND place.owner = ANY(:owners_asked))
       AND status = 'awaiting_confirmation' AND expires_at > agent_now()
    RETURNING actions.*
), effect AS (
    {EFFECT_OF_ACTION}, NULL FROM decided WHERE CAST(:approved AS boolean) ON CONFLICT DO NOTHING
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT decided_by, 'action.decided', 'action/' || id, jsonb_build_object('approved', CAST(:approved AS boolean))
      FROM decided
), transition AS (
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who)
    SELECT place.id, place.owner_version, place.owner, place.owner,
           CASE WHEN confirmation_by = 'staff' AND CAST(:approved AS boolean) THEN 'approved'
                WHEN confirmation_by = 'staff' THEN 'disapproved'
                WHEN CAST(:approved AS boolean) THEN 'confirmed' ELSE 'declined' END, decided_by
      FROM decided, place
), found AS (
    SELECT id, conversation_id, assistant FROM decided
    UNION
    SELECT id, conversation_id, assistant FROM actions
     WHERE conversation_id = :conversation_id AND digest = :digest
       AND (decided_by = CASE WHEN CAST(:by AS bigint) IS NULL THEN nullif(decided_by, '{CUSTOMER}')
                         ELSE (SELECT name FROM who) END
            OR CAST(:by AS bigint) IS NULL AND EXISTS (  -- the customer's own yes, which nobody carries on: the sweep's
               SELECT 1 FROM effects e WHERE e.key = effect_key AND e.status IN ('planned', 'sending')))
       AND EXISTS (SELECT 1 FROM effects e WHERE e.key = effect_key) = CAST(:approved AS boolean)
       AND status NOT IN ('awaiting_confirmation', 'expired')
)
SELECT f.id AS action_id, f.assistant, c.channel, c.account,
       (SELECT max(version) FROM configurations v WHERE v.assistant = f.assistant) AS newest_version
  FROM found f JOIN conversations c ON c.id = f.conversation_id LIMIT 1
"""

_BIND = """
UPDATE effects e SET owner_version = coalesce(e.owner_version, a.decided_version) FROM actions a
 WHERE a.id = :action_id AND e.key = a.effect_key AND e.status = 'planned'
"""

_TELL = """
SELECT tell_decision(:conversation_id, :action_id, CAST(:event AS text), CAST(:rules AS jsonb), :reason, :words,
                     :instead, CAST(:told_under AS text[]), CAST(:beside AS text))
"""

_WITHDRAW = """
UPDATE actions SET status = 'cancelled', settled_at = agent_now() WHERE id = :action_id AND status = 'accepted'
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
    standing: Standing
    turn: TurnAtStep
    assistant: str
    assistant_version: int | None
    """The configuration it was accepted under: the assistant may not be the conversation's, since a merge."""
    agreed: bool
    """Somebody was asked about it, and said yes to this very question."""
    something_done: bool
    """Another effect of the same turn is confirmed."""
    something_unknown: bool = False
    """Nobody knows of another whether it was done."""
    is_spoken_of: bool = False
    """The model, which knows of those, has spoken to the customer since it asked for this one."""

    @property
    def fence(self) -> TurnFence:
        """Of the commit that ends the action's step."""
        assert self.turn.frontend_context_uuid is not None
        asking = self.turn.fence_in(self.turn.frontend_context_uuid, self.turn.last_seq)
        return replace(asking, from_statuses=(TurnStatus.ACTING,))


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


@dataclass(frozen=True)
class Told:
    """What is said of an action that staff decided on: *event* says to whom.

    `moves`: the change of the owner that goes with it. Where another owner has the conversation since the decision,
    nothing changes, and *instead* is said. *beside*: of the other effects of its turn, which the customer is told
    where that is all that they are still to hear.
    """

    event: Event
    words: str
    moves: Event | None = None
    instead: str = ""
    beside: str | None = None
    reason: str = ""


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

    async def came_to(self, action_id: UUID) -> CameTo:
        """What the question about it has come to."""
        row = await self._database.row(_CAME_TO, {"action_id": action_id})
        assert row is not None
        return AskedQuestion.model_validate(dict(row)).came_to

    async def hand_in(self, conversation_id: UUID, *, approved: bool, who: str) -> int:
        """Notes that somebody of staff answers: the entry's number stands for their name wherever names may not go."""
        row = await self._database.row(_HAND_IN, {"conversation_id": conversation_id, "approved": approved, "who": who})
        assert row is not None
        return int(row["id"])

    async def decide(self, decision: ApprovalDecision) -> Decided | None:
        """The pending action of that digest, approved into the ledger or declined; None if there is none (any more).

        Decided again the same way by the same person, it is returned again: the first time may not have got far.
        """
        owners = list(gates.rules_of(Event.CONFIRMED))
        row = await self._database.row(_DECIDE, {**decision.model_dump(), "owners_asked": owners})
        return None if row is None else Decided.model_validate(dict(row))

    async def bind(self, action_id: UUID) -> None:
        """Its effect belongs to the owner's version that staff's decision read. Not once it has begun; repeatable."""
        await self._database.rows(_BIND, {"action_id": action_id})

    async def tell(self, conversation_id: UUID, action_id: UUID, told: Told) -> None:
        """What is said of a decided action, with the change of the owner that it makes. Repeated, it is nothing."""
        values = {
            "conversation_id": conversation_id,
            "action_id": action_id,
            "event": told.moves,
            "rules": dump_json(gates.rules_of(told.moves)) if told.moves else "{}",
            "reason": told.reason,
            "words": told.words,
            "instead": told.instead,
            "beside": told.beside,
            "told_under": gates.told_by_the_bot(told.event),
        }
        await self._database.rows(_TELL, values)

    async def withdraw(self, action_id: UUID) -> None:
        """It was accepted and is not begun: its effect is withheld. Safe to repeat."""
        await self._database.rows(_WITHDRAW, {"action_id": action_id})

    async def last_result(self, turn_id: UUID) -> LastResult:
        row = await self._database.row(_LAST_RESULT, {"turn_id": turn_id})
        assert row is not None
        return LastResult.model_validate(dict(row))
