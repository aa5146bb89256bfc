"""Who has a conversation, changed by one statement that wins at once; and how it stands, read.

A turn or an effect that belongs to an older version of the owner is withheld by the statement that would
commit or begin it (`commit_statement.COMMIT`, `ledger.CLAIM`): nobody has to be asked or waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from pydantic import BaseModel

from actions import gates
from schemas.cursors import MAX_ID, Cursor
from schemas.encoding import dump_json
from schemas.standing import Owner, Standing
from schemas.transitions import Event, Transition
from storage.database import Database
from storage.merges import WITH_MERGED

_CHANGE = """
WITH place AS MATERIALIZED (
    SELECT going_on(:conversation_id) AS conversation_id
), has_it AS MATERIALIZED (
    SELECT (SELECT t.who FROM transitions t JOIN handoffs h ON h.conversation_id = t.conversation_id
             WHERE t.conversation_id = place.conversation_id AND h.released_at IS NULL
               AND t.why = 'taken' AND t.at >= h.opened_at ORDER BY t.id DESC LIMIT 1) AS who FROM place
), changed AS MATERIALIZED (
    SELECT place.conversation_id, each.* FROM place, has_it, change_owner(place.conversation_id, :event,
        CAST(:rules AS jsonb) - CASE WHEN :event = 'taken' AND has_it.who = :who THEN 'human' ELSE '' END,
        :who, :reason, NULL, CAST(:new_thread AS boolean)) AS each
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT :who, :deed, 'conversation/' || conversation_id, CAST(:details AS jsonb) FROM changed
     WHERE NOT is_erased(conversation_id)
)
SELECT conversation_id, changed, owner, version, waiting_seq,
       CASE WHEN CAST(:new_thread AS boolean) THEN begin_new_thread(conversation_id) END AS begun
  FROM changed
"""

_OF = "SELECT * FROM standings WHERE conversation_id = :conversation_id"

_TRANSITIONS = f"""
SELECT id, version, from_owner, to_owner, why, who, at, turn_id FROM transitions
 WHERE conversation_id IN {WITH_MERGED} AND (CAST(:before AS bigint) IS NULL OR id < :before)
 ORDER BY id DESC LIMIT :limit
"""


class Changed(BaseModel):
    """The conversation's owner after a change, and whether anything changed.

    `conversation_id`: the one that goes on, if the one that was meant is merged by now. `waiting_seq`: the newest
    message's number, where the change leaves something to be answered or sent.
    """

    conversation_id: UUID
    changed: bool
    owner: Owner
    version: int
    waiting_seq: int | None = None


class Standings:
    """Changes are safe to repeat: done again, they change nothing (but a reset, which starts over once more). Another
    person's take-over leaves a row, though the owner stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def change(self, conversation_id: UUID, event: Event, *, who: str, reason: str = "by hand") -> Changed:
        """What the gates say of *event*, at once; *reason* is for staff. Raises LookupError.

        Where the bot has the conversation after it, what the customer wrote and nobody answered is asked about, if the
        assistant's setting `handoff.answer_waiting_after_release` says so.
        """
        return await self._change(conversation_id, event, who, reason, {"why": event, "reason": reason})

    async def reset(self, conversation_id: UUID, *, new_thread: bool, who: str) -> Changed:
        """Back to the bot; with *new_thread* the thread ends (its ids stay). A turn under way begins again."""
        details = {"new_thread": new_thread}
        return await self._change(conversation_id, Event.RESET, who, "reset", details, new_thread=new_thread)

    async def _change(
        self,
        conversation_id: UUID,
        event: Event,
        who: str,
        reason: str,
        details: Mapping[str, object],
        *,
        new_thread: bool = False,
    ) -> Changed:
        values = {
            "conversation_id": conversation_id,
            "event": event,
            "rules": dump_json(gates.rules_of(event)),
            "who": who,
            "reason": reason,
            "new_thread": new_thread,
            "deed": "conversation.reset" if event is Event.RESET else "conversation.set_state",
            "details": dump_json(details),
        }
        row = await self._database.row(_CHANGE, values)
        if row is None:
            raise LookupError(f"no conversation {conversation_id}")
        return Changed.model_validate(dict(row))

    async def of(self, conversation_id: UUID) -> Standing:
        """How the conversation stands. Raises LookupError."""
        row = await self._database.row(_OF, {"conversation_id": conversation_id})
        if row is None:
            raise LookupError(f"no conversation {conversation_id}")
        return Standing.model_validate(dict(row))

    async def transitions(self, conversation_id: UUID, limit: int, before: Cursor | None = None) -> list[Transition]:
        """Up to *limit* changes made before *before*, newest first."""
        number = min(before.id.int, MAX_ID) if before else None
        values = {"conversation_id": conversation_id, "limit": limit, "before": number}
        return [Transition.model_validate(dict(row)) for row in await self._database.rows(_TRANSITIONS, values)]
