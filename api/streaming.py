"""Follows one answer while it is written: `accepted`, stream events from PostgreSQL, then `done` or `error`.

Each reader asks for what is above the last event it has, so slow ones hold nobody up, and one that comes back with
`Last-Event-ID` goes on where it was.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from fastapi.sse import ServerSentEvent

from api.problems import ProblemError, Taken, problem, unavailable
from api.services import Services
from config.logs import get_logger
from integrations.temporal.conversations import StillWaiting, TemporalUnavailable
from schemas.messages import StoredMessage
from schemas.turn_record import TurnStatus
from schemas.turns import Turn, Verdict
from storage.database import StorageUnavailable
from storage.streams import StreamEvent
from storage.turn_views import Answer

log = get_logger(__name__)

_ID = re.compile(r"([0-9a-f]{12})-([0-9a-f]{32})-(\d{1,18})-(\d{1,18})(?:\.(?:accepted|done|error))?")


@dataclass(frozen=True)
class _Place:
    """Under which number of which conversation an answer is written: its message may be held, or move by a merge, to
    one where it has the same number, maybe."""

    conversation_id: UUID
    seq: int


@dataclass(frozen=True)
class Shown:
    """How much a reader has: up to event *n* of the answer that is written there."""

    place: _Place
    n: int = 0


@dataclass(frozen=True)
class Following:
    """A reader: which message's answer, the last event it has, and whether it has left."""

    message: StoredMessage
    last_event_id: str | None
    is_gone: Callable[[], Awaitable[bool]]

    @property
    def shown(self) -> Shown | None:
        """What the reader has; None for no event, or one of another message's answer."""
        found = _ID.fullmatch(self.last_event_id or "")
        if found is None or found[1] != self._mark:
            return None
        return Shown(_Place(UUID(found[2]), int(found[3])), int(found[4]))

    def event_id(self, shown: Shown, kind: str = "") -> str:
        """What `Last-Event-ID` brings back: the message, where it is answered, and what of that was shown by then."""
        place = shown.place
        return f"{self._mark}-{place.conversation_id.hex}-{place.seq}-{shown.n}{kind and '.'}{kind}"

    def error(self, error: ProblemError, shown: Shown) -> ServerSentEvent:
        """With `retry`, a stream's `Retry-After`, where it passes."""
        body = problem(error.status, error.detail, message_id=self.message.channel_message_id)
        retry = int(error.headers["Retry-After"]) * 1_000 if "Retry-After" in error.headers else None
        data, event_id = body.model_dump(exclude_none=True), self.event_id(shown, "error")
        return ServerSentEvent(event="error", data=data, id=event_id, retry=retry)

    @property
    def _mark(self) -> str:
        return self.message.message_id.hex[:12]


async def follow(services: Services, following: Following) -> AsyncIterator[ServerSentEvent]:
    """The events of one answer. Always ends with `done` or `error`."""
    answering = asyncio.create_task(services.answers.to(following.message))
    shown = following.shown or Shown(_Place(following.message.conversation_id, following.message.seq))
    try:
        if following.shown is None:
            accepted = {"message_id": following.message.channel_message_id}
            yield ServerSentEvent(event="accepted", data=accepted, id=following.event_id(shown, "accepted"))
        async for place, event in _written(services, following.message, shown, answering):
            shown = place
            data = {"text": event.text} if event.kind == "chunk" else {}
            yield ServerSentEvent(event=event.kind, data=data, id=following.event_id(shown))
        turn = await services.answers.given(await answering, following.is_gone)
        yield ServerSentEvent(event="done", data=turn.model_dump(mode="json"), id=following.event_id(shown, "done"))
    except (StorageUnavailable, TemporalUnavailable, StillWaiting) as error:
        yield following.error(unavailable(error, Taken.KEPT), shown)
    except Exception as error:
        log.error("stream_failed", exc_info=error)
        told = ProblemError(500, "That should not have happened. Please report it with the request_id.")
        yield following.error(told, shown)
    finally:
        answering.cancel()  # this reader's wait only: the turn, and other readers' waits, go on


async def _written(
    services: Services, message: StoredMessage, shown: Shown, answering: asyncio.Task[Answer]
) -> AsyncIterator[tuple[Shown, StreamEvent]]:
    """Chunks and resets until the answer is there and all of them were read. What was *shown* and is none of it, of
    another turn or of words that were not given, is taken back.

    While the database is unavailable there are none: the wait for the answer says when it is too long. An answer that
    could still be read is whole in itself, so what was not shown of it by then is left out.
    """
    place = None
    with services.notifications.watch(message.conversation_id) as changed:
        while True:
            ended = answering.done()
            answer = _answer_of(answering) if ended else None
            changed.clear()
            try:
                place = _place_of(answer) if answer else place or await _taken_up(services, message)
                seen = shown.n if place == shown.place else 0
                events = await services.events.after(place.conversation_id, place.seq, seen)
            except StorageUnavailable as error:
                log.warning("stream_not_read", why=str(error))
                events = []
            if place is not None and place != shown.place:
                if shown.n:
                    events = [StreamEvent(n=0, kind="reset"), *events]
                shown = Shown(place)
            if answer and not _is_as_written(answer.turn):
                events = [*events, *_taken_back(events, shown)]
            for event in events:
                shown = replace(shown, n=event.n)
                yield shown, event
            if ended:
                return
            await _either(changed, answering, services.settings.stream_look_seconds)


async def _taken_up(services: Services, message: StoredMessage) -> _Place:
    """Where the message is answered: one that was held, with another, maybe."""
    taken_up = await services.turns.taken_up(message.conversation_id, message.seq) if message.turn_id else None
    return _Place(message.conversation_id, taken_up or message.seq)


def _answer_of(ended: asyncio.Task[Answer]) -> Answer | None:
    return None if ended.cancelled() or ended.exception() else ended.result()


def _place_of(answer: Answer) -> _Place:
    return _Place(answer.turn.conversation_id, answer.answered_seq)


def _is_as_written(turn: Turn) -> bool:
    """The reply is what the model wrote, and not an apology, say, in the place of it."""
    return turn.reply is not None and turn.status is TurnStatus.ANSWERED and turn.verdict is Verdict.TEXT


def _taken_back(events: Sequence[StreamEvent], shown: Shown) -> Iterator[StreamEvent]:
    """A reset, if words are left once *events* are read."""
    last = events[-1] if events else StreamEvent(n=shown.n, kind="chunk")
    if last.kind == "chunk" and last.n:
        yield StreamEvent(n=last.n, kind="reset")


async def _either(changed: asyncio.Event, answering: asyncio.Task[Answer], look_seconds: float) -> None:
    """Until something was written, the answer is there, or it is time to look without being told."""
    waiting = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait({waiting, answering}, timeout=look_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
