"""The gates: the whole table, event × owner × what is open, and what each action's own declaration adds."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from actions.gates import GateResult, evaluate, evaluate_action, evaluate_merge, event_of, rules_of, told_by_the_bot
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
# where it changes. hold: kept for people · drop: the customer's open question is cancelled · drop all: staff's too ·
# yes: allowed, nothing else · no: refused.
TABLE = {
    Event.MESSAGE: ("drop", "hold", "yes>bot"),
    Event.ACTION: ("yes", "no", "no"),
    Event.HANDOFF: ("drop>human", "no", "yes>human"),
    Event.ASKED: ("yes", "no", "no"),
    Event.APPROVAL_ASKED: ("yes", "no", "no"),
    Event.CONFIRMED: ("no", "no", "no"),  # no question is open here
    Event.DECLINED: ("no", "no", "no"),
    Event.CANCELLED: ("yes", "yes", "yes"),  # what is dropped, the cell of what happened says
    Event.REFUSED: ("no", "no", "no"),  # no question is open here
    Event.EXPIRED: ("drop", "yes", "yes"),
    Event.APPROVED: ("yes", "yes", "yes"),
    Event.DISAPPROVED: ("yes", "yes", "yes"),
    Event.TAKEN: ("drop>human", "yes", "yes>human"),  # by a person from another, or by one who was called
    Event.RELEASED: ("drop", "yes>bot", "yes>bot"),
    Event.CLOSED: ("drop>closed", "yes>closed", "no"),
    Event.RESET: ("drop all", "drop all>bot", "drop all>bot"),
    Event.TICKET_OPENED: ("yes", "yes", "yes"),
    Event.TICKET_RESOLVED: ("yes", "yes", "yes"),
    Event.MERGED: ("yes", "drop", "yes"),  # where the merge brings nothing that is open
    Event.ERASED: ("drop all>closed", "drop all>closed", "drop all"),
}
ANSWERS = {(Event.RELEASED, Owner.BOT), *product((Event.RESET, Event.TICKET_RESOLVED), Owner)}
"""What was held is answered also where the bot had the conversation before."""
NEEDS_A_QUESTION = (Event.CONFIRMED, Event.DECLINED, Event.REFUSED)


def said(gate: GateResult) -> str:
    if gate.hold:
        return "hold"
    return {1: "drop", 2: "drop all"}.get(len(gate.drops)) or ("yes" if gate.allowed else "no")


@pytest.mark.parametrize(
    ("event", "standing", "cell"),
    [
        (event, standing, cell)
        for event in TABLE
        for standing, cell in zip((BOT, HUMAN, CLOSED), TABLE[event], strict=True)
    ],
)
def test_the_full_table(event: Event, standing: Standing, cell: str) -> None:
    gate = evaluate(event, standing)
    effects, _, owner = cell.partition(">")
    assert said(gate) == effects
    assert gate.after.owner == (owner or standing.owner)
    assert gate.why


@pytest.mark.parametrize(("standing", "cell"), [(BOT, "drop"), (HUMAN, "hold"), (CLOSED, "hold")])
def test_a_message_from_before_the_close_opens_nothing(standing: Standing, cell: str) -> None:
    gate = evaluate(Event.MESSAGE, standing, earlier=True)
    assert (said(gate), gate.after) == (cell, standing.model_copy(update={"questions": 0}))


def test_the_table_above_is_complete_and_has_no_cell_that_nothing_asks() -> None:
    assert set(TABLE) == set(Event)
    answered = {
        (event, owner) for event, row in TABLE.items() for owner, cell in zip(Owner, row, strict=True) if cell != "no"
    }
    cells = {(event, owner) for event in TABLE for owner in rules_of(event)}
    assert cells == answered | set(product(NEEDS_A_QUESTION, [Owner.BOT]))


def test_each_row_is_asked_by_the_product() -> None:
    folders = ("actions", "activities", "api", "storage")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if path.name != "gates.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert [event for event in TABLE if not re.search(rf"Event\.{event.name}\b", text)] == [
        Event.ACTION,  # by gates.evaluate_action
        Event.HANDOFF,  # by gates.event_of
        Event.MERGED,  # by the database, which is compared (tests/integration/test_gates_in_the_database.py)
    ]


@pytest.mark.parametrize("event", NEEDS_A_QUESTION)
def test_a_yes_or_no_needs_an_open_question(event: Event) -> None:
    assert evaluate(event, ASKED).allowed
    assert not evaluate(event, BOT).allowed


def test_no_second_action_while_one_waits_for_its_yes() -> None:
    gate = evaluate_action(ASKED, definition("create_ticket"))
    assert (gate.allowed, gate.why) == (False, "another action waits for its confirmation")


def test_a_new_question_takes_the_place_of_the_open_one() -> None:
    gate = evaluate_action(ASKED, definition("create_ticket", confirmation=Confirmation.CUSTOMER))
    assert (gate.allowed, gate.confirm_by) == (True, Confirmation.CUSTOMER)
    assert gate.after == ASKED


def test_who_is_asked_has_a_question_open() -> None:
    approval = BOT.model_copy(update={"approvals": 1})
    assert evaluate(Event.ASKED, BOT).after == evaluate(Event.ASKED, ASKED).after == ASKED  # it takes the other's place
    assert evaluate(Event.APPROVAL_ASKED, BOT).after == approval
    assert evaluate(Event.APPROVAL_ASKED, approval).after.approvals == 2


def test_a_merge_brings_a_person_before_a_question_and_ends_the_other() -> None:
    asked = CLOSED.model_copy(update={"questions": 1})
    brought = [evaluate_merge(each, brings_person=True).after for each in (BOT, HUMAN, asked)]
    assert [(each.owner, each.version, each.questions) for each in brought] == [
        (Owner.HUMAN, 8, 0),
        (Owner.HUMAN, 7, 0),
        (Owner.HUMAN, 8, 0),
    ]
    assert evaluate_merge(asked).after == asked.model_copy(update={"owner": Owner.BOT, "version": 8})
    assert [evaluate_merge(each).after for each in (BOT, ASKED, CLOSED)] == [BOT, ASKED, CLOSED]
    assert evaluate_merge(HUMAN, goes_on=False).after == CLOSED


@pytest.mark.parametrize(("event", "standing"), list(product(TABLE, (BOT, HUMAN, CLOSED, ASKED, WITH_TICKET))))
def test_what_holds_in_every_cell(event: Event, standing: Standing) -> None:
    gate = evaluate(event, standing)
    assert gate.after.tickets == standing.tickets
    assert gate.allowed or gate.after == standing
    changed = gate.after.owner is not standing.owner
    assert not changed or gate.after.version == standing.version + 1
    if event is Event.MESSAGE and standing.owner is Owner.HUMAN:
        assert gate.hold
    if Confirmation.CUSTOMER in gate.drops:
        assert gate.after.questions == 0
    if changed and gate.after.owner is not Owner.BOT:
        assert gate.after.questions == 0


def test_the_database_is_handed_the_same_rows() -> None:
    for event, owner in product(TABLE, Owner):
        gate, rule = evaluate(event, ASKED.model_copy(update={"owner": owner})), rules_of(event).get(owner, {})
        assert rule.get("to", owner) == gate.after.owner or not gate.allowed
        assert tuple(rule.get("drops", ())) == gate.drops or not gate.allowed
        assert rule.get("answers", False) == ((event, owner) in ANSWERS)


def test_only_what_became_of_a_question_is_told_and_never_under_a_human() -> None:
    told = {event: told_by_the_bot(event) for event in TABLE}
    by_the_bot = {event: [Owner.BOT, Owner.CLOSED] for event in (Event.EXPIRED, Event.APPROVED, Event.DISAPPROVED)}
    assert {event: owners for event, owners in told.items() if owners} == by_the_bot


def test_an_assistant_may_hold_messages_while_a_ticket_is_open() -> None:
    config = AssistantActions(ticket_open="hold")
    assert evaluate(Event.MESSAGE, WITH_TICKET, config).hold
    assert not evaluate(Event.MESSAGE, BOT, config).hold
    assert not evaluate_action(WITH_TICKET, definition("create_ticket"), config).allowed


def test_an_assistant_may_keep_a_question_open_after_another_answer() -> None:
    gate = evaluate(Event.MESSAGE, ASKED, AssistantActions(unclear_answer="keep"))
    assert not gate.hold
    assert not gate.drops_question
    assert gate.after.state is State.AWAITING_CONFIRMATION


def definition(name: str, **changes: object) -> ActionDefinition:
    found = Registry().get(name)
    assert found is not None
    return found.model_copy(update=changes)


@pytest.mark.parametrize(
    ("standing", "name"), list(product((BOT, HUMAN, CLOSED, ASKED, WITH_TICKET), sorted(Registry().known.names)))
)
def test_each_built_in_wherever_a_conversation_stands(standing: Standing, name: str) -> None:
    gate = evaluate_action(standing, definition(name))
    assert gate.allowed == (standing in (BOT, WITH_TICKET))
    assert gate.confirm_by is Confirmation.NONE
    assert gate.after == standing


def test_an_action_that_needs_a_confirmation_is_asked_back() -> None:
    customers = evaluate_action(BOT, definition("create_ticket", confirmation=Confirmation.CUSTOMER))
    staffs = evaluate_action(BOT, definition("create_ticket", confirmation=Confirmation.STAFF))
    assert customers.confirm_by is Confirmation.CUSTOMER
    assert staffs.confirm_by is Confirmation.STAFF
    assert customers.after.state is State.AWAITING_CONFIRMATION
    assert staffs.after.state is State.BOT


def test_a_destructive_action_is_never_done_without_consent() -> None:
    gate = evaluate_action(BOT, definition("api_call", destructive=True, confirmation=Confirmation.NONE))
    assert gate.confirm_by is Confirmation.CUSTOMER


def test_what_is_off_unknown_or_elsewhere_is_refused() -> None:
    only_bot = definition("create_ticket", states=(State.BOT,))
    refused = [
        evaluate_action(BOT, None),
        evaluate_action(BOT, definition("create_ticket"), enabled=False),
        evaluate_action(WITH_TICKET, only_bot),
        evaluate_action(CLOSED, definition("create_ticket", states=tuple(State))),
        evaluate_action(BOT, definition("api_call"), rounds_used=3),
    ]
    assert [each.allowed for each in refused] == [False] * 5
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
