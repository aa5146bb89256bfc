"""What one step of a turn decides: without the model where it is not asked, else from its output. Pure.

The customer's words come first: they may be held, set aside, or answer an open question. An output's words are the
reply, it is repaired, or its action is done, asked about first, or refused.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from uuid import uuid4

from actions import gates
from actions.confirmation import action_digest, cancel_payload, confirm_payload, pending_action, settle_all
from actions.gates import Event
from actions.questions import question_text
from activities.bots import Bot
from schemas.actions import ActionDefinition, ActionRequest, Confirmation, ParsedOutput
from schemas.encoding import dump_json
from schemas.turn_decisions import (
    AskConfirmation,
    ClosedQuestion,
    Hold,
    PerformAction,
    PerformConfirmed,
    PlannedAction,
    Repair,
    Reply,
    TurnDecision,
)
from schemas.turn_record import TurnStatus
from schemas.turns import Source, State, Verdict
from storage.turns import ClaimedTurn, PendingConfirmation

_UNREADABLE = {"unknown", "unsupported"}


def decide_without_model(turn: ClaimedTurn, bot: Bot, now: datetime) -> TurnDecision | None:
    """What the messages come to by themselves; None: the model is asked."""
    state = turn.conversation_state
    if on_message(turn, bot).hold:  # a human has the conversation
        return Hold(state)
    counting = turn.counting
    if not counting:
        return Reply(bot.texts.over_limit, state) if _to_be_told(turn) else Hold(state)
    if all(message.kind in _UNREADABLE for message in counting):
        return Reply(with_limit_notice(bot.texts.unreadable, turn, bot), state)
    return _answer_to_question(turn, bot, now)


def decide_output(
    parsed: ParsedOutput, turn: ClaimedTurn, bot: Bot, now: datetime, sources: tuple[Source, ...] = ()
) -> TurnDecision:
    """What follows from the model's output."""
    heard = on_message(turn, bot)
    closed = _dropped(turn, heard)
    if parsed.action is not None:
        return _on_action(parsed.action, turn, bot, now, heard.next_state, closed)
    if parsed.verdict is Verdict.TEXT:
        words = with_limit_notice(parsed.text, turn, bot)
        return Reply(words, heard.next_state, verdict=Verdict.TEXT, accepted=True, sources=sources, closed=closed)
    if turn.repairs < bot.registry.config.repairs:
        return Repair()
    unclear = bot.texts.action_done if turn.something_done else bot.texts.unclear
    return Reply(unclear, heard.next_state, verdict=Verdict.INVALID, closed=closed)


def decide_apology(turn: ClaimedTurn, bot: Bot, apology: str, failure: str) -> Reply:
    """The end of a turn whose tries are used up. What an effect has confirmed is never denied."""
    words = bot.texts.action_done if turn.something_done else apology
    return Reply(words, turn.conversation_state, status=TurnStatus.APOLOGISED, failure=failure)


def on_message(turn: ClaimedTurn, bot: Bot) -> gates.Decision:
    """What the customer's words do to the conversation, apart from a yes or no to the question that is open.

    Words from before the question was asked leave it open.
    """
    config, asked = bot.registry.config, turn.question
    if asked is None:  # answered by this very turn, maybe: there is none to keep
        config = config.model_copy(update={"unclear_answer": "cancel"})
    elif turn.last_taken_seq <= asked.asked_seq:
        config = config.model_copy(update={"unclear_answer": "keep"})
    return_to = asked.return_to if asked else State.BOT
    return gates.decide(turn.conversation_state, Event.MESSAGE, config, return_to=return_to)


def with_limit_notice(reply: str, turn: ClaimedTurn, bot: Bot) -> str:
    """*reply*, and that further messages were over the limit, if the customer has not been told of that."""
    return f"{reply}\n\n{bot.texts.over_limit}" if reply and _to_be_told(turn) else reply


def _to_be_told(turn: ClaimedTurn) -> bool:
    return any(message.limited == "tell" for message in turn.messages)


