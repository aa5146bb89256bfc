"""The gates: what may happen to a conversation here and now. One table: event × owner, then what is open.

Pure: the caller says what occurred and gets a `GateResult`; nothing the model or a customer writes widens it. What has
no cell is refused. Changes from outside are one statement of the database, which is handed its event's row
(`rules_of`) and applies the owner's cell under a lock. Only an assistant's configuration varies two cells
(`ticket_open`, `unclear_answer`). A merge happens within the database, which has the cells of `evaluate_merge` itself
(`own_after_merge`, `move_open_work`); tests/integration/test_gates_in_the_database.py compares each.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from schemas.actions import ActionDefinition, AssistantActions, Confirmation
from schemas.standing import Owner, Standing
from schemas.transitions import Event
from schemas.turns import State


class GateResult(BaseModel):
    """What follows.

    `allowed`: the event takes effect; if not, it changes nothing. `after`: where the conversation stands then, as far
    as the event itself changes that. `hold`: the customer's words are kept and passed on to people; else a message is
    answered. `drops`: whose open questions are cancelled.
    """

    model_config = ConfigDict(frozen=True)

    allowed: bool
    why: str
    after: Standing
    hold: bool = False
    drops: tuple[Confirmation, ...] = ()
    confirm_by: Confirmation = Confirmation.NONE

    @property
    def drops_question(self) -> bool:
        """Whether the open question to the customer is cancelled."""
        return Confirmation.CUSTOMER in self.drops


class _Rule(BaseModel):
    """A cell of the table. `to` None: the owner stays; `needs`: whether a question to the customer must be open."""

    model_config = ConfigDict(frozen=True)

    why: str
    to: Owner | None = None
    needs: Literal["question", "no question"] | None = None
    hold: bool = False
    tell: bool = False
    """What the bot has to say goes to the customer; else it is a note for staff (`told_by_the_bot`)."""
    drops: tuple[Confirmation, ...] = ()
    anew: bool = False
    """What is under way belongs to before, though the owner may stay the same."""
    note: bool = False
    """Leaves a transition, though the owner stays the same."""
    answers: bool = False
    """What was held is answered, though the bot had the conversation before."""
    asks: Confirmation = Confirmation.NONE
    """Whose question is open then. Of the customer's there is one: it takes the place of another."""
    same_version: bool = False
    """The owner changes under the same version: what is under way still counts."""


_CUSTOMERS = (Confirmation.CUSTOMER,)
_ALL = (Confirmation.CUSTOMER, Confirmation.STAFF)
_NEW_TICKET = _Rule(why="a ticket is opened; who has the conversation stays", note=True)
_TICKET_DONE = _Rule(why="a ticket is resolved; the owner stays", note=True, answers=True)
_BEGUN_ANEW = _Rule(why="starts over", to=Owner.BOT, drops=_ALL, anew=True, answers=True)
_ERASED = _Rule(why="the customer is erased", to=Owner.CLOSED, drops=_ALL, anew=True)
_DROPPED = _Rule(why="a question is dropped, as the cell of what happened says")
_SAID = _Rule(why="staff decided", tell=True)
_SAID_TO_STAFF = _Rule(why="staff decided; a person tells the customer")

