"""When a model call brought no answer: records it, and tells Temporal whether and when to try again."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from uuid import UUID, uuid4, uuid5

from temporalio.exceptions import ApplicationError

from actions.registry import Registry
from activities.turn_steps.model_calls import Unanswered
from activities.turn_steps.telemetry import TurnTelemetry
from config.clock import Clock
from config.settings import Settings
from schemas.failures import WAITED_OUT, Certainty, ModelFailureKind, TryLimits, may_ask, pause_before_retry
from storage.alarms import Alarms
from storage.database import StorageUnavailable, retry_while_unavailable
from storage.failed_attempts import FailedAttempt, FailedAttempts
from storage.turns import ClaimedTurn


class FailureRecorder:
    """Records attempts without an answer, by the table in `schemas.failures`."""

    def __init__(self, attempts: FailedAttempts, alarms: Alarms, settings: Settings, now: Clock) -> None:
        self._attempts = attempts
        self._alarms = alarms
        self._settings = settings
        self._now = now
        self._limits = TryLimits(
            attempts=settings.turn_attempts,
            reasks_after_unknown=settings.turn_reasks_after_unknown,
            pause_max=settings.turn_retry_pause_max_seconds,
        )

    def check_tries(self, turn: ClaimedTurn) -> None:
        """Raises ApplicationError, not to be retried, if the model was asked as often as it may be."""
        if not may_ask(self._limits, attempt=turn.step_attempt, unknown_attempts=turn.unknown_attempts):
            raise ApplicationError("tries are used up", type=ModelFailureKind.ABANDONED, non_retryable=True)

    async def record(self, turn: ClaimedTurn, failed: Unanswered, registry: Registry) -> ApplicationError:
        """The error to raise once the attempt is recorded: retryable with its delay, or the last one."""
        unknown = failed.error.policy.certainty is Certainty.UNKNOWN
        away = self._is_waited_out(turn, failed.error.kind)
        attempt = FailedAttempt(
            turn_id=turn.id,
            conversation_id=turn.conversation_id,
            attempt=turn.attempt,
            raw_output_id=_of_the_outage(turn, failed.error.kind) if away else uuid4(),
            purpose=turn.purpose,
            failure=failed.error.kind,
            explanation=failed.error.explanation,
            unknown=unknown,
            given_back=away,
            text=failed.error.partial,
            prompt_pack=failed.prompt_pack,
            slot=turn.slot,
            model_ms=failed.model_ms,
        )
        await retry_while_unavailable(lambda: self._attempts.record(attempt), self._settings.database_retry_seconds)
        if failed.error.policy.alarms:
            await retry_while_unavailable(lambda: self._ring(failed), self._settings.database_retry_seconds)
        pause = pause_before_retry(
            failed.error.kind,
            self._limits,
            attempt=turn.step_attempt - int(away),
            unknown_attempts=turn.unknown_attempts + int(unknown),
            retry_after=failed.error.retry_after,
        )
        TurnTelemetry(turn, self._settings).failed(failed, pause, registry)
        return ApplicationError(
            f"no answer: {failed.error.kind}",  # what upstream said is in raw_outputs, not in Temporal
            type=failed.error.kind,
            non_retryable=pause is None,
            next_retry_delay=None if pause is None else timedelta(seconds=pause),
        )

    async def _ring(self, failed: Unanswered) -> None:
        """Of a shape that nobody knows, its names are what it is about; of all else, the account."""
        error = failed.error
        await self._alarms.ring(error.kind, error.why if error.blocks else failed.account_name, error.why)

    def _is_waited_out(self, turn: ClaimedTurn, kind: ModelFailureKind) -> bool:
        """Whether this failure costs no try, for nobody is reached, and not for too long yet."""
        since = turn.unreachable_since or self._now()
        patience = timedelta(seconds=self._settings.perplexity_patience_seconds)
        return kind in WAITED_OUT and self._now() - since < patience

    async def abandoned(self, turn: ClaimedTurn) -> None:
        """This worker stops: says so, if it can, so that its slot is free and the next attempt knows at once."""
        TurnTelemetry(turn, self._settings).abandoned()
        failed = _ended(turn, ModelFailureKind.ABANDONED, "the worker stopped or lost its lease", unknown=True)
        with contextlib.suppress(StorageUnavailable, TimeoutError):
            async with asyncio.timeout(self._settings.worker_last_write_seconds):
                await self._attempts.record(failed)

    async def interrupted(self, turn: ClaimedTurn) -> None:
        """The call was dropped, for the customer wrote on; it counts as asked, and its outcome as known."""
        why = "the customer wrote on; asked again with both"
        TurnTelemetry(turn, self._settings).interrupted(why)
        dropped = _ended(turn, ModelFailureKind.INTERRUPTED, why, unknown=False)
        await self._attempts.record(dropped.model_copy(update={"anew": True}))

    async def owner_changed(self, turn: ClaimedTurn) -> None:
        """The call was dropped, for the conversation has another owner: what follows, the step's commit says."""
        why = "the conversation has another owner, or started over, since it was asked"
        TurnTelemetry(turn, self._settings).interrupted(why)
        dropped = _ended(turn, ModelFailureKind.INTERRUPTED, why, unknown=False)
        await retry_while_unavailable(lambda: self._attempts.record(dropped), self._settings.database_retry_seconds)


def _of_the_outage(turn: ClaimedTurn, kind: ModelFailureKind) -> UUID:
    """One for all looks during an outage: each gives its try back, and what ends it takes one, or ends the step."""
    return uuid5(turn.id, f"unreachable at step {turn.step}, try {turn.step_attempt}: {kind}")


def _ended(turn: ClaimedTurn, failure: ModelFailureKind, explanation: str, *, unknown: bool) -> FailedAttempt:
    """An attempt that ended without anything from the model."""
    return FailedAttempt(
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        attempt=turn.attempt,
        raw_output_id=uuid4(),
        purpose=turn.purpose,
        failure=failure,
        explanation=explanation,
        unknown=unknown,
        slot=turn.slot,
    )
