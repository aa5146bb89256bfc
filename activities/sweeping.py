"""The sweep: wakes what was stored and never woken. The signal is the fast path; this is the guarantee."""

from __future__ import annotations

from temporalio import activity

from config import metrics
from config.logs import get_logger
from config.settings import Settings
from integrations.temporal.conversations import Conversations
from schemas.sweeps import SweepResult
from storage.streams import StreamEvents
from storage.waiting import Waiting

log = get_logger(__name__)


class Sweeping:
    """Looks for overdue conversations and wakes each."""

    def __init__(
        self, waiting: Waiting, events: StreamEvents, conversations: Conversations, settings: Settings
    ) -> None:
        self._waiting = waiting
        self._events = events
        self._conversations = conversations
        self._settings = settings

    @activity.defn
    async def sweep(self) -> SweepResult:
        """Wakes every conversation whose newest message has waited for more than SWEEP_AFTER_SECONDS."""
        overdue = await self._waiting.overdue(self._settings.sweep_after_seconds, self._settings.sweep_batch)
        for conversation in overdue:
            await self._conversations.wake(conversation)
            activity.heartbeat()
        if overdue:
            metrics.SWEPT.inc(len(overdue))
            log.warning("swept", conversations=len(overdue))
        await self._events.forget(self._settings.stream_events_keep_seconds)
        return SweepResult(woken=len(overdue))
