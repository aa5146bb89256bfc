"""What a conversation's workflow reads from, and writes to, the record apart from turns."""

from __future__ import annotations

from temporalio import activity

from schemas.conversations import ConversationStart, Memory, ResetRequest, StateRequest
from storage.sessions import Sessions


class Remembering:
    """Recalls a conversation that ended by itself, and resets one."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def recall(self, start: ConversationStart) -> Memory:
        """What the conversation remembered when its last run ended."""
        return await self._sessions.memory(start.conversation_id)

    @activity.defn
    async def set_state(self, request: StateRequest) -> None:
        """Puts the conversation into another state, with a handoff opened or released; safe to repeat."""
        assert request.conversation_id is not None
        await self._sessions.set_state(
            request.conversation_id, request.state, reason=request.reason, requested_by=request.requested_by
        )

    @activity.defn
    async def reset(self, request: ResetRequest) -> None:
        """Gives the conversation back to the bot, with a new thread if asked; safe to repeat."""
        assert request.conversation_id is not None
        await self._sessions.reset(
            request.conversation_id, new_thread=request.new_thread, requested_by=request.requested_by
        )
