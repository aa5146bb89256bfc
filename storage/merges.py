"""Conversations of customers who turned out to be one: what is done stays in the merged ones, what is open has moved.

The merge itself is part of storing a message (`storage/sql/merges.sql`).
"""

from __future__ import annotations

from uuid import UUID

from schemas.conversation_ref import ConversationRef
from storage.database import Database

WITH_MERGED = "(SELECT id FROM conversations WHERE id = :conversation_id OR merged_into = :conversation_id)"
"""SQL: the conversation and those that were merged into it."""

UNTOLD = """c.merged_at > coalesce({into}.merges_told_at, '-infinity') AND NOT EXISTS (
               SELECT 1 FROM threads u JOIN turns t ON t.frontend_context_uuid = u.frontend_context_uuid
                WHERE u.conversation_id = {into}.id AND u.ended_at IS NULL AND t.conversation_id = c.id)"""
"""SQL: of conversation *c*, merged into *into*: that one's thread is to be told of it, and is not its own."""

_HAND_OVER = "SELECT * FROM move_open_work(:conversation_id)"


class Successor(ConversationRef):
    """The conversation that goes on, its newest message, and what it owes."""

    is_waiting: bool
    """A message waits for its answer."""
    needs_delivery: bool
    """A reply waits to be sent over the channel."""


class Merges:
    """Reads and completes merges."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hand_over(self, conversation_id: UUID) -> Successor | None:
        """Moves what came late to a merged conversation to the one that goes on; None if it is not merged.

        Safe to repeat. A turn with an effect under way stays with its messages until it has ended.
        """
        row = await self._database.row(_HAND_OVER, {"conversation_id": conversation_id})
        return None if row is None else Successor.model_validate(dict(row))
