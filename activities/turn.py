"""The turn, step by step: claim → decide → commit.

Attempt 2 of a step may run while attempt 1 still does, so everything is decided by the database: whoever commits a
step first wins, who finds a turn in another step (or finished) returns that, and how often the model may be asked
again is counted there.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import timedelta
from uuid import uuid4, uuid5

from temporalio import activity

from activities.actions import ActionActivities
from activities.assistants import AssistantCache, LoadedAssistant
from activities.heartbeat import Beat, beating
from activities.turn_steps.decision import Asker, decide_apology, decide_output, given_up, hear, words_of_what_is_done
from activities.turn_steps.failures import FailureRecorder
from activities.turn_steps.model_calls import Answered, ModelCalls, NewerMessage, OwnerChanged, Unanswered
from activities.turn_steps.presence import Presence
from activities.turn_steps.prompt import PreparedPrompt, Prompts
from activities.turn_steps.telemetry import TurnTelemetry
from config import metrics
from config.clock import Clock, utc_now
from config.settings import Settings
from schemas.conversations import Apologize, NextStep, Thread, TurnOutcome, TurnRequest
from schemas.failures import MODEL_FAILURES, ModelFailureKind
from schemas.standing import Owner
from schemas.turn_decisions import OutputRecord, TurnDecision
from schemas.turn_record import TurnStatus
from storage.account_slots import AccountSlots, NoRoom, Superseded
from storage.database import retry_while_unavailable
from storage.turn_commits import TurnCommits
from storage.turns import ClaimedTurn, Turns


class TurnActivities:
    """Answers what waits in the inbox, step by step."""

    def __init__(
        self,
        turns: Turns,
        commits: TurnCommits,
        assistants: AssistantCache,
        prompts: Prompts,
        slots: AccountSlots,
        model_calls: ModelCalls,
        presence: Presence,
        failures: FailureRecorder,
        action_activities: ActionActivities,
        settings: Settings,
        beat: Beat,
        now: Clock = utc_now,
    ) -> None:
        self._turns = turns
        self._commits = commits
        self._assistants = assistants
        self._prompts = prompts
        self._slots = slots
        self._model_calls = model_calls
        self._presence = presence
        self._failures = failures
        self._action_activities = action_activities
        self._settings = settings
        self._beat = beat
        self._now = now

    @activity.defn
    async def answer(self, request: TurnRequest) -> TurnOutcome:
        """Takes the next step of the turn after the cursor, or returns how far another attempt has come with it.

        Raises ApplicationError: retryable with its own delay while tries are left, else non-retryable, its type the
        failure's kind. StorageUnavailable is retried by the workflow's policy.
        """
        async with beating(self._beat, self._settings.turn_heartbeat_seconds / 3):
            outcome = await self._step(request, may_yield=True)
            if outcome is None:  # dropped for a newer message: once more, with what the customer wrote meanwhile
                outcome = await self._step(request, may_yield=False)
        assert outcome is not None
        return outcome

    @activity.defn
    async def apologize(self, request: Apologize) -> TurnOutcome:
        """Ends a turn whose tries are used up with a decent reply; what another step has come to wins over that."""
        async with beating(self._beat, self._settings.turn_heartbeat_seconds / 3):
            turn = await self._claim(request)
            if turn is None:
                return TurnOutcome(cursor=request.cursor)
            if turn.status is not TurnStatus.CLAIMED:
                return turn.outcome
            assistant = await self._assistants.at(turn.assistant, turn.assistant_version)
            failure = ModelFailureKind(request.failure)
            text = assistant.texts.apology(MODEL_FAILURES[failure].apology)
            sorry = decide_apology(turn, assistant, text, failure)
            return await self._commit(turn, assistant, _thread_of(turn, request), sorry)

    async def _step(self, request: TurnRequest, *, may_yield: bool) -> TurnOutcome | None:
        """None: the model call was dropped for a newer message."""
        turn = await self._claim(request)
        if turn is None:
            return TurnOutcome(cursor=request.cursor)
        if turn.status is not TurnStatus.CLAIMED:
            return turn.outcome
        assistant = await self._assistants.at(turn.assistant, turn.assistant_version)
        thread, asker = _thread_of(turn, request), await self._asker(turn)
        heard = hear(turn, assistant, asker, self._now())
        if heard.decision is not None:
            return await self._commit(turn, assistant, thread, heard.decision)
        if turn.attempt > 1:  # before the first nothing was asked
            self._failures.check_tries(turn)
        if turn.waits_until is not None and turn.waits_until > (now := self._now()):
            return await self._wait(turn, assistant, request, turn.waits_until - now)
        prepared = await self._prompts.prepare(turn, assistant, thread, heard.gate)
        match await self._slots.claim(turn.id, turn.attempt, turn.slot, prepared.prompt.account_name):
            case Superseded():
                return (await self._turns.get(turn.id)).outcome
            case NoRoom(wait):
                metrics.ACCOUNT_WAITS.inc()
                return await self._wait(turn, assistant, request, wait)
        try:
            answered = await self._ask(turn, assistant, prepared, may_yield=may_yield)
        except OwnerChanged:  # by now a person has it, or it begins again: the commit compares the version
            return await self._commit(turn, assistant, prepared.thread, given_up(turn))
        if answered is None:
            return None
        decision = decide_output(answered.parsed, turn, assistant, heard.gate, self._now(), answered.sources)
        return await self._commit(turn, assistant, prepared.thread, decision, answered.output, prepared)

    async def _wait(
        self, turn: ClaimedTurn, assistant: LoadedAssistant, request: TurnRequest, wait: timedelta
    ) -> TurnOutcome:
        """For room, at the account or within the customer's limit: the workflow comes again."""
        await self._presence.while_waiting(turn, assistant)
        return TurnOutcome(cursor=request.cursor, step=NextStep.WAIT, wait=wait)

    async def _asker(self, turn: ClaimedTurn) -> Asker | None:
        """Whose question is open, if one is: what was accepted is judged by that assistant's configuration alone."""
        if turn.question is None:
            return None
        name, at = turn.question.assistant, self._assistants.at
        return Asker(await at(name, turn.question.assistant_version), await at(name, turn.question.newest_version))

    async def _claim(self, request: TurnRequest | Apologize) -> ClaimedTurn | None:
        limit = self._settings.join_max_messages if self._settings.join_waiting_messages else 1
        thread = request.thread.frontend_context_uuid
        return await self._turns.claim(request.conversation_id, request.cursor, thread, limit)

    async def _ask(
        self, turn: ClaimedTurn, assistant: LoadedAssistant, prepared: PreparedPrompt, *, may_yield: bool
    ) -> Answered | None:
        """The model's output; None: dropped for a newer message.

        Raises OwnerChanged where nobody wants it any more, and ApplicationError as `answer` does.
        """
        try:
            async with self._presence.during(turn, assistant) if turn.needs_delivery else nullcontext():
                return await self._put(turn, assistant, prepared, may_yield=may_yield)
        except Unanswered as unanswered:
            failed = await self._failures.record(turn, unanswered, assistant.registry)
            if not failed.non_retryable:
                await self._presence.while_waiting(turn, assistant)
            raise failed from None
        except asyncio.CancelledError:
            await self._failures.abandoned(turn)
            raise

    async def _put(
        self, turn: ClaimedTurn, assistant: LoadedAssistant, prepared: PreparedPrompt, *, may_yield: bool
    ) -> Answered | None:
        """As `_ask`; a call that nobody wants any more is recorded at once, for that frees its slot."""
        try:
            return await self._model_calls.ask(turn, assistant, prepared, may_yield=may_yield)
        except OwnerChanged:
            await self._failures.owner_changed(turn)
            raise
        except NewerMessage:
            await self._failures.interrupted(turn)
            await asyncio.sleep(self._settings.quiet_seconds)
            return None

    async def _commit(
        self,
        turn: ClaimedTurn,
        assistant: LoadedAssistant,
        thread: Thread,
        decision: TurnDecision,
        output: OutputRecord | None = None,
        prepared: PreparedPrompt | None = None,
    ) -> TurnOutcome:
        """Commits, waiting out a database that is unavailable for a while; what another attempt committed first
        stands. Should the turn end in silence, what it has done is not denied, but told later. A customer whose
        message had to be cut is told."""
        fence, commit_id = turn.fence(thread, prepared.lost_thread if prepared else None), uuid4()
        kept = words_of_what_is_done(turn, assistant)
        notice = assistant.texts.shortened if prepared and prepared.shortened else None
        committed = await retry_while_unavailable(
            lambda: self._commits.commit(fence, decision, commit_id, output, kept=kept, notice=notice),
            self._settings.database_retry_seconds,
        )
        TurnTelemetry(turn, self._settings).committed(committed, output, assistant.registry, self._now())
        after = committed.turn
        if after.standing.owner is Owner.BOT and (turn.standing.owner is not Owner.BOT or committed.end.is_silent):
            after = await self._turns.get(turn.id)  # the commit may have had what was held asked about
        outcome = after.outcome
        if committed.won and outcome.step is NextStep.PERFORM:
            return await self._action_activities.perform_inline(outcome)
        return outcome


def _thread_of(turn: ClaimedTurn, request: TurnRequest | Apologize) -> Thread:
    """A step under way goes on from its newest output, unless the conversation started over meanwhile."""
    if turn.thread_ended:
        return Thread(frontend_context_uuid=uuid5(turn.id, f"after the owner's version {turn.owner_version}"))
    return turn.thread or request.thread
