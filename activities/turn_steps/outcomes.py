"""From what is stored to what the workflow is told, and from what was asked to what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from schemas.actions import ParsedOutput
from schemas.conversations import NextStep, TurnOutcome
from schemas.turn_decisions import OutputRecord
from schemas.turn_record import Purpose, TurnStatus
from storage.turns import TurnRow

if TYPE_CHECKING:
    from activities.turn_steps.model_calls import Answered

_STEPS = {
    TurnStatus.INVALID: NextStep.REPAIR,
    TurnStatus.ACTING: NextStep.PERFORM,
    TurnStatus.RESULTED: NextStep.CONCLUDE,
    TurnStatus.REOPENED: NextStep.AGAIN,
}


def outcome_of(turn: TurnRow) -> TurnOutcome:
    """How far a turn has come: the one place where a workflow's outcome is made."""
    finished = turn.finished_at is not None
    return TurnOutcome(
        cursor=turn.last_seq if finished else turn.first_seq - 1,
        turn_id=turn.id,
        state=turn.state if finished else turn.standing.state,
        standing=turn.standing,
        verdict=turn.verdict,
        thread=turn.thread,
        step=_STEPS.get(turn.status, NextStep.FINISHED),
        action_id=turn.action_id,
        ticket_id=turn.ticket_id,
        needs_delivery=finished and turn.needs_delivery,
    )


def output_of(answered: Answered, parsed: ParsedOutput, purpose: Purpose) -> OutputRecord:
    """What the model really wrote, with the verdict."""
    answer = answered.answer
    return OutputRecord(
        id=uuid4(),
        purpose=purpose,
        verdict=parsed.verdict,
        text=answer.text,
        errors=list(parsed.errors),
        notes=list(parsed.notes),
        details=answer.details,
        backend_uuid=answer.backend_uuid,
        thread_url_slug=answer.thread_url_slug,
        account_name=answered.prompt.account_name,
        collection_uuid=answered.prompt.collection_uuid,
        prompt_pack=answered.pack_asked_with,
        pack_echoed=parsed.pack,
        pack_told=answered.pack_told,
        slot=answered.slot,
        model_ms=answered.model_ms,
        first_text_ms=answered.first_text_ms,
    )
