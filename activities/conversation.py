"""What a conversation's workflow reads from, and writes to, the database apart from turns."""

from __future__ import annotations

from uuid import UUID

from temporalio import activity

from activities.expiry import Expiry
from config.settings import Settings
from integrations.temporal.conversations import limits_from
from schemas.conversations import (
    ConversationStart,
    Expire,
    LoadedState,
    ResetRequest,
    SessionChanged,
    StateRequest,
    Stop,
)
from schemas.transitions import Event
from schemas.turns import State
from storage.actions import OPERATOR
from storage.sessions import Sessions
from storage.standings import Changed, Standings


class ConversationActivities:
    """Reads a conversation for a run, and changes it. Each is safe to repeat."""

    def __init__(self, sessions: Sessions, standings: Standings, expiry: Expiry, settings: Settings) -> None:
        self._sessions = sessions
        self._standings = standings
        self._expiry = expiry
        self._settings = settings

    @activity.defn
    async def load_state(self, start: ConversationStart) -> LoadedState:
        """All that a run must know, and the limits that hold now."""
        workflow_state = await self._sessions.workflow_state(start.conversation_id)
        return LoadedState(workflow_state=workflow_state, limits=limits_from(self._settings, start.channel))

    @activity.defn
    async def expire(self, request: Expire) -> SessionChanged:
        """Ends the questions and approvals whose time is over, and tells."""
        async for _ in self._expiry.expire(request.conversation_id):
            pass
        return await self._session(request.conversation_id)

    @activity.defn
    async def stop(self, request: Stop) -> None:
        """Notes that an operator cancelled the run, and releases what it had under way."""
        await self._sessions.stop(request.conversation_id)

    @activity.defn
    async def set_state(self, request: StateRequest) -> SessionChanged:
        """Changes who has the conversation, by the statement that the API runs too."""
        assert request.conversation_id is not None
        changed = await self._standings.change(request.conversation_id, _EVENTS[request.state], who=OPERATOR)
        return await self._session(request.conversation_id, changed)

    @activity.defn
    async def reset(self, request: ResetRequest) -> SessionChanged:
        """Gives the conversation back to the bot, with a new thread if asked."""
        assert request.conversation_id is not None
        changed = await self._standings.reset(request.conversation_id, new_thread=request.new_thread, who=OPERATOR)
        return await self._session(request.conversation_id, changed)

    async def _session(self, conversation_id: UUID, changed: Changed | None = None) -> SessionChanged:
        standing = await self._standings.of(conversation_id)
        return SessionChanged(
            state=standing.state,
            standing=standing,
            needs_delivery=standing.deliveries > 0,
            waiting_seq=changed.waiting_seq if changed else None,
        )


_EVENTS = {State.HUMAN_HANDOFF: Event.TAKEN, State.BOT: Event.RELEASED, State.CLOSED: Event.CLOSED}
