"""One customer's conversation over one channel: the workflow that lives as long as they talk.

It holds no words. A message is in PostgreSQL's inbox before the workflow hears its number; it works off what is
stored after its cursor, one turn at a time, and remembers the Perplexity thread. See ARCHITECTURE.md.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.acting import Acting
    from activities.answering import Answering
    from activities.delivering import Delivering
    from activities.fetching import Fetching
    from activities.merging import Merging
    from activities.remembering import Remembering
    from schemas.conversations import (
        Apologize,
        ConversationStart,
        Decision,
        Deliver,
        FetchFiles,
        HandOver,
        Memory,
        MessageAnswered,
        MessageStored,
        Perform,
        ResetRequest,
        SessionChanged,
        StateRequest,
        Step,
        Stop,
        Thread,
        TurnOutcome,
        TurnRequest,
    )
    from schemas.failures import FailureKind
    from schemas.operations import WORKFLOW_TYPE
    from schemas.turns import State, Verdict
    from workflows import policy

_STATE = SearchAttributeKey.for_keyword("ConversationState")
_LAST_VERDICT = SearchAttributeKey.for_keyword("LastVerdict")
_TICKET = SearchAttributeKey.for_keyword("TicketId")
_HANDOFF_OPEN = SearchAttributeKey.for_bool("HandoffOpen")


@workflow.defn(name=WORKFLOW_TYPE)
class Conversation:
    """`say`, `message_stored` and `delivery_due` wake it, `reset` begins anew, `memory` shows what it remembers."""

    @workflow.init
    def __init__(self, start: ConversationStart) -> None:
        self._start = start
        self._limits = start.limits
        self._memory = start.memory or Memory()
        self._recalled = False
        self._stale = False  # somebody changed the database: it is read again before the next step
        self._turn_lock = asyncio.Lock()  # a turn and an operator's change never interleave
        self._turns_in_run = 0
        self._new_thread: Thread | None = None  # of a first turn that is not answered yet
        self._last_heard = workflow.now()
        self._idle = False
        self._fetching = False
        self._leaving = False  # no more turns in this run
        self._gave_up = False  # the record cannot be reached; the next wake-up tries again

    @workflow.run
    async def run(self, start: ConversationStart) -> None:
        try:
            await self._live()
        except (asyncio.CancelledError, ActivityError) as error:
            if not is_cancelled_exception(error):
                raise
            await self._stop()
            raise

    async def _live(self) -> None:
        """Until the run is full or idle."""
        await self._recall()
        beside = [asyncio.create_task(self._watch_idleness()), asyncio.create_task(self._keep_files())]
        while not self._leaving:
            await workflow.wait_condition(lambda: self._stale or self._something_is_due() or self._run_is_over())
            if self._stale:
                async with self._turn_lock:
                    await self._recall()
            elif self._memory.delivery_due and not self._memory.merged:
                await self._deliver()
            elif self._work_waits():
                await self._wait_for_quiet()
                await self._wait_for_room(await self._take_turn())
            self._leaving = self._run_is_over()
        if self._memory.merged:
            await self._hand_over()
        await workflow.wait_condition(workflow.all_handlers_finished)
        for task in beside:
            task.cancel()
        if not self._memory.merged and (self._is_full() or self._something_is_due()):
            workflow.continue_as_new(self._start.model_copy(update={"memory": self._memory}))

    @workflow.update(description="A stored message waits for its answer; returns once it is worked off")
    async def say(self, message: MessageStored) -> MessageAnswered:
        self._hear(message)
        await workflow.wait_condition(lambda: self._memory.cursor >= message.seq or self._leaving or self._gave_up)
        if self._memory.merged:  # it is answered, or waits in the conversation that goes on: the database knows
            return MessageAnswered(cursor=message.seq)
        return MessageAnswered(cursor=self._memory.cursor, gave_up=self._gave_up and self._memory.cursor < message.seq)

    @say.validator
    def _say_is_possible(self, message: MessageStored) -> None:
        if message.seq < 1:
            raise ValueError("messages are numbered from 1")

    @workflow.update(description="Give the conversation back to the bot, with a new Perplexity thread if asked")
    async def reset(self, request: ResetRequest) -> SessionChanged:
        await workflow.wait_condition(lambda: self._recalled)
        async with self._turn_lock:
            await self._reset(request)
        return SessionChanged(state=self._memory.state, thread=self._memory.thread)

    @workflow.update(description="Change who has the conversation: bot, human_handoff or closed")
    async def set_state(self, request: StateRequest) -> SessionChanged:
        await workflow.wait_condition(lambda: self._recalled)
        async with self._turn_lock:
            await workflow.execute_activity_method(
                Remembering.set_state,
                request.model_copy(update={"conversation_id": self._start.conversation_id}),
                summary=f"Set the state to {request.state}",
                **self._record_options(),
            )
            self._note(request.state)
            self._show(busy=False)
        return SessionChanged(state=self._memory.state, thread=self._memory.thread)

    @set_state.validator
    def _state_is_possible(self, request: StateRequest) -> None:
        if request.state not in policy.SETTABLE_STATES:
            raise ValueError(f"{request.state} follows from what is open and cannot be set")

    @workflow.update(description="Staff's answer to the action that waits for their approval")
    async def decide(self, decision: Decision) -> SessionChanged:
        await workflow.wait_condition(lambda: self._recalled)
        async with self._turn_lock:
            decision = decision.model_copy(update={"conversation_id": self._start.conversation_id})
            await self._decide(decision)
        return SessionChanged(state=self._memory.state, thread=self._memory.thread)

    @decide.validator
    def _decision_is_possible(self, decision: Decision) -> None:
        if not decision.digest or not decision.decided_by:
            raise ValueError("a decision names the digest and who decided")

    @workflow.signal(description="A message with this number is stored")
    def message_stored(self, message: MessageStored) -> None:
        self._hear(message)

    @workflow.signal(description="A reply waits to be sent over the channel")
    def delivery_due(self) -> None:
        self._memory.delivery_due = True

    @workflow.signal(description="Somebody changed the conversation in the database")
    def standing_changed(self) -> None:
        self._stale = True

    @workflow.query(description="What the conversation remembers")
    def memory(self) -> Memory:
        return self._memory

    # Steps

    async def _recall(self) -> None:
        """Each run begins with the record, however long that takes: it outlives every workflow."""
        self._stale = False
        recalled = await workflow.execute_activity_method(
            Remembering.recall,
            self._start.model_copy(update={"memory": None}),
            summary="Read what is on record",
            start_to_close_timeout=self._limits.record_timeout,
            retry_policy=self._retries(),
        )
        heard, self._memory, self._limits = self._memory, recalled.memory, recalled.limits
        if not self._memory.merged:
            self._memory.newest_seq = max(self._memory.newest_seq, heard.newest_seq)
        self._memory.delivery_due = heard.delivery_due
        self._memory.files_due = heard.files_due
        self._recalled = True
        self._show_attributes()

    async def _hand_over(self) -> None:
        """The customer turned out to be another one: what is left goes on in that one's conversation."""
        more = True
        while more:
            await workflow.wait_condition(workflow.all_handlers_finished)
            self._stale = self._memory.delivery_due = False
            await workflow.execute_activity_method(
                Merging.hand_over,
                HandOver(conversation_id=self._start.conversation_id),
                summary="Hand over to the conversation that goes on",
                start_to_close_timeout=self._limits.record_timeout,
                retry_policy=self._retries(),
            )
            more = self._stale or self._memory.delivery_due  # it was woken meanwhile

    async def _stop(self) -> None:
        """An operator cancelled the run: nobody is apologised to, and nobody wakes it for what waits now."""
        self._gave_up = True  # whoever waits is told that there is no answer now
        with suppress(ActivityError):
            await workflow.execute_activity_method(
                Remembering.stop,
                Stop(conversation_id=self._start.conversation_id),
                summary="Note that an operator cancelled the run",
                **self._record_options(),
            )
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _take_turn(self) -> timedelta:
        """Answers what waits. The thread counts only once an answer in it is accepted.

        Gives the time to wait before the turn is taken up again, where the account has no room for its question.
        """
        async with self._turn_lock:
            self._show(busy=True)
            thread = self._memory.thread or self._new_thread or Thread(frontend_context_uuid=workflow.uuid4())
            self._new_thread = thread
            request = TurnRequest(
                conversation_id=self._start.conversation_id, cursor=self._memory.cursor, thread=thread
            )
            told_of = self._memory.newest_seq
            try:
                outcome = await self._answer(request)
                while outcome.step not in (Step.FINISHED, Step.WAIT):
                    outcome = await self._carry_on(request, outcome)
                if outcome.step is Step.WAIT:
                    self._show(busy=False)
                    return outcome.wait
            except ActivityError as error:
                _raise_if_cancelled(error)
                workflow.logger.error("The record cannot be reached: %s", type(error.cause).__name__)
                self._gave_up = True
            else:
                self._remember(outcome, told_of)
                self._memory.delivery_due |= outcome.to_deliver
            self._turns_in_run += 1
            self._new_thread = None
            self._show(busy=False)
        return timedelta()

    async def _wait_for_room(self, wait: timedelta) -> None:
        """Lets the account's queue move on; what is due over the channel goes out meanwhile."""
        if wait > timedelta():
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._memory.delivery_due, timeout=wait, timeout_summary="Wait for room at the account"
                )

    async def _wait_for_quiet(self) -> None:
        """Lets a burst of messages come to its end, so that they are answered together."""
        begun = workflow.now()
        while (left := policy.time_until_quiet(self._limits, begun, self._last_heard, workflow.now())) > timedelta():
            await workflow.sleep(left, summary="Wait until the customer has written to the end")

    async def _deliver(self) -> None:
        """Sends what is due. A channel that is away for too long is left to the sweep; messages wait meanwhile."""
        self._memory.delivery_due = False
        async with self._turn_lock:
            try:
                await workflow.execute_activity_method(
                    Delivering.deliver,
                    Deliver(conversation_id=self._start.conversation_id),
                    start_to_close_timeout=self._limits.delivery_timeout,
                    heartbeat_timeout=self._limits.turn_heartbeat,
                    schedule_to_close_timeout=self._limits.delivery_give_up,
                    retry_policy=self._retries(),
                    summary=f"Send the replies that are due over {self._start.channel}",
                )
            except ActivityError as error:
                _raise_if_cancelled(error)
                workflow.logger.error("Replies are not delivered: %s", type(error.cause).__name__)

    async def _answer(self, request: TurnRequest, step: Step = Step.FINISHED) -> TurnOutcome:
        """The turn's first step, or after an outcome that asks for more, its next: each an activity of its own."""
        why = _WHY.get(step) or f"ask Perplexity about what came after message {request.cursor}"
        summary = f"{self._turn_name()}: {why}"
        try:
            return await workflow.execute_activity_method(
                Answering.answer, request, summary=summary, **self._asking_options()
            )
        except ActivityError as error:
            _raise_if_cancelled(error)
            return await self._apologize(request, error)

    async def _carry_on(self, request: TurnRequest, outcome: TurnOutcome) -> TurnOutcome:
        """The next step of a turn that is not finished."""
        if outcome.step is Step.PERFORM and outcome.action_id is not None:
            return await self._perform(request, outcome.thread or request.thread, outcome.action_id)
        return await self._answer(request, outcome.step)

    async def _perform(self, request: TurnRequest, thread: Thread, action_id: UUID) -> TurnOutcome:
        return await workflow.execute_activity_method(
            Acting.perform,
            Perform(conversation_id=request.conversation_id, cursor=request.cursor, thread=thread, action_id=action_id),
            start_to_close_timeout=self._limits.action_timeout,
            heartbeat_timeout=self._limits.turn_heartbeat,
            schedule_to_close_timeout=self._limits.turn_give_up,
            retry_policy=self._retries(),
            summary=f"{self._turn_name()}: do what was decided",
        )

    async def _apologize(self, request: TurnRequest, error: ActivityError) -> TurnOutcome:
        return await workflow.execute_activity_method(
            Answering.apologize,
            Apologize(**request.model_dump(), failure=_failure(error)),
            summary=f"{self._turn_name()}: tell the customer that there is no answer ({_failure(error)})",
            **self._record_options(),
        )

    async def _decide(self, decision: Decision) -> None:
        decided = await workflow.execute_activity_method(
            Acting.decide,
            decision,
            start_to_close_timeout=self._limits.action_timeout,
            heartbeat_timeout=self._limits.turn_heartbeat,
            schedule_to_close_timeout=self._limits.turn_give_up,
            retry_policy=self._retries(),
            summary=f"{decision.decided_by} {'approved' if decision.approved else 'declined'} an action",
        )
        self._note(decided.state)
        self._memory.delivery_due |= decided.to_deliver
        self._show(busy=False)

    async def _reset(self, request: ResetRequest) -> None:
        await workflow.execute_activity_method(
            Remembering.reset,
            request.model_copy(update={"conversation_id": self._start.conversation_id}),
            summary="Begin anew",
            **self._record_options(),
        )
        self._note(State.BOT)
        if request.new_thread:
            self._memory.thread = None
        self._show(busy=False)

    async def _watch_idleness(self) -> None:
        """One timer for a long time, armed again only if someone spoke meanwhile."""
        while (left := policy.time_until_idle(self._limits, self._last_heard, workflow.now())) > timedelta():
            await workflow.sleep(left, summary="End when idle")
        self._idle = True

    async def _keep_files(self) -> None:
        """Fetches what customers send at once, whoever has the conversation. What fails is left to the sweep."""
        while True:
            await workflow.wait_condition(lambda: self._memory.files_due)
            self._memory.files_due, self._fetching = False, True
            with suppress(ActivityError):
                await workflow.execute_activity_method(
                    Fetching.fetch,
                    FetchFiles(conversation_id=self._start.conversation_id),
                    start_to_close_timeout=self._limits.delivery_timeout,
                    heartbeat_timeout=self._limits.turn_heartbeat,
                    schedule_to_close_timeout=self._limits.delivery_give_up,
                    retry_policy=self._retries(),
                    summary="Fetch the files that the customer sent",
                )
            self._fetching = False

    def _hear(self, message: MessageStored) -> None:
        self._memory.files_due |= message.files
        self._memory.newest_seq = max(self._memory.newest_seq, message.seq)
        self._last_heard = workflow.now()
        self._gave_up = False

    def _remember(self, outcome: TurnOutcome, told_of: int) -> None:
        memory = self._memory
        if outcome.cursor == memory.cursor:  # nothing waits, for what we were *told of* was erased meanwhile
            memory.newest_seq = memory.cursor if memory.newest_seq == told_of else memory.newest_seq
            return
        memory.cursor = outcome.cursor
        memory.newest_seq = max(memory.newest_seq, memory.cursor)
        memory.thread = outcome.thread or memory.thread
        memory.turns += 1
        self._note(outcome.state, outcome.verdict, outcome.ticket_id)

    def _note(self, state: State, verdict: Verdict | None = None, ticket_id: str | None = None) -> None:
        memory = self._memory
        memory.state = state
        memory.last_verdict = verdict or memory.last_verdict
        memory.ticket_id = ticket_id or memory.ticket_id
        self._show_attributes()

    def _show_attributes(self) -> None:
        """Shows operators what changed: one event for all of it, none if nothing did."""
        memory, shown = self._memory, workflow.info().typed_search_attributes
        changes = list[SearchAttributeUpdate[Any]]()
        if shown.get(_STATE) != memory.state:
            changes.append(_STATE.value_set(memory.state))
        handed_over = memory.state is State.HUMAN_HANDOFF
        if shown.get(_HANDOFF_OPEN, False) != handed_over:
            changes.append(_HANDOFF_OPEN.value_set(handed_over))
        if memory.last_verdict and shown.get(_LAST_VERDICT) != memory.last_verdict:
            changes.append(_LAST_VERDICT.value_set(memory.last_verdict))
        if memory.ticket_id and shown.get(_TICKET) != memory.ticket_id:
            changes.append(_TICKET.value_set(memory.ticket_id))
        if changes:
            workflow.upsert_search_attributes(changes)

    def _work_waits(self) -> bool:
        return self._memory.newest_seq > self._memory.cursor and not self._gave_up

    def _is_full(self) -> bool:
        info = workflow.info()
        return policy.run_is_full(
            self._limits,
            self._turns_in_run,
            info.get_current_history_length(),
            suggested=info.is_continue_as_new_suggested(),
        )

    def _run_is_over(self) -> bool:
        """A full run leaves messages to the next one, but no reply undelivered; an idle one leaves nothing."""
        if self._fetching or self._memory.files_due:
            return False
        if self._memory.merged:
            return not self._work_waits()
        if self._memory.delivery_due:
            return False
        return self._is_full() or (self._idle and not self._work_waits())

    def _something_is_due(self) -> bool:
        return self._memory.delivery_due or self._work_waits()

    def _show(self, *, busy: bool) -> None:
        workflow.set_current_details(policy.details(self._memory, busy=busy))

    def _turn_name(self) -> str:
        return f"Turn {self._memory.turns + 1}"

    def _asking_options(self) -> dict[str, Any]:
        """For activities that ask the model: slow, watched by heartbeats, retried as the failure says."""
        return {
            "start_to_close_timeout": self._limits.turn_timeout,
            "schedule_to_close_timeout": self._limits.turn_give_up,
            "heartbeat_timeout": self._limits.turn_heartbeat,
            "retry_policy": self._retries(),
        }

    def _retries(self) -> RetryPolicy:
        return RetryPolicy(
            initial_interval=self._limits.turn_retry_pause, maximum_interval=self._limits.turn_retry_pause_max
        )

    def _record_options(self) -> dict[str, Any]:
        """For activities that only read or write the record: quick, safe to repeat, given up with the turn."""
        return {
            "start_to_close_timeout": self._limits.record_timeout,
            "schedule_to_close_timeout": self._limits.turn_give_up,
            "retry_policy": self._retries(),
        }


_WHY = {
    Step.REPAIR: "ask again, for the output could not be used",
    Step.CONCLUDE: "ask for the final words, with the action's result",
}


def _raise_if_cancelled(error: ActivityError) -> None:
    """A cancelled run ends; what its activity then reports is no failure of the turn."""
    if is_cancelled_exception(error):
        raise error


def _failure(error: ActivityError) -> FailureKind:
    """The kind of failure that used up the tries; a worker that vanished has none of its own."""
    if isinstance(error.cause, ApplicationError) and error.cause.type in set(FailureKind):
        return FailureKind(error.cause.type)
    return FailureKind.ABANDONED
