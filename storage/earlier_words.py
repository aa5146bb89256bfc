"""Earlier words that a prompt quotes: the conversation so far, a merged one's, an output that could not be used."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from schemas.turns import OutputError
from storage.database import Database
from storage.merges import UNTOLD, WITH_MERGED
from storage.turns import ClaimedTurn, TurnRow

_NEWEST = "stored_at DESC, direction DESC, seq DESC NULLS LAST, id DESC"
"""SQL: the newest first; of one moment a reply is newer than what the customer wrote, and that goes by its number."""

_RECAP = f"""
SELECT direction, author, text FROM messages
 WHERE conversation_id IN {WITH_MERGED} AND text <> ''
   AND (direction = 'out' AND delivery IS DISTINCT FROM 'withheld'
        OR direction = 'in' AND (seq < :before_seq OR conversation_id <> :conversation_id))
 ORDER BY {_NEWEST} LIMIT :limit
"""

_MERGED_RECAP = f"""
WITH merged AS (
    SELECT c.id FROM conversations c JOIN conversations mine ON mine.id = c.merged_into
     WHERE mine.id = :conversation_id AND c.merged_at <= :until
       AND {UNTOLD.format(into="mine")}
)
SELECT direction, author, text FROM messages m
 WHERE text <> '' AND direction IN ('in', 'out') AND delivery IS DISTINCT FROM 'withheld'
   AND (conversation_id IN (SELECT id FROM merged) OR conversation_id = :conversation_id AND turn_id IN (
        SELECT t.id FROM turns t WHERE t.conversation_id IN (SELECT id FROM merged)))
 ORDER BY {_NEWEST} LIMIT :limit
"""

_LAST_INVALID = """
SELECT text, errors FROM raw_outputs WHERE turn_id = :turn_id AND verdict = 'invalid' AND used
 ORDER BY created_at DESC, attempt DESC, id LIMIT 1
"""


class InvalidOutput(BaseModel):
    """What was wrong with a raw output."""

    text: str = ""
    errors: list[OutputError] = Field(default_factory=list)


class RecapLine(BaseModel):
    """One message of the conversation so far."""

    direction: str
    author: str
    text: str


class EarlierWords:
    """Words that are stored already, for a prompt to quote."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recap(self, turn: TurnRow, limit: int) -> list[RecapLine]:
        """Up to *limit* messages before the turn, oldest first: what a new thread must be told."""
        values = {"conversation_id": turn.conversation_id, "before_seq": turn.first_seq, "limit": limit}
        rows = await self._database.rows(_RECAP, values)
        return [RecapLine.model_validate(dict(row)) for row in reversed(rows)]

    async def merged_recap(self, turn: ClaimedTurn, limit: int) -> list[RecapLine]:
        """Up to *limit* messages, oldest first, of conversations merged into the turn's, of which its thread knows
        nothing (`untold_merges`)."""
        values = {"conversation_id": turn.conversation_id, "until": turn.untold_merges, "limit": limit}
        rows = await self._database.rows(_MERGED_RECAP, values)
        return [RecapLine.model_validate(dict(row)) for row in reversed(rows)]

    async def last_invalid(self, turn_id: UUID) -> InvalidOutput:
        """The output that a repair is to quote."""
        row = await self._database.row(_LAST_INVALID, {"turn_id": turn_id})
        return InvalidOutput() if row is None else InvalidOutput.model_validate(dict(row))