def _answer_to_question(turn: ClaimedTurn, bot: Bot, now: datetime) -> TurnDecision | None:
    """A yes does exactly what was asked about, a no cancels it; anything else, and any doubt, is the model's."""
    question = turn.question
    event = settle_all(question.pending if question else None, turn.counting, now)
    if event is None:  # a button of a question that is not open any more
        return Reply(bot.texts.expired, turn.conversation_state)
    if question is None:
        return None
    if event is Event.CONFIRMED:
        return _confirmed(turn, question, bot)
    if event is Event.DECLINED:
        return Reply(bot.texts.cancelled, question.return_to, closed=ClosedQuestion(question.id, "cancelled"))
    if event is Event.EXPIRED:
        return Reply(bot.texts.expired, question.return_to, closed=ClosedQuestion(question.id, "expired"))
    return None


def _confirmed(turn: ClaimedTurn, question: PendingConfirmation, bot: Bot) -> TurnDecision:
    """The action is done as it was accepted, unless the configuration of now has it no more."""
    definition = bot.registry.rules_for(question.pending.request)
    if definition is None or question.name not in bot.registry.enabled:
        return Reply(bot.texts.refused, question.return_to, closed=ClosedQuestion(question.id, "refused"))
    return PerformConfirmed(question.id, turn.actions, definition.handler)


def _on_action(
    request: ActionRequest, turn: ClaimedTurn, bot: Bot, now: datetime, state: State, closed: ClosedQuestion | None
) -> TurnDecision:
    definition = bot.registry.rules_for(request)
    enabled = request.action in bot.registry.enabled
    gate = gates.decide_action(state, definition, bot.registry.config, enabled=enabled, rounds_used=turn.rounds)
    action = _planned(request, turn, bot, state)
    if definition is None or not gate.allowed:
        no = bot.texts.partly_done if turn.something_done else bot.texts.refused
        words = with_limit_notice(no, turn, bot)
        return Reply(words, state, verdict=Verdict.ACTION, accepted=True, refused=action, closed=closed)
    if gate.confirm_by is Confirmation.NONE:
        return PerformAction(action, definition.handler, closed)
    return _ask_confirmation(definition, action, turn, bot, now, closed)


def _ask_confirmation(
    definition: ActionDefinition,
    action: PlannedAction,
    turn: ClaimedTurn,
    bot: Bot,
    now: datetime,
    closed: ClosedQuestion | None,
) -> AskConfirmation:
    """The action waits for a yes: the customer's to this very question, or staff's (then the bot goes on meanwhile)."""
    by = definition.confirmed_by
    asked = pending_action(action.request, key=action.effect_key, by=by, asked_at=now, config=bot.registry.config)
    if by is Confirmation.STAFF:
        words = with_limit_notice(bot.texts.approval_asked, turn, bot)
        return AskConfirmation(words, action.return_to, action, by, asked.expires_at, closed=closed)
    buttons = {"confirm": confirm_payload(asked.digest), "cancel": cancel_payload(asked.digest)}
    language = (bot.assistant.config.language or "en")[:2]
    words = with_limit_notice(question_text(definition, action.request, language), turn, bot)
    return AskConfirmation(words, State.AWAITING_CONFIRMATION, action, by, asked.expires_at, buttons, closed)


def _planned(request: ActionRequest, turn: ClaimedTurn, bot: Bot, state: State) -> PlannedAction:
    """The action with its place in the ledger: conversation, message, index; never a run's or an activity's id."""
    key = f"{turn.conversation_id}/{turn.first_seq}/{turn.actions}"
    return PlannedAction(
        id=uuid4(),
        index=turn.actions,
        request=request,
        digest=action_digest(request, key),
        request_hash=sha256(f"{request.action}\n{dump_json(request.metadata)}".encode()).hexdigest(),
        effect_key=key,
        return_to=state,
        side_effect=bot.registry.has_side_effect(request),
    )


def _dropped(turn: ClaimedTurn, heard: gates.Decision) -> ClosedQuestion | None:
    """The open question, if the customer's words cancel it."""
    return ClosedQuestion(turn.question.id, "cancelled") if turn.question and heard.drop_pending else None
