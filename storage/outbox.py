"""Replies that go out over a channel: due, planned in parts, each sent under a fence.

A part is `sending` before it leaves and settled after; whoever finds it `sending` under an older fence knows that
nobody knows. A status of the channel may settle it first (`storage.delivery_reports`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel

from schemas.deliveries import DueMessage, Part, PlannedPart
from schemas.encoding import dump_json
from schemas.waking import Waking
from storage.channels import DELIVERY
from storage.database import Database
from storage.merges import WITH_MERGED

_DUE = f"""
SELECT m.id, m.conversation_id, m.text, m.sources, m.meta, m.stored_at, m.owner_version, c.channel, c.account,
       c.assistant,
       (SELECT max(version) FROM configurations k WHERE k.assistant = c.assistant) AS assistant_version,
       (SELECT i.value FROM channel_identities i WHERE i.customer_id = c.customer_id AND i.channel = c.channel
           AND i.kind = 'phone' ORDER BY i.created_at DESC LIMIT 1) AS phone,
       (SELECT i.value FROM channel_identities i WHERE i.customer_id = c.customer_id AND i.channel = c.channel
           AND i.kind = 'user_id' ORDER BY i.created_at DESC LIMIT 1) AS user_id,
       (SELECT max(coalesce(w.sent_at, w.stored_at)) FROM messages w
         WHERE w.conversation_id IN {WITH_MERGED} AND w.direction = 'in') AS wrote_at,
       EXISTS (SELECT 1 FROM turns t WHERE t.id = (m.meta ->> 'patience_of')::uuid AND t.finished_at IS NOT NULL)
           AS superseded,
       (SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.part), '[]') FROM deliveries d WHERE d.message_id = m.id)
           AS parts
  FROM messages m JOIN conversations c ON c.id = m.conversation_id
 WHERE m.conversation_id = :conversation_id AND m.delivery = 'due'
 ORDER BY m.stored_at, m.id
"""

_PLAN = """
WITH planned AS (
    INSERT INTO deliveries (message_id, conversation_id, part, channel, kind, text, choices)
    SELECT :message_id, :conversation_id, part, :channel, kind, text, choices
      FROM jsonb_to_recordset(CAST(:parts AS jsonb)) AS p(part int, kind text, text text, choices jsonb)
    ON CONFLICT (message_id, part) DO NOTHING RETURNING *
)
SELECT * FROM planned ORDER BY part
"""

_PARTS = "SELECT * FROM deliveries WHERE message_id = :message_id ORDER BY part"

_BEGIN = """
WITH place AS MATERIALIZED (
    SELECT m.owner_version IS NULL OR m.owner_version >= c.taken_version AS may_leave
      FROM deliveries d JOIN messages m ON m.id = d.message_id JOIN conversations c ON c.id = d.conversation_id
     WHERE d.id = :id FOR SHARE OF c
), begun AS (
    UPDATE deliveries SET status = 'sending', attempt = attempt + 1, fence = fence + 1, sending_at = agent_now(),
           updated_at = agent_now()
      FROM place WHERE id = :id AND fence = :fence AND status = ANY(:from_statuses) AND may_leave RETURNING fence
)
SELECT place.may_leave, (SELECT fence FROM begun) AS fence FROM place
"""
"""Under the owner's version, locked: what the bot said before a person took the conversation does not leave after."""

_WITHHOLD = """
WITH parts AS (
    UPDATE deliveries SET status = 'withheld', updated_at = agent_now()
     WHERE message_id = :message_id AND status = 'planned'
)
UPDATE messages SET delivery = 'withheld' WHERE id = :message_id
"""

_UNDER_WAY = """
SELECT count(*) AS requests,
       count(*) FILTER (WHERE d.sending_at > agent_now() - make_interval(secs => :begin_seconds)) AS beginning
  FROM deliveries d JOIN messages m ON m.id = d.message_id
 WHERE d.conversation_id = :conversation_id AND d.status = 'sending' AND m.owner_version IS NOT NULL
"""

