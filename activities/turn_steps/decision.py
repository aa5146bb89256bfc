"""What one step of a turn decides: without the model where it is not asked, else from its output. No I/O.

All it needs is handed to it, the time too; only the id of a planned action is drawn here, and stored by the commit.
The customer's words come first: they may be held, set aside, or answer an open question. An output's words are the
reply, it is repaired, or its action is done, asked about first, or refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

from actions import gates
from actions.confirmation import (
    action_digest,
    cancel_payload,
    confirm_payload,
    digest_of,
    interpret_all,
    means_something_of_ours,
    pending_action,
)
from actions.confirmation_text import question_text
from activities.action_handlers import ActionCall, Declared, declared
from activities.assistants import LoadedAssistant
from schemas.actions import ActionDefinition, ActionRequest, Confirmation, ParsedOutput
from schemas.assistants import Texts
from schemas.effects import Recovery
from schemas.encoding import dump_json
from schemas.failures import ModelFailureKind
from schemas.messages import MessageKind
from schemas.questions import AskedQuestion, CameTo
from schemas.standing import Owner, Standing
from schemas.transitions import Event
from schemas.turn_decisions import (
    AskConfirmation,
    ClosedQuestion,
    GiveReply,
    Hold,
    Move,
    PerformAction,
    PerformConfirmed,
    PlannedAction,
    Repair,
    TurnDecision,
)
from schemas.turn_record import Purpose, TurnStatus
from schemas.turns import Source, Verdict
from storage.turns import ClaimedTurn, StoredConfirmation

_UNREADABLE = {MessageKind.UNKNOWN, MessageKind.UNSUPPORTED}


@dataclass(frozen=True)
class Heard:
    """What the customer's words do to the conversation. `decision` None: the model is asked."""

    gate: gates.GateResult
    decision: TurnDecision | None


@dataclass(frozen=True)
class Asker:
    """The assistant whose question is open: *then*, as it asked, and *now*, as it is configured.

    It is not the conversation's where a merge has moved the question.
    """

    then: LoadedAssistant
    now: LoadedAssistant

    def handler_of(self, question: StoredConfirmation) -> str | None:
        """What does the action as it was accepted. None: the configuration of now has it no more, so nothing does."""
        request = question.pending.request
        then, now = self.then.registry.rules_for(request), self.now.registry.rules_for(request)
        is_configured = now is not None and question.name in self.now.registry.enabled
        return then.handler if then is not None and is_configured else None


def hear(turn: ClaimedTurn, assistant: LoadedAssistant, asker: Asker | None, now: datetime) -> Heard:
    """The claimed messages, before the model is asked. *asker*: of the turn's question, if one is open."""
    gate = on_message(turn, assistant)
    return Heard(gate, _decide_without_model(turn, assistant, asker, gate, now))


def _decide_without_model(
    turn: ClaimedTurn, assistant: LoadedAssistant, asker: Asker | None, gate: gates.GateResult, now: datetime
) -> TurnDecision | None:
    if turn.purpose is not Purpose.ANSWER:  # the words were heard; somebody may have taken the conversation since
        return None if turn.standing.owner is Owner.BOT else _not_asked_any_more(turn, assistant)
    if gate.hold or not turn.counting:
        return Hold()
    if all(message.kind in _UNREADABLE for message in turn.counting):
        return GiveReply(with_limit_notice(assistant.texts.unreadable, turn, assistant), move_of(turn, gate))
    return _answer_to_question(turn, assistant, asker, gate, now)


def given_up(turn: ClaimedTurn) -> Hold:
    """The answer is not wanted any more, and the turn ends in silence; *withheld*: the model has spoken in it."""
    return Hold(TurnStatus.HELD if turn.purpose is Purpose.ANSWER else TurnStatus.WITHHELD)


def decide_output(
    parsed: ParsedOutput,
    turn: ClaimedTurn,
    assistant: LoadedAssistant,
    gate: gates.GateResult,
    now: datetime,
    sources: tuple[Source, ...] = (),
) -> TurnDecision:
    """What follows from the model's output."""
    closed, move = _dropped(turn, gate), move_of(turn, gate)
    if parsed.action is not None:
        return _on_action(parsed.action, turn, assistant, now, gate)
    if parsed.verdict is Verdict.TEXT:
        words = with_limit_notice(parsed.text, turn, assistant)
        return GiveReply(words, move, verdict=Verdict.TEXT, accepted=True, sources=sources, closed=closed)
    if turn.repairs < assistant.registry.config.repairs:
        return Repair(move)
    unclear = assistant.texts.action_done if turn.something_done else assistant.texts.unclear
    return GiveReply(unclear, move, verdict=Verdict.INVALID, closed=closed)


