"""State gates: what may happen to a conversation here and now. One table, every state × every event.

Pure: the engine says what occurred and gets a `Decision`; nothing the model or a customer writes widens it. Only an
assistant's configuration varies two rows (`ticket_open`, `unclear_answer`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from schemas.actions import ActionDefinition, AssistantActions, Confirmation
from schemas.turns import State


class Event(StrEnum):
    """What can occur. Answers to a question that is open count as such only while it is in force."""

    MESSAGE = "message"  # the customer writes; while a question is open: anything but yes or no
    ACTION = "action"  # the model asks for one valid action
    CONFIRMED = "confirmed"  # whoever was asked agrees to exactly the pending action, in time
    DECLINED = "declined"
    EXPIRED = "expired"  # nobody answered in time
    HANDOFF = "handoff"  # a person takes the conversation
    RELEASE = "release"  # a person gives it back
    TICKET_UPDATED = "ticket_updated"  # a ticket changed and is still open
    TICKET_RESOLVED = "ticket_resolved"  # the last open ticket was resolved


class Decision(BaseModel):
    """What follows.

    `allowed`: the event takes effect; if not, it is recorded and changes nothing. `ask_model`: a turn is due.
    `hold`: the customer's words are kept and passed on to people. `perform`: the pending or requested action is done.
    `drop_pending`: an open question is cancelled. `next_state` is where the conversation is afterwards (for an action
    that is performed: before its own `leads_to`).
    """

    model_config = ConfigDict(frozen=True)

    allowed: bool
    why: str
    next_state: State
    ask_model: bool = False
    hold: bool = False
    perform: bool = False
    drop_pending: bool = False
    confirm_by: Confirmation = Confirmation.NONE


class _Rule(BaseModel):
    """A cell of the table. `to` None: the state stays; `back`: it is the one from before the open question."""

    model_config = ConfigDict(frozen=True)

    why: str
    allowed: bool = True
    to: State | None = None
    back: bool = False
    ask: bool = False
    hold: bool = False
    perform: bool = False
    drop: bool = False


def _no(why: str) -> _Rule:
    return _Rule(allowed=False, why=why)


_NO_QUESTION = _no("no question is open")
_NOT_HANDED = _no("no person has the conversation")
_NOTED = _Rule(why="the customer is told; nothing else changes")
_TAKEN = _Rule(why="a person takes the conversation", to=State.HUMAN_HANDOFF)
_TAKEN_FROM_QUESTION = _TAKEN.model_copy(update={"drop": True})
_HUMAN = "a person has the conversation"

_TABLE: dict[State, dict[Event, _Rule]] = {
    State.BOT: {
        Event.MESSAGE: _Rule(why="the bot answers", ask=True),
        Event.ACTION: _Rule(why="allowed here", perform=True),
        Event.CONFIRMED: _NO_QUESTION,
        Event.DECLINED: _NO_QUESTION,
        Event.EXPIRED: _NO_QUESTION,
        Event.HANDOFF: _TAKEN,
        Event.RELEASE: _NOT_HANDED,
        Event.TICKET_UPDATED: _NOTED,
        Event.TICKET_RESOLVED: _NOTED,
    },
    State.AWAITING_CONFIRMATION: {
        Event.MESSAGE: _Rule(why="neither yes nor no: the question is cancelled", ask=True, drop=True, back=True),
        Event.ACTION: _no("another action waits for its confirmation"),
        Event.CONFIRMED: _Rule(why="confirmed", perform=True, back=True),
        Event.DECLINED: _Rule(why="declined: nothing is done", drop=True, back=True),
        Event.EXPIRED: _Rule(why="nobody answered in time: nothing is done", drop=True, back=True),
        Event.HANDOFF: _TAKEN_FROM_QUESTION,
        Event.RELEASE: _NOT_HANDED,
        Event.TICKET_UPDATED: _NOTED,
        Event.TICKET_RESOLVED: _NOTED,
    },
    State.HUMAN_HANDOFF: {
        Event.MESSAGE: _Rule(why=_HUMAN, hold=True),
        Event.ACTION: _no(_HUMAN),
        Event.CONFIRMED: _no(_HUMAN),
        Event.DECLINED: _no(_HUMAN),
        Event.EXPIRED: _no(_HUMAN),
        Event.HANDOFF: _no("a person has the conversation already"),
        Event.RELEASE: _Rule(why="given back to the bot", to=State.BOT),
        Event.TICKET_UPDATED: _NOTED,
        Event.TICKET_RESOLVED: _NOTED,
    },
    State.TICKET_OPEN: {
        Event.MESSAGE: _Rule(why="the bot answers while the ticket is open", ask=True),
        Event.ACTION: _Rule(why="allowed here", perform=True),
        Event.CONFIRMED: _NO_QUESTION,
        Event.DECLINED: _NO_QUESTION,
        Event.EXPIRED: _NO_QUESTION,
        Event.HANDOFF: _TAKEN,
        Event.RELEASE: _Rule(why="given back to the bot", to=State.BOT),
        Event.TICKET_UPDATED: _NOTED,
        Event.TICKET_RESOLVED: _Rule(why="the ticket is resolved", to=State.BOT),
    },
    State.CLOSED: {
        Event.MESSAGE: _Rule(why="a new message opens the conversation again", to=State.BOT, ask=True),
        Event.ACTION: _no("the conversation is closed"),
        Event.CONFIRMED: _NO_QUESTION,
        Event.DECLINED: _NO_QUESTION,
        Event.EXPIRED: _NO_QUESTION,
        Event.HANDOFF: _TAKEN,
        Event.RELEASE: _NOT_HANDED,
        Event.TICKET_UPDATED: _NOTED,
        Event.TICKET_RESOLVED: _NOTED,
    },
}

_TICKET_HOLDS = _Rule(why="held while the ticket is open", hold=True)
_QUESTION_STAYS = _Rule(why="neither yes nor no: the question stays open", ask=True)


def decide(
    state: State, event: Event, config: AssistantActions | None = None, *, return_to: State = State.BOT
) -> Decision:
    """What *event* does in *state*. *return_to* is the pending action's, for answers to its question.

    For actions the model asks for use `decide_action`, which also looks at the action.
    """
    rule = _rule(state, event, config or AssistantActions())
    return Decision(
        allowed=rule.allowed,
        why=rule.why,
        next_state=return_to if rule.back else rule.to or state,
        ask_model=rule.ask,
        hold=rule.hold,
        perform=rule.perform,
        drop_pending=rule.drop,
    )


def decide_action(
    state: State,
    definition: ActionDefinition | None,
    config: AssistantActions | None = None,
    *,
    enabled: bool = True,
    rounds_used: int = 0,
) -> Decision:
    """Whether the action of *definition* (by `Registry.rules_for`) is done, refused, or asked back first.

    *rounds_used* counts the actions of this turn whose result already went back to the model.
    """
    config = config or AssistantActions()
    decision = decide(state, Event.ACTION, config)
    refusal = _refusal(state, definition, config, enabled=enabled, rounds_used=rounds_used)
    if not decision.allowed or refusal is not None or definition is None:
        why = decision.why if not decision.allowed or refusal is None else refusal
        return Decision(allowed=False, why=why, next_state=state)
    if definition.confirmed_by is Confirmation.NONE:
        return decision
    return Decision(
        allowed=True,
        why=f"needs a confirmation by {definition.confirmed_by}",
        next_state=State.AWAITING_CONFIRMATION,
        confirm_by=definition.confirmed_by,
    )


def state_after(definition: ActionDefinition, state: State) -> State:
    """Where the conversation is once the action is done; *state* is the decision's `next_state`."""
    return definition.leads_to or state


def _rule(state: State, event: Event, config: AssistantActions) -> _Rule:
    if event is Event.MESSAGE and state is State.TICKET_OPEN and config.ticket_open == "hold":
        return _TICKET_HOLDS
    if event is Event.MESSAGE and state is State.AWAITING_CONFIRMATION and config.unclear_answer == "keep":
        return _QUESTION_STAYS
    return _TABLE[state][event]


def _refusal(
    state: State, definition: ActionDefinition | None, config: AssistantActions, *, enabled: bool, rounds_used: int
) -> str | None:
    """Why the action itself is not done here and now."""
    if definition is None:
        return "there is no such action"
    if not enabled:
        return "the action is not on for this assistant"
    if state is State.TICKET_OPEN and config.ticket_open == "hold":
        return "held while the ticket is open"
    if state not in definition.states:
        return f"the action is not allowed in the state {state}"
    if definition.returns_result and rounds_used >= config.rounds:
        return f"at most {config.rounds} results a turn go back to the model"
    return None
