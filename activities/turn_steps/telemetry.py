"""What operators learn of a turn: one log line for each attempt that ends, and the metrics.

The raw output is in the line (cut at LOG_RAW_OUTPUT_CHARACTERS), so that drift can be debugged from the logs
alone; the customer's own words only with LOG_CUSTOMER_WORDS.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from actions.registry import Registry
from actions.shown_output import output_to_show
from activities.turn_steps.prompt import joined_text
from config import metrics
from config.logs import get_logger
from config.settings import Settings
from schemas.effects import EffectOutcome, EffectStatus, LedgerRow
from schemas.turn_decisions import OutputRecord
from schemas.turns import OutputError
from storage.actions import AcceptedAction
from storage.turn_commits import Committed
from storage.turns import ClaimedTurn

if TYPE_CHECKING:
    from activities.turn_steps.model_calls import Unanswered

log = get_logger("turn")


class TurnTelemetry:
    """Reports how one attempt at one turn ended. What the model wrote stands in `raw_output` and nowhere else."""

    def __init__(self, turn: ClaimedTurn, settings: Settings) -> None:
        self._turn = turn
        self._settings = settings

    def committed(
        self,
        committed: Committed,
        output: OutputRecord | None,
        registry: Registry,
        now: datetime,
    ) -> None:
        """A step has its outcome; if *committed* was not won, another attempt's was stored first. *registry* knows
        which values of *output* are sensitive."""
        turn, end = committed.turn, committed.end
        verdict = output.verdict if output else turn.verdict
        fields = {"verdict": verdict, "handler": end.handler, **self._output(output, registry), **self._fields()}
        status = turn.status if committed.won else "superseded"
        if not end.finishes:
            action = end.action.request.action if end.action else None
            metrics.OUTPUTS.labels(output.verdict if output else "none", action or "").inc()
            log.info("turn_continues", status=status, action=action, **fields)
            return
        waited = (now - self._turn.messages[0].stored_at).total_seconds()
        metrics.TURNS.labels(status, turn.verdict or "none").inc()
        if committed.won:
            metrics.TURN_SECONDS.observe(waited)
        log.info("turn", status=status, failure=end.failure, total_ms=int(waited * 1000), **fields)

    def failed(self, failed: Unanswered, pause: float | None, registry: Registry) -> None:
        """The attempt got no answer; *pause* is the seconds until the next, None if there is none. *registry* as in
        `committed`."""
        metrics.FAILURES.labels(failed.error.kind).inc()
        if failed.error.blocks:
            metrics.UNKNOWN_SHAPES.labels(failed.error.blocks).inc()
        log.warning(
            "turn_attempt_failed",
            failure=failed.error.kind,
            why=failed.error.why,
            said=self._cut(failed.error.said),
            retry_in_seconds=pause,
            model_ms=failed.model_ms,
            raw_output=self._shown(failed.error.partial, registry),
            **self._fields(),
        )

    def interrupted(self, why: str) -> None:
        """The model call was dropped: the customer wrote on, or the owner changed."""
        metrics.FAILURES.labels("interrupted").inc()
        log.info("turn_attempt_interrupted", why=why, **self._fields())

    def abandoned(self) -> None:
        """This worker stops in the middle of the attempt."""
        metrics.FAILURES.labels("abandoned").inc()
        log.warning("turn_attempt_abandoned", **self._fields())

    def _output(self, output: OutputRecord | None, registry: Registry) -> dict[str, Any]:
        if output is None:
            return {}
        return {
            "purpose": output.purpose,
            "errors": [_named(error, registry) for error in output.errors],
            "backend_uuid": output.backend_uuid,
            "prompt_pack": output.prompt_pack,
            "pack_echoed": output.pack_echoed,
            "model_ms": output.model_ms,
            "first_text_ms": output.first_text_ms,
            "raw_output": self._shown(output.text, registry),
        }

    def _fields(self) -> dict[str, Any]:
        turn = self._turn
        fields: dict[str, Any] = {
            "conversation_id": str(turn.conversation_id),
            "turn_id": str(turn.id),
            "frontend_context_uuid": str(turn.frontend_context_uuid),
            "step": turn.step,
            "attempt": turn.attempt,
            "unknown_attempts": turn.unknown_attempts,
            "channel": turn.channel,
            "assistant": turn.assistant,
            "assistant_version": turn.assistant_version or 0,
            "messages": len(turn.messages),
            "request_id": turn.messages[-1].request_id,
        }
        if self._settings.log_customer_words:
            fields["customer_words"] = joined_text(turn.messages)
        return fields

    def _shown(self, output: str, registry: Registry) -> str:
        return self._cut(output_to_show(output, registry))

    def _cut(self, text: str) -> str:
        limit = self._settings.log_raw_output_characters
        return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def _named(error: OutputError, registry: Registry) -> dict[str, str]:
    """*error* without names that the model made up."""
    return {"path": registry.known_path(error.path), "message": error.message, "code": error.code}


def report_performed(action: AcceptedAction, committed: Committed) -> None:
    """A turn ended with an action; its outputs have lines of their own."""
    turn = committed.turn
    status = turn.status if committed.won else "superseded"
    metrics.TURNS.labels(status, turn.verdict or "none").inc()
    log.info(
        "turn",
        status=status,
        verdict=turn.verdict,
        action=action.name,
        state=turn.state,
        ticket_id=turn.ticket_id,
        frontend_context_uuid=str(turn.frontend_context_uuid),
        backend_uuid=turn.backend_uuid,
        conversation_id=str(turn.conversation_id),
        turn_id=str(turn.id),
        attempt=turn.attempt,
        assistant=action.assistant,
        assistant_version=action.assistant_version or 0,
    )


def report_action(action: AcceptedAction, claimed: LedgerRow, outcome: EffectOutcome) -> None:
    """An action is settled: how, and what the ledger says of it."""
    metrics.ACTIONS.labels(action.name, outcome.status).inc()
    tell = log.warning if outcome.status is EffectStatus.UNKNOWN else log.info  # a human is to look at that
    tell(
        "action",
        action=action.name,
        status=outcome.status,
        error=outcome.error,
        effect_key=claimed.key,
        attempt=claimed.attempts,
        conversation_id=str(action.conversation_id),
        turn_id=str(action.turn_id),
    )
