"""The words of an answer while it is being written: events that an API process reads and may read again.

Events are numbered so that a later attempt's numbers are always higher; a reader only ever asks for what is above
the last one it saw, so late events of an older attempt are never shown. NOTIFY only says that there is something.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from storage.database import Database

CHANNEL = "stream_events"
EVENTS_PER_ATTEMPT = 1_000_000

_ADD = f"""
WITH added AS (
    INSERT INTO stream_events (conversation_id, first_seq, last_seq, n, kind, text)
    SELECT id, :first_seq, :last_seq, :n, :kind, :text FROM conversations
     WHERE id = :conversation_id AND owner_version = :owner_version ON CONFLICT DO NOTHING RETURNING n
)
SELECT pg_notify('{CHANNEL}', CAST(:conversation_id AS text)) FROM added
"""

_AFTER = """
SELECT e.n, e.kind, e.text FROM stream_events e
  JOIN turns t ON t.conversation_id = e.conversation_id AND t.first_seq = e.first_seq
  JOIN conversations c ON c.id = e.conversation_id
 WHERE e.conversation_id = :conversation_id AND e.first_seq <= :seq AND e.last_seq >= :seq AND e.n > :n
   AND CASE WHEN t.finished_at IS NULL THEN t.owner_version = c.owner_version
            ELSE t.status NOT IN ('held', 'withheld') END
 ORDER BY e.n LIMIT 1000
"""
"""What was written of an answer that nobody is to read any more is shown to no further reader."""


class StreamEvent(BaseModel):
    """`chunk`: append `text` to what is shown. `reset`: drop what was shown."""

    n: int
    kind: Literal["chunk", "reset"]
    text: str = ""


class StreamEvents:
    """Events of turns under way, for those customers who asked to see the answer as it is written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, conversation_id: UUID, first_seq: int, last_seq: int, event: StreamEvent, *, owner_version: int
    ) -> None:
        """Shows no more once the conversation has another owner than the turn knows."""
        place = {"conversation_id": conversation_id, "first_seq": first_seq, "last_seq": last_seq}
        place["owner_version"] = owner_version
        await self._database.rows(_ADD, {**place, **event.model_dump()})

    async def after(self, conversation_id: UUID, seq: int, n: int) -> list[StreamEvent]:
        """Events above number *n* of the turn that answers message *seq*, in order."""
        rows = await self._database.rows(_AFTER, {"conversation_id": conversation_id, "seq": seq, "n": n})
        return [StreamEvent.model_validate(dict(row)) for row in rows]

    async def forget(self, keep_seconds: float) -> None:
        await self._database.rows(
            "DELETE FROM stream_events WHERE created_at < agent_now() - make_interval(secs => :keep)",
            {"keep": keep_seconds},
        )
