"""The turn, step by step: claim → decide → commit.

Attempt 2 of a step may run while attempt 1 still does, so everything is decided by the database: whoever commits a
step first wins, who finds a turn in another step (or finished) returns that, and how often a question may be put
again is counted there.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4, uuid5

from temporalio import activity
from temporalio.exceptions import ApplicationError

from actions.prompt_pack import customer_words, repair_prompt, result_prompt, with_open_question
from actions.reading import read_output
from activities.actions import ActionActivities
from activities.assistants import AssistantCache, LoadedAssistant
from activities.heartbeat import Beat, beating
from activities.turn_steps.decision import (
    decide_apology,
    decide_output,
    decide_without_model,
    given_up,
    kept_words,
    on_message,
)
from activities.turn_steps.failures import FailureRecorder
from activities.turn_steps.interruption import Interruption, OwnerChanged
from activities.turn_steps.model_calls import Answered, ModelCalls, Prepared, Unanswered
from activities.turn_steps.outcomes import outcome_of, output_of
from activities.turn_steps.presence import Presence
from activities.turn_steps.prompt import Prompt, joined_text
from activities.turn_steps.telemetry import TurnTelemetry
from config.clock import Clock, utc_now
from config.settings import Settings
from schemas.conversations import Apologize, NextStep, Thread, TurnOutcome, TurnRequest
from schemas.encoding import dump_json
from schemas.failures import MODEL_FAILURES, ModelFailureKind, may_ask
from schemas.standing import Owner
from schemas.turn_decisions import (
    AskConfirmation,
    GiveReply,
    OutputRecord,
    PerformAction,
    PerformConfirmed,
    TurnDecision,
)
from schemas.turn_record import Purpose, TurnFence, TurnStatus
from storage.actions import Actions
from storage.database import retry_while_unavailable
from storage.turns import ClaimedTurn, Turns

_FAILURES_OF_A_LOST_THREAD = 2
_RECAP_MESSAGES = 20


class NoRoom(Exception):
    """The account takes no further question now: the turn keeps its place in the queue and comes again."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"no room for {wait}")
        self.wait = wait