def decide_apology(
    turn: ClaimedTurn, assistant: LoadedAssistant, apology: str, failure: ModelFailureKind
) -> TurnDecision:
    """The end of a turn whose tries are used up. What an effect has confirmed is never denied."""
    gate = on_message(turn, assistant)
    if turn.purpose is not Purpose.ANSWER and turn.standing.owner is not Owner.BOT:
        return _not_asked_any_more(turn, assistant)
    if gate.hold and turn.standing.owner is not Owner.BOT:
        return Hold()
    words = assistant.texts.action_done if turn.something_done else apology
    return GiveReply(words, move_of(turn, gate), status=TurnStatus.APOLOGISED, failure=failure)


def _not_asked_any_more(turn: ClaimedTurn, assistant: LoadedAssistant) -> TurnDecision:
    """In the middle of the turn another owner has the conversation. A person tells what was done; else it is told."""
    words = words_of_what_is_done(turn, assistant)
    if words is not None and turn.standing.owner is Owner.CLOSED:
        return GiveReply(words)
    return Hold(TurnStatus.WITHHELD)


def words_of_what_is_done(turn: ClaimedTurn, assistant: LoadedAssistant) -> str | None:
    """For a turn that ends with no word of the model: what it did, or may have done, is not kept from the customer."""
    return assistant.texts.of_effects(done=turn.something_done, unknown=turn.something_unknown)


def on_message(turn: ClaimedTurn, assistant: LoadedAssistant) -> gates.GateResult:
    """What the customer's words do to the conversation, apart from a yes or no to the question that is open.

    Words from before the question was asked leave it open, and so does a yes or no that may mean other words of ours;
    words from before a close open nothing.
    """
    config, asked = assistant.registry.config, turn.question
    if asked is None:  # answered by this very turn, maybe: there is none to keep
        config = config.model_copy(update={"unclear_answer": "cancel"})
    elif turn.last_claimed_seq <= asked.asked_seq or means_something_of_ours(asked.pending, turn.counting):
        config = config.model_copy(update={"unclear_answer": "keep"})
    return gates.evaluate(Event.MESSAGE, turn.standing, config, earlier=turn.last_claimed_seq <= turn.closed_seq)


def move_of(turn: ClaimedTurn, gate: gates.GateResult) -> Move | None:
    """The change of the owner that the customer's words make."""
    return _move(Event.MESSAGE, turn.standing, gate)


def move_after(definition: ActionDefinition, standing: Standing) -> Move | None:
    """The change of the owner that an action makes once it is done."""
    event = gates.event_of(definition)
    return None if event is None else _move(event, standing, gates.evaluate(event, standing))


def _move(event: Event, before: Standing, gate: gates.GateResult) -> Move | None:
    if gate.after.owner is before.owner:
        return None
    return Move(event, gate.after.owner, gate.drops_question)


def with_limit_notice(reply: str, turn: ClaimedTurn, assistant: LoadedAssistant) -> str:
    """*reply*, and that messages were over the customer's limit, if the customer has not been told of that."""
    return f"{reply}\n\n{assistant.texts.over_limit}" if reply and _to_be_told(turn) else reply


def _to_be_told(turn: ClaimedTurn) -> bool:
    return any(message.limited == "tell" for message in turn.messages)


def _answer_to_question(
    turn: ClaimedTurn, assistant: LoadedAssistant, asker: Asker | None, gate: gates.GateResult, now: datetime
) -> TurnDecision | None:
    """A yes does exactly what was asked about, a no cancels it; anything else, and any doubt, is the model's."""
    question = turn.question
    if question is None and not any(message.choice_id for message in turn.counting):
        return None
    event = interpret_all(question.pending if question else None, turn.counting, now)
    if event is None:  # a button of a question that is not open any more
        words = _words_on_pressed(turn, assistant.texts)
        return None if words is None else GiveReply(with_limit_notice(words, turn, assistant), move_of(turn, gate))
    handler = asker.handler_of(question) if question is not None and asker is not None else None
    if event is Event.CONFIRMED and handler is None:
        event = Event.REFUSED
    if question is None or not gates.evaluate(event, turn.standing, assistant.registry.config).allowed:
        return None
    if handler is not None and event is Event.CONFIRMED:
        in_words = all(message.choice_id is None for message in turn.counting)
        return PerformConfirmed(question.id, turn.actions, handler, in_words=in_words)
    came_to = _ENDED_BY.get(event)
    if came_to is None:
        return None
    words = _words_of(came_to, assistant.texts, done=question.something_done, unknown=question.something_unknown)
    closed = ClosedQuestion(question.id, event)
    return None if words is None else GiveReply(with_limit_notice(words, turn, assistant), closed=closed)


_ENDED_BY = {Event.DECLINED: CameTo.DECLINED, Event.EXPIRED: CameTo.EXPIRED, Event.REFUSED: CameTo.REFUSED}
"""What the open question has come to by an answer that does nothing else."""


