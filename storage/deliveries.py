"""Parts of replies as people see them, and a human's wish to send one again that failed or of which nobody knows."""

from __future__ import annotations

from uuid import UUID

from schemas.cursors import Cursor, place_values
from schemas.deliveries import Delivery, DeliveryState, Resent
from storage.database import Database

_COLUMNS = """d.id, d.conversation_id, d.message_id, d.part, d.kind, d.text, d.status, d.attempt, d.failure,
              d.error ->> 'explanation' AS error, d.channel_message_id, d.created_at, d.settled_at"""

_LIST = f"""
SELECT {_COLUMNS} FROM deliveries d
 WHERE (CAST(:status AS text) IS NULL OR d.status = :status)
   AND (CAST(:at AS timestamptz) IS NULL OR (d.created_at, d.id) < (:at, CAST(:id AS uuid)))
 ORDER BY d.created_at DESC, d.id DESC LIMIT :limit
"""

_GET = f"SELECT {_COLUMNS} FROM deliveries d WHERE d.id = :id"

_RESEND = """
WITH resent AS (
    UPDATE effects e SET status = 'planned', fence = e.fence + 1, failure = NULL, error = NULL, not_before = NULL,
           result = noted_copy(e, e.external_id), external_id = NULL, settled_at = NULL, settled_by = :asked_by
      FROM messages m
     WHERE e.id = :id AND e.kind = 'part' AND e.status IN ('failed', 'unknown') AND e.request ? 'text'
       AND e.failure IS DISTINCT FROM 'withheld' AND m.id = e.message_id AND m.delivery IS DISTINCT FROM 'due'
       AND NOT is_over(m)
    RETURNING e.id, e.message_id, e.conversation_id
), due AS (
    UPDATE messages SET delivery = 'due' WHERE id IN (SELECT message_id FROM resent)
), noted AS (
    INSERT INTO audit (actor, deed, subject) SELECT :asked_by, 'delivery.resent', 'delivery/' || id FROM resent
)
SELECT c.id AS conversation_id, c.workflow_id, c.channel, c.assistant, 0 AS seq
  FROM resent JOIN conversations c ON c.id = resent.conversation_id
"""


class NotResendable(Exception):
    """It is on its way, has arrived, is withheld or over, or its words are erased; `delivery` says what is known."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(f"the delivery is {delivery.status}")
        self.delivery = delivery


class Deliveries:
    """Reads the parts; one that was given up can be sent again by hand."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(
        self, limit: int, status: DeliveryState | None = None, before: Cursor | None = None
    ) -> list[Delivery]:
        """Up to *limit* parts planned before *before*, newest first."""
        rows = await self._database.rows(_LIST, {"status": status, "limit": limit, **place_values(before)})
        return [Delivery.model_validate(dict(row)) for row in rows]

    async def resend(self, delivery_id: UUID, *, asked_by: str) -> Resent | None:
        """The part is due once more, with what it takes to wake its conversation; None if there is none.

        Raises NotResendable. The window and the channel's answer decide as ever what becomes of it.
        """
        woken = await self._database.row(_RESEND, {"id": delivery_id, "asked_by": asked_by})
        row = await self._database.row(_GET, {"id": delivery_id})
        if row is None:
            return None
        delivery = Delivery.model_validate(dict(row))
        if woken is None:
            raise NotResendable(delivery)
        return Resent.model_validate({"delivery": delivery, "ref": dict(woken)})
