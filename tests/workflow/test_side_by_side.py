"""Nothing that takes long holds up anything else: answering, sending and what operators ask for go on side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.conversations import ApprovalDecision, ResetRequest, SessionChanged, StateRequest
from schemas.transitions import Event
from schemas.turns import State
from tests.support.shop import output
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer
from tests.workflow.handles import activities_of, attributes_of, ended, handle_of, state_of, until_shown

AT_ONCE_SECONDS = 5.0
"""Generous, for a machine that is busy: what these tests hold back is held back until they let it go."""

ACCEPTED = WorkflowUpdateStage.ACCEPTED
TICKET = {"subject": "Lamp", "description": "Broken lamp"}


async def ask(system: System, name: str, argument: Any) -> SessionChanged:
    updated = (await handle_of(system)).execute_update(name, argument, result_type=SessionChanged)
    return await within(f"the update {name}", updated, lambda: system.perplexity.prompts, seconds=AT_ONCE_SECONDS)


@pytest.fixture
async def hanging(system: System) -> AsyncIterator[System]:
    """A conversation whose model does not answer, until its gate is opened."""
    await system.send("Hello")
    system.perplexity.gate.clear()
    sending = asyncio.create_task(system.send("Are you there?"))
    await system.until_asked(2)
    yield system
    system.perplexity.gate.set()
    await sending


async def test_a_take_over_does_not_wait_for_the_model(hanging: System) -> None:
    changed = await ask(hanging, "set_state", StateRequest(state=State.HUMAN_HANDOFF))

    assert changed.state is State.HUMAN_HANDOFF
    assert (await attributes_of(hanging))["HandoffOpen"] is True


async def test_a_reset_does_not_wait_for_the_model(hanging: System) -> None:
    before = (await state_of(hanging)).thread

    changed = await ask(hanging, "reset", ResetRequest(new_thread=True))

    assert before is not None
    assert changed.thread is None


async def test_after_a_change_beside_the_turn_the_database_is_read(hanging: System) -> None:
    """What the turn was asked under is not what holds when it ends."""
    await ask(hanging, "reset", ResetRequest(new_thread=True))
    hanging.perplexity.gate.set()

    async def names() -> list[str]:
        return await activities_of(hanging)

    await until("the end of the turn", names, lambda seen: seen[-1] == "load_state")


async def test_a_decision_waits_for_the_turn_under_way(system: System) -> None:
    actions = AssistantActions(confirmations={"create_ticket": Confirmation.STAFF})
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    system.perplexity.scripts.append(output("create_ticket", **TICKET))
    await system.send("My lamp is broken")
    [question] = (await system.session())["questions"]
    system.perplexity.gate.clear()
    sending = asyncio.create_task(system.send("And your hours?"))
    await system.until_asked(2)
    decision = ApprovalDecision(digest=question["digest"], approved=True)
    deciding = await (await handle_of(system)).start_update("resolve_approval", decision, wait_for_stage=ACCEPTED)
    before = await activities_of(system)

    system.perplexity.gate.set()
    await sending
    await within("the decision", deciding.result(), lambda: before)

    assert before[-1] == "answer"
    assert (await system.session())["tickets"] == ["T-1001"]


@pytest.fixture
async def stuck(postgres_url: str, temporal_address: str) -> AsyncIterator[Customer]:
    """A customer whose first reply hangs at the channel, until its gate is opened."""
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        customer = Customer(system)
        system.whatsapp.gate.clear()
        await customer.write("Hello")
        await within("a reply that is being sent", system.whatsapp.held.wait(), lambda: customer.received)
        yield customer
        system.whatsapp.gate.set()


async def answered(customer: Customer, count: int) -> None:
    await until(f"{count} turns", customer.session, lambda session: session["turns"] >= count)


async def test_a_channel_that_hangs_does_not_hold_up_answers(stuck: Customer) -> None:
    await stuck.write("And now?")
    await answered(stuck, 2)
    await stuck.write("And then?")
    await answered(stuck, 3)

    assert stuck.received == []
    stuck.system.whatsapp.gate.set()
    assert await stuck.until_received(3) == ["You said: Hello", "You said: And now?", "You said: And then?"]


async def test_a_channel_that_hangs_does_not_hold_up_operators(stuck: Customer) -> None:
    changed = await ask(stuck.system, "set_state", StateRequest(state=State.HUMAN_HANDOFF))

    assert changed.state is State.HUMAN_HANDOFF


async def test_one_delivery_at_a_time(stuck: Customer) -> None:
    await stuck.write("And now?")
    await answered(stuck, 2)
    await (await handle_of(stuck.system)).signal("delivery_due")

    pending = (await (await handle_of(stuck.system)).describe()).raw_description.pending_activities
    assert [activity.activity_type.name for activity in pending] == ["deliver"]


async def test_a_full_run_goes_on_answering_until_its_delivery_is_over(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, **SETTINGS, continue_as_new_turns=1) as system:
        customer = Customer(system)
        system.whatsapp.gate.clear()
        await customer.write("Hello")
        await within("a reply that is being sent", system.whatsapp.held.wait(), lambda: customer.received)
        handle = await handle_of(system)
        first = (await handle.describe()).run_id
        await customer.write("And now?")
        await answered(customer, 2)
        await customer.write("And then?")
        await answered(customer, 3)
        still = (await handle.describe()).run_id

        system.whatsapp.gate.set()

        assert await customer.until_received(3) == ["You said: Hello", "You said: And now?", "You said: And then?"]
        await until("another run", handle.describe, lambda run: run.run_id != first)
    assert still == first


async def test_a_run_that_is_cancelled_while_sending_ends_after_it_has_let_go(stuck: Customer) -> None:
    system = stuck.system
    handle = await handle_of(system)

    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await ended(handle)

    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert await system.database.rows("SELECT 1 FROM deliveries WHERE status = 'sending'") == []
    system.whatsapp.gate.set()
    assert stuck.received == []


async def test_what_a_cancelled_run_was_sending_is_settled_with_the_next_message(stuck: Customer) -> None:
    system = stuck.system
    handle = await handle_of(system)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await ended(handle)
    system.whatsapp.gate.set()
    await system.database.rows("UPDATE effects SET claimed_at = claimed_at - interval '1 hour'")

    await stuck.write("Still there?")

    assert await stuck.until_received(2) == ["You said: Hello", "You said: Still there?"]


async def test_an_update_to_a_cancelled_run_is_refused(system: System) -> None:
    """Also one that waits for a database which never came."""
    queue = system.settings.temporal_task_queue
    start = {"conversation_id": "00000000-0000-0000-0000-000000000001"}  # nobody's: it is read in vain
    handle = await system.temporal.start_workflow("Conversation", start, id="conversation/nobody", task_queue=queue)
    request = StateRequest(state=State.CLOSED)
    waiting = await handle.start_update("set_state", request, wait_for_stage=ACCEPTED)

    await handle.cancel()

    with pytest.raises(WorkflowUpdateFailedError):
        await within("the update's end", waiting.result(), lambda: handle.id)
    with pytest.raises(WorkflowFailureError):
        await ended(handle)
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_a_delivery_that_was_given_up_is_tried_anew_by_the_workflow(
    postgres_url: str, temporal_address: str
) -> None:
    """No sweep runs here, and no signal comes."""
    limits = {"delivery_timeout_seconds": 1.0, "delivery_give_up_seconds": 1.0, "delivery_settle_seconds": 0.1}
    async with running_system(postgres_url, temporal_address, **SETTINGS, **limits) as system:
        customer = Customer(system)
        system.whatsapp.gate.clear()
        await customer.write("Hello")
        await until("a delivery that is over", lambda: state_of(system), lambda current: current.deadlines.delivery)

        system.whatsapp.gate.set()

        assert await customer.until_received(1) == ["You said: Hello"]


async def test_a_change_in_the_database_is_read_when_it_is_told(hanging: System) -> None:
    """As `POST …/state` does it: the database first, then the signal without content; the model answers meanwhile."""
    [row] = await hanging.database.rows("SELECT id FROM conversations")
    await hanging.services.standings.change(row["id"], Event.TAKEN, who="Ann")

    await (await handle_of(hanging)).signal("standing_changed")

    await until_shown(hanging, "ConversationState", "human_handoff")
    await until_shown(hanging, "HandoffOpen", True)