def _words_on_pressed(turn: ClaimedTurn, texts: Texts) -> str | None:
    """What the question of the newest button has come to; None: nobody knows of it, so the model is asked."""
    digest = digest_of(turn.counting[-1].choice_id)
    return next((words_on(asked, texts) for asked in turn.pressed if asked.digest == digest), None)


def words_on(asked: AskedQuestion, texts: Texts) -> str | None:
    """What a customer is told who answers a question that is not open any more: neither more nor less than is so.
    None: it is open."""
    return _words_of(asked.came_to, texts, done=asked.something_done, unknown=asked.something_unknown)


def _words_of(came_to: CameTo, texts: Texts, *, done: bool, unknown: bool) -> str | None:
    """*done*, *unknown*: of the other effects of the turn that asked, which are not denied."""
    told = {
        CameTo.UNDER_WAY: texts.still_working,
        CameTo.DONE: texts.action_done,
        CameTo.UNKNOWN: texts.action_unknown,
        CameTo.DECLINED: texts.cancelled,
        CameTo.DECLINED_BY_STAFF: texts.declined,
    }
    undone = {
        CameTo.FAILED: texts.action_failed,
        CameTo.EXPIRED: texts.expired,
        CameTo.REFUSED: texts.refused,
        CameTo.DROPPED: texts.dropped,
    }
    if came_to in undone:
        return texts.of_other_effects(done=done, unknown=unknown) or undone[came_to]
    return told.get(came_to)


def _on_action(
    request: ActionRequest, turn: ClaimedTurn, assistant: LoadedAssistant, now: datetime, gate: gates.GateResult
) -> TurnDecision:
    definition = assistant.registry.rules_for(request)
    enabled = request.action in assistant.registry.enabled
    action_gate = gates.evaluate_action(
        gate.after, definition, assistant.registry.config, enabled=enabled, rounds_used=turn.rounds
    )
    action, closed, move = _planned(request, turn, assistant), _dropped(turn, gate), move_of(turn, gate)
    if definition is None or not action_gate.allowed:
        no = assistant.texts.partly_done if turn.something_done else assistant.texts.refused
        words = with_limit_notice(no, turn, assistant)
        return GiveReply(words, move, verdict=Verdict.ACTION, accepted=True, refused=action, closed=closed)
    if action_gate.confirm_by is Confirmation.NONE:
        return PerformAction(action, definition.handler, closed, move)
    return replace(_ask_confirmation(definition, action, turn, assistant, now), closed=closed, move=move)


def _ask_confirmation(
    definition: ActionDefinition, action: PlannedAction, turn: ClaimedTurn, assistant: LoadedAssistant, now: datetime
) -> AskConfirmation:
    """The action waits for a yes: the customer's to this very question, or staff's (then the bot goes on meanwhile)."""
    by = definition.confirmed_by
    asked = pending_action(action.request, key=action.effect_key, by=by, asked_at=now, config=assistant.registry.config)
    if by is Confirmation.STAFF:
        words = with_limit_notice(assistant.texts.approval_asked, turn, assistant)
        return AskConfirmation(words, action, by, asked.expires_at)
    buttons = {"confirm": confirm_payload(asked.digest), "cancel": cancel_payload(asked.digest)}
    question = question_text(definition, assistant.registry.parameters_of(action.request), assistant.language)
    words = with_limit_notice(question, turn, assistant)
    return AskConfirmation(words, action, by, asked.expires_at, buttons)


def _planned(request: ActionRequest, turn: ClaimedTurn, assistant: LoadedAssistant) -> PlannedAction:
    """The action with its place in the ledger: conversation, message, index; never a run's or an activity's id."""
    key = f"{turn.conversation_id}/{turn.first_seq}/{turn.actions}"
    definition = assistant.registry.rules_for(request)
    effect = declared(ActionCall(request, definition, assistant.registry)) if definition else Declared(Recovery.NONE)
    return PlannedAction(
        id=uuid4(),
        index=turn.actions,
        request=request,
        digest=action_digest(request, key),
        request_hash=sha256(f"{request.action}\n{dump_json(request.metadata)}".encode()).hexdigest(),
        effect_key=key,
        side_effect=effect.changes,
        recovery=effect.recovery,
        stands=effect.stands,
    )


def _dropped(turn: ClaimedTurn, gate: gates.GateResult) -> ClosedQuestion | None:
    """The open question, if the customer's words cancel it."""
    if turn.question is None or not gate.drops_question:
        return None
    is_dropped = gates.evaluate(Event.CANCELLED, turn.standing).allowed
    return ClosedQuestion(turn.question.id, Event.CANCELLED) if is_dropped else None
