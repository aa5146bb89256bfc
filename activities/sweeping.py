"""The sweep: wakes what was stored and never woken. The signal is the fast path; this is the guarantee."""

from __future__ import annotations

import asyncio
import contextlib

from temporalio import activity

from activities.asking import beating
from activities.bots import Bots
from activities.fetching import Fetching
from config import metrics
from config.logs import get_logger
from config.settings import Settings
from integrations.temporal.conversations import Conversations
from schemas.sweeps import SweepResult
from storage.outbox import Outbox
from storage.questions import Questions
from storage.streams import StreamEvents
from storage.waiting import Waiting

log = get_logger(__name__)

_BEAT_SECONDS = 5.0
_FETCH_SECONDS = 120.0
"""A sweep is over well before it is taken for dead (workflows/sweep.py)."""


class Sweeping:
    """Looks for overdue conversations and wakes each."""

    def __init__(
        self,
        waiting: Waiting,
        outbox: Outbox,
        fetching: Fetching,
        events: StreamEvents,
        conversations: Conversations,
        questions: Questions,
        bots: Bots,
        settings: Settings,
    ) -> None:
        self._waiting = waiting
        self._outbox = outbox
        self._fetching = fetching
        self._events = events
        self._conversations = conversations
        self._questions = questions
        self._bots = bots
        self._settings = settings

    @activity.defn
    async def sweep(self) -> SweepResult:
        """Wakes every conversation with a message, or a reply to send, that has waited for SWEEP_AFTER_SECONDS."""
        overdue = await self._waiting.overdue(self._settings.sweep_after_seconds, self._settings.sweep_batch)
        for conversation in overdue:
            await self._conversations.wake(conversation)
            activity.heartbeat()
        unsent = await self._outbox.overdue(self._settings.sweep_after_seconds, self._settings.sweep_batch)
        for conversation in unsent:
            await self._conversations.deliver(conversation)
            activity.heartbeat()
        if woken := len(overdue) + len(unsent):
            metrics.SWEPT.inc(woken)
            log.warning("swept", conversations=len(overdue), unsent=len(unsent))
        await self._expire_approvals()
        await self._events.forget(self._settings.stream_events_keep_seconds)
        await self._waiting.forget(self._settings.leftovers_keep_seconds)
        await self._fetch_files()
        return SweepResult(woken=woken)

    async def _expire_approvals(self) -> None:
        """Customers were promised a word; staff see what they let pass."""
        for approval in await self._questions.expired_approvals(self._settings.sweep_batch):
            bot = await self._bots.at(approval.assistant, approval.assistant_version)
            note = f"Nobody approved {approval.name} in time; the customer was told."
            if await self._questions.expire(approval.action_id, words=bot.texts.expired, note=note):
                await self._conversations.deliver(approval)
            log.warning("approval_expired", conversation_id=str(approval.conversation_id), action=approval.name)
            activity.heartbeat()

    async def _fetch_files(self) -> None:
        """Files that no turn had the time to fetch."""
        async with beating(activity.heartbeat, _BEAT_SECONDS):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FETCH_SECONDS):
                    while await self._fetching.fetch_due(after_seconds=self._settings.sweep_after_seconds):
                        pass