class TurnActivities:
    """Answers what waits in the inbox, step by step."""

    def __init__(
        self,
        turns: Turns,
        actions: Actions,
        assistants: AssistantCache,
        model_calls: ModelCalls,
        action_activities: ActionActivities,
        presence: Presence,
        settings: Settings,
        beat: Beat,
        now: Clock = utc_now,
    ) -> None:
        self._turns = turns
        self._actions = actions
        self._assistants = assistants
        self._model_calls = model_calls
        self._action_activities = action_activities
        self._presence = presence
        self._failures = FailureRecorder(turns, settings, now)
        self._settings = settings
        self._now = now
        self._interruption = Interruption(turns, model_calls, self._failures, settings)
        self._beat = beat

    @activity.defn
    async def answer(self, request: TurnRequest) -> TurnOutcome:
        """Takes the next step of the turn after the cursor, or returns how far another attempt has come with it.

        Raises ApplicationError: retryable with its own delay while tries are left, else non-retryable, its type the
        failure's kind. StorageUnavailable is retried by the workflow's policy.
        """
        async with beating(self._beat, self._settings.turn_heartbeat_seconds / 3):
            try:
                outcome = await self._step(request, may_yield=True)
                if outcome is None:  # dropped for a newer message: once more, with what the customer wrote meanwhile
                    outcome = await self._step(request, may_yield=False)
            except NoRoom as waiting:
                return TurnOutcome(cursor=request.cursor, step=NextStep.WAIT, wait=waiting.wait)
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
                return outcome_of(turn)
            assistant = await self._assistants.at(turn.assistant, turn.assistant_version)
            text = assistant.texts.apology(MODEL_FAILURES[ModelFailureKind(request.failure)].apology)
            sorry = decide_apology(turn, assistant, text, request.failure)
            return await self._commit(turn, assistant, turn.fence(request.thread), sorry)

    async def _step(self, request: TurnRequest, *, may_yield: bool) -> TurnOutcome | None:
        """None: the question was dropped for a newer message."""
        turn = await self._claim(request)
        if turn is None:
            return TurnOutcome(cursor=request.cursor)
        if turn.status is not TurnStatus.CLAIMED:
            return outcome_of(turn)
        assistant = await self._assistants.at(turn.assistant, turn.assistant_version)
        thread = turn.thread or request.thread  # a step under way goes on from its newest output
        if turn.thread_ended:  # the conversation started over while the turn was under way
            thread = Thread(frontend_context_uuid=uuid5(turn.id, f"after the owner's version {turn.owner_version}"))
        heard = on_message(turn, assistant)
        if (decision := decide_without_model(turn, assistant, heard, self._now())) is not None:
            return await self._commit(turn, assistant, turn.fence(thread), decision)
        if not may_ask(self._failures.limits, attempt=turn.step_attempt, unknown_attempts=turn.unknown_attempts):
            raise ApplicationError("tries are used up", type=ModelFailureKind.ABANDONED, non_retryable=True)
        lost = await self._lost(turn, thread, assistant)
        if lost is not None:
            thread = Thread(frontend_context_uuid=uuid5(turn.id, "in the place of a lost thread"))
        prompt, recap = await self._prompt(turn, assistant), await self._recap(turn) if lost else None
        prepared, wait = await self._model_calls.begin(turn, assistant, thread, prompt, recap)
        if wait < 0:
            return outcome_of(await self._turns.get(turn.id))
        if wait:
            await self._presence.while_waiting(turn, assistant)
            raise NoRoom(timedelta(seconds=wait))
        try:
            answered = await self._ask(turn, assistant, prepared, may_yield=may_yield)
        except OwnerChanged:  # by now a person has it, or it begins again: the commit compares the version
            return await self._commit(turn, assistant, turn.fence(thread), given_up(turn))
        if answered is None:
            return None
        parsed = read_output(answered.answer.text, assistant.registry, limits=assistant.limits)
        decision = decide_output(parsed, turn, assistant, heard, self._now(), answered.answer.sources)
        output = output_of(answered, parsed, turn.purpose)
        fence = replace(turn.fence(thread), lost_thread=lost)
        return await self._commit(turn, assistant, fence, _with_notice(decision, answered, assistant), output)

    async def _claim(self, request: TurnRequest | Apologize) -> ClaimedTurn | None:
        limit = self._settings.join_max_messages if self._settings.join_waiting_messages else 1
        thread = request.thread.frontend_context_uuid
        return await self._turns.claim(request.conversation_id, request.cursor, thread, limit)

    async def _lost(self, turn: ClaimedTurn, thread: Thread, assistant: LoadedAssistant) -> UUID | None:
        """The thread, if upstream forgot it: the question surely failed there twice, and it knows no such thread.

        That a question without it is answered shows with this one; only then the old thread ends.
        """
        if turn.purpose is not Purpose.ANSWER or turn.final_failures < _FAILURES_OF_A_LOST_THREAD:
            return None
        if thread.backend_uuid is None or turn.thread_url_slug is None:
            return None
        account = assistant.stored.config.account_name or self._settings.default_account_name
        known = await self._model_calls.has_thread(account, turn.thread_url_slug)
        return thread.frontend_context_uuid if known is False else None

    async def _recap(self, turn: ClaimedTurn) -> list[tuple[str, str]]:
        return [(said.author, said.text) for said in await self._turns.recap(turn, _RECAP_MESSAGES)]

    async def _prompt(self, turn: ClaimedTurn, assistant: LoadedAssistant) -> Prompt:
        """What is put to the model: the customer's words, a repair, or an action's result."""
        if turn.purpose is Purpose.REPAIR:
            await asyncio.sleep(assistant.registry.config.repair_pause_seconds)
            invalid = await self._turns.last_invalid(turn.id)
            return Prompt(invalid.text, lambda raw: repair_prompt(invalid.errors, raw, assistant.registry))
        if turn.purpose is Purpose.CONCLUDE:
            last = await self._actions.last_result(turn.id)
            result = dump_json({"status": last.status, **last.result})
            return Prompt(result, lambda shown: result_prompt(last.name, shown))
        return Prompt(
            joined_text(turn.messages), lambda words: self._after_question(turn, assistant, customer_words(words))
        )

    def _after_question(self, turn: ClaimedTurn, assistant: LoadedAssistant, words: str) -> str:
        """*words* after what the customer was asked to confirm, and has not answered with a plain yes or no."""
        asked, now = turn.question, self._now()
        if asked is None:
            return words
        stays = now < asked.expires_at and not on_message(turn, assistant).drops_question
        return with_open_question(asked.pending.request, (now - asked.created_at).total_seconds(), words, stays=stays)

    async def _ask(
        self, turn: ClaimedTurn, assistant: LoadedAssistant, prepared: Prepared, *, may_yield: bool
    ) -> Answered | None:
        """The model's output; None: dropped for a newer message.

        Raises OwnerChanged where nobody wants it any more, and ApplicationError as `answer` does.
        """
        try:
            async with self._presence.during(turn, assistant):
                answering = self._model_calls.ask(turn, assistant, prepared)
                return await self._interruption.run(turn, answering, may_yield=may_yield)
        except Unanswered as unanswered:
            failed = await self._failures.record(turn, unanswered, turn.purpose, assistant.registry)
            if not failed.non_retryable:
                await self._presence.while_waiting(turn, assistant)
            raise failed from None
        except asyncio.CancelledError:
            await self._failures.abandoned(turn, self._model_calls.slot_of(turn), turn.purpose)
            raise

    async def _commit(
        self,
        turn: ClaimedTurn,
        assistant: LoadedAssistant,
        fence: TurnFence,
        decision: TurnDecision,
        output: OutputRecord | None = None,
    ) -> TurnOutcome:
        """Commits, waiting out a database that is unavailable for a while; what another attempt committed first
        stands."""
        commit_id, kept = uuid4(), kept_words(turn, assistant)
        committed = await retry_while_unavailable(
            lambda: self._turns.commit(fence, decision, commit_id, output, kept), self._settings.database_retry_seconds
        )
        TurnTelemetry(turn, self._settings, assistant.registry).committed(decision, committed, output, self._now())
        outcome = outcome_of(committed.turn)
        if turn.standing.owner is not Owner.BOT and committed.turn.standing.owner is Owner.BOT:
            position = await self._turns.position(turn.conversation_id)
            outcome.waiting_seq = position.newest_seq  # what was held is asked about now
        if committed.won and isinstance(decision, PerformAction | PerformConfirmed):
            return await self._action_activities.perform_inline(outcome)
        return outcome


def _with_notice(decision: TurnDecision, answered: Answered, assistant: LoadedAssistant) -> TurnDecision:
    """Tells a customer whose message had to be cut."""
    if answered.shortened and isinstance(decision, GiveReply | AskConfirmation):
        return replace(decision, text=f"{assistant.texts.shortened}\n\n{decision.text}")
    return decision
