"""The turn: takes the waiting messages, asks Perplexity, stores the outcome. One activity, three statements.

Attempt 2 of a turn may run while attempt 1 still does (temporal.md). So everything is decided by the record: whoever
commits first wins, who finds a finished turn returns it, and how often a question may be put again is counted there.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NoReturn
from uuid import uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.accounting import TurnReport
from activities.asking import Asking, Unanswered
from config.settings import Settings
from schemas.assistants import Assistant
from schemas.conversations import Apologize, Thread, TurnOutcome, TurnRequest
from schemas.failures import FAILURES, FailureKind, TryLimits, may_ask, pause_before_retry
from schemas.turns import State, Verdict
from storage.configurations import Configurations
from storage.patience import patiently
from storage.turns import FailedAttempt, FinishedTurn, TakenTurn, Turns


class Answering:
    """Answers what waits in the inbox."""

    def __init__(self, turns: Turns, configurations: Configurations, asking: Asking, settings: Settings) -> None:
        self._turns = turns
        self._configurations = configurations
        self._asking = asking
        self._settings = settings
        self._limits = TryLimits(
            attempts=settings.turn_attempts,
            reasks_after_unknown=settings.turn_reasks_after_unknown,
            pause_max=settings.turn_retry_pause_max_seconds,
        )

    @activity.defn
    async def answer(self, request: TurnRequest) -> TurnOutcome:
        """Answers the messages after the cursor, or returns the answer that is already stored.

        Raises ApplicationError: retryable with its own delay while tries are left, else non-retryable, its type the
        failure's kind. StorageUnavailable is retried by the workflow's policy.
        """
        taken = await self._take(request)
        if taken is None:
            return TurnOutcome(cursor=request.cursor)
        if taken.finished_at is not None:
            return outcome_of(taken)
        assistant = await self._configurations.at(taken.assistant, taken.assistant_version)
        if taken.conversation_state is State.HUMAN_HANDOFF:
            return await self._hold(taken, assistant, request.thread)
        if not may_ask(self._limits, attempt=taken.attempt, unsettled=taken.unsettled):
            raise ApplicationError("tries are used up", type=FailureKind.ABANDONED, non_retryable=True)
        return await self._ask(taken, assistant, request.thread)

    @activity.defn
    async def apologize(self, request: Apologize) -> TurnOutcome:
        """Ends a turn whose tries are used up with a decent reply; a stored answer wins over the apology."""
        taken = await self._take(request)
        if taken is None:
            return TurnOutcome(cursor=request.cursor)
        if taken.finished_at is not None:
            return outcome_of(taken)
        assistant = await self._configurations.at(taken.assistant, taken.assistant_version)
        policy = FAILURES[FailureKind(request.failure)]
        finished = _finished(taken, assistant, request.thread).model_copy(
            update={
                "status": "apologised",
                "failure": request.failure,
                "reply": assistant.config.texts.apology(policy.apology),
            }
        )
        return await self._finish(taken, finished)

    async def _take(self, request: TurnRequest | Apologize) -> TakenTurn | None:
        limit = self._settings.join_max_messages if self._settings.join_waiting_messages else 1
        thread = request.thread.frontend_context_uuid
        return await self._turns.take(request.conversation_id, request.cursor, thread, limit)

    async def _hold(self, taken: TakenTurn, assistant: Assistant, thread: Thread) -> TurnOutcome:
        """A human has the conversation: the message is kept, the model is not asked."""
        held = _finished(taken, assistant, thread)
        return await self._finish(taken, held.model_copy(update={"status": "held", "state": taken.conversation_state}))

    async def _ask(self, taken: TakenTurn, assistant: Assistant, thread: Thread) -> TurnOutcome:
        try:
            answered = await self._asking.ask(taken, assistant, thread)
        except Unanswered as unanswered:
            await self._settle(taken, unanswered)
        except asyncio.CancelledError:
            await self._abandon(taken)
            raise
        answer = answered.answer
        finished = _finished(taken, assistant, thread).model_copy(
            update={
                "verdict": Verdict.TEXT,
                "reply": answered.reply,
                "sources": list(answer.sources),
                "backend_uuid": answer.backend_uuid,
                "thread_url_slug": answer.thread_url_slug,
                "collection_uuid": answered.question.collection_uuid,
                "account_name": answered.question.account_name,
                "raw_output_id": uuid4(),
                "raw_text": answer.text,
                "details": answer.details,
                "slot": answered.slot,
                "model_ms": answered.model_ms,
                "first_text_ms": answered.first_text_ms,
            }
        )
        return await self._finish(taken, finished)

    async def _finish(self, taken: TakenTurn, finished: FinishedTurn) -> TurnOutcome:
        """Commits, waiting out a database that is away for a while: the answer in hand was dearly bought."""
        won = await patiently(lambda: self._turns.finish(finished), self._settings.record_patience_seconds)
        TurnReport(taken, self._settings).finished(finished, won=won)
        if won:
            return TurnOutcome(
                cursor=finished.last_seq,
                turn_id=finished.turn_id,
                state=finished.state,
                verdict=finished.verdict,
                thread=_accepted_thread(finished),
            )
        earlier = await self._turns.take(taken.conversation_id, taken.first_seq - 1, finished.frontend_context_uuid, 1)
        assert earlier is not None
        assert earlier.finished_at is not None
        return outcome_of(earlier)

    async def _settle(self, taken: TakenTurn, failed: Unanswered) -> NoReturn:
        """Records the failed attempt, then tells Temporal whether and when to try again."""
        unknown = failed.error.policy.certainty == "unknown"
        await self._turns.settle_failed(
            FailedAttempt(
                turn_id=taken.id,
                conversation_id=taken.conversation_id,
                attempt=taken.attempt,
                raw_output_id=uuid4(),
                failure=failed.error.kind,
                explanation=failed.error.explanation,
                unknown=unknown,
                text=failed.error.partial,
                slot=failed.slot,
                model_ms=failed.model_ms,
            )
        )
        pause = pause_before_retry(
            failed.error.kind,
            self._limits,
            attempt=taken.attempt,
            unsettled=taken.unsettled + int(unknown),
            retry_after=failed.error.retry_after,
        )
        TurnReport(taken, self._settings).failed(failed, pause)
        raise ApplicationError(
            failed.error.explanation,
            type=failed.error.kind,
            non_retryable=pause is None,
            next_retry_delay=None if pause is None else timedelta(seconds=pause),
        ) from failed.error

    async def _abandon(self, taken: TakenTurn) -> None:
        """This worker stops: says so, if it can, so that its slot is free and the next attempt knows at once."""
        TurnReport(taken, self._settings).abandoned()
        failed = FailedAttempt(
            turn_id=taken.id,
            conversation_id=taken.conversation_id,
            attempt=taken.attempt,
            raw_output_id=uuid4(),
            failure=FailureKind.ABANDONED,
            explanation="the worker stopped or lost its lease",
            unknown=True,
            slot=self._asking.slot_of(taken),
        )
        task = asyncio.ensure_future(self._turns.settle_failed(failed))
        await asyncio.wait([task], timeout=self._settings.database_timeout_seconds)


def outcome_of(turn: TakenTurn) -> TurnOutcome:
    """What a turn that was finished earlier came to."""
    return TurnOutcome(
        cursor=turn.last_seq, turn_id=turn.id, state=turn.state, verdict=turn.verdict, thread=turn.thread
    )


def _finished(taken: TakenTurn, assistant: Assistant, thread: Thread) -> FinishedTurn:
    return FinishedTurn(
        turn_id=taken.id,
        conversation_id=taken.conversation_id,
        attempt=taken.attempt,
        last_seq=taken.last_taken_seq,
        state=taken.conversation_state,
        assistant_version=assistant.version,
        reply_id=uuid4(),
        reply=None,
        frontend_context_uuid=thread.frontend_context_uuid,
    )


def _accepted_thread(finished: FinishedTurn) -> Thread | None:
    if finished.backend_uuid is None:
        return None
    return Thread(
        frontend_context_uuid=finished.frontend_context_uuid,
        backend_uuid=finished.backend_uuid,
        thread_url_slug=finished.thread_url_slug,
    )
