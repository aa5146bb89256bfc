"""Waiting for answers: callers of one message share one wait, callers of one conversation do not crowd it.

Temporal takes 10 updates in flight for a workflow, this process uses 8 of them; what several processes have beyond 10
is tried again (`wait_for_reply`). A message that waits here for its place is stored already, and
the conversation answers it along with the others it finds in the inbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

from api.readiness import ReadinessChecks
from config.logs import get_logger
from config.settings import Settings
from integrations.temporal.conversations import Conversations, StillWaiting
from schemas.messages import StoredMessage
from schemas.turns import Turn
from storage.database import retry_while_unavailable
from storage.turn_views import Answer, TurnViews

log = get_logger(__name__)
T = TypeVar("T")

_IN_FLIGHT = 8
_STOPPING = "this API process is stopping"


class Answers:
    """Waits for the turn that answers a stored message."""

    def __init__(
        self, conversations: Conversations, turns: TurnViews, readiness: ReadinessChecks, settings: Settings
    ) -> None:
        self._conversations = conversations
        self._readiness = readiness
        self._turns = turns
        self._wait_seconds = settings.reply_wait_seconds
        self._retry_seconds = settings.database_retry_seconds
        self._silence_seconds = settings.temporal_rpc_timeout_seconds
        self._stopping = False
        self._waits: dict[UUID, asyncio.Task[Answer]] = {}
        self._places: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()

    async def to(self, stored: StoredMessage) -> Answer:
        """The turn, shared by all who wait for it; each is given it by itself (`given`). Goes on waiting in the
        background when the caller leaves.

        Raises StillWaiting, TemporalUnavailable or StorageUnavailable (after DATABASE_RETRY_SECONDS); the message stays
        stored all the same.
        """
        if self._stopping:
            raise StillWaiting(_STOPPING)
        wait = self._waits.get(stored.message_id)
        if wait is None:
            wait = asyncio.create_task(self._wait(stored))
            self._waits[stored.message_id] = wait
            wait.add_done_callback(lambda done: self._forget(stored.message_id, done))
        try:
            return await asyncio.shield(wait)
        except asyncio.CancelledError:
            if self._stopping and wait.cancelled():
                raise StillWaiting(_STOPPING) from None
            raise

    async def given(self, answer: Answer, is_gone: Callable[[], Awaitable[bool]]) -> Turn:
        """The turn as one caller reads it, who is handed it now. While a question is open it is noted that they do,
        unless they are gone; their own that is over by now is not put any more.

        Raises StorageUnavailable, after DATABASE_RETRY_SECONDS.
        """
        turn = answer.turn
        if not answer.sees_question or await is_gone():
            return turn
        await self._read(lambda: self._turns.give(turn.turn_id))
        again = await self._read(lambda: self._turns.answering(turn.conversation_id, answer.seq))
        return again.turn if again else turn

    def stop(self) -> None:
        """This API process stops: whoever waits is told to come again, the answers go on without it."""
        self._stopping = True
        for wait in list(self._waits.values()):
            wait.cancel()

    async def _wait(self, stored: StoredMessage) -> Answer:
        if stored.turn_id is None:
            await self._wait_for_reply(stored, str(stored.message_id) if stored.is_new else _again(stored))
        return await self._answered(stored) or await self._elsewhere(stored) or await self._anew(stored)

    async def _answered(self, stored: StoredMessage) -> Answer | None:
        """The message's turn; None if the conversation is past it and the database has none.

        One that was held, and is to be answered now, is waited for like any other. Where nothing waits any more its
        answer is there by now, maybe: it is read once more.
        """
        answer = await self._read(lambda: self._turns.answering(stored.conversation_id, stored.seq))
        if answer is None or answer.turn.reply is not None:
            return answer
        asked_again = await self._read(lambda: self._turns.asked_again(stored.conversation_id, stored.seq))
        if asked_again is not None:
            await self._wait_for_reply(stored.model_copy(update={"seq": asked_again}), _again(stored))
        return await self._read(lambda: self._turns.answering(stored.conversation_id, stored.seq))

    async def _wait_for_reply(self, stored: StoredMessage, call_id: str) -> None:
        """Not longer than Temporal answers."""
        place = self._places.setdefault(stored.conversation_id, asyncio.Semaphore(_IN_FLIGHT))
        async with place:
            waiting = self._conversations.wait_for_reply(stored, call_id, self._wait_seconds)
            await self._readiness.while_temporal_answers(waiting, self._silence_seconds)

    async def _elsewhere(self, stored: StoredMessage) -> Answer | None:
        """The turn of a message that waits in another conversation by now: its customer turned out to be another one.

        None if it is where it was.
        """
        place = await self._read(lambda: self._turns.place_of(stored.message_id))
        if place.conversation_id == stored.conversation_id:
            return None
        return await self._wait(stored.model_copy(update={**place.model_dump(), "is_new": False, "turn_id": None}))

    async def _anew(self, stored: StoredMessage) -> Answer:
        """The conversation's run knows more than the database, where an older copy was put back: it starts over."""
        log.warning("conversation_ahead_of_database", conversation_id=str(stored.conversation_id), seq=stored.seq)
        await self._conversations.forget(stored.workflow_id, "It was ahead of the database, which was put back")
        await self._wait_for_reply(stored, _again(stored))
        answer = await self._read(lambda: self._turns.answering(stored.conversation_id, stored.seq))
        if answer is None:
            raise StillWaiting("the message is kept and not answered yet")
        return answer

    async def _read(self, reading: Callable[[], Awaitable[T]]) -> T:
        """Rides out a short absence of the database: the message is stored, and its answer comes all the same."""
        return await retry_while_unavailable(reading, self._retry_seconds)

    def _forget(self, message_id: UUID, done: asyncio.Task[Answer]) -> None:
        self._waits.pop(message_id, None)
        if not done.cancelled():
            done.exception()  # looked at, so that a caller who left causes no warning


def _again(stored: StoredMessage) -> str:
    """The id of one call more for a message that came before."""
    return f"{stored.message_id}/{uuid4()}"
