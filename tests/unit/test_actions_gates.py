"""The gates: the whole table, event × owner × what is open, and what each action's own declaration adds."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from actions.gates import GateResult, cells, evaluate, evaluate_action, event_of, rules_of, told_by_the_bot
from actions.registry import Registry
from schemas.actions import ActionDefinition, AssistantActions, Confirmation
from schemas.standing import Owner, Standing
from schemas.transitions import Event
from schemas.turns import State

ROOT = Path(__file__).parents[2]
BOT, HUMAN, CLOSED = (Standing(owner=owner, version=7) for owner in Owner)
ASKED = BOT.model_copy(update={"questions": 1})
WITH_TICKET = BOT.model_copy(update={"tickets": ("T-1",)})

# What each event does to a conversation of the bot's, of a person's, to a closed one: an effect, then the next owner
# where it changes. ask: the model is asked · hold: kept for people · do: an action is performed · drop: the customer's
# open question is cancelled · drop all: staff's too · tell: by the bot · yes: allowed, nothing else · no: refused.
TABLE = {
    Event.MESSAGE: ("ask+drop", "hold", "ask>bot"),
    Event.ACTION: ("do", "no", "no"),
    Event.HANDOFF: ("yes>human", "no", "yes>human"),
    Event.CONFIRMED: ("no", "no", "no"),  # no question is open here
    Event.DECLINED: ("no", "no", "no"),
    Event.EXPIRED: ("drop+tell", "yes", "tell"),
    Event.APPROVED: ("do+tell", "do", "do+tell"),
    Event.DISAPPROVED: ("tell", "yes", "tell"),
    Event.TAKEN: ("drop>human", "no", "yes>human"),
    Event.RELEASED: ("drop", "yes>bot", "yes>bot"),
    Event.CLOSED: ("drop>closed", "yes>closed", "no"),
    Event.RESET: ("drop all", "drop all>bot", "drop all>bot"),
    Event.TICKET_OPENED: ("yes", "yes", "yes"),
    Event.TICKET_RESOLVED: ("yes", "yes", "yes"),
    Event.ERASED: ("drop all>closed", "drop all>closed", "drop all"),
}
ANSWERS = {(Event.RELEASED, Owner.BOT), *product((Event.RESET, Event.TICKET_RESOLVED), Owner)}
"""What was held is answered also where the bot had the conversation before."""
NEVER_ASKED_ABOUT = {Event.ASKED, Event.APPROVAL_ASKED, Event.CANCELLED, Event.REFUSED, Event.MERGED}
"""Reasons of transitions that follow from another event's cell, or from a merge (migration 0011)."""


def said(decision: GateResult) -> str:
    effects = {"ask": decision.ask_model, "hold": decision.hold, "do": decision.perform}
    drops = {1: "drop", 2: "drop all"}.get(len(decision.drops))
    names = [name for name, happens in effects.items() if happens] + ([drops] if drops else [])
    names += ["tell"] if decision.tell else []
    return "+".join(names) or ("yes" if decision.allowed else "no")


@pytest.mark.parametrize(
    ("event", "standing", "cell"),
    [
        (event, standing, cell)
        for event in TABLE
        for standing, cell in zip((BOT, HUMAN, CLOSED), TABLE[event], strict=True)
    ],
)
def test_the_full_table(event: Event, standing: Standing, cell: str) -> None:
    decision = evaluate(event, standing)
    effects, _, owner = cell.partition(">")
    assert said(decision) == effects
    assert decision.after.owner == (owner or standing.owner)
    assert decision.why


@pytest.mark.parametrize(("standing", "cell"), [(BOT, "ask+drop"), (HUMAN, "hold"), (CLOSED, "hold")])
def test_a_message_from_before_the_close_opens_nothing(standing: Standing, cell: str) -> None:
    decision = evaluate(Event.MESSAGE, standing, earlier=True)
    assert (said(decision), decision.after) == (cell, standing.model_copy(update={"questions": 0}))


def test_the_table_above_is_complete_and_has_no_cell_that_nothing_asks() -> None:
    assert set(TABLE) | NEVER_ASKED_ABOUT == set(Event)
    answered = {
        (event, owner) for event, row in TABLE.items() for owner, cell in zip(Owner, row, strict=True) if cell != "no"
    }
    assert set(cells()) == answered | {(Event.CONFIRMED, Owner.BOT), (Event.DECLINED, Owner.BOT)}


def test_each_row_is_asked_by_the_product() -> None:
    folders = ("actions", "activities", "api", "storage")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if path.name != "gates.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert [event for event in TABLE if not re.search(rf"Event\.{event.name}\b", text)] == [
        Event.ACTION,  # by gates.evaluate_action
        Event.HANDOFF,  # by gates.event_of
    ]


@pytest.mark.parametrize("event", [Event.CONFIRMED, Event.DECLINED])
def test_a_yes_or_no_needs_an_open_question(event: Event) -> None:
    assert evaluate(event, ASKED).allowed
    assert not evaluate(event, BOT).allowed


