"""From what was asked and read to what is written: the records of a turn, and what the workflow is told."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from activities.bots import Bot
from schemas.actions import ParsedOutput
from schemas.conversations import Step, Thread, TurnOutcome
from schemas.turns import Verdict
from storage.turns import FinishedTurn, KeptOutput, Purpose, RawOutput, TakenTurn

if TYPE_CHECKING:
    from activities.asking import Answered
    from activities.deciding import Decision

_STEPS = {"invalid": Step.REPAIR, "acting": Step.PERFORM, "resulted": Step.CONCLUDE}


def outcome_of(turn: TakenTurn) -> TurnOutcome:
    """How far a turn has come that this attempt may not carry on."""
    return TurnOutcome(
        cursor=turn.last_seq if turn.finished_at else turn.first_seq - 1,
        turn_id=turn.id,
        state=turn.state if turn.finished_at else turn.conversation_state,
        verdict=turn.verdict,
        thread=turn.thread,
        step=_STEPS.get(turn.status, Step.FINISHED),
        action_id=turn.action_id,
        ticket_id=turn.ticket_id,
        to_deliver=turn.finished_at is not None and turn.is_sent,
    )


def output_of(answered: Answered, parsed: ParsedOutput, purpose: Purpose) -> RawOutput:
    """What the model really wrote, with the verdict."""
    return RawOutput(
        raw_output_id=uuid4(),
        purpose=purpose,
        output_verdict=parsed.verdict,
        raw_text=answered.answer.text,
        errors=parsed.errors,
        notes=parsed.notes,
        details=answered.answer.details,
        output_backend_uuid=answered.answer.backend_uuid,
        prompt_pack=answered.pack,
        slot=answered.slot,
        model_ms=answered.model_ms,
        first_text_ms=answered.first_text_ms,
    )


def finished_turn(
    taken: TakenTurn,
    bot: Bot,
    thread: Thread,
    *,
    status: str = "answered",
    reply: str | None = None,
    answered: Answered | None = None,
    output: RawOutput | None = None,
) -> FinishedTurn:
    """The end of *taken*; with *answered*, its thread is taken over."""
    finished = FinishedTurn(
        turn_id=taken.id,
        conversation_id=taken.conversation_id,
        attempt=taken.attempt,
        last_seq=taken.last_taken_seq,
        status=status,
        state=taken.conversation_state,
        assistant_version=bot.assistant.version,
        reply_id=uuid4(),
        reply=reply,
        frontend_context_uuid=thread.frontend_context_uuid,
        output=output or RawOutput(),
    )
    return finished if answered is None else finished.model_copy(update=_accepted(answered, bot, reply))


def _accepted(answered: Answered, bot: Bot, reply: str | None) -> dict[str, object]:
    answer = answered.answer
    note = f"{bot.texts.shortened}\n\n" if answered.shortened and reply else ""
    return {
        "verdict": Verdict.TEXT,
        "reply": reply if reply is None else note + reply,
        "sources": list(answer.sources),
        "backend_uuid": answer.backend_uuid,
        "thread_url_slug": answer.thread_url_slug,
        "collection_uuid": answered.question.collection_uuid,
        "account_name": answered.question.account_name,
    }


def kept_output(
    taken: TakenTurn, thread: Thread, answered: Answered, output: RawOutput, decision: Decision
) -> KeptOutput:
    """An output after which the turn goes on."""
    return KeptOutput(
        turn_id=taken.id,
        conversation_id=taken.conversation_id,
        attempt=taken.attempt,
        last_seq=taken.last_taken_seq,
        status="invalid" if output.output_verdict is Verdict.INVALID else "acting",
        frontend_context_uuid=thread.frontend_context_uuid,
        handler=decision.handler,
        output=output,
        action=decision.action,
        pending_id=decision.pending_id,
    )
