"""Questions that are open: an action waits for the customer's yes or for staff. What expires is ended, and told."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import RowMapping

from actions import gates
from actions.confirmation_text import action_text
from schemas.actions import ActionRequest, Confirmation
from schemas.conversation_ref import ConversationRef
from schemas.sessions import OpenQuestion
from schemas.transitions import Event
from storage.database import Database
from storage.registries import Registries

_OPEN = """
SELECT a.id, CASE a.confirmation_by WHEN 'staff' THEN 'approval' ELSE 'confirmation' END AS kind, a.name AS action,
       CASE WHEN a.confirmation_by <> 'staff' THEN (SELECT m.text FROM messages m
             WHERE m.turn_id = a.turn_id AND m.direction = 'out' AND m.author = 'assistant' LIMIT 1) END AS text,
       a.reason, a.metadata, a.expires_at, a.digest, a.assistant, a.assistant_version
  FROM actions a
 WHERE a.conversation_id = :conversation_id AND a.status = 'awaiting_confirmation' AND a.expires_at > agent_now()
 ORDER BY a.created_at DESC, a.id
"""

_EXPIRED = """
SELECT a.id AS action_id, a.name, a.confirmation_by, c.id AS conversation_id, c.workflow_id, c.channel, c.assistant,
       0 AS seq, a.assistant AS asker,
       (SELECT max(version) FROM configurations v WHERE v.assistant = a.assistant) AS asker_version,
       others.something_done, others.something_unknown
  FROM actions a JOIN conversations c ON c.id = a.conversation_id
  CROSS JOIN effects_of_turn(a.turn_id, a.id) AS others
 WHERE a.status = 'awaiting_confirmation' AND a.expires_at <= agent_now()
   AND a.conversation_id = coalesce(CAST(:conversation_id AS uuid), a.conversation_id)
   AND NOT is_stopped(c)
 ORDER BY a.expires_at LIMIT :limit
"""

_EXPIRE = "SELECT expire_question(:action_id, :told_under, :words, :note, :untold_note) AS needs_delivery"


class ExpiredQuestion(ConversationRef):
    """A question or an approval that nobody answered in time, and the conversation it belongs to.

    `asker`, `asker_version`: the assistant that asked, as it is configured now; not the conversation's maybe, since a
    merge. `something_done`: another effect of the same turn is confirmed; `something_unknown`: nobody knows of one.
    """

    action_id: UUID
    name: str
    confirmation_by: Confirmation
    asker: str
    asker_version: int | None
    something_done: bool
    something_unknown: bool


class Questions:
    """Reads open questions, and ends those whose time is over.

    *language*: of the words around a question, where an assistant has none of its own.
    """

    def __init__(self, database: Database, language: str = "en") -> None:
        self._database = database
        self._registries = Registries(database)
        self._language = language

    async def open(self, conversation_id: UUID) -> list[OpenQuestion]:
        """All of a conversation's, newest first."""
        rows = await self._database.rows(_OPEN, {"conversation_id": conversation_id})
        return [
            OpenQuestion.model_validate({**row, "text": row["text"] or await self._said_plainly(row)}) for row in rows
        ]

    async def _said_plainly(self, row: RowMapping) -> str:
        """What would be done and with which values, in the words of the definition it was accepted under."""
        assistant, version = row["assistant"], row["assistant_version"]
        registry = await self._registries.at(assistant, version)
        request = ActionRequest.model_construct(action=row["action"], reason=row["reason"], metadata=row["metadata"])
        definition = registry.rules_for(request)
        if definition is None:
            return str(row["action"])
        language = await self._registries.language_of(assistant, version, self._language)
        return action_text(definition, registry.parameters_of(request), language)

    async def expired(self, limit: int, conversation_id: UUID | None = None) -> list[ExpiredQuestion]:
        """Up to *limit* whose time is over and of which nobody was told; of one conversation, or of all."""
        rows = await self._database.rows(_EXPIRED, {"limit": limit, "conversation_id": conversation_id})
        return [ExpiredQuestion.model_validate(dict(row)) for row in rows]

    async def expire(self, action_id: UUID, *, words: str, note: str, untold_note: str) -> bool:
        """Ends it and tells staff, and the customer unless a person has the conversation (then *untold_note*), once.
        What was said before and has not left ends with it; under a person *words* are kept until the bot has the
        conversation again.

        Whether the words wait to be sent over a channel.
        """
        told_under = gates.told_by_the_bot(Event.EXPIRED)
        values = {"action_id": action_id, "words": words, "note": note, "untold_note": untold_note}
        row = await self._database.row(_EXPIRE, {**values, "told_under": told_under})
        return row is not None and bool(row["needs_delivery"])
