"""State gates: the full table, every state × every event, and what each action's own declaration adds."""

from __future__ import annotations

from itertools import product

import pytest

from actions.gates import Decision, Event, decide, decide_action, state_after
from actions.registry import Registry
from schemas.actions import ActionDefinition, AssistantActions, Confirmation
from schemas.turns import State

# Per state, what each event does: an effect, then the next state.
# ask: the model is asked · hold: kept for people · do: the action is performed · drop: the open question is cancelled
# yes: allowed, nothing else · no: refused, nothing changes. `<` is the state from before the question.
EVENTS = [
    *("message", "action", "confirmed", "declined", "expired"),
    *("handoff", "release", "ticket_updated", "ticket_resolved"),
]
TABLE = {
    "bot": "ask:bot do:bot no no no yes:human_handoff no yes:bot yes:bot",
    "awaiting_confirmation": "ask+drop:< no do:< drop:< drop:< drop:human_handoff no"
    " yes:awaiting_confirmation yes:awaiting_confirmation",
    "human_handoff": "hold:human_handoff no no no no no yes:bot yes:human_handoff yes:human_handoff",
    "ticket_open": "ask:ticket_open do:ticket_open no no no yes:human_handoff yes:bot yes:ticket_open yes:bot",
    "closed": "ask:bot no no no no yes:human_handoff no yes:closed yes:closed",
}
CELLS = [
    (state, event, cell) for state, cells in TABLE.items() for event, cell in zip(EVENTS, cells.split(), strict=True)
]


def said(decision: Decision) -> set[str]:
    effects = {"ask": decision.ask_model, "hold": decision.hold, "do": decision.perform, "drop": decision.drop_pending}
    return {name for name, happens in effects.items() if happens} or {"yes" if decision.allowed else "no"}


@pytest.mark.parametrize(("state", "event", "cell"), CELLS)
def test_the_full_table(state: str, event: str, cell: str) -> None:
    decision = decide(State(state), Event(event), return_to=State.TICKET_OPEN)
    effects, _, target = cell.partition(":")
    assert said(decision) == set(effects.split("+"))
    assert decision.next_state == (State.TICKET_OPEN if target == "<" else target or state)
    assert decision.why


def test_the_table_above_is_complete() -> None:
    assert {(state, event) for state, event, _ in CELLS} == set(product(State, Event))


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_the_model_is_never_asked_while_a_human_has_the_conversation(state: State, event: Event) -> None:
    decision = decide(state, event)
    if state is State.HUMAN_HANDOFF:
        assert not decision.ask_model
        assert not decision.perform
    assert not (decision.perform and decision.drop_pending)
    assert decision.allowed or decision.next_state is state


def test_an_open_ticket_may_hold_the_bot() -> None:
    config = AssistantActions(ticket_open="hold")
    assert said(decide(State.TICKET_OPEN, Event.MESSAGE, config)) == {"hold"}
    assert not decide_action(State.TICKET_OPEN, definition("ticket_status"), config).allowed
    assert decide(State.BOT, Event.MESSAGE, config).ask_model


def test_an_unclear_answer_may_keep_the_question() -> None:
    config = AssistantActions(unclear_answer="keep")
    decision = decide(State.AWAITING_CONFIRMATION, Event.MESSAGE, config)
    assert said(decision) == {"ask"}
    assert decision.next_state is State.AWAITING_CONFIRMATION


def definition(name: str, **changes: object) -> ActionDefinition:
    found = Registry().get(name)
    assert found is not None
    return found.model_copy(update=changes)


ACTS = {State.BOT, State.TICKET_OPEN}


@pytest.mark.parametrize(("state", "name"), list(product(State, sorted(Registry().known.names))))
def test_each_built_in_in_each_state(state: State, name: str) -> None:
    decision = decide_action(state, definition(name))
    assert decision.allowed == decision.perform == (state in ACTS)
    assert decision.next_state is state


@pytest.mark.parametrize("by", [Confirmation.CUSTOMER, Confirmation.STAFF])
def test_an_action_that_needs_a_confirmation_is_asked_back(by: Confirmation) -> None:
    decision = decide_action(State.BOT, definition("create_ticket", confirmation=by))
    assert decision.confirm_by is by
    assert not decision.perform
    assert decision.next_state is State.AWAITING_CONFIRMATION


def test_a_destructive_action_is_never_done_without_consent() -> None:
    decision = decide_action(State.BOT, definition("api_call", destructive=True, confirmation=Confirmation.NONE))
    assert decision.confirm_by is Confirmation.CUSTOMER


def test_what_is_off_unknown_or_elsewhere_is_refused() -> None:
    only_bot = definition("create_ticket", states=(State.BOT,))
    refused = [
        decide_action(State.BOT, None),
        decide_action(State.BOT, definition("create_ticket"), enabled=False),
        decide_action(State.TICKET_OPEN, only_bot),
        decide_action(State.CLOSED, definition("create_ticket", states=tuple(State))),
        decide_action(State.BOT, definition("api_call"), rounds_used=3),
    ]
    assert [(each.allowed, each.perform) for each in refused] == [(False, False)] * 5
    assert len({each.why for each in refused}) == 5


def test_results_go_back_to_the_model_a_few_times_only() -> None:
    lookup = definition("ticket_status")
    assert [decide_action(State.BOT, lookup, rounds_used=used).allowed for used in range(5)] == [True] * 3 + [False] * 2


def test_an_action_leads_to_its_own_state() -> None:
    after = {name: state_after(definition(name), State.BOT) for name in Registry().known.names}
    assert after == {
        "handoff_sales": State.HUMAN_HANDOFF,
        "handoff_support": State.HUMAN_HANDOFF,
        "create_ticket": State.TICKET_OPEN,
        "ticket_status": State.BOT,
        "api_call": State.BOT,
        "close_conversation": State.CLOSED,
    }
