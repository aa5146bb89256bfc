"""Shows an answer while it is being written: coalesces the model's text into stream events.

The model's reader is never held up: it only leaves the newest text here, and one task writes what is new since the
last event. A database that is unavailable costs the customer the live view, not the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from config.logs import get_logger
from storage.database import StorageUnavailable
from storage.streams import EVENTS_PER_ATTEMPT, StreamEvent, StreamEvents
from storage.turns import ClaimedTurn

log = get_logger(__name__)


class Publisher:
    """Publishes one attempt's text. Use `publishing(…)`, which also writes what is left at the end."""

    def __init__(self, events: StreamEvents, turn: ClaimedTurn, flush_seconds: float) -> None:
        self._events = events
        self._turn = turn
        self._flush_seconds = flush_seconds
        self._next = turn.attempt * EVENTS_PER_ATTEMPT
        self._newest = ""
        self._shown = ""
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    def show(self, text: str) -> None:
        """The whole text so far."""
        self._newest = text
        self._changed.set()

    def end(self, text: str) -> None:
        """All that is to be shown at last. Where only citations were renumbered, `done` brings it: no need to reset."""
        if not text or text.startswith(self._newest):
            self.show(text)

    async def begin(self) -> None:
        """Takes back what an earlier attempt may have shown."""
        if self._turn.times_asked or self._turn.step:
            await self._add("reset")

    async def pump(self) -> None:
        """Writes events until it is finished: the first at once, then at most one each *flush_seconds*."""
        while not self._ended.is_set():
            await self._changed.wait()
            self._changed.clear()
            await self._flush()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._flush_seconds)
        await self._flush()

    def finish(self) -> None:
        """Has `pump` write what is left and end. It is not cancelled: an event under way would be written again."""
        self._ended.set()
        self._changed.set()

    async def _flush(self) -> None:
        """Writes what is new: an appended chunk, or a reset and everything if the text was replaced."""
        text, shown = self._newest, self._shown
        if text == shown:
            return
        if not text.startswith(shown):
            await self._add("reset")
            shown = ""
        await self._add("chunk", text[len(shown) :])
        self._shown = text

    async def _add(self, kind: Literal["chunk", "reset"], text: str = "") -> None:
        event = StreamEvent(n=self._next, kind=kind, text=text)
        self._next += 1
        try:
            turn = self._turn
            await self._events.add(
                turn.conversation_id, turn.first_seq, turn.last_claimed_seq, event, owner_version=turn.owner_version
            )
        except StorageUnavailable as trouble:
            log.warning("stream_event_lost", why=str(trouble))


@asynccontextmanager
async def publishing(events: StreamEvents, turn: ClaimedTurn, flush_seconds: float) -> AsyncIterator[Publisher]:
    """A publisher at work; what it was shown last is written when the block ends well."""
    publisher = Publisher(events, turn, flush_seconds)
    await publisher.begin()
    pump = asyncio.create_task(publisher.pump())
    try:
        yield publisher
    except BaseException:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        raise
    publisher.finish()
    await pump
