"""What channels report: statuses of what we sent, and what cannot be read at all."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.conversation_ref import ConversationRef
from schemas.deliveries import Leftover, StatusReport
from schemas.encoding import dump_json
from storage.database import Database

_STATUSES = "SELECT * FROM record_statuses(:channel, CAST(:statuses AS jsonb))"

_LEFTOVERS = """
INSERT INTO leftovers (channel, account, why, raw)
SELECT :channel, account, why, raw FROM jsonb_to_recordset(CAST(:leftovers AS jsonb))
    AS l(account text, why text, raw jsonb)
"""


class DeliveryReports:
    """Writes what webhooks report. All may be repeated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, channel: str, statuses: Sequence[StatusReport]) -> list[ConversationRef]:
        """Moves deliveries forward; returns the conversations in which one failed by these reports."""
        ordered = dump_json([status.model_dump() for status in statuses])
        rows = await self._database.rows(_STATUSES, {"channel": channel, "statuses": ordered})
        return [ConversationRef.model_validate(dict(row)) for row in rows]

    async def keep_leftovers(self, channel: str, leftovers: Sequence[Leftover]) -> None:
        kept = dump_json([leftover.model_dump() for leftover in leftovers])
        await self._database.rows(_LEFTOVERS, {"channel": channel, "leftovers": kept})
