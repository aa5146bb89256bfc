"""A yes over WhatsApp: it counts for the question that the customer could read, and only if nothing else was said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from tests.support import clock
from tests.support.shop import CANCEL, output
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer, at, written

CALL = output("api_call", endpoint="cancel_order", params={})


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        actions = AssistantActions(endpoints=(CANCEL,), confirmations={"create_ticket": Confirmation.CUSTOMER})
        await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
        yield system


@pytest.fixture
async def customer(system: System) -> Customer:
    """A customer who was asked half a minute ago whether their order is to be cancelled."""
    customer = Customer(system)
    system.perplexity.scripts.append(CALL)
    await customer.write("Cancel my order")
    await customer.until_received(1)
    await customer.until_idle()
    accepted_at = clock.now() - timedelta(seconds=30)
    await system.database.rows(
        "UPDATE effects SET settled_at = :accepted_at WHERE kind = 'part'", {"accepted_at": accepted_at}
    )
    return customer


async def test_a_plain_yes_does_it(system: System, customer: Customer) -> None:
    await customer.write("yes")
    await customer.until_received(2)

    assert len(system.endpoints.calls) == 1


async def test_no_and_ok_in_one_burst_is_no_yes(system: System, customer: Customer) -> None:
    await customer.send(written("No wait, please do not cancel it!"), written("ok thanks"))
    await customer.until_received(2)

    assert system.endpoints.calls == []
    assert "please do not cancel it" in system.perplexity.questions[-1].text


async def test_an_ok_written_before_the_question_is_no_yes(system: System, customer: Customer) -> None:
    await customer.write("ok", timestamp=at(0))
    await customer.until_received(2)

    assert system.endpoints.calls == []


async def test_the_button_of_an_older_question_leaves_the_newer_one_open(system: System, customer: Customer) -> None:
    old = system.whatsapp.sent[-1].choices[0]
    ticket = {"subject": "Lamp", "description": "Broken"}
    system.perplexity.scripts.append(json.dumps({"action": "create_ticket", "reason": "r", "metadata": ticket}))
    await customer.write("Open a ticket rather")
    await customer.until_received(2)
    button = {"type": "button_reply", "button_reply": {"id": old.id, "title": "Yes"}}

    await customer.send(written("", type="interactive", text=None, interactive=button))

    assert "has expired" in (await customer.until_received(3))[2]
    assert system.endpoints.calls == []
    assert len(system.perplexity.questions) == 2
    [question] = await system.database.rows("SELECT name FROM actions WHERE status = 'awaiting_confirmation'")
    assert question["name"] == "create_ticket"
