"""Messages that were stored and not processed: which conversations the sweep wakes, how many `/metrics` counts.

What else the sweep does away with here: limits that nobody uses, old leftovers and alarms.
"""

from __future__ import annotations

from schemas.conversation_ref import ConversationRef
from storage.database import Database

_OVERDUE = """
SELECT id AS conversation_id, workflow_id, channel, assistant, newest_seq AS seq
  FROM conversations c, LATERAL (  -- what a release stores is newer than the customer's last message
       SELECT greatest(c.last_message_at, (SELECT m.stored_at FROM messages m
                                            WHERE m.conversation_id = c.id AND m.seq = c.newest_seq)) AS newest_at
       ) AS newest
 WHERE cursor < newest_seq AND NOT is_stopped(c)
   AND newest_at < agent_now() - make_interval(secs => :after)
 ORDER BY newest_at LIMIT :limit
"""
_FORGET = """
WITH limits AS (DELETE FROM rate_limits WHERE arrival < extract(epoch FROM agent_now()) - 86400),
     alarms AS (DELETE FROM alarms WHERE last_at < agent_now() - make_interval(secs => :leftovers_seconds))
DELETE FROM leftovers WHERE received_at < agent_now() - make_interval(secs => :leftovers_seconds)
"""


class Waiting:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def overdue(self, after_seconds: float, limit: int) -> list[ConversationRef]:
        """Up to *limit* conversations whose newest message has waited longer than *after_seconds*."""
        rows = await self._database.rows(_OVERDUE, {"after": after_seconds, "limit": limit})
        return [ConversationRef.model_validate(dict(row)) for row in rows]

    async def forget(self, leftovers_seconds: float) -> None:
        """Deletes what nobody needs any more: limits not used for a day, old leftovers of webhooks and alarms."""
        await self._database.rows(_FORGET, {"leftovers_seconds": leftovers_seconds})

    async def count(self) -> int:
        """How many messages are stored and not yet processed."""
        row = await self._database.row(
            "SELECT coalesce(sum(newest_seq - cursor), 0) AS waiting FROM conversations WHERE cursor < newest_seq"
        )
        assert row is not None
        return int(row["waiting"])
