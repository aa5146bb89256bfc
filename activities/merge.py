"""The end of a conversation whose customer turned out to be another one: what is left goes on in that one's."""

from __future__ import annotations

from temporalio import activity

from integrations.temporal.conversations import Conversations
from schemas.conversations import HandOver
from storage.merges import Merges


class MergeActivities:
    """Hands over what came to a merged conversation after the merge, and wakes the one that goes on."""

    def __init__(self, merges: Merges, conversations: Conversations) -> None:
        self._merges = merges
        self._conversations = conversations

    @activity.defn
    async def hand_over(self, request: HandOver) -> None:
        """Safe to repeat. Raises TemporalUnavailable, and is tried again."""
        successor = await self._merges.hand_over(request.conversation_id)
        if successor is None:
            return
        await self._conversations.signal_standing_changed(successor)
        if successor.is_waiting or successor.files:
            await self._conversations.signal_message_stored(successor)
        if successor.needs_delivery:
            await self._conversations.signal_delivery_due(successor)
