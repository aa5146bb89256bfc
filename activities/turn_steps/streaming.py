"""Shows an answer while it is being written: coalesces the model's text into stream events.

The model's reader is never held up: it only leaves the newest text here, and one task writes what is new since the
last event. A text that was replaced is begun anew (`reset`); one whose citations alone were renumbered goes on as it is
while it is written (upstream renumbers them in its last message), and is begun anew once, at its end: what a reader has
appended by `done` is the reply. A database that is unavailable costs the customer the live view, not the answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from config.logs import get_logger
from storage.database import StorageUnavailable
from storage.streams import EVENTS_PER_ATTEMPT, StreamEvent, StreamEvents
from storage.turns import ClaimedTurn

log = get_logger(__name__)

_CITATION = re.compile(r"\[\d{1,3}\]")
_BROKEN_OFF = re.compile(r"\[\d{0,3}\Z")


def continuation(shown: str, text: str) -> str | None:
    """What *text* says after *shown*, whose citations may have other numbers; None if it is another text."""
    if text.startswith(shown):
        return text[len(shown) :]
    whole = _BROKEN_OFF.sub("", shown)
    words = _CITATION.split(whole)
    cited = list(_CITATION.finditer(text))
    if len(words) - 1 > len(cited):
        return None
    begin = cited[len(words) - 2].end() if len(words) > 1 else 0
    if _CITATION.split(text[:begin])[:-1] != words[:-1] or not text.startswith(words[-1], begin):
        return None
    return _after_citation(shown[len(whole) :], text[begin + len(words[-1]) :])


def _after_citation(broken_off: str, rest: str) -> str | None:
    """*rest* without what was shown of the citation that it begins with: nothing, `[`, or `[` and a number."""
    if not broken_off:
        return rest
    cited = _CITATION.match(rest)
    if cited is None:
        return None
    return rest[1:] if broken_off == "[" else f"]{rest[cited.end() :]}"


class Publisher:
    """Publishes one attempt's text. Use `publishing(…)`, which also writes what is left at the end."""

    def __init__(self, events: StreamEvents, turn: ClaimedTurn, flush_seconds: float) -> None:
        self._events = events
        self._turn = turn
        self._flush_seconds = flush_seconds
        self._next = turn.attempt * EVENTS_PER_ATTEMPT
        self._newest = ""
        self._shown = ""
        self._appended = ""
        """What a reader has by now, who appends each chunk."""
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    def show(self, text: str) -> None:
        """The whole text so far."""
        self._newest = text
        self._changed.set()

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
        if self._appended != self._newest:
            await self._begin_anew(self._newest)

    def finish(self) -> None:
        """Has `pump` write what is left and end. It is not cancelled: an event under way would be written again."""
        self._ended.set()
        self._changed.set()

    async def _flush(self) -> None:
        """Writes what is new: an appended chunk, or a reset and everything if the text was replaced."""
        text, shown = self._newest, self._shown
        if text == shown:
            return
        added = continuation(shown, text)
        if added is None:
            await self._begin_anew(text)
        elif added:
            await self._add("chunk", added)
            self._appended += added
        self._shown = text

    async def _begin_anew(self, text: str) -> None:
        await self._add("reset")
        if text:
            await self._add("chunk", text)
        self._shown = self._appended = text

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