_TABLE: dict[Event, dict[Owner, _Rule]] = {
    Event.MESSAGE: {
        Owner.BOT: _Rule(why="the bot answers", drops=_CUSTOMERS),
        Owner.HUMAN: _Rule(why="a person has the conversation", hold=True),
        Owner.CLOSED: _Rule(why="a new message opens the conversation again", to=Owner.BOT),
    },
    Event.ACTION: {
        Owner.BOT: _Rule(why="allowed here", needs="no question"),
    },
    Event.HANDOFF: {
        Owner.BOT: _Rule(why="a person is called", to=Owner.HUMAN, drops=_CUSTOMERS),
        Owner.CLOSED: _Rule(why="a person is called, as staff approved", to=Owner.HUMAN),
    },
    Event.ASKED: {
        Owner.BOT: _Rule(why="the customer is asked to confirm", asks=Confirmation.CUSTOMER),
    },
    Event.APPROVAL_ASKED: {
        Owner.BOT: _Rule(why="staff are asked to approve", asks=Confirmation.STAFF),
    },
    Event.CONFIRMED: {
        Owner.BOT: _Rule(why="confirmed", needs="question"),
    },
    Event.DECLINED: {
        Owner.BOT: _Rule(why="declined: nothing is done", needs="question", drops=_CUSTOMERS),
    },
    Event.CANCELLED: {Owner.BOT: _DROPPED, Owner.HUMAN: _DROPPED, Owner.CLOSED: _DROPPED},
    Event.REFUSED: {
        Owner.BOT: _Rule(why="not configured any more: nothing is done", needs="question", drops=_CUSTOMERS),
    },
    Event.EXPIRED: {  # of a question, or of an approval
        Owner.BOT: _Rule(why="nobody answered in time: nothing is done", drops=_CUSTOMERS, tell=True),
        Owner.HUMAN: _Rule(why="nobody answered in time: a person tells the customer"),
        Owner.CLOSED: _Rule(why="nobody answered in time: nothing is done", tell=True),
    },
    Event.APPROVED: {
        Owner.BOT: _SAID,
        Owner.HUMAN: _SAID_TO_STAFF,
        Owner.CLOSED: _SAID,
    },
    Event.DISAPPROVED: {
        Owner.BOT: _SAID,
        Owner.HUMAN: _SAID_TO_STAFF,
        Owner.CLOSED: _SAID,
    },
    Event.TAKEN: {
        Owner.BOT: _Rule(why="a person takes the conversation", to=Owner.HUMAN, drops=_CUSTOMERS),
        Owner.HUMAN: _Rule(why="who takes it has it, whoever was called", note=True),
        Owner.CLOSED: _Rule(why="a person takes the conversation", to=Owner.HUMAN),
    },
    Event.RELEASED: {
        Owner.BOT: _Rule(why="the bot has it already; an open question is dropped", drops=_CUSTOMERS, answers=True),
        Owner.HUMAN: _Rule(why="given back to the bot", to=Owner.BOT),
        Owner.CLOSED: _Rule(why="opened again", to=Owner.BOT),
    },
    Event.CLOSED: {
        Owner.BOT: _Rule(why="closed", to=Owner.CLOSED, drops=_CUSTOMERS),
        Owner.HUMAN: _Rule(why="closed", to=Owner.CLOSED),
    },
    Event.RESET: {Owner.BOT: _BEGUN_ANEW, Owner.HUMAN: _BEGUN_ANEW, Owner.CLOSED: _BEGUN_ANEW},
    Event.TICKET_OPENED: {Owner.BOT: _NEW_TICKET, Owner.HUMAN: _NEW_TICKET, Owner.CLOSED: _NEW_TICKET},
    Event.TICKET_RESOLVED: {Owner.BOT: _TICKET_DONE, Owner.HUMAN: _TICKET_DONE, Owner.CLOSED: _TICKET_DONE},
    Event.MERGED: {  # of the conversation that goes on, where a merge brings neither a person nor a question
        Owner.BOT: _Rule(why="the customer turned out to be another one; the bot goes on"),
        Owner.HUMAN: _Rule(why="no question is open to a person's customer", drops=_CUSTOMERS),
        Owner.CLOSED: _Rule(why="the customer turned out to be another one; it stays closed"),
    },
    Event.ERASED: {Owner.BOT: _ERASED, Owner.HUMAN: _ERASED, Owner.CLOSED: _ERASED},
}

_TICKET_HOLDS = _Rule(why="held while a ticket is open", hold=True)
_FROM_BEFORE_THE_CLOSE = _Rule(why="written before it was closed: held until it is opened again", hold=True)
_QUESTION_STAYS = _Rule(why="neither yes nor no: the question stays open")
_BRINGS_A_PERSON = _Rule(why="who had the merged one has this one, as if taken", to=Owner.HUMAN, drops=_CUSTOMERS)
_BRINGS_A_QUESTION = _Rule(why="a question came to a closed one", to=Owner.BOT)
_MERGED_AWAY = _Rule(why="it goes on in another one", to=Owner.CLOSED, same_version=True)
_ASKS = {Confirmation.CUSTOMER: Event.ASKED, Confirmation.STAFF: Event.APPROVAL_ASKED}
_NEEDS = {"question": "no question is open", "no question": "another action waits for its confirmation"}


def evaluate(
    event: Event, standing: Standing, config: AssistantActions | None = None, *, earlier: bool = False
) -> GateResult:
    """What *event* does to a conversation that stands as *standing*.

    *earlier*: a message came before the conversation was last closed, by anybody but the bot itself. For actions the
    model asks for use `evaluate_action`, which also looks at the action.
    """
    rule = _rule(event, standing, config or AssistantActions(), earlier=earlier)
    if rule is None:
        return GateResult(allowed=False, why=f"not while the owner is {standing.owner}", after=standing)
    if rule.needs and (rule.needs == "question") != bool(standing.questions):
        return GateResult(allowed=False, why=_NEEDS[rule.needs], after=standing)
    return _result(standing, rule)