_SENT = """
WITH sent AS (
    UPDATE deliveries SET channel_message_id = coalesce(channel_message_id, :channel_message_id),
           updated_at = agent_now(),
           accepted_at = coalesce(accepted_at, agent_now()),
           status = CASE WHEN status IN ('sending', 'unknown') THEN 'sent' ELSE status END,
           error = CASE WHEN status = 'failed' THEN error END, failure = CASE WHEN status = 'failed' THEN failure END
     WHERE id = :id AND fence = :fence RETURNING message_id, status
)
UPDATE messages SET delivery = 'done'
 WHERE id IN (SELECT message_id FROM sent WHERE status <> 'failed') AND CAST(:last AS boolean)
"""
"""The channel's answer. A status that came before it stands: `failed` keeps its reason and stays due."""

_NOT_SENT = """
UPDATE deliveries SET status = :status, failure = :failure, error = CAST(:error AS jsonb), updated_at = agent_now(),
       unknown_sends = unknown_sends + (status = 'sending' AND :status = 'unknown')::int
 WHERE id = :id AND fence = :fence AND status IN ('sending', 'unknown')
"""

_AGAIN = """
UPDATE deliveries SET status = 'planned', channel_message_id = NULL, updated_at = agent_now()
 WHERE id = :id AND fence = :fence AND status = 'failed'
"""

_GIVE_UP = """
WITH parts AS (
    UPDATE deliveries SET status = CASE WHEN status = 'planned' THEN 'failed' ELSE status END,
           failure = coalesce(failure, :failure), error = coalesce(error, CAST(:error AS jsonb)),
           updated_at = agent_now()
     WHERE message_id = :message_id AND status IN ('planned', 'failed', 'unknown')
), note AS (
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, kind, text)
    SELECT :note_id, conversation_id, 'event', 'assistant', channel, '', 'note', :note FROM messages
     WHERE id = :message_id AND CAST(:note AS text) IS NOT NULL
    ON CONFLICT DO NOTHING
)
UPDATE messages SET delivery = 'done' WHERE id = :message_id
"""

_DONE = "UPDATE messages SET delivery = 'done' WHERE id = :message_id"

_ADD = f"""
WITH added AS (
    INSERT INTO messages (id, conversation_id, direction, author, author_name, channel, id_scope, text, meta,
                          owner_version, delivery)
    SELECT :id, id, 'out', :author, :author_name, channel, '', :text, CAST(:meta AS jsonb), :owner_version, {DELIVERY}
      FROM conversations WHERE id = :conversation_id
    ON CONFLICT DO NOTHING RETURNING text, delivery
)
SELECT text, delivery IS NOT DISTINCT FROM 'due' AS is_due FROM added
UNION ALL
SELECT text, delivery IS NOT DISTINCT FROM 'due' FROM messages WHERE id = :id
"""

_OVERDUE = """
SELECT c.id AS conversation_id, c.workflow_id, c.channel, c.assistant, 0 AS seq
  FROM (SELECT conversation_id, min(stored_at) AS oldest FROM messages
         WHERE delivery = 'due' AND stored_at < agent_now() - make_interval(secs => :after)
         GROUP BY conversation_id ORDER BY oldest LIMIT :limit) AS due
  JOIN conversations c ON c.id = due.conversation_id AND c.last_seq > coalesce(c.stopped_seq, -1)
"""


_LOOK_AGAIN_SECONDS = 0.05


class AddedMessage(BaseModel):
    """As it is on record. `is_due`: it waits to be sent over the channel."""

    text: str
    is_due: bool


class BegunPart(BaseModel):
    """`part` is None if another attempt has it; `withheld`: a person has taken the conversation since it was said."""

    part: Part | None
    withheld: bool = False


class UnderWay(BaseModel):
    """Requests with the bot's words that have not come back; `beginning`: claimed so lately that they may not have
    begun (a sender that comes to it later than that gives way)."""

    requests: int
    beginning: int


