"""What operators learn of a turn: one log line for each attempt that ends, and the metrics.

The raw output stands in the line (cut at LOG_RAW_OUTPUT_CHARACTERS), so that drift can be debugged from the logs
alone; the customer's own words only with LOG_CUSTOMER_WORDS.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from activities.questions import joined_text
from config import metrics
from config.logs import get_logger
from config.settings import Settings
from storage.actions import BegunAction, Settlement
from storage.turns import FinishedTurn, KeptOutput, TakenTurn, TurnChange

if TYPE_CHECKING:
    from activities.asking import Unanswered

log = get_logger("turn")


class TurnReport:
    """Reports how one attempt at one turn ended."""

    def __init__(self, turn: TakenTurn, settings: Settings) -> None:
        self._turn = turn
        self._settings = settings

    def finished(self, finished: FinishedTurn, *, won: bool) -> None:
        """The turn has its outcome; *won* is false when another attempt's was stored first."""
        waited = (datetime.now(UTC) - self._turn.messages[0].stored_at).total_seconds()
        status = finished.status if won else "superseded"
        metrics.TURNS.labels(status, finished.verdict or "none").inc()
        if won:
            metrics.TURN_SECONDS.observe(waited)
        log.info(
            "turn",
            status=status,
            verdict=finished.verdict,
            failure=finished.failure,
            backend_uuid=finished.backend_uuid,
            total_ms=int(waited * 1000),
            **self._output(finished),
            **self._fields(),
        )

    def kept(self, kept: KeptOutput, *, won: bool) -> None:
        """An output after which the turn goes on: an invalid one, or an action to be done."""
        metrics.OUTPUTS.labels(kept.output.output_verdict or "none", kept.action.action_name).inc()
        log.info(
            "turn_goes_on",
            status=kept.status if won else "superseded",
            verdict=kept.output.output_verdict,
            action=kept.action.action_name or None,
            errors=[error.model_dump() for error in kept.output.errors],
            **self._output(kept),
            **self._fields(),
        )

    def failed(self, failed: Unanswered, pause: float | None) -> None:
        """The attempt got no answer; *pause* is the seconds until the next, None if there is none."""
        metrics.FAILURES.labels(failed.error.kind).inc()
        log.warning(
            "turn_attempt_failed",
            failure=failed.error.kind,
            why=failed.error.explanation[:500],
            retry_in_seconds=pause,
            model_ms=failed.model_ms,
            raw_output=self._cut(failed.error.partial),
            **self._fields(),
        )

    def overtaken(self) -> None:
        """The customer wrote on: the question was dropped for one with both messages."""
        metrics.FAILURES.labels("overtaken").inc()
        log.info("turn_attempt_overtaken", **self._fields())

    def abandoned(self) -> None:
        """This worker stops in the middle of the attempt."""
        metrics.FAILURES.labels("abandoned").inc()
        log.warning("turn_attempt_abandoned", **self._fields())

    def _output(self, change: TurnChange) -> dict[str, Any]:
        return {
            "handler": change.handler,
            "frontend_context_uuid": str(change.frontend_context_uuid),
            "purpose": change.output.purpose,
            "prompt_pack": change.output.prompt_pack,
            "model_ms": change.output.model_ms,
            "first_text_ms": change.output.first_text_ms,
            "raw_output": self._cut(change.output.raw_text),
        }

    def _fields(self) -> dict[str, Any]:
        turn = self._turn
        fields: dict[str, Any] = {
            "conversation_id": str(turn.conversation_id),
            "turn_id": str(turn.id),
            "attempt": turn.attempt,
            "unsettled": turn.unsettled,
            "channel": turn.channel,
            "assistant": turn.assistant,
            "assistant_version": turn.assistant_version or 0,
            "messages": len(turn.messages),
            "request_id": turn.messages[-1].request_id,
        }
        if self._settings.log_customer_words:
            fields["customer_words"] = joined_text(turn.messages)
        return fields

    def _cut(self, text: str) -> str:
        limit = self._settings.log_raw_output_characters
        return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def report_performed(begun: BegunAction, finished: FinishedTurn, *, won: bool) -> None:
    """A turn ended with an action; its outputs have lines of their own."""
    status = finished.status if won else "superseded"
    metrics.TURNS.labels(status, finished.verdict or "none").inc()
    log.info(
        "turn",
        status=status,
        verdict=finished.verdict,
        handler=finished.handler,
        action=begun.name,
        state=finished.state,
        ticket_id=finished.ticket_id,
        frontend_context_uuid=str(finished.frontend_context_uuid),
        backend_uuid=finished.backend_uuid,
        conversation_id=str(begun.conversation_id),
        turn_id=str(begun.turn_id),
        attempt=begun.turn_attempt,
        assistant=begun.assistant,
        assistant_version=begun.assistant_version or 0,
    )


def report_action(begun: BegunAction, settlement: Settlement) -> None:
    """An action is settled: how, and what the ledger says of it."""
    metrics.ACTIONS.labels(begun.name, settlement.status).inc()
    log.info(
        "action",
        action=begun.name,
        status=settlement.status,
        error=settlement.error,
        effect_key=begun.effect_key,
        attempt=begun.attempt,
        conversation_id=str(begun.conversation_id),
        turn_id=str(begun.turn_id),
    )
