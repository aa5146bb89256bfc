"""One customer's conversation over one channel: the workflow that lives as long as they talk.

It holds no words. A message is in PostgreSQL's inbox before the workflow hears its number; it processes what is stored
after its cursor, one turn at a time, sends replies beside that, and remembers the Perplexity thread. See
ARCHITECTURE.md.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from workflows import options
from workflows.alarm import Alarm
from workflows.attributes import show_attributes
from workflows.turn import raise_if_cancelled, run_turn
from workflows.under_way import UnderWay

with workflow.unsafe.imports_passed_through():
    from activities.actions import ActionActivities
    from activities.conversation import ConversationActivities
    from activities.delivery import DeliveryActivities
    from activities.files import FileActivities
    from activities.merge import MergeActivities
    from schemas.conversations import (
        ApprovalDecision,
        ConversationStart,
        Deliver,
        Expire,
        FetchFiles,
        HandOver,
        MessageAnswered,
        MessageStored,
        NextStep,
        ResetRequest,
        SessionChanged,
        StateRequest,
        Stop,
        Thread,
        TurnOutcome,
        TurnRequest,
        WorkflowState,
    )
    from schemas.operations import STOPPED, WORKFLOW_TYPE
    from workflows import policy
    from workflows.policy import Duty


@workflow.defn(name=WORKFLOW_TYPE)
class Conversation:
    """Wake-ups tell it that something is stored; whatever is due is then done by an activity, at most one of a kind."""

    @workflow.init
    def __init__(self, start: ConversationStart) -> None:
        self._start = start
        self._limits = start.limits
        self._current = start.workflow_state or WorkflowState()
        does = {
            Duty.LOAD: self._load_state,
            Duty.EXPIRE: self._expire,
            Duty.DELIVER: self._deliver,
            Duty.FETCH: self._fetch,
            Duty.ANSWER: self._answer,
            Duty.HAND_OVER: self._hand_over,
            Duty.END: self._end_unless_somebody_waits,
        }
        self._under_way = UnderWay(does)
        self._alarm = Alarm()
        self._turn_lock = asyncio.Lock()  # a turn and staff's decision on its action never interleave
        self._new_thread: Thread | None = None  # of a first turn that is not answered yet
        self._turns_in_run = 0
        self._changes = 0  # by somebody else than the turn under way
        self._is_loaded = False
        self._stale = False  # the database knows better: it is read before anything else is begun
        self._handed_over = False  # what the database last told is with the conversation that goes on
        self._gave_up = False  # a turn could not be taken, or it was cancelled; the next wake-up tries again
        self._idle = False
        self._leaving = False  # nothing more is begun in this run
        self._stopped = False  # an operator cancelled it

    @workflow.run
    async def run(self, start: ConversationStart) -> None:
        try:
            await self._load_state()
            while not self._leaving:
                await workflow.wait_condition(self._has_to_look)
                self._look()
            await workflow.wait_condition(workflow.all_handlers_finished)
        except (asyncio.CancelledError, ActivityError) as error:
            if is_cancelled_exception(error):
                await self._stop()
            raise
        if self._goes_on():
            workflow.continue_as_new(self._start.model_copy(update={"workflow_state": self._current}))

    @workflow.update(description="A stored message waits for its answer; returns once it is processed")
    async def await_reply(self, message: MessageStored) -> MessageAnswered:
        self._hear(message)
        await workflow.wait_condition(lambda: self._current.cursor >= message.seq or self._says_no_more())
        if self._current.merged and message.seq > self._current.newest_seq:  # it waits in the conversation that goes on
            return MessageAnswered(cursor=message.seq)
        return MessageAnswered(
            cursor=self._current.cursor, gave_up=self._gave_up and self._current.cursor < message.seq
        )

    @await_reply.validator
    def _reply_is_possible(self, message: MessageStored) -> None:
        if message.seq < 1:
            raise ValueError("messages are numbered from 1")

    @workflow.update(description="Give the conversation back to the bot at once, with a new Perplexity thread if asked")
    async def reset(self, request: ResetRequest) -> SessionChanged:
        await self._until_loaded()
        request = request.model_copy(update={"conversation_id": self._start.conversation_id})
        changed = await workflow.execute_activity_method(
            ConversationActivities.reset, request, summary="Start over", **options.writing(self._limits)
        )
        if request.new_thread:
            self._current.thread = None
        return self._changed(changed)

    @reset.validator
    def _reset_is_possible(self, request: ResetRequest) -> None:
        if self._current.merged:
            raise ValueError("the customer turned out to be another one: reset that one's conversation")

    @workflow.update(description="Change who has the conversation, at once: bot, human_handoff or closed")
    async def set_state(self, request: StateRequest) -> SessionChanged:
        await self._until_loaded()
        request = request.model_copy(update={"conversation_id": self._start.conversation_id})
        changed = await workflow.execute_activity_method(
            ConversationActivities.set_state,
            request,
            summary=f"Set the state to {request.state}",
            **options.writing(self._limits),
        )
        return self._changed(changed)

    @set_state.validator
    def _state_is_possible(self, request: StateRequest) -> None:
        if request.state not in policy.SETTABLE_STATES:
            raise ValueError(f"{request.state} follows from what is open and cannot be set")

    @workflow.update(description="Staff's answer to an action that waits for their approval, after the turn under way")
    async def resolve_approval(self, decision: ApprovalDecision) -> SessionChanged:
        await self._until_loaded()
        decision = decision.model_copy(update={"conversation_id": self._start.conversation_id})
        async with self._turn_lock:
            self._refuse_if_stopped()
            changed = await workflow.execute_activity_method(
                ActionActivities.resolve_approval,
                decision,
                summary=f"Staff {'approved' if decision.approved else 'declined'} an action",
                **options.acting(self._limits),
            )
        return self._changed(changed)

    @resolve_approval.validator
    def _approval_is_possible(self, decision: ApprovalDecision) -> None:
        if not decision.digest:
            raise ValueError("a decision names the digest of what it is about")

    @workflow.signal(description="A message with this number is stored")
    def message_stored(self, message: MessageStored) -> None:
        self._hear(message)

    @workflow.signal(description="A reply waits to be sent over the channel")
    def delivery_due(self) -> None:
        self._current.delivery_due = True

    @workflow.signal(description="Somebody changed who has the conversation, or its thread, in the database")
    def standing_changed(self) -> None:
        self._stale = True
        self._changes += 1

    @workflow.query(description="What the conversation's workflow knows")
    def workflow_state(self) -> WorkflowState:
        return self._current

    # The loop: what is due is begun, beside what is under way

    def _has_to_look(self) -> bool:
        is_covered = self._alarm.covers(self._next_deadline())
        return self._under_way.has_ended or bool(self._due()) or self._is_over() or not is_covered

    def _look(self) -> None:
        self._under_way.see_ends()
        for duty in self._due():
            self._idle = False
            self._under_way.begin(duty)
        self._alarm.set(self._next_deadline())
        self._leaving = self._is_over()
        self._show()

    def _due(self) -> tuple[Duty, ...]:
        return policy.due(
            self._current,
            workflow.now(),
            self._under_way,
            stale=self._stale,
            gave_up=self._gave_up,
            handed_over=self._handed_over,
            full=self._is_full(),
        )

    def _next_deadline(self) -> datetime | None:
        return policy.next_deadline(self._current, workflow.now(), gave_up=self._gave_up)

    def _is_full(self) -> bool:
        info = workflow.info()
        return policy.run_is_full(
            self._limits,
            self._turns_in_run,
            info.get_current_history_length(),
            suggested=info.is_continue_as_new_suggested(),
        )

    def _is_over(self) -> bool:
        """What is under way is never left behind."""
        is_done = self._handed_over if self._current.merged else self._is_full() or self._idle
        return not self._under_way and is_done

    def _goes_on(self) -> bool:
        """Another run takes over what waits; an idle one leaves nothing, and nobody who waits for something."""
        current = self._current
        if current.merged:
            return current.delivery_due or self._stale  # it was woken while it ended
        waits = policy.work_waits(current, gave_up=self._gave_up) or current.delivery_due or current.files_due
        return self._is_full() or waits or self._stale or current.standing.keeps_the_run

    # What is due

    async def _load_state(self) -> None:
        """Each run begins with the database, however long that takes: it outlives every workflow."""
        self._stale = False
        loaded = await workflow.execute_activity_method(
            ConversationActivities.load_state,
            self._start.model_copy(update={"workflow_state": None}),
            summary="Read what is stored",
            **options.reading(self._limits),
        )
        self._limits = loaded.limits
        self._current = policy.with_stored(self._current, loaded.workflow_state, self._limits, workflow.now())
        self._is_loaded = True
        self._gave_up = self._handed_over = False

    async def _expire(self) -> None:
        """Ends what nobody answered in time, and tells."""
        try:
            ended = await workflow.execute_activity_method(
                ConversationActivities.expire,
                Expire(conversation_id=self._start.conversation_id),
                summary="End what nobody answered in time",
                **options.writing(self._limits),
            )
        except ActivityError as error:
            raise_if_cancelled(error)
            self._current.deadlines.expiry = workflow.now() + self._limits.turn_retry_pause_max
        else:
            self._changed(ended)

    async def _deliver(self) -> None:
        """Sends what is due. A channel that is unavailable for too long is tried anew after a while."""
        self._current.delivery_due = False
        self._current.deadlines.delivery = None
        try:
            delivered = await workflow.execute_activity_method(
                DeliveryActivities.deliver,
                Deliver(conversation_id=self._start.conversation_id),
                summary=f"Send the replies that are due over {self._start.channel}",
                **options.delivering(self._limits),
            )
        except ActivityError as error:
            raise_if_cancelled(error)
            workflow.logger.error("Replies are not delivered: %s", type(error.cause).__name__)
            self._current.delivery_due = True
            self._current.deadlines.delivery = workflow.now() + self._limits.delivery_pause
        else:
            self._hear_of(delivered.waiting_seq)

    async def _fetch(self) -> None:
        """Fetches what the customer sent, whoever has the conversation. What fails is left to the sweep."""
        self._current.files_due = False
        try:
            await workflow.execute_activity_method(
                FileActivities.fetch,
                FetchFiles(conversation_id=self._start.conversation_id),
                summary="Fetch the files that the customer sent",
                **options.fetching(self._limits),
            )
        except ActivityError as error:
            raise_if_cancelled(error)
            workflow.logger.error("Files are not fetched: %s", type(error.cause).__name__)

    async def _hand_over(self) -> None:
        """The customer turned out to be another one: what is left goes on in that one's conversation."""
        async with self._turn_lock:
            self._handed_over = True
            self._current.delivery_due = False
            await workflow.execute_activity_method(
                MergeActivities.hand_over,
                HandOver(conversation_id=self._start.conversation_id),
                summary="Hand over to the conversation that goes on",
                **options.reading(self._limits),
            )

    async def _answer(self) -> None:
        """Takes the turn of what waits. The thread counts only once an answer in it is accepted."""
        async with self._turn_lock:
            policy.begin_turn(self._current.deadlines)
            thread = self._current.thread or self._new_thread or Thread(frontend_context_uuid=workflow.uuid4())
            self._new_thread = thread
            request = TurnRequest(
                conversation_id=self._start.conversation_id, cursor=self._current.cursor, thread=thread
            )
            signalled_seq, changes = self._current.newest_seq, self._changes
            try:
                outcome = await run_turn(request, self._limits, self._current.turns + 1)
            except FailureError as error:
                raise_if_cancelled(error)
                workflow.logger.error("A turn is given up: %s", type(error.cause or error).__name__)
                self._gave_up = True
                self._turns_in_run += 1
            else:
                self._come_to(request, outcome, signalled_seq)
            self._stale |= changes != self._changes  # it may be withheld, its thread ended

    async def _end_unless_somebody_waits(self) -> None:
        await self._load_state()
        self._idle = policy.may_end(self._current, self._limits, workflow.now())

    async def _stop(self) -> None:
        """An operator cancelled the run: nobody is apologised to, and nobody wakes it for what waits now."""
        self._stopped = self._gave_up = True  # whoever waits is told that there is no answer now
        await self._under_way.cancel()
        with suppress(ActivityError):
            await workflow.execute_activity_method(
                ConversationActivities.stop,
                Stop(conversation_id=self._start.conversation_id),
                summary="Note that an operator cancelled the run",
                **options.writing(self._limits),
            )
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _come_to(self, request: TurnRequest, outcome: TurnOutcome, signalled_seq: int) -> None:
        """What the turn came to; where the account has no room for its model call, it comes again."""
        if outcome.step is NextStep.WAIT:
            self._current.deadlines.room = workflow.now() + outcome.wait
            return
        policy.apply_outcome(self._current, outcome, request.cursor, signalled_seq)
        if outcome.turn_id and outcome.standing and outcome.standing.version >= self._current.standing.version:
            policy.apply_standing(self._current, outcome.standing, self._limits, workflow.now())
        self._stale |= policy.may_stand_otherwise(self._current, outcome)
        self._new_thread = None
        self._turns_in_run += 1

    # What handlers share

    def _hear(self, message: MessageStored) -> None:
        policy.hear(self._current, self._limits, message.seq, workflow.now(), files=message.files)
        self._gave_up = False

    def _hear_of(self, waiting_seq: int | None) -> None:
        """What was held is to be answered: a message that asks for that is stored."""
        if waiting_seq is not None:
            self._hear(MessageStored(seq=waiting_seq))

    def _says_no_more(self) -> bool:
        """Whoever still waits for an answer of this run is to ask elsewhere, or again."""
        return self._leaving or self._gave_up or Duty.HAND_OVER in self._under_way

    async def _until_loaded(self) -> None:
        await workflow.wait_condition(lambda: self._is_loaded or self._stopped)
        self._refuse_if_stopped()

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise ApplicationError("an operator cancelled the run; ask again", type=STOPPED)

    def _changed(self, changed: SessionChanged) -> SessionChanged:
        """Somebody else than the turn under way changed who has the conversation, or what is open."""
        self._changes += 1
        self._current.delivery_due |= changed.needs_delivery
        self._hear_of(changed.waiting_seq)
        if changed.standing is None:
            self._stale = True
        else:
            policy.apply_standing(self._current, changed.standing, self._limits, workflow.now())
        self._show()
        return changed.model_copy(update={"thread": self._current.thread})

    def _show(self) -> None:
        """Tells operators where it stands, but for what is about to be read."""
        workflow.set_current_details(policy.details(self._current, busy=Duty.ANSWER in self._under_way))
        if not self._stale and Duty.LOAD not in self._under_way:
            show_attributes(self._current)
