"""What follows from one output: the words are the answer, it is repaired, an action is done, asked back, or refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from actions import gates
from actions.confirmation import action_digest, cancel_payload, confirm_payload, pending_action
from actions.questions import question_text
from activities.bots import Bot
from schemas.actions import ActionDefinition, ActionRequest, Confirmation, ParsedOutput
from schemas.encoding import dump_json
from schemas.turns import State, Verdict
from storage.turns import ActionRecord, Purpose, TakenTurn


class Next(StrEnum):
    FINISH = "finish"
    GO_ON = "go on"


@dataclass(frozen=True)
class Decision:
    """`reply` and `changes` (fields of FinishedTurn) hold for FINISH; `action` is planned on GO_ON."""

    next: Next
    reply: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    action: ActionRecord = field(default_factory=ActionRecord)
    handler: str | None = None
    pending_id: UUID | None = None


def decide(parsed: ParsedOutput, turn: TakenTurn, bot: Bot, purpose: Purpose, number: int) -> Decision:
    """*number*: which repair, or which round of actions, this output is of its turn; 0 for the first answer."""
    heard = on_message(turn, bot)
    left = _left_behind(turn, heard)
    if parsed.action is not None:
        return _on_action(
            parsed.action, turn, bot, number if purpose is Purpose.CONCLUDE else 0, heard.next_state, left
        )
    if parsed.verdict is Verdict.TEXT:
        return Decision(Next.FINISH, reply=parsed.text, changes=left)
    tried = number if purpose is Purpose.REPAIR else 0
    if tried < bot.registry.config.repairs:
        return Decision(Next.GO_ON)
    return Decision(Next.FINISH, reply=bot.texts.unclear, changes={**_NOT_ACCEPTED, **left})


def on_message(turn: TakenTurn, bot: Bot) -> gates.Decision:
    """What the customer's words do to the conversation, apart from a yes or no to the question that is open.

    Words from before the question was asked leave it open.
    """
    config, asked = bot.registry.config, turn.question
    if asked is not None and turn.last_taken_seq <= asked.asked_seq:
        config = config.model_copy(update={"unclear_answer": "keep"})
    return_to = asked.return_to if asked else State.BOT
    return gates.decide(turn.conversation_state, gates.Event.MESSAGE, config, return_to=return_to)


def _on_action(
    request: ActionRequest, turn: TakenTurn, bot: Bot, index: int, state: State, left: dict[str, Any]
) -> Decision:
    definition = bot.registry.rules_for(request)
    enabled = request.action in bot.registry.enabled
    gate = gates.decide_action(state, definition, bot.registry.config, enabled=enabled, rounds_used=index)
    record = _record_of(request, turn, index, state)
    if definition is None or not gate.allowed:
        refused = record.model_copy(update={"action_status": "refused"})
        return Decision(Next.FINISH, bot.texts.refused, {"verdict": Verdict.ACTION, "action": refused, **left})
    if gate.confirm_by is not Confirmation.NONE:
        return _ask_back(definition, request, record, bot, left)
    return Decision(Next.GO_ON, action=record, handler=definition.handler, pending_id=left.get("pending_id"))


def _ask_back(
    definition: ActionDefinition, request: ActionRequest, record: ActionRecord, bot: Bot, left: dict[str, Any]
) -> Decision:
    """The action waits for a yes: the customer's to this very question, or staff's (then the bot goes on meanwhile)."""
    by, now = definition.confirmed_by, datetime.now(UTC)
    asked = pending_action(request, key=record.effect_key, by=by, asked_at=now, config=bot.registry.config)
    changes = {"action_status": "awaiting_confirmation", "confirmation_by": by, "expires_at": asked.expires_at}
    waiting = {**left, "verdict": Verdict.ACTION, "action": record.model_copy(update=changes)}
    if by is Confirmation.STAFF:
        return Decision(Next.FINISH, bot.texts.approval_asked, waiting)
    buttons = {"confirm": confirm_payload(asked.digest), "cancel": cancel_payload(asked.digest)}
    waiting |= {"state": State.AWAITING_CONFIRMATION, "reply_meta": {"buttons": buttons}}
    language = (bot.assistant.config.language or "en")[:2]
    return Decision(Next.FINISH, question_text(definition, request, language), waiting)


def _record_of(request: ActionRequest, turn: TakenTurn, index: int, state: State) -> ActionRecord:
    """The action with its place in the ledger: conversation, message, index; never a run's or an activity's id."""
    key = f"{turn.conversation_id}/{turn.first_seq}/{index}"
    return ActionRecord(
        action_id=uuid4(),
        action_index=index,
        action_name=request.action,
        action_reason=request.reason,
        action_metadata=request.metadata,
        action_digest=action_digest(request, key),
        request_hash=sha256(f"{request.action}\n{dump_json(request.metadata)}".encode()).hexdigest(),
        effect_key=key,
        return_to=state,
    )


def _left_behind(turn: TakenTurn, heard: gates.Decision) -> dict[str, Any]:
    """How the turn leaves the conversation, if its output changes nothing: fields of FinishedTurn."""
    asked = turn.question
    if asked is None or not heard.drop_pending:
        return {"state": heard.next_state}
    return {"state": heard.next_state, "pending_id": asked.id, "pending_status": "cancelled"}


_NOT_ACCEPTED: dict[str, Any] = {"verdict": Verdict.INVALID, "backend_uuid": None, "sources": []}
"""The thread goes on from the last output that was accepted."""
