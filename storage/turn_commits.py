"""From a decision to the values of the one COMMIT statement: the only place where decisions are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never
from uuid import UUID

from schemas.actions import ActionStatus
from schemas.effects import Recovery
from schemas.encoding import dump_json
from schemas.turn_decisions import (
    AskConfirmation,
    ClosedQuestion,
    Hold,
    OutputRecord,
    PerformAction,
    PerformConfirmed,
    PlannedAction,
    Repair,
    Reply,
    TurnDecision,
)
from schemas.turn_record import TurnStatus
from schemas.turns import Verdict

if TYPE_CHECKING:
    from storage.turns import TurnFence

_NOTHING: dict[str, Any] = {
    "status": None,
    "finishes": False,
    "state": None,
    "verdict": None,
    "failure": None,
    "handler": None,
    "reply": None,
    "reply_meta": "{}",
    "sources": "[]",
    "accepted": False,
    "ticket_id": None,
    "closed_id": None,
    "closed_status": None,
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
    "return_to": "bot",
    "side_effect": True,
    "recovery": Recovery.NONE,
}


def commit_values(
    fence: TurnFence, decision: TurnDecision, commit_id: UUID, output: OutputRecord | None
) -> dict[str, Any]:
    """The values that `turn_statements.COMMIT` names."""
    values = {**_NOTHING, **_decided(decision)}
    accepted = values.pop("accepted")
    return {
        **values,
        **_output(output),
        "accepted_backend_uuid": output.backend_uuid if output and accepted else None,
        "commit_id": commit_id,
        "turn_id": fence.turn_id,
        "conversation_id": fence.conversation_id,
        "step": fence.step,
        "attempt": fence.attempt,
        "last_seq": fence.last_seq,
        "frontend_context_uuid": fence.frontend_context_uuid,
        "lost_thread": fence.lost_thread,
        "from_statuses": list(fence.from_statuses),
    }


def _decided(decision: TurnDecision) -> dict[str, Any]:
    match decision:
        case Reply():
            return _reply(decision)
        case Hold():
            return {"status": TurnStatus.HELD, "finishes": True, "state": decision.state}
        case Repair():
            return {"status": TurnStatus.INVALID, "verdict": Verdict.INVALID}
        case PerformAction():
            acting = {"status": TurnStatus.ACTING, "verdict": Verdict.ACTION, "handler": decision.handler}
            accepted = {"accepted": True} | _action(decision.action, ActionStatus.ACCEPTED)
            return acting | accepted | _closed(decision.closed)
        case PerformConfirmed():
            acting = {"status": TurnStatus.ACTING, "verdict": Verdict.ACTION, "handler": decision.handler}
            return acting | {"confirmed_id": decision.question_id, "action_index": decision.index}
        case AskConfirmation():
            return _question(decision)
        case _:
            assert_never(decision)


def _reply(reply: Reply) -> dict[str, Any]:
    values = {
        "status": reply.status,
        "finishes": True,
        "state": reply.state,
        "verdict": reply.verdict,
        "failure": reply.failure,
        "reply": reply.text,
        "sources": dump_json([source.model_dump() for source in reply.sources]),
        "accepted": reply.accepted,
        "ticket_id": reply.ticket_id,
    }
    return values | _closed(reply.closed) | (_action(reply.refused, ActionStatus.REFUSED) if reply.refused else {})


def _question(asked: AskConfirmation) -> dict[str, Any]:
    values = {
        "status": TurnStatus.ANSWERED,
        "finishes": True,
        "state": asked.state,
        "verdict": Verdict.ACTION,
        "reply": asked.text,
        "reply_meta": dump_json({"buttons": asked.buttons} if asked.buttons else {}),
        "accepted": True,
        "confirmation_by": asked.by,
        "expires_at": asked.expires_at,
    }
    return values | _action(asked.action, ActionStatus.AWAITING_CONFIRMATION) | _closed(asked.closed)


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
        "return_to": action.return_to,
        "side_effect": action.side_effect,
        "recovery": action.recovery,
    }


def _closed(question: ClosedQuestion | None) -> dict[str, Any]:
    return {} if question is None else {"closed_id": question.id, "closed_status": question.status}


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
