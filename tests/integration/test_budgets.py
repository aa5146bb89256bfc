"""What a turn may cost, in counts: history events, billable actions, SQL statements; and no words in history."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle, WorkflowHistory

from tests.history_costs import BILLABLE
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer


async def _history(system: System) -> WorkflowHistory:
    session = await system.session()
    return await system.temporal.get_workflow_handle(session["workflow_id"]).fetch_history()


async def test_a_warm_turn_adds_11_events_and_2_billable_actions(system: System) -> None:
    await system.send("one")
    before = (await _history(system)).events

    await system.send("two")

    added = (await _history(system)).events[len(before) :]
    assert len(added) <= 11, Counter(EventType.Name(event.event_type) for event in added)
    assert sum(event.event_type in BILLABLE for event in added) <= 2


def of_the_turn(system: System) -> list[str]:
    """Without the reading of all keys, once in API_KEY_CACHE_SECONDS, whatever the turn."""
    return [statement for statement in system.statements if "FROM api_keys" not in statement]


async def test_a_warm_turn_makes_5_statements_and_4_without_the_accounts_limit(system: System) -> None:
    await system.send("one")
    system.statements.clear()

    await system.send("two")

    statements = of_the_turn(system)
    counted = [statement for statement in statements if "claim_slot" in statement]
    assert len(statements) <= 5
    assert len(statements) - len(counted) <= 4


async def test_no_words_of_customer_or_model_stand_in_history(system: System) -> None:
    system.perplexity.scripts.append("Unmistakable answer")
    await system.send("Unmistakable question", customer="unmistakable-customer", message_id="unmistakable-id")

    session = await system.session("unmistakable-customer")
    history = await system.temporal.get_workflow_handle(session["workflow_id"]).fetch_history()

    assert len(history.events) > 10
    assert "nmistakable" not in history.to_json()


async def _webhook_turn(system: System) -> WorkflowHistory:
    """The history after one more turn of a customer on WhatsApp."""
    customer = Customer(system)
    await customer.write("Hello")
    handle = system.temporal.get_workflow_handle((await customer.until_idle())["workflow_id"])
    await until("a workflow with nothing pending", lambda: _pending(handle), lambda pending: not any(pending))
    return await handle.fetch_history()


async def _pending(handle: WorkflowHandle[Any, Any]) -> tuple[int, bool]:
    """Activities and a workflow task: the reply is out before the workflow has heard of it."""
    description = (await handle.describe()).raw_description
    return len(description.pending_activities), description.HasField("pending_workflow_task")


async def test_a_webhook_turn_adds_16_events_and_3_billable_actions(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        before = (await _webhook_turn(system)).events
        after = await _webhook_turn(system)

    added = after.events[len(before) :]
    assert len(added) <= 16, Counter(EventType.Name(event.event_type) for event in added)
    assert sum(event.event_type in BILLABLE for event in added) <= 3
    assert "Hello" not in after.to_json()


@pytest.mark.parametrize("last", [60, pytest.param(1_000, marks=pytest.mark.chaos)])
async def test_a_late_turn_costs_no_more_than_turn_10(postgres_url: str, temporal_address: str, last: int) -> None:
    async with running_system(postgres_url, temporal_address, perplexity_account_calls_per_minute=100_000) as system:
        sizes = {}
        for number in range(1, last + 1):
            system.statements.clear()
            await system.send(f"message {number}")
            statements = len(of_the_turn(system))
            if number in {9, 10, last - 1, last}:
                history = await _history(system)
                sizes[number] = (len(history.events), len(history.to_json()), statements)

    assert sizes[last][0] - sizes[last - 1][0] <= sizes[10][0] - sizes[9][0]
    assert sizes[last][1] - sizes[last - 1][1] <= (sizes[10][1] - sizes[9][1]) * 1.05
    assert sizes[last][2] <= sizes[10][2]
