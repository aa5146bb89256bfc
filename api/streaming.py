"""Follows one answer while it is written: stream events from PostgreSQL, then `done` or `error`.

Each reader asks for what is above the last event it has, so slow ones hold nobody up, and one that comes back with
`Last-Event-ID` goes on where it was.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi.sse import ServerSentEvent

from api.problems import ProblemError, problem, unavailable
from api.services import Services
from config.logs import get_logger
from integrations.temporal.conversations import StillWaiting, TemporalUnavailable
from schemas.messages import StoredMessage
from schemas.turns import Turn
from storage.database import StorageUnavailable

log = get_logger(__name__)

_LOOK_AGAIN_SECONDS = 1.0
_ID = re.compile(r"\d{1,18}")


@dataclass
class Following:
    """A reader: which message's answer, and the last event it has."""

    message: StoredMessage
    last_event_id: str | None

    @property
    def after(self) -> int:
        """The number of the last event the reader has; 0 for none, or for an id that is not ours."""
        found = _ID.match(self.last_event_id or "")
        return int(found.group()) if found else 0


async def follow(services: Services, following: Following) -> AsyncIterator[ServerSentEvent]:
    """The events of one answer. Always ends with `done` or `error`."""
    answering = asyncio.create_task(services.answers.to(following.message))
    last = following.after
    try:
        async for event in _written(services, following.message, last, answering):
            last = int(event.id or last)
            yield event
        turn = await answering
        yield ServerSentEvent(event="done", data=turn.model_dump(mode="json"), id=f"{last}.done")
    except (StorageUnavailable, TemporalUnavailable, StillWaiting) as error:
        yield _error(unavailable(error), last)
    except Exception as error:
        log.error("stream_failed", exc_info=error)
        yield _error(ProblemError(500, "That should not have happened. Please report it with the request_id."), last)
    finally:
        answering.cancel()  # this reader's wait only: the turn, and other readers' waits, go on


async def _written(
    services: Services, message: StoredMessage, last: int, answering: asyncio.Task[Turn]
) -> AsyncIterator[ServerSentEvent]:
    """Chunks and resets until the answer is there and all of them were read."""
    with services.notifications.watch(message.conversation_id) as changed:
        while True:
            ended = answering.done()
            changed.clear()
            for event in await services.events.after(message.conversation_id, message.seq, last):
                last = event.n
                data = {"text": event.text} if event.kind == "chunk" else {}
                yield ServerSentEvent(event=event.kind, data=data, id=str(event.n))
            if ended:
                return
            await _either(changed, answering)


async def _either(changed: asyncio.Event, answering: asyncio.Task[Turn]) -> None:
    """Until something was written, the answer is there, or it is time to look without being told."""
    waiting = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait({waiting, answering}, timeout=_LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _error(error: ProblemError, last: int) -> ServerSentEvent:
    body = problem(error.status, error.detail).model_dump(exclude_none=True)
    return ServerSentEvent(event="error", data=body, id=f"{last}.error")
