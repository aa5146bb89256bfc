"""Plays the workflow's part for one conversation, and calls the core's activities as the workflow does.

What is due it asks workflows/policy.py; the rest mirrors workflows/conversation.py and workflows/turn.py: each method
names what it stands for there. Temporal's own part is here too: a failed attempt is followed by the next, one that
nobody hears of any more as well, updates wait in line, and of a run that continues as new only its memory goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from config.clock import Clock
from schemas.conversations import (
    Apologize,
    ApprovalDecision,
    ConversationStart,
    Deliver,
    Expire,
    FetchFiles,
    HandOver,
    Limits,
    NextStep,
    Perform,
    SessionChanged,
    Stop,
    Thread,
    TurnOutcome,
    TurnRequest,
    WorkflowState,
)
from schemas.failures import ModelFailureKind
from storage.database import StorageUnavailable
from tests.model.stops import Actor, Lost, Stops
from tests.model.virtual_loop import VirtualLoop
from worker.app import Activities
from workflows import policy
from workflows.policy import Duty

_PAUSE = 2.0
"""Before the next attempt, where the failed one names none (`_retries`)."""


class GivenUp(Exception):
    """`ActivityError`: no further attempt follows. `kind` is the type of the last one's error."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class DrivenRun:
    """One run of `Conversation` and those that continue it. `ended` once it is idle, or cancelled."""

    def __init__(
        self, letter: str, conversation_id: UUID, does: Activities, stops: Stops, loop: VirtualLoop, now: Clock
    ) -> None:
        self.letter = letter
        self.conversation_id = conversation_id
        self.ended = False
        self.abandoned = False
        """The example is over."""
        self.defects: list[str] = []
        self._current, self._limits = WorkflowState(), Limits()
        self._full = False
        self._activities = does
        self._stops = stops
        self._loop = loop
        self._now = now
        self._does: dict[Duty, Callable[[], Coroutine[Any, Any, None]]] = {
            Duty.LOAD: self._load_state,
            Duty.EXPIRE: self._expire,
            Duty.DELIVER: self._deliver,
            Duty.FETCH: self._fetch,
            Duty.ANSWER: self._answer,
            Duty.HAND_OVER: self._hand_over,
            Duty.END: self._end_unless_somebody_waits,
        }
        self._under_way: dict[Duty, asyncio.Task[None]] = {}
        self._begins()
        self._stopped = False
        self._handlers = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._attempts = 0
        self._task = loop.create_task(self._run())

    def _begins(self) -> None:
        """What a run knows when it begins, beside its memory."""
        self._turn_lock = asyncio.Lock()
        self._new_thread: Thread | None = None
        self._changes = 0
        self._is_loaded = self._stale = self._handed_over = self._gave_up = self._idle = self._full = False

    # Signals and updates

    def message_stored(self, seq: int, *, files: bool = False) -> None:
        """`_hear`."""
        policy.hear(self._current, self._limits, seq, self._now(), files=files)
        self._gave_up = False
        self._wake()

    def delivery_due(self) -> None:
        self._current.delivery_due = True
        self._wake()

    def standing_changed(self) -> None:
        self._stale = True
        self._changes += 1
        self._wake()

    async def decide(self, decision: ApprovalDecision) -> None:
        """The update of that name."""
        self._handlers += 1
        try:
            await self._until(lambda: self._is_loaded or self._stopped)
            async with self._turn_lock:
                if self._stopped:
                    raise GivenUp("Stopped")
                wanted = decision.model_copy(update={"conversation_id": self.conversation_id})
                limit = policy.action_give_up(self._limits)
                changed = await self._activity(
                    "resolve_approval", self._activities.actions.resolve_approval, wanted, limit
                )
            self._changed(changed)
        finally:
            self._handlers -= 1
            self._wake()

    def fills(self) -> None:
        """Its history is long enough: it begins nothing more, and continues as new."""
        self._full = True
        self._wake()

    def cancel(self) -> None:
        """Cancel in Temporal's UI."""
        self._task.cancel()

    def abandon(self) -> None:
        self.abandoned = True
        for task in (self._task, *self._under_way.values()):
            task.cancel()

    @property
    def rests(self) -> bool:
        """Nothing is to be done, as far as it knows, until a deadline comes."""
        waits = self._stale or self._current.delivery_due or policy.work_waits(self._current, gave_up=self._gave_up)
        waits |= self._current.files_due or bool(self._due())
        return self.ended or not (waits or self._under_way or self._handlers or not self._is_loaded)

    # The loop

    async def _run(self) -> None:
        """`run`."""
        try:
            await self._one_run()
            while self._goes_on():
                self._stops.trace.append(f"{self.letter} continues as new")
                self._current = WorkflowState.model_validate_json(self._current.model_dump_json())
                self._begins()
                await self._one_run()
        except asyncio.CancelledError:
            if self.abandoned:
                raise
            await self._stop()
        except Exception as error:
            self.defects.append(f"{self.letter}: {type(error).__name__}: {error}")
        finally:
            self.ended = True

    async def _one_run(self) -> None:
        await self._load_state()
        while not self._is_over():
            self._look()
            await self._until(self._has_to_look, self._next_deadline)
        await self._until(lambda: not self._handlers)

    def _look(self) -> None:
        """`_look`."""
        for duty, task in list(self._under_way.items()):
            if task.done():
                del self._under_way[duty]
                task.result()
        for duty in self._due():
            self._idle = False
            self._under_way[duty] = self._loop.create_task(self._does[duty]())
            self._under_way[duty].add_done_callback(lambda _: self._wake())

    def _has_to_look(self) -> bool:
        return any(task.done() for task in self._under_way.values()) or bool(self._due()) or self._is_over()

    def _due(self) -> tuple[Duty, ...]:
        known = {"stale": self._stale, "gave_up": self._gave_up, "handed_over": self._handed_over}
        return policy.due(self._current, self._now(), self._under_way, full=self._full, **known)

    def _next_deadline(self) -> datetime | None:
        return policy.next_deadline(self._current, self._now(), gave_up=self._gave_up)

    def _is_over(self) -> bool:
        """`_is_over`."""
        return not self._under_way and (self._handed_over if self._current.merged else self._full or self._idle)

    def _goes_on(self) -> bool:
        """`_goes_on`."""
        current = self._current
        if current.merged:
            return current.delivery_due or self._stale
        waits = policy.work_waits(current, gave_up=self._gave_up) or current.delivery_due or current.files_due
        return self._full or waits or self._stale or current.standing.keeps_the_run

    # What is due

    async def _load_state(self) -> None:
        """`_load_state`."""
        self._stale = False
        start = ConversationStart(conversation_id=self.conversation_id, channel="whatsapp")
        loaded = await self._activity("load_state", self._activities.conversation.load_state, start, None)
        self._limits = loaded.limits
        self._current = policy.with_stored(self._current, loaded.workflow_state, self._limits, self._now())
        self._is_loaded = True
        self._gave_up = self._handed_over = False

    async def _expire(self) -> None:
        """`_expire`."""
        request = Expire(conversation_id=self.conversation_id)
        try:
            ended = await self._write("expire", self._activities.conversation.expire, request)
        except GivenUp:
            self._current.deadlines.expiry = self._now() + self._limits.turn_retry_pause_max
        else:
            self._changed(ended)

    async def _deliver(self) -> None:
        """`_deliver`."""
        self._current.delivery_due = False
        self._current.deadlines.delivery = None
        due, limit = Deliver(conversation_id=self.conversation_id), self._limits.delivery_give_up
        try:
            delivered = await self._activity(
                "deliver", self._activities.delivery.deliver, due, limit, waits_for_its_end=True
            )
        except GivenUp:
            self._stops.trace.append(f"{self.letter}: replies wait for a while")
            self._current.delivery_due = True
            self._current.deadlines.delivery = self._now() + self._limits.delivery_pause
        else:
            if delivered.waiting_seq is not None:
                self.message_stored(delivered.waiting_seq)

    async def _fetch(self) -> None:
        """`_fetch`."""
        self._current.files_due = False
        wanted, limit = FetchFiles(conversation_id=self.conversation_id), self._limits.delivery_give_up
        with suppress(GivenUp):
            await self._activity("fetch", self._activities.files.fetch, wanted, limit)

    async def _hand_over(self) -> None:
        """`_hand_over`."""
        async with self._turn_lock:
            self._handed_over = True
            self._current.delivery_due = False
            request = HandOver(conversation_id=self.conversation_id)
            await self._activity("hand over", self._activities.merge.hand_over, request, None)

    async def _answer(self) -> None:
        """`_answer`, and `_come_to`."""
        async with self._turn_lock:
            policy.begin_turn(self._current.deadlines)
            thread = self._current.thread or self._new_thread or Thread(frontend_context_uuid=uuid4())
            self._new_thread = thread
            request = TurnRequest(conversation_id=self.conversation_id, cursor=self._current.cursor, thread=thread)
            signalled_seq, changes = self._current.newest_seq, self._changes
            try:
                outcome = await self._run_turn(request)
            except GivenUp:
                self._gave_up = True
            else:
                self._come_to(request, outcome, signalled_seq)
            self._stale |= changes != self._changes

    async def _end_unless_somebody_waits(self) -> None:
        await self._load_state()
        self._idle = policy.may_end(self._current, self._limits, self._now())

    async def _stop(self) -> None:
        """`_stop`."""
        self._stopped = self._gave_up = True
        self._wake()
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        with suppress(GivenUp):
            await self._write("stop", self._activities.conversation.stop, Stop(conversation_id=self.conversation_id))
        await self._until(lambda: not self._handlers)

    def _come_to(self, request: TurnRequest, outcome: TurnOutcome, signalled_seq: int) -> None:
        if outcome.step is NextStep.WAIT:
            self._current.deadlines.room = self._now() + outcome.wait
            return
        policy.apply_outcome(self._current, outcome, request.cursor, signalled_seq)
        if outcome.turn_id and outcome.standing and outcome.standing.version >= self._current.standing.version:
            policy.apply_standing(self._current, outcome.standing, self._limits, self._now())
        self._stale |= policy.may_stand_otherwise(self._current, outcome)
        self._new_thread = None

    def _changed(self, changed: SessionChanged) -> None:
        self._changes += 1
        self._current.delivery_due |= changed.needs_delivery
        if changed.waiting_seq is not None:
            self.message_stored(changed.waiting_seq)
        if changed.standing is None:
            self._stale = True
        else:
            policy.apply_standing(self._current, changed.standing, self._limits, self._now())

    # The turn

    async def _run_turn(self, request: TurnRequest) -> TurnOutcome:
        """`run_turn`."""
        outcome = await self._ask(request)
        while outcome.step not in (NextStep.FINISHED, NextStep.WAIT):
            outcome = await (self._perform(outcome) if outcome.step is NextStep.PERFORM else self._ask(request))
        return outcome

    async def _ask(self, request: TurnRequest) -> TurnOutcome:
        """`_ask`."""
        try:
            answered: TurnOutcome = await self._write("answer", self._activities.turn.answer, request)
        except GivenUp as error:
            kind = error.kind if error.kind in set(ModelFailureKind) else ModelFailureKind.ABANDONED
            sorry = Apologize(**request.model_dump(), failure=kind)
            answered = await self._write("apologize", self._activities.turn.apologize, sorry)
        return answered

    async def _perform(self, outcome: TurnOutcome) -> TurnOutcome:
        """`_perform`."""
        if outcome.action_id is None:
            raise GivenUp("NoAction")
        limit = policy.action_give_up(self._limits)
        asked = Perform(action_id=outcome.action_id)
        performed: TurnOutcome = await self._activity("perform", self._activities.actions.perform, asked, limit)
        return performed

    # Temporal

    async def _write(self, name: str, does: Callable[[Any], Coroutine[Any, Any, Any]], request: Any) -> Any:
        return await self._activity(name, does, request, self._limits.turn_give_up)

    async def _activity(
        self,
        name: str,
        does: Callable[[Any], Coroutine[Any, Any, Any]],
        request: Any,
        give_up: timedelta | None,
        *,
        waits_for_its_end: bool = False,
    ) -> Any:
        """One attempt after the other, until one succeeds or no other may follow: then GivenUp.

        *waits_for_its_end*: also when it is cancelled (`WAIT_CANCELLATION_COMPLETED`).
        """
        began = self._loop.time()
        while True:
            self._attempts += 1
            actor = self._stops.start(
                f"{self.letter}{self._attempts} {name}", lambda: ActivityEnvironment().run(does, request)
            )
            kind, pause = ModelFailureKind.ABANDONED.value, _PAUSE
            try:
                return await _ended(actor)
            except asyncio.CancelledError:
                await self._cancelled(actor, waits_for_its_end=waits_for_its_end)
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
            if give_up is not None and self._loop.time() + pause >= began + give_up.total_seconds():
                raise GivenUp(kind)
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _cancelled(self, actor: Actor, *, waits_for_its_end: bool) -> None:
        self._stops.cancel(actor)
        if waits_for_its_end and not self.abandoned:
            await asyncio.wait([actor.ended])

    async def _until(self, enough: Callable[[], bool], deadline: Callable[[], datetime | None] = lambda: None) -> None:
        """`workflow.wait_condition`, or until the deadline of that moment, and the alarm rings."""
        while not enough():
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            rings_at = deadline()
            timer = None
            if rings_at is not None:
                seconds = (rings_at - self._now()).total_seconds()
                timer = self._loop.call_later(seconds, _ring, waiter)
            try:
                await waiter
            finally:
                if timer is not None:
                    timer.cancel()

    def _wake(self) -> None:
        for waiter in self._waiters:
            _ring(waiter)
        self._waiters.clear()


async def _ended(actor: Actor) -> Any:
    """Nothing that waits for it ends it."""
    await asyncio.wait([actor.ended])
    return actor.ended.result()


def _ring(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
