"""What people who run the system look at: conversations, one of them in full, and what went wrong lately."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from actions.shown_output import output_to_show
from schemas.turns import OutputError, State
from storage.database import Database
from storage.merges import WITH_MERGED
from storage.registries import Registries

_SHOWN_CHARACTERS = 500
"""Of an output that could not be used; the conversation's page has all of it."""

_CONVERSATIONS = """
WITH page AS MATERIALIZED (
    SELECT c.id, c.channel, c.assistant, c.state, c.turns, c.newest_seq - c.cursor AS waiting, c.last_message_at
      FROM conversations c
     WHERE c.merged_into IS NULL AND (CAST(:before AS timestamptz) IS NULL OR c.last_message_at < :before)
     ORDER BY c.last_message_at DESC NULLS LAST LIMIT :limit
)
SELECT page.*, (SELECT count(*) FROM held_messages(page.id)) AS held
  FROM page ORDER BY last_message_at DESC NULLS LAST
"""

_STANDING = """
SELECT c.state, c.channel, c.assistant, c.newest_seq - c.cursor AS waiting,
       (SELECT count(*) FROM held_messages(c.id)) AS held,
       (SELECT jsonb_build_object('team', h.team, 'reason', h.reason, 'opened_at', h.opened_at,
                                  'opened_by', h.opened_by)
          FROM handoffs h WHERE h.conversation_id = c.id AND h.released_at IS NULL) AS handoff,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', 'T-' || k.number, 'subject', k.subject,
                                                     'status', k.status) ORDER BY k.number), '[]')
          FROM tickets k WHERE k.conversation_id = c.id AND k.status NOT IN ('resolved', 'closed')) AS tickets
  FROM conversations c WHERE c.id = :conversation_id
"""

_MESSAGES = f"""
SELECT direction, author, text, stored_at, delivery IS NOT DISTINCT FROM 'withheld' AS withheld,
       direction = 'event' AND author <> 'customer' AS for_staff
  FROM messages WHERE conversation_id IN {WITH_MERGED} AND kind <> 'held'
 ORDER BY stored_at DESC, direction = 'event' DESC, direction = 'out' DESC, seq DESC, id LIMIT :limit
"""
"""Of what was stored in one moment: what came in, what went out, then what is noted of it."""

_TROUBLE = """
SELECT 'no answer: ' || coalesce(t.failure, '') AS what, t.conversation_id, t.finished_at AS at, '' AS details,
       NULL::jsonb AS invalid
  FROM turns t WHERE t.status = 'apologised'
UNION ALL
SELECT 'invalid output', o.conversation_id, o.created_at, o.text,
       jsonb_build_object('errors', o.errors, 'prompt_pack', o.prompt_pack, 'pack_echoed', o.pack_echoed,
                          'assistant', c.assistant, 'version', t.assistant_version)
  FROM raw_outputs o JOIN turns t ON t.id = o.turn_id JOIN conversations c ON c.id = o.conversation_id
 WHERE o.verdict = 'invalid'
UNION ALL
SELECT 'reply ' || d.status || ': ' || coalesce(d.failure, ''), d.conversation_id, d.settled_at,
       coalesce(d.error ->> 'explanation', ''), NULL
  FROM deliveries d WHERE d.status IN ('failed', 'unknown') AND d.failure IS DISTINCT FROM 'superseded'
UNION ALL
SELECT 'outcome unknown: ' || replace(e.kind, 'action:', ''), e.conversation_id, e.settled_at,
       coalesce(e.error ->> 'explanation', ''), NULL
  FROM effects e WHERE e.status = 'unknown' AND e.kind <> 'part'
UNION ALL
SELECT 'nobody approved in time: ' || a.name, a.conversation_id, a.settled_at, '', NULL
  FROM actions a WHERE a.status = 'expired' AND a.confirmation_by = 'staff'
UNION ALL
SELECT 'stopped by an operator, messages waiting: ' || c.newest_seq - c.cursor, c.id, c.last_message_at, '', NULL
  FROM conversations c WHERE is_stopped(c) AND c.cursor < c.newest_seq
 ORDER BY at DESC LIMIT :limit
"""


class ConversationRow(BaseModel):
    """One line of the list. `waiting`: messages stored and not processed; `held`: kept for a person, who has not
    answered them."""

    id: UUID
    channel: str
    assistant: str
    state: State
    turns: int
    waiting: int
    held: int
    last_message_at: datetime | None


class OpenHandoff(BaseModel):
    team: str
    reason: str
    opened_at: datetime
    opened_by: str


class OpenTicket(BaseModel):
    id: str
    subject: str
    status: str


class StandingRow(BaseModel):
    """Where a conversation stands: who has it and since when, what waits for whom, what is open."""

    state: State
    channel: str
    assistant: str
    waiting: int
    held: int
    handoff: OpenHandoff | None
    tickets: list[OpenTicket]


class MessageRow(BaseModel):
    direction: str
    author: str
    text: str
    stored_at: datetime
    withheld: bool = False
    """Not sent, for a person took the conversation before it left."""
    for_staff: bool = False
    """A note of ours that the customer never sees."""


class UnusableOutput(BaseModel):
    """What is wrong with an output, the version of the prompt pack it was asked with, and the one it names itself."""

    errors: list[OutputError]
    prompt_pack: str | None
    pack_echoed: str | None
    assistant: str
    version: int | None


class TroubleRow(BaseModel):
    """Something a human may want to look at. `invalid`: of an output that could not be used."""

    what: str
    conversation_id: UUID
    at: datetime
    details: str
    invalid: UnusableOutput | None = None

    def veiled(self) -> TroubleRow:
        """For who may not see raw outputs: without one, and without errors, which quote it."""
        if self.invalid is None:
            return self
        return self.model_copy(update={"details": "", "invalid": self.invalid.model_copy(update={"errors": []})})


class Overview:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registries = Registries(database)

    async def conversations(self, limit: int, before: datetime | None = None) -> list[ConversationRow]:
        rows = await self._database.rows(_CONVERSATIONS, {"limit": limit, "before": before})
        return [ConversationRow.model_validate(dict(row)) for row in rows]

    async def standing(self, conversation_id: UUID) -> StandingRow | None:
        """None of a conversation that there is not."""
        row = await self._database.row(_STANDING, {"conversation_id": conversation_id})
        return None if row is None else StandingRow.model_validate(dict(row))

    async def messages(self, conversation_id: UUID, limit: int) -> list[MessageRow]:
        """The newest *limit* messages, oldest of them first."""
        rows = await self._database.rows(_MESSAGES, {"conversation_id": conversation_id, "limit": limit})
        return [MessageRow.model_validate(dict(row)) for row in reversed(rows)]

    async def trouble(self, limit: int) -> list[TroubleRow]:
        """Turns without an answer, outputs that could not be used, effects of unknown outcome: newest first."""
        rows = await self._database.rows(_TROUBLE, {"limit": limit})
        return [await self._to_show(TroubleRow.model_validate(dict(row))) for row in rows]

    async def _to_show(self, row: TroubleRow) -> TroubleRow:
        """With the beginning of the output, without what is sensitive in it."""
        if row.invalid is not None:
            registry = await self._registries.at(row.invalid.assistant, row.invalid.version)
            shown = output_to_show(row.details, registry)
            row.details = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
        return row