def evaluate_merge(standing: Standing, *, brings_person: bool = False, goes_on: bool = True) -> GateResult:
    """What a merge does to a conversation that stands as *standing*, with the questions that moved to it.

    *brings_person*: one has, or is called to, the conversation that is merged into it. Not *goes_on*: it is itself the
    merged one, and nothing of it is under way.
    """
    if not goes_on:
        return _result(standing, _MERGED_AWAY)
    if brings_person and standing.owner is not Owner.HUMAN:
        return _result(standing, _BRINGS_A_PERSON)
    if standing.questions and standing.owner is Owner.CLOSED:
        return _result(standing, _BRINGS_A_QUESTION)
    return evaluate(Event.MERGED, standing)


def evaluate_action(
    standing: Standing,
    definition: ActionDefinition | None,
    config: AssistantActions | None = None,
    *,
    enabled: bool = True,
    rounds_used: int = 0,
) -> GateResult:
    """Whether the action of *definition* (by `Registry.rules_for`) is done, refused, or asked about first.

    *rounds_used* counts the actions of this turn whose result already went back to the model. An action that is asked
    about takes the place of an open question: there is one at a time.
    """
    config = config or AssistantActions()
    by = definition.confirmed_by if definition else Confirmation.NONE
    asked_in = standing.model_copy(update={"questions": 0}) if by is Confirmation.CUSTOMER else standing
    gate = evaluate(Event.ACTION, asked_in, config)
    refusal = _refusal(asked_in.state, definition, config, enabled=enabled, rounds_used=rounds_used)
    if not gate.allowed or refusal is not None or definition is None:
        why = gate.why if not gate.allowed or refusal is None else refusal
        return GateResult(allowed=False, why=why, after=standing)
    if by is Confirmation.NONE:
        return gate
    asked = evaluate(_ASKS[by], standing, config)
    return asked.model_copy(update={"why": f"needs a confirmation by {by}", "confirm_by": by})


def event_of(definition: ActionDefinition) -> Event | None:
    """What an action that is done does to the owner; None: nothing."""
    return {Owner.HUMAN: Event.HANDOFF, Owner.CLOSED: Event.CLOSED}.get(definition.owner_after or Owner.BOT)


def rules_of(event: Event) -> dict[str, dict[str, Any]]:
    """The event's row as the database's `change_owner` reads it."""
    names = {"to", "drops", "anew", "note", "answers"}
    return {
        owner: rule.model_dump(mode="json", include=names, exclude_defaults=True)
        for owner, rule in _TABLE[event].items()
    }


def told_by_the_bot(event: Event) -> list[str]:
    """Under which owners the bot itself tells the customer of *event*; under the others staff are told."""
    return [owner for owner, rule in _TABLE[event].items() if rule.tell]


def _result(standing: Standing, rule: _Rule) -> GateResult:
    return GateResult(allowed=True, why=rule.why, after=_after(standing, rule), hold=rule.hold, drops=rule.drops)


def _after(standing: Standing, rule: _Rule) -> Standing:
    owner = rule.to or standing.owner
    is_changed = owner is not standing.owner and not rule.same_version
    questions = 0 if Confirmation.CUSTOMER in rule.drops else standing.questions
    approvals = 0 if Confirmation.STAFF in rule.drops else standing.approvals
    return standing.model_copy(
        update={
            "owner": owner,
            "version": standing.version + (is_changed or rule.anew),
            "questions": 1 if rule.asks is Confirmation.CUSTOMER else questions,
            "approvals": approvals + (rule.asks is Confirmation.STAFF),
        }
    )


def _rule(event: Event, standing: Standing, config: AssistantActions, *, earlier: bool) -> _Rule | None:
    if event is Event.MESSAGE and standing.owner is Owner.CLOSED and earlier:
        return _FROM_BEFORE_THE_CLOSE
    if event is Event.MESSAGE and standing.owner is Owner.BOT:
        if standing.state is State.TICKET_OPEN and config.ticket_open == "hold":
            return _TICKET_HOLDS
        if standing.questions and config.unclear_answer == "keep":
            return _QUESTION_STAYS
    return _TABLE[event].get(standing.owner)


def _refusal(
    state: State, definition: ActionDefinition | None, config: AssistantActions, *, enabled: bool, rounds_used: int
) -> str | None:
    """Why the action itself is not done here and now."""
    if definition is None:
        return "there is no such action"
    if not enabled:
        return "the action is not on for this assistant"
    if state is State.TICKET_OPEN and config.ticket_open == "hold":
        return "held while a ticket is open"
    if state not in definition.states:
        return f"the action is not allowed in the state {state}"
    if definition.returns_result and rounds_used >= config.rounds:
        return f"at most {config.rounds} results a turn go back to the model"
    return None
