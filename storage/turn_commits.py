"""The commit of a step: the only place where a decision becomes stored values, those of the one COMMIT statement.

Of several attempts at one step the first to commit wins; what any attempt brought is kept in `raw_outputs`, used or
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_never
from uuid import UUID

from schemas.actions import ActionStatus, Confirmation
from schemas.effects import Recovery
from schemas.encoding import dump_json
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
from schemas.turn_record import TurnFence, TurnStatus
from schemas.turns import Verdict
from storage.commit_statement import COMMIT
from storage.database import Database
from storage.turns import GET, TurnRow

_NOTHING: dict[str, Any] = {
    "status": None,
    "finishes": False,
    "owner": None,
    "verdict": None,
    "failure": None,
    "handler": None,
    "reply": None,
    "moving_key": None,
    "drops_question": False,
    "reply_meta": "{}",
    "sources": "[]",
    "accepted": False,
    "ticket_id": None,
    "closed_id": None,
    "closed_status": None,
    "closed_by": None,
    "answered_id": None,
    "confirmed_id": None,
    "action_id": None,
    "action_index": 0,
    "action_name": "",
    "action_reason": "",
    "action_metadata": "{}",
    "action_status": "",
    "action_digest": "",
    "request_hash": "",
    "effect_key": "",
    "confirmation_by": None,
    "expires_at": None,
    "side_effect": True,
    "stands": True,
    "recovery": Recovery.NONE,
}


@dataclass(frozen=True)
class Committed:
    """The turn after a commit; *won* is false when another attempt's outcome stands, which is then *turn*.

    What was decided is withheld, or the turn reopened, where the conversation has another owner by then.
    """

    turn: TurnRow
    won: bool


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
        kept: str | None = None,
    ) -> Committed:
        """Commits one step's outcome, unless the step has one. Safe to repeat under the same *commit_id*.

        *kept*: words of what the turn has done already, for a turn that ends in silence: they are told later.
        """
        row = await self._database.row(COMMIT, _values(fence, decision, commit_id, output, kept))
        if row is None:  # the step is another's by now
            row = await self._database.row(GET, {"turn_id": fence.turn_id})
        assert row is not None
        turn = TurnRow.model_validate(dict(row))
        return Committed(turn, won=turn.commit_id == commit_id)


def _values(
    fence: TurnFence, decision: TurnDecision, commit_id: UUID, output: OutputRecord | None, kept: str | None
) -> dict[str, Any]:
    """The values that COMMIT names."""
    values = {**_NOTHING, **_decided(decision, kept)}
    accepted = values.pop("accepted")
    has_begun = TurnStatus.ACTING in fence.from_statuses and not isinstance(decision, NotBegun)
    is_effect = values["moving_key"] is not None
    asks_or_moves = isinstance(decision, AskConfirmation) or is_effect
    return {
        **values,
        **_output(output),
        "again": is_effect or not has_begun,
        "says_what_is_done": has_begun and not is_effect,
        "kept": (kept or values["reply"]) if asks_or_moves else (values["reply"] or kept),
        "accepted_backend_uuid": output.backend_uuid if output and accepted else None,
        "merges_told": fence.merges_told if output and accepted else None,
        "commit_id": commit_id,
        "turn_id": fence.turn_id,
        "conversation_id": fence.conversation_id,
        "step": fence.step,
        "owner_version": fence.owner_version,
        "transitions": dump_json([{"why": why, "who": who} for why, who in _transitions(decision)]),
        "attempt": fence.attempt,
        "last_seq": fence.last_seq,
        "frontend_context_uuid": fence.frontend_context_uuid,
        "lost_thread": fence.lost_thread,
        "from_statuses": list(fence.from_statuses),
    }


def _decided(decision: TurnDecision, kept: str | None) -> dict[str, Any]:
    match decision:
        case GiveReply():
            return _reply(decision)
        case Hold():
            return {"status": decision.status, "finishes": True, "failure": decision.why}
        case Repair():
            return {"status": TurnStatus.INVALID, "verdict": Verdict.INVALID} | _move(decision.move)
        case PerformAction():
            acting = {"status": TurnStatus.ACTING, "verdict": Verdict.ACTION, "handler": decision.handler}
            action = _action(decision.action, ActionStatus.ACCEPTED)
            return acting | {"accepted": True} | action | _closed(decision.closed) | _move(decision.move)
        case PerformConfirmed():
            acting = {"status": TurnStatus.ACTING, "verdict": Verdict.ACTION, "handler": decision.handler}
            return acting | {
                "confirmed_id": decision.question_id,
                "answered_id": decision.question_id,
                "action_index": decision.index,
            }
        case AskConfirmation():
            return _question(decision, kept)
        case NotBegun():
            return {"status": TurnStatus.WITHHELD, "finishes": True}
        case _:
            assert_never(decision)


def _reply(reply: GiveReply) -> dict[str, Any]:
    values = {
        "status": reply.status,
        "finishes": True,
        "verdict": reply.verdict,
        "failure": reply.failure,
        "reply": reply.text,
        "sources": dump_json([source.model_dump() for source in reply.sources]),
        "accepted": reply.accepted,
        "ticket_id": reply.ticket_id,
    }
    refused = _action(reply.refused, ActionStatus.REFUSED) if reply.refused else {}
    return values | _closed(reply.closed) | _move(reply.move) | refused


def _meta(asked: AskConfirmation, kept: str | None) -> dict[str, Any]:
    """Of words that an action waits for a yes: which (`asks`), and what is said once it does no more (`done`)."""
    meta: dict[str, Any] = {"asks": str(asked.action.id)}
    return meta | ({"buttons": asked.buttons} if asked.buttons else {}) | ({"done": kept} if kept else {})


def _question(asked: AskConfirmation, kept: str | None) -> dict[str, Any]:
    values = {
        "status": TurnStatus.ANSWERED,
        "finishes": True,
        "verdict": Verdict.ACTION,
        "reply": asked.text,
        "reply_meta": dump_json(_meta(asked, kept)),
        "accepted": True,
        "confirmation_by": asked.by,
        "expires_at": asked.expires_at,
    }
    action = _action(asked.action, ActionStatus.AWAITING_CONFIRMATION)
    return values | action | _closed(asked.closed) | _move(asked.move)


def _action(action: PlannedAction, status: ActionStatus) -> dict[str, Any]:
    return {
        "action_id": action.id,
        "action_index": action.index,
        "action_name": action.request.action,
        "action_reason": action.request.reason,
        "action_metadata": dump_json(action.request.metadata),
        "action_status": status,
        "action_digest": action.digest,
        "request_hash": action.request_hash,
        "effect_key": action.effect_key,
        "side_effect": action.side_effect,
        "stands": action.stands,
        "recovery": action.recovery,
    }


def _closed(question: ClosedQuestion | None) -> dict[str, Any]:
    if question is None:
        return {}
    answered = None if question.why is Event.CANCELLED else question.id
    closed_by = CUSTOMER if question.why is Event.DECLINED else None
    return {
        "closed_id": question.id,
        "closed_status": question.status,
        "closed_by": closed_by,
        "answered_id": answered,
    }


def _move(move: Move | None) -> dict[str, Any]:
    if move is None:
        return {}
    return {"owner": move.to, "moving_key": move.effect_key, "drops_question": move.drops_question}


def _transitions(decision: TurnDecision) -> Iterator[tuple[Event, str]]:
    """Why the conversation stands otherwise after this commit, and who did that: the owner's change comes first."""
    if isinstance(decision, GiveReply | Repair | PerformAction | AskConfirmation) and decision.move:
        yield decision.move.why, "customer" if decision.move.why is Event.MESSAGE else "assistant"
    if isinstance(decision, GiveReply | PerformAction | AskConfirmation) and decision.closed:
        yield decision.closed.why, "customer"
    if isinstance(decision, PerformConfirmed):
        yield Event.CONFIRMED, "customer"
    if isinstance(decision, AskConfirmation):
        yield (Event.APPROVAL_ASKED if decision.by is Confirmation.STAFF else Event.ASKED), "assistant"


def _output(output: OutputRecord | None) -> dict[str, Any]:
    if output is None:
        names = ("output_id", "output_verdict", "output_backend_uuid", "thread_url_slug", "account_name", "slot")
        nothing: dict[str, Any] = dict.fromkeys((*names, "collection_uuid", "pack_told", "prompt_pack", "pack_echoed"))
        nothing |= {"output_purpose": "answer", "raw_text": "", "errors": "[]", "notes": "[]", "details": "{}"}
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
