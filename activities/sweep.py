"""The sweep: wakes what was stored and never woken. The signal is the fast path; this is the guarantee."""

from __future__ import annotations

import asyncio
import contextlib

from temporalio import activity

from activities.expiry import Expiry
from activities.files import FileActivities
from activities.heartbeat import beating
from config import metrics
from config.logs import get_logger
from config.settings import Settings
from integrations.temporal.conversations import Conversations
from schemas.sweeps import SweepResult
from storage.ledger import Abandoned, Ledger
from storage.streams import StreamEvents
from storage.waiting import Waiting

log = get_logger(__name__)

_BEAT_SECONDS = 5.0
_FETCH_SECONDS = 120.0
"""A sweep is over well before it is taken for dead (workflows/sweep.py)."""


class SweepActivities:
    """Looks for overdue conversations and wakes each."""

    def __init__(
        self,
        waiting: Waiting,
        ledger: Ledger,
        files: FileActivities,
        events: StreamEvents,
        conversations: Conversations,
        expiry: Expiry,
        settings: Settings,
    ) -> None:
        self._waiting = waiting
        self._ledger = ledger
        self._files = files
        self._events = events
        self._conversations = conversations
        self._expiry = expiry
        self._settings = settings

    @activity.defn
    async def sweep(self) -> SweepResult:
        """Wakes every conversation with a message, or a reply to send, that has waited for SWEEP_AFTER_SECONDS."""
        overdue = await self._waiting.overdue(self._settings.sweep_after_seconds, self._settings.sweep_batch)
        for conversation in overdue:
            await self._conversations.signal_message_stored(conversation)
            activity.heartbeat()
        abandoned = await self._ledger.abandoned(
            self._settings.sweep_after_seconds, self._settings.action_timeout_seconds, self._settings.sweep_batch
        )
        for each in abandoned:
            await self._carry_on(each)
            activity.heartbeat()
        if woken := len(overdue) + len(abandoned):
            metrics.SWEPT.inc(woken)
            log.warning("swept", conversations=len(overdue), abandoned=len(abandoned))
        await self._expire_questions()
        await self._events.forget(self._settings.stream_events_keep_seconds)
        await self._waiting.forget(self._settings.leftovers_keep_seconds)
        await self._fetch_files()
        return SweepResult(woken=woken)

    async def _carry_on(self, abandoned: Abandoned) -> None:
        """Replies are sent, an approved action is done; of anything else it is said what is known."""
        if abandoned.key is None:
            await self._conversations.signal_delivery_due(abandoned)
        elif abandoned.decision is not None:
            await self._conversations.resume_approval(abandoned, abandoned.decision)
        elif ended := await self._ledger.give_up(abandoned.key):
            metrics.ACTIONS.labels(ended.kind.removeprefix("action:"), ended.status).inc()
            log.error("effect_abandoned", effect_key=abandoned.key, kind=ended.kind, status=ended.status)

    async def _expire_questions(self) -> None:
        """Those of conversations whose workflow did not see to it."""
        async for conversation, needs_delivery in self._expiry.expire():
            if needs_delivery:
                await self._conversations.signal_delivery_due(conversation)
            activity.heartbeat()

    async def _fetch_files(self) -> None:
        """Files that the conversation's own `fetch` could not get."""
        async with beating(activity.heartbeat, _BEAT_SECONDS):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FETCH_SECONDS):
                    while await self._files.fetch_due(after_seconds=self._settings.sweep_after_seconds):
                        pass
