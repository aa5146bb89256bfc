"""The commit of a step: a decision becomes a `StepEnd`, and that the values of the one COMMIT statement.

Whoever tells of the step afterwards reads its `StepEnd`; decisions are told from each other here only. Of several
attempts at one step the first to commit wins; what any attempt brought is kept in `raw_outputs`, used or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from schemas.actions import ActionStatus, Confirmation
from schemas.effects import Recovery
from schemas.encoding import dump_json
from schemas.failures import ModelFailureKind
from schemas.questions import CUSTOMER
from schemas.transitions import Event
from schemas.turn_decisions import (
    AskConfirmation,
    ClosedQuestion,
    GiveReply,
    Hold,
    Move,
    NotBegun,
    OutputRecord,
    PerformAction,
    PerformConfirmed,
    PlannedAction,
    Repair,
    TurnDecision,
)
from schemas.turn_record import Purpose, TurnFence, TurnStatus
from schemas.turns import Source, Verdict
from storage.commit_statement import COMMIT
from storage.database import Database
from storage.turns import GET, TurnRow


@dataclass(frozen=True)
class StepEnd:
    """What a decision comes to: all that its commit stores, and all that is told of it.

    `finishes`: the turn is over with this step. `accepted`: the thread goes on from the output. `asked_by`: the action
    waits for this one's yes until `expires_at`. `confirmed`: the action that the customer said yes to.
    """

    status: TurnStatus
    finishes: bool
    verdict: Verdict | None = None
    failure: ModelFailureKind | None = None
    handler: str | None = None
    reply: str | None = None
    buttons: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    accepted: bool = False
    ticket_id: str | None = None
    action: PlannedAction | None = None
    action_status: ActionStatus | None = None
    asked_by: Confirmation | None = None
    expires_at: datetime | None = None
    confirmed: PerformConfirmed | None = None
    closed: ClosedQuestion | None = None
    move: Move | None = None
    has_begun: bool = True
    """False: the action that was under way was withdrawn before anything of it was done."""

    @property
    def is_silent(self) -> bool:
        """The turn is over, and the customer reads nothing."""
        return self.finishes and self.reply is None

    @property
    def transitions(self) -> Iterator[tuple[Event, str]]:
        """Why the conversation stands otherwise afterwards, and who did that: the owner's change comes first."""
        if self.move:
            yield self.move.why, "customer" if self.move.why is Event.MESSAGE else "assistant"
        if self.closed:
            yield self.closed.why, "customer"
        if self.confirmed:
            yield Event.CONFIRMED, "customer"
        if self.asked_by:
            yield (Event.APPROVAL_ASKED if self.asked_by is Confirmation.STAFF else Event.ASKED), "assistant"


@dataclass(frozen=True)
class Committed:
    """The turn after a commit; *won* is false when another attempt's outcome stands, which is then *turn*.

    `end` is what was decided. It is withheld, or the turn reopened, where the conversation has another owner by then.
    """

    turn: TurnRow
    won: bool
    end: StepEnd


