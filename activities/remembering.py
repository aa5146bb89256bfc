"""What a conversation's workflow reads from, and writes to, the record apart from turns."""

from __future__ import annotations

from temporalio import activity

from config.settings import Settings
from integrations.temporal.conversations import limits_from
from schemas.conversations import ConversationStart, Recalled, ResetRequest, StateRequest, Stop
from storage.sessions import Sessions


class Remembering:
    """Recalls a conversation that ended by itself, and resets one."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self._sessions = sessions
        self._settings = settings

    @activity.defn
    async def recall(self, start: ConversationStart) -> Recalled:
        """What the conversation remembered when its last run ended, and the limits that hold now."""
        memory = await self._sessions.memory(start.conversation_id)
        return Recalled(memory=memory, limits=limits_from(self._settings, start.channel))

    @activity.defn
    async def stop(self, request: Stop) -> None:
        """Notes that an operator cancelled the run; safe to repeat."""
        await self._sessions.stop(request.conversation_id)

    @activity.defn
    async def set_state(self, request: StateRequest) -> None:
        """Puts the conversation into another state, with a handoff opened or released; safe to repeat."""
        assert request.conversation_id is not None
        await self._sessions.set_state(
            request.conversation_id, request.state, reason_id=request.reason_id, requested_by=request.requested_by
        )

    @activity.defn
    async def reset(self, request: ResetRequest) -> None:
        """Gives the conversation back to the bot, with a new thread if asked; safe to repeat."""
        assert request.conversation_id is not None
        await self._sessions.reset(
            request.conversation_id, new_thread=request.new_thread, requested_by=request.requested_by
        )