def test_no_second_action_while_one_waits_for_its_yes() -> None:
    decision = evaluate_action(ASKED, definition("create_ticket"))
    assert (decision.allowed, decision.why) == (False, "another action waits for its confirmation")


def test_a_new_question_takes_the_place_of_the_open_one() -> None:
    decision = evaluate_action(ASKED, definition("create_ticket", confirmation=Confirmation.CUSTOMER))
    assert (decision.allowed, decision.perform, decision.confirm_by) == (True, False, Confirmation.CUSTOMER)
    assert decision.after == ASKED


@pytest.mark.parametrize(("event", "standing"), list(product(TABLE, (BOT, HUMAN, CLOSED, ASKED, WITH_TICKET))))
def test_what_holds_in_every_cell(event: Event, standing: Standing) -> None:
    decision = evaluate(event, standing)
    assert decision.after.tickets == standing.tickets
    assert decision.allowed or decision.after == standing
    changed = decision.after.owner is not standing.owner
    assert not changed or decision.after.version == standing.version + 1
    if standing.owner is Owner.HUMAN:
        assert not decision.ask_model
        assert not decision.tell
    if Confirmation.CUSTOMER in decision.drops:
        assert decision.after.questions == 0


def test_the_database_is_handed_the_same_rows() -> None:
    for event, owner in product(TABLE, Owner):
        decision, rule = evaluate(event, ASKED.model_copy(update={"owner": owner})), rules_of(event).get(owner, {})
        assert rule.get("to", owner) == decision.after.owner or not decision.allowed
        assert tuple(rule.get("drops", ())) == decision.drops or not decision.allowed
        assert rule.get("answers", False) == ((event, owner) in ANSWERS)
    assert told_by_the_bot(Event.APPROVED) == [Owner.BOT, Owner.CLOSED]


def test_an_assistant_may_hold_messages_while_a_ticket_is_open() -> None:
    config = AssistantActions(ticket_open="hold")
    assert evaluate(Event.MESSAGE, WITH_TICKET, config).hold
    assert evaluate(Event.MESSAGE, BOT, config).ask_model
    assert not evaluate_action(WITH_TICKET, definition("create_ticket"), config).allowed


def test_an_assistant_may_keep_a_question_open_after_another_answer() -> None:
    decision = evaluate(Event.MESSAGE, ASKED, AssistantActions(unclear_answer="keep"))
    assert decision.ask_model
    assert not decision.drops_question
    assert decision.after.state is State.AWAITING_CONFIRMATION


def definition(name: str, **changes: object) -> ActionDefinition:
    found = Registry().get(name)
    assert found is not None
    return found.model_copy(update=changes)


@pytest.mark.parametrize(
    ("standing", "name"), list(product((BOT, HUMAN, CLOSED, ASKED, WITH_TICKET), sorted(Registry().known.names)))
)
def test_each_built_in_wherever_a_conversation_stands(standing: Standing, name: str) -> None:
    decision = evaluate_action(standing, definition(name))
    assert decision.allowed == decision.perform == (standing in (BOT, WITH_TICKET))
    assert decision.after == standing


def test_an_action_that_needs_a_confirmation_is_asked_back() -> None:
    customers = evaluate_action(BOT, definition("create_ticket", confirmation=Confirmation.CUSTOMER))
    staffs = evaluate_action(BOT, definition("create_ticket", confirmation=Confirmation.STAFF))
    assert (customers.perform, customers.confirm_by) == (False, Confirmation.CUSTOMER)
    assert (staffs.perform, staffs.confirm_by) == (False, Confirmation.STAFF)
    assert customers.after.state is State.AWAITING_CONFIRMATION
    assert staffs.after.state is State.BOT


def test_a_destructive_action_is_never_done_without_consent() -> None:
    decision = evaluate_action(BOT, definition("api_call", destructive=True, confirmation=Confirmation.NONE))
    assert decision.confirm_by is Confirmation.CUSTOMER


def test_what_is_off_unknown_or_elsewhere_is_refused() -> None:
    only_bot = definition("create_ticket", states=(State.BOT,))
    refused = [
        evaluate_action(BOT, None),
        evaluate_action(BOT, definition("create_ticket"), enabled=False),
        evaluate_action(WITH_TICKET, only_bot),
        evaluate_action(CLOSED, definition("create_ticket", states=tuple(State))),
        evaluate_action(BOT, definition("api_call"), rounds_used=3),
    ]
    assert [(each.allowed, each.perform) for each in refused] == [(False, False)] * 5
    assert len({each.why for each in refused}) == 5


def test_results_go_back_to_the_model_a_few_times_only() -> None:
    lookup = definition("ticket_status")
    assert [evaluate_action(BOT, lookup, rounds_used=used).allowed for used in range(5)] == [True] * 3 + [False] * 2


def test_an_action_that_is_done_may_change_the_owner() -> None:
    after = {name: event_of(definition(name)) for name in Registry().known.names}
    assert after == {
        "handoff_sales": Event.HANDOFF,
        "handoff_support": Event.HANDOFF,
        "create_ticket": None,
        "ticket_status": None,
        "api_call": None,
        "close_conversation": Event.CLOSED,
    }