class Outbox:
    """One statement each. A write that names a fence does nothing if another attempt has taken the part since."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, conversation_id: UUID) -> list[DueMessage]:
        """Replies of the conversation that are not delivered, oldest first."""
        rows = await self._database.rows(_DUE, {"conversation_id": conversation_id})
        return [DueMessage.model_validate(dict(row)) for row in rows]

    async def plan(self, message: DueMessage, parts: Sequence[PlannedPart]) -> list[Part]:
        """Fixes in which parts a reply is sent; the first plan holds."""
        values = {"message_id": message.id, "conversation_id": message.conversation_id, "channel": message.channel}
        planned = dump_json([part.model_dump() for part in parts])
        rows = await self._database.rows(_PLAN, {**values, "parts": planned})
        if not rows:
            rows = await self._database.rows(_PARTS, {"message_id": message.id})
        return [Part.model_validate(dict(row)) for row in rows]

    async def begin(self, part: Part, from_statuses: Sequence[str]) -> BegunPart:
        """Takes the part for sending, if it is as *part* says and may leave."""
        values = {"id": part.id, "fence": part.fence, "from_statuses": list(from_statuses)}
        row = await self._database.row(_BEGIN, values)
        assert row is not None
        if row["fence"] is None:
            return BegunPart(part=None, withheld=not row["may_leave"])
        return BegunPart(part=part.model_copy(update={"fence": row["fence"], "attempt": part.attempt + 1}))

    async def withhold(self, message_id: UUID) -> None:
        """What is left of the message is kept and not sent: a person has the conversation."""
        await self._database.rows(_WITHHOLD, {"message_id": message_id})

    async def under_way_after(self, conversation_id: UUID, begin_seconds: float) -> int:
        """How many requests with the bot's words are under way, once none can begin any more.

        Each that was claimed before the call has begun or given way within *begin_seconds*: so long this waits.
        """
        until = time.monotonic() + begin_seconds
        while True:
            now = await self._under_way(conversation_id, begin_seconds)
            if not now.beginning or time.monotonic() >= until:
                return now.requests
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _under_way(self, conversation_id: UUID, begin_seconds: float) -> UnderWay:
        row = await self._database.row(_UNDER_WAY, {"conversation_id": conversation_id, "begin_seconds": begin_seconds})
        return UnderWay.model_validate(dict(row or {}))

    async def sent(self, part: Part, channel_message_id: str, *, last: bool) -> None:
        """The channel took it; *last*: the message is delivered with it."""
        values = {"id": part.id, "fence": part.fence, "channel_message_id": channel_message_id, "last": last}
        await self._database.rows(_SENT, values)

    async def not_sent(self, part: Part, status: str, failure: str, error: dict[str, Any]) -> None:
        """`planned`: it surely did not go out and is tried again; `failed`: it is not; `unknown`: nobody knows."""
        values = {"id": part.id, "fence": part.fence, "status": status, "failure": failure}
        await self._database.rows(_NOT_SENT, {**values, "error": dump_json(error)})

    async def again(self, part: Part) -> Part:
        """A part that the channel took and then could not deliver is planned once more."""
        await self._database.rows(_AGAIN, {"id": part.id, "fence": part.fence})
        return part.model_copy(update={"status": "planned"})

    async def give_up(self, message_id: UUID, failure: str, error: dict[str, Any], note: str | None) -> None:
        """What is left of the message is not sent; *note* is for staff, in the conversation's record."""
        values = {"message_id": message_id, "failure": failure, "error": dump_json(error), "note": note}
        await self._database.rows(_GIVE_UP, {**values, "note_id": uuid5(message_id, "note")})

    async def done(self, message_id: UUID) -> None:
        """Nothing of the message is left to send."""
        await self._database.rows(_DONE, {"message_id": message_id})

    async def add(
        self,
        conversation_id: UUID,
        text: str,
        *,
        message_id: UUID,
        author: str,
        author_name: str | None = None,
        meta: dict[str, Any] | None = None,
        owner_version: int | None = None,
    ) -> AddedMessage:
        """A message that is no turn's reply. One with the same id that was added before stays as it is.

        *owner_version*: the owner's that the bot's words belong to; staff's own have none, and always leave.
        """
        values = {
            "id": message_id,
            "conversation_id": conversation_id,
            "author": author,
            "author_name": author_name,
            "text": text,
            "meta": dump_json(meta or {}),
            "owner_version": owner_version,
        }
        row = await self._database.row(_ADD, values)
        assert row is not None
        return AddedMessage.model_validate(dict(row))

    async def overdue(self, after_seconds: float, limit: int) -> list[Waking]:
        """Up to *limit* conversations with a reply that has been due for longer than *after_seconds*."""
        rows = await self._database.rows(_OVERDUE, {"after": after_seconds, "limit": limit})
        return [Waking.model_validate(dict(row)) for row in rows]
