"""What a conversation's workflow reads from, and writes to, the record apart from turns."""

from __future__ import annotations

from temporalio import activity

from config.settings import Settings
from integrations.temporal.conversations import limits_from
from schemas.conversations import ConversationStart, Recalled, ResetRequest, StateRequest, Stop
from schemas.standing import Standing
from schemas.transitions import Event
from schemas.turns import State
from storage.sessions import Sessions
from storage.standings import Standings


class Remembering:
    """Recalls a conversation that ended by itself, and resets one."""

    def __init__(self, sessions: Sessions, standings: Standings, settings: Settings) -> None:
        self._sessions = sessions
        self._standings = standings
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
    async def set_state(self, request: StateRequest) -> Standing:
        """Changes who has the conversation, by the statement that the API runs too; safe to repeat."""
        assert request.conversation_id is not None
        await self._standings.change(request.conversation_id, _EVENTS[request.state], who=request.requested_by)
        return await self._standings.of(request.conversation_id)

    @activity.defn
    async def reset(self, request: ResetRequest) -> Standing:
        """Gives the conversation back to the bot, with a new thread if asked; safe to repeat."""
        assert request.conversation_id is not None
        who = request.requested_by
        await self._standings.reset(request.conversation_id, new_thread=request.new_thread, who=who)
        return await self._standings.of(request.conversation_id)


_EVENTS = {State.HUMAN_HANDOFF: Event.TAKEN, State.BOT: Event.RELEASED, State.CLOSED: Event.CLOSED}
