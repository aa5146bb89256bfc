"""What each handler says of its effect: the ledger relies on it before anything is done."""

from __future__ import annotations

import pytest

from actions.builtin import BUILT_IN_ACTIONS
from actions.registry import Registry
from activities.action_handlers import HANDLERS, ActionCall, Declared, declared, dry_run, in_own_database
from schemas.actions import ActionDefinition, ActionRequest, AssistantActions, Endpoint, LookUp
from schemas.effects import Recovery

READ = Endpoint(name="read", description="Reads", url="https://shop.example/read")
WRITE = READ.model_copy(update={"name": "write", "method": "POST"})
KEYED = WRITE.model_copy(update={"name": "keyed", "honours_idempotency_key": True})
LOOKED_UP = WRITE.model_copy(
    update={"name": "looked_up", "look_up": LookUp(url="https://shop.example/orders?reference={key}")}
)

REGISTRY = Registry(AssistantActions(endpoints=(READ, WRITE, KEYED, LOOKED_UP)))


def of(action: str, endpoint: str | None = None) -> Declared:
    metadata = {"endpoint": endpoint, "params": {}} if endpoint else {}
    request = ActionRequest(action=action, reason="Asked for it", metadata=metadata)
    definition = REGISTRY.rules_for(request)
    assert definition is not None
    return declared(ActionCall(request, definition, REGISTRY))


DECLARED = {
    ("handoff_support", None): Declared(Recovery.REPEAT),
    ("create_ticket", None): Declared(Recovery.REPEAT, stands=True),
    ("ticket_status", None): Declared(Recovery.REPEAT, changes=False),
    ("close_conversation", None): Declared(Recovery.REPEAT),
    ("api_call", "read"): Declared(Recovery.REPEAT, changes=False),
    ("api_call", "write"): Declared(Recovery.NONE, stands=True),
    ("api_call", "keyed"): Declared(Recovery.REPEAT, stands=True),
    ("api_call", "looked_up"): Declared(Recovery.LOOK_UP, stands=True),
}


@pytest.mark.parametrize(("action", "endpoint"), DECLARED)
def test_a_handler_declares_its_effect(action: str, endpoint: str | None) -> None:
    assert of(action, endpoint) == DECLARED[action, endpoint]


def test_every_built_in_action_has_a_handler_and_every_handler_a_declaration() -> None:
    assert {each.handler for each in BUILT_IN_ACTIONS} == set(HANDLERS)
    assert {action for action, _ in DECLARED} <= {each.name for each in BUILT_IN_ACTIONS}


def test_a_row_of_our_own_database_is_never_of_unknown_outcome() -> None:
    own = {action for action, endpoint in DECLARED if in_own_database(REGISTRY.get(action).handler)}  # type: ignore[union-attr]

    assert own == {"handoff_support", "create_ticket", "ticket_status", "close_conversation"}
    assert {of(action).recovery for action in own} == {Recovery.REPEAT}


def test_what_nobody_handles_is_never_repeated() -> None:
    definition = ActionDefinition(name="fly", description="Flies", metadata_schema={}, handler="wings")
    request = ActionRequest(action="fly", reason="Asked for it")

    assert declared(ActionCall(request, definition, REGISTRY)) == Declared(Recovery.NONE)
    assert dry_run(ActionCall(request, definition, REGISTRY)) == "nothing: there is no handler wings"
    assert not in_own_database("wings")
    assert not in_own_database(None)