class TurnCommits:
    """Ends steps, one statement each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def commit(
        self,
        fence: TurnFence,
        decision: TurnDecision,
        commit_id: UUID,
        output: OutputRecord | None = None,
        *,
        kept: str | None = None,
        notice: str | None = None,
    ) -> Committed:
        """Commits one step's outcome, unless the step has one. Safe to repeat under the same *commit_id*.

        *kept*: words of what the turn has done already, for a turn that ends in silence: they are told later.
        *notice*: goes before the reply, if there is one.
        """
        end = end_of(decision)
        if notice and end.reply is not None:
            end = replace(end, reply=f"{notice}\n\n{end.reply}")
        row = await self._database.row(COMMIT, _values(fence, end, commit_id, output, kept))
        if row is None:  # the step is another's by now
            row = await self._database.row(GET, {"turn_id": fence.turn_id})
        assert row is not None
        turn = TurnRow.model_validate(dict(row))
        return Committed(turn, turn.commit_id == commit_id, end)


def end_of(decision: TurnDecision) -> StepEnd:
    """What *decision* comes to: the one place that tells decisions from each other."""
    match decision:
        case GiveReply():
            return _reply(decision)
        case Hold():
            return StepEnd(decision.status, finishes=True)
        case Repair():
            return StepEnd(TurnStatus.INVALID, finishes=False, verdict=Verdict.INVALID, move=decision.move)
        case PerformAction():
            return _action_to_do(decision)
        case PerformConfirmed():
            return StepEnd(
                TurnStatus.ACTING,
                finishes=False,
                verdict=Verdict.ACTION,
                handler=decision.handler,
                confirmed=decision,
            )
        case AskConfirmation():
            return _question(decision)
        case NotBegun():
            return StepEnd(TurnStatus.WITHHELD, finishes=True, has_begun=False)
        case _:
            assert_never(decision)


def _reply(reply: GiveReply) -> StepEnd:
    return StepEnd(
        reply.status,
        finishes=True,
        verdict=reply.verdict,
        failure=reply.failure,
        reply=reply.text,
        sources=reply.sources,
        accepted=reply.accepted,
        ticket_id=reply.ticket_id,
        action=reply.refused,
        action_status=ActionStatus.REFUSED if reply.refused else None,
        closed=reply.closed,
        move=reply.move,
    )


def _action_to_do(accepted: PerformAction) -> StepEnd:
    return StepEnd(
        TurnStatus.ACTING,
        finishes=False,
        verdict=Verdict.ACTION,
        handler=accepted.handler,
        accepted=True,
        action=accepted.action,
        action_status=ActionStatus.ACCEPTED,
        closed=accepted.closed,
        move=accepted.move,
    )


def _question(asked: AskConfirmation) -> StepEnd:
    return StepEnd(
        TurnStatus.ANSWERED,
        finishes=True,
        verdict=Verdict.ACTION,
        reply=asked.text,
        buttons=asked.buttons,
        accepted=True,
        action=asked.action,
        action_status=ActionStatus.AWAITING_CONFIRMATION,
        asked_by=asked.by,
        expires_at=asked.expires_at,
        closed=asked.closed,
        move=asked.move,
    )


def _values(
    fence: TurnFence, end: StepEnd, commit_id: UUID, output: OutputRecord | None, kept: str | None
) -> dict[str, Any]:
    """The values that COMMIT names."""
    moving_key = end.move.effect_key if end.move else None
    is_effect = moving_key is not None
    has_begun = TurnStatus.ACTING in fence.from_statuses and end.has_begun
    return {
        **_of_the_turn(end, kept),
        **_action(end),
        **_questions(end),
        **_output(output),
        "moving_key": moving_key,
        "drops_question": bool(end.move and end.move.drops_question),
        "again": is_effect or not has_begun,
        "says_what_is_done": has_begun and not is_effect,
        "kept": (kept or end.reply) if end.asked_by or is_effect else (end.reply or kept),
        "accepted_backend_uuid": output.backend_uuid if output and end.accepted else None,
        "read_seq": fence.newest_seq if end.confirmed and end.confirmed.in_words else None,
        "merges": fence.merges,
        "merges_told": fence.merges_told if output and end.accepted else None,
        "commit_id": commit_id,
        "turn_id": fence.turn_id,
        "conversation_id": fence.conversation_id,
        "step": fence.step,
        "owner_version": fence.owner_version,
        "attempt": fence.attempt,
        "last_seq": fence.last_seq,
        "frontend_context_uuid": fence.frontend_context_uuid,
        "lost_thread": fence.lost_thread,
        "from_statuses": list(fence.from_statuses),
    }


def _of_the_turn(end: StepEnd, kept: str | None) -> dict[str, Any]:
    return {
        "status": end.status,
        "finishes": end.finishes,
        "verdict": end.verdict,
        "failure": end.failure,
        "handler": end.handler,
        "reply": end.reply,
        "reply_meta": dump_json(_meta(end, kept)),
        "sources": dump_json([source.model_dump() for source in end.sources]),
        "ticket_id": end.ticket_id,
        "owner": end.move.to if end.move else None,
        "transitions": dump_json([{"why": why, "who": who} for why, who in end.transitions]),
    }


def _meta(end: StepEnd, kept: str | None) -> dict[str, Any]:
    """Of words that an action waits for a yes: which (`asks`), and what is said once it does no more (`done`)."""
    if end.asked_by is None or end.action is None:
        return {}
    asks: dict[str, Any] = {"asks": str(end.action.id)}
    return asks | ({"buttons": end.buttons} if end.buttons else {}) | ({"done": kept} if kept else {})


def _action(end: StepEnd) -> dict[str, Any]:
    """The action that is stored with the commit; of none, what keeps each value's type."""
    action = end.action
    return {
        "action_id": action.id if action else None,
        "action_name": action.request.action if action else "",
        "action_reason": action.request.reason if action else "",
        "action_metadata": dump_json(action.request.metadata if action else {}),
        "action_status": end.action_status or "",
        "action_digest": action.digest if action else "",
        "request_hash": action.request_hash if action else "",
        "effect_key": action.effect_key if action else "",
        "side_effect": action.side_effect if action else True,
        "stands": action.stands if action else True,
        "recovery": action.recovery if action else Recovery.NONE,
        "confirmation_by": end.asked_by,
        "expires_at": end.expires_at,
    }


def _questions(end: StepEnd) -> dict[str, Any]:
    """What becomes of those that were open: one is closed, or answered with a yes. `answered_id` must be open still."""
    closed, confirmed = end.closed, end.confirmed
    answered = closed.id if closed and closed.why is not Event.CANCELLED else None
    return {
        "closed_id": closed.id if closed else None,
        "closed_status": closed.status if closed else None,
        "closed_by": CUSTOMER if closed and closed.why is Event.DECLINED else None,
        "answered_id": confirmed.question_id if confirmed else answered,
        "confirmed_id": confirmed.question_id if confirmed else None,
        "action_index": confirmed.index if confirmed else end.action.index if end.action else 0,
    }


def _output(output: OutputRecord | None) -> dict[str, Any]:
    if output is None:
        names = ("output_id", "output_verdict", "output_backend_uuid", "thread_url_slug", "account_name", "slot")
        nothing: dict[str, Any] = dict.fromkeys((*names, "collection_uuid", "pack_told", "prompt_pack", "pack_echoed"))
        nothing |= {"output_purpose": Purpose.ANSWER, "raw_text": "", "errors": "[]", "notes": "[]", "details": "{}"}
        return nothing | {"model_ms": None, "first_text_ms": None}
    return {
        "output_id": output.id,
        "output_purpose": output.purpose,
        "output_verdict": output.verdict,
        "raw_text": output.text,
        "errors": dump_json([error.model_dump() for error in output.errors]),
        "notes": dump_json(output.notes),
        "details": dump_json(output.details),
        "output_backend_uuid": output.backend_uuid,
        "thread_url_slug": output.thread_url_slug,
        "account_name": output.account_name,
        "collection_uuid": output.collection_uuid,
        "prompt_pack": output.prompt_pack,
        "pack_echoed": output.pack_echoed,
        "pack_told": output.pack_told,
        "slot": output.slot,
        "model_ms": output.model_ms,
        "first_text_ms": output.first_text_ms,
    }
