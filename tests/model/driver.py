"""Plays the workflow's part for one conversation, and calls the core's activities as the workflow does.

It mirrors workflows/conversation.py: each method names what it stands for there. Temporal's own part is here too: a
failed attempt is followed by the next, one that nobody hears of any more as well, and updates wait in line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from schemas.conversations import (
    Apologize,
    ConversationStart,
    Decision,
    Deliver,
    Limits,
    Memory,
    Perform,
    ResetRequest,
    StateRequest,
    Step,
    Stop,
    Thread,
    TurnOutcome,
    TurnRequest,
)
from schemas.failures import FailureKind
from schemas.turns import State
from storage.database import StorageUnavailable
from tests.model.stops import Actor, Lost, Stops
from tests.model.virtual_loop import VirtualLoop
from worker.app import Activities

_PAUSE = 2.0
"""Before the next attempt, where the failed one names none (`_retries`)."""


class GivenUp(Exception):
    """`ActivityError`: no further attempt follows. `kind` is the type of the last one's error."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Run:
    """One run of `Conversation` and those that continue it. `ended` once it is idle, or cancelled."""

    def __init__(self, letter: str, conversation_id: UUID, does: Activities, stops: Stops, loop: VirtualLoop) -> None:
        self.letter = letter
        self.conversation_id = conversation_id
        self.memory = Memory()
        self.ended = False
        self.gave_up = False
        self.abandoned = False
        """The example is over."""
        self.at_work: Actor | None = None
        self.defects: list[str] = []
        self._does = does
        self._stops = stops
        self._loop = loop
        self._limits = Limits()
        self._new_thread: Thread | None = None
        self._lock = asyncio.Lock()
        self._heard_at = loop.time()
        self._waiters: list[asyncio.Future[None]] = []
        self._attempts = 0
        self.task = loop.create_task(self._run())

    # Signals and updates

    def message_stored(self, seq: int) -> None:
        """`_hear`."""
        self.memory.newest_seq = max(self.memory.newest_seq, seq)
        self._heard_at = self._loop.time()
        self.gave_up = False
        self._changed()

    def delivery_due(self) -> None:
        self.memory.delivery_due = True
        self._changed()

    async def set_state(self, state: State, reason_id: int | None) -> None:
        """The update of that name."""
        async with self._lock:
            request = StateRequest(state=state, reason_id=reason_id, conversation_id=self.conversation_id)
            await self._activity("set state", self._does.remembering.set_state, request)
            self.memory.state = state

    async def reset(self) -> None:
        """The update of that name, and `_reset`."""
        async with self._lock:
            request = ResetRequest(conversation_id=self.conversation_id)
            await self._activity("reset", self._does.remembering.reset, request)
            self.memory.state, self.memory.thread = State.BOT, None

    async def decide(self, decision: Decision) -> None:
        """The update of that name, and `_decide`."""
        async with self._lock:
            wanted = decision.model_copy(update={"conversation_id": self.conversation_id})
            decided = await self._activity("decide", self._does.acting.decide, wanted)
            self.memory.state = decided.state
            self.memory.delivery_due |= decided.to_deliver
        self._changed()

    def cancel(self) -> None:
        """Cancel in Temporal's UI."""
        self.task.cancel()

    def abandon(self) -> None:
        self.abandoned = True
        self.task.cancel()

    @property
    def rests(self) -> bool:
        """Nothing is to be done, as far as it knows."""
        return self.ended or (self.at_work is None and not self._something_is_due() and not self._lock.locked())

    # Steps

    async def _run(self) -> None:
        """`run`, and `_stop`."""
        try:
            await self._live()
        except asyncio.CancelledError:
            if self.abandoned:
                raise
            self.gave_up = True
            await self._activity("stop", self._does.remembering.stop, Stop(conversation_id=self.conversation_id))
        finally:
            self.ended = True

    async def _live(self) -> None:
        """`_live`, until it is idle."""
        await self._recall()
        while True:
            if not await self._until(self._something_is_due, self._limits.idle_end):
                return
            if self.memory.delivery_due:
                await self._deliver()
            else:
                if self._limits.quiet:
                    await self._pause(self._limits.quiet)
                if wait := await self._take_turn():
                    await self._until(lambda: self.memory.delivery_due, wait)

    async def _recall(self) -> None:
        """`_recall`."""
        start = ConversationStart(conversation_id=self.conversation_id, channel="whatsapp")
        recalled = await self._activity("recall", self._does.remembering.recall, start)
        heard, self.memory, self._limits = self.memory, recalled.memory, recalled.limits
        self.memory.newest_seq = max(self.memory.newest_seq, heard.newest_seq)
        self.memory.delivery_due = heard.delivery_due

    async def _take_turn(self) -> timedelta:
        """`_take_turn`."""
        async with self._lock:
            thread = self.memory.thread or self._new_thread or Thread(frontend_context_uuid=uuid4())
            self._new_thread = thread
            request = TurnRequest(conversation_id=self.conversation_id, cursor=self.memory.cursor, thread=thread)
            told_of = self.memory.newest_seq
            try:
                outcome = await self._answer(request)
                while outcome.step not in (Step.FINISHED, Step.WAIT):
                    outcome = await self._carry_on(request, outcome)
                if outcome.step is Step.WAIT:
                    return outcome.wait
            except GivenUp:
                self.gave_up = True
            else:
                self._remember(outcome, told_of)
                self.memory.delivery_due |= outcome.to_deliver
            self._new_thread = None
        return timedelta()

    async def _answer(self, request: TurnRequest) -> TurnOutcome:
        """`_answer`, and `_apologize`."""
        try:
            answered: TurnOutcome = await self._activity("answer", self._does.answering.answer, request)
        except GivenUp as error:
            kind = error.kind if error.kind in set(FailureKind) else FailureKind.ABANDONED
            sorry = Apologize(**request.model_dump(), failure=kind)
            answered = await self._activity("apologize", self._does.answering.apologize, sorry)
        return answered

    async def _carry_on(self, request: TurnRequest, outcome: TurnOutcome) -> TurnOutcome:
        """`_carry_on`, and `_perform`."""
        if outcome.step is not Step.PERFORM or outcome.action_id is None:
            return await self._answer(request)
        values = {**request.model_dump(), "thread": outcome.thread or request.thread, "action_id": outcome.action_id}
        performed: TurnOutcome = await self._activity("perform", self._does.acting.perform, Perform(**values))
        return performed

    async def _deliver(self) -> None:
        """`_deliver`."""
        self.memory.delivery_due = False
        async with self._lock:
            try:
                due = Deliver(conversation_id=self.conversation_id)
                limit = self._limits.delivery_give_up
                await self._activity("deliver", self._does.delivering.deliver, due, give_up=limit)
            except GivenUp:
                self._stops.trace.append(f"{self.letter}: replies are left to the sweep")

    def _remember(self, outcome: TurnOutcome, told_of: int) -> None:
        """`_remember`."""
        memory = self.memory
        if outcome.cursor == memory.cursor:
            memory.newest_seq = memory.cursor if memory.newest_seq == told_of else memory.newest_seq
            return
        memory.cursor = outcome.cursor
        memory.newest_seq = max(memory.newest_seq, memory.cursor)
        memory.thread = outcome.thread or memory.thread
        memory.turns += 1
        memory.state = outcome.state

    def _something_is_due(self) -> bool:
        return self.memory.delivery_due or (self.memory.newest_seq > self.memory.cursor and not self.gave_up)

    # Temporal

    async def _activity(
        self, name: str, does: Callable[[Any], Coroutine[Any, Any, Any]], request: Any, give_up: timedelta | None = None
    ) -> Any:
        """One attempt after the other, until one succeeds or no other may follow: then GivenUp."""
        deadline = self._loop.time() + (give_up or self._limits.turn_give_up).total_seconds()
        while True:
            self._attempts += 1
            actor = self._stops.start(
                f"{self.letter}{self._attempts} {name}", lambda: ActivityEnvironment().run(does, request)
            )
            kind, pause = FailureKind.ABANDONED.value, _PAUSE
            try:
                self.at_work = actor
                return await actor.ended
            except asyncio.CancelledError:
                self._stops.cancel(actor)
                raise
            except ApplicationError as error:
                kind = error.type or ""
                if error.non_retryable:
                    raise GivenUp(kind) from None
                pause = _PAUSE if error.next_retry_delay is None else error.next_retry_delay.total_seconds()
            except (Lost, StorageUnavailable):
                pass
            except Exception as error:
                self.defects.append(f"{actor.name}: {type(error).__name__}: {error}")
            finally:
                self.at_work = None
            if self._loop.time() + pause >= deadline:
                raise GivenUp(kind)
            await self._pause(timedelta(seconds=pause))

    async def _until(self, enough: Callable[[], bool], limit: timedelta) -> bool:
        """`workflow.wait_condition` with a time-out: whether there is *enough*."""
        over = self._loop.time() + limit.total_seconds()
        while not enough():
            if self._loop.time() >= over:
                return False
            waiter = self._loop.create_future()
            timer = self._loop.call_at(over, _wake, waiter)
            self._waiters.append(waiter)
            await waiter
            timer.cancel()
        return True

    async def _pause(self, length: timedelta) -> None:
        await asyncio.sleep(length.total_seconds())

    def _changed(self) -> None:
        for waiter in self._waiters:
            _wake(waiter)
        self._waiters.clear()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
