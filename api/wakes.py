"""Wake-ups after a webhook's answer: quick, best effort, bounded. What is missed here, the sweep makes good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from config import metrics
from config.logs import get_logger
from integrations.temporal.conversations import Conversations, TemporalUnavailable
from schemas.waking import Waking

log = get_logger(__name__)

_AT_THE_END_SECONDS = 1.0


class Wakes:
    """The channel must not wait for Temporal: a message is safe once it is stored."""

    def __init__(self, conversations: Conversations, at_once: int) -> None:
        self._conversations = conversations
        self._gate = asyncio.Semaphore(at_once)
        self._tasks: set[asyncio.Task[None]] = set()

    def message_stored(self, wakings: Iterable[Waking]) -> None:
        """One wake-up for each conversation, with the newest of its numbers."""
        newest: dict[str, Waking] = {}
        for waking in wakings:
            known = newest.get(waking.workflow_id, waking)
            both = {"seq": max(waking.seq, known.seq), "files": waking.files or known.files}
            newest[waking.workflow_id] = waking.model_copy(update=both)
        for waking in newest.values():
            self._start(self._conversations.wake, waking)

    def delivery_due(self, wakings: Iterable[Waking]) -> None:
        for waking in {waking.workflow_id: waking for waking in wakings}.values():
            self._start(self._conversations.deliver, waking)

    def standing_changed(self, waking: Waking) -> None:
        """What the conversation's workflow remembers is old; the database has changed already."""
        self._start(self._conversations.tell_standing, waking)

    def merged(self, wakings: Iterable[Waking]) -> None:
        """Conversations that ended: each hands over what is left to the one that goes on."""
        for waking in wakings:
            self._start(self._conversations.end_merged, waking)

    async def close(self) -> None:
        """Lets what is under way come to its end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_AT_THE_END_SECONDS)

    def _start(self, call: Callable[[Waking], Awaitable[None]], waking: Waking) -> None:
        task = asyncio.create_task(self._call(call, waking))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, call: Callable[[Waking], Awaitable[None]], waking: Waking) -> None:
        async with self._gate:
            try:
                await call(waking)
            except TemporalUnavailable as trouble:
                metrics.WAKES_FAILED.inc()
                log.warning("left_to_the_sweep", workflow_id=waking.workflow_id, why=str(trouble))
