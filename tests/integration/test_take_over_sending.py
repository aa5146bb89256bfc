"""A person takes the conversation while a reply is on its way out: what has not begun to leave does not leave.

Staff's own words do, and so do the words with which the bot itself hands over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from statistics import median
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from actions.gates import rules_of
from integrations.whatsapp.double import Posted
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.conversations import Deliver, Thread, TurnRequest
from schemas.encoding import dump_json
from schemas.transitions import Event
from storage.questions import Questions
from tests.support.attempts import activities, answer
from tests.support.shop import output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer

LONG = "\n\n".join(f"Paragraph {number}. " + "Many words of it. " * 50 for number in range(12))
TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        yield system


@pytest.fixture
def customer(system: System) -> Customer:
    return Customer(system)


async def set_state(customer: Customer, state: str) -> dict[str, Any]:
    response = await customer.system.http.post(
        f"/api/session/{customer.phone}/state?channel=whatsapp", json={"state": state, "reason": "a test"}
    )
    response.raise_for_status()
    return dict(response.json())


async def say_as_staff(customer: Customer, text: str) -> None:
    body = {"text": text, "agent_name": "Ann"}
    address = f"/api/session/{customer.phone}/messages?channel=whatsapp"
    (await customer.system.http.post(address, json=body)).raise_for_status()


async def deliveries(system: System) -> list[str]:
    return [row["status"] for row in await system.database.rows("SELECT status FROM deliveries ORDER BY part")]


async def test_the_rest_of_a_reply_is_withheld_and_staffs_words_leave(system: System, customer: Customer) -> None:
    async def taken(_posted: Posted) -> None:
        await set_state(customer, "human_handoff")

    system.perplexity.scripts.append(LONG)
    system.whatsapp.before_answering.append(taken)
    await customer.write("Tell me everything")
    await until("the rest to be withheld", lambda: deliveries(system), lambda seen: seen[1:] == ["withheld"] * 2)
    await say_as_staff(customer, "Ann here.")
    received = await customer.until_received(2)
    await customer.until_idle()

    assert received[0].startswith("(1/3)")
    assert received[1:] == ["Ann here."]
    assert (await deliveries(system))[0] == "sent"


async def test_a_request_under_way_is_named_and_nobody_waits_for_it(system: System, customer: Customer) -> None:
    """Also the median of 11 changes while the channel hangs, as whoever calls measures it."""
    system.perplexity.scripts.append(LONG)
    system.whatsapp.gate.clear()
    await customer.write("Tell me everything")
    await within("the first part", system.whatsapp.held.wait(), lambda: system.whatsapp.sent)

    seconds, in_flight = [], []
    for state in ["human_handoff", "bot"] * 5 + ["human_handoff"]:
        began = time.monotonic()
        in_flight.append((await set_state(customer, state))["in_flight"])
        seconds.append(time.monotonic() - began)
    system.whatsapp.gate.set()
    await customer.until_idle()

    print(f"POST …/state while the channel hangs: P50 {median(seconds) * 1000:.0f} ms")
    assert in_flight == [1] * 11
    assert median(seconds) < 1.0
    assert [text[:5] for text in customer.received] == ["(1/3)"]


async def test_a_reply_that_was_due_before_does_not_leave_after_a_release(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        customer = Customer(system)
        conversation_id, reply_id = await _due(system, customer)
        await set_state(customer, "human_handoff")
        await set_state(customer, "bot")
        async with activities(system) as does:
            await ActivityEnvironment().run(does.delivery.deliver, Deliver(conversation_id=conversation_id))

        rows = await system.database.rows("SELECT delivery FROM messages WHERE id = :id", {"id": reply_id})

    assert customer.received == []
    assert [row["delivery"] for row in rows] == ["withheld"]


async def test_a_claim_that_meets_a_take_over_comes_after_it(postgres_url: str, temporal_address: str) -> None:
    """The take-over is not committed yet when the part is claimed: the claim waits for it, and finds it."""
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        customer = Customer(system)
        conversation_id, _ = await _due(system, customer)
        async with activities(system) as does:
            async with system.database.transaction() as transaction:
                values = {"id": conversation_id, "rules": dump_json(rules_of(Event.TAKEN))}
                await transaction.rows("SELECT * FROM change_owner(:id, 'taken', :rules, 'Ann', '')", values)
                sending = asyncio.create_task(
                    ActivityEnvironment().run(does.delivery.deliver, Deliver(conversation_id=conversation_id))
                )
                await until("the claim that waits", lambda: _waits_for_a_lock(system, "SET status = 'sending'"))
            await sending

    assert customer.received == []


async def _waits_for_a_lock(system: System, words: str) -> bool:
    waiting = await system.database.rows(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND position(:words IN query) > 0",
        {"words": words},
    )
    return bool(waiting)


async def test_a_part_that_was_claimed_gives_way_if_it_begins_too_late(
    postgres_url: str, temporal_address: str
) -> None:
    claimed = DatabaseStop("SET status = 'sending'", after=True)
    async with running_system(
        postgres_url, temporal_address, worker=False, **SETTINGS, take_over_wait_seconds=0.2
    ) as system:
        customer = Customer(system)
        conversation_id, _ = await _due(system, customer)
        async with activities(system, claimed) as does:
            environment = ActivityEnvironment()
            sending = asyncio.create_task(
                environment.run(does.delivery.deliver, Deliver(conversation_id=conversation_id))
            )
            await within("the claim", claimed.reached.wait(), lambda: customer.received)
            taken = await set_state(customer, "human_handoff")
            claimed.released.set()
            with pytest.raises(Exception, match="the claim took too long"):
                await sending
            await environment.run(does.delivery.deliver, Deliver(conversation_id=conversation_id))

    assert taken["in_flight"] == 1
    assert customer.received == []


async def _due(system: System, customer: Customer) -> tuple[Any, Any]:
    """A reply of the bot that waits to be sent: its conversation's id and its own."""
    await customer.write("Hello")
    conversation_id = (await customer.session())["conversation_id"]
    row = await system.database.row(
        "INSERT INTO messages (conversation_id, direction, author, channel, id_scope, text, owner_version, delivery)"
        " VALUES (:id, 'out', 'assistant', 'whatsapp', '', 'Hello yourself', 0, 'due') RETURNING id",
        {"id": conversation_id},
    )
    assert row is not None
    return conversation_id, row["id"]


async def test_the_words_that_hand_over_leave_and_an_earlier_reply_does_not(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        customer = Customer(system)
        conversation_id, _ = await _due(system, customer)
        system.perplexity.scripts.append(output("handoff_support"))
        thread = Thread(frontend_context_uuid=uuid4())
        async with activities(system) as does:
            asked = TurnRequest(conversation_id=conversation_id, cursor=0, thread=thread)
            handed = await answer(does, asked)
            await ActivityEnvironment().run(does.delivery.deliver, Deliver(conversation_id=conversation_id))

    assert handed.standing.owner == "human"
    assert [text[:20] for text in customer.received] == ["I am passing you on "]


async def test_nobody_asks_for_patience_under_a_human(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **SETTINGS, still_working_seconds=1.0) as system:
        customer = Customer(system)
        system.perplexity.gate.clear()
        await customer.write("Hello")
        await system.until_asked(1)
        await set_state(customer, "human_handoff")
        said = "SELECT delivery FROM messages WHERE meta ? 'interim_notice_of'"
        await until("the interim notice", lambda: system.database.rows(said), lambda rows: rows)
        system.perplexity.gate.set()
        await customer.until_idle()

        assert [row["delivery"] for row in await system.database.rows(said)] == ["withheld"]
    assert customer.received == []


async def test_an_approval_that_expires_under_a_human_is_told_to_staff_alone(
    postgres_url: str, temporal_address: str
) -> None:
    config = AssistantConfig(
        actions=AssistantActions(confirmations={"create_ticket": Confirmation.STAFF}, approval_seconds=0.001)
    )
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        await system.services.configurations.apply("default", config, "test")
        customer = Customer(system)
        conversation_id, _ = await _due(system, customer)
        system.perplexity.scripts.append(TICKET)
        async with activities(system) as does:
            thread = Thread(frontend_context_uuid=uuid4())
            await answer(does, TurnRequest(conversation_id=conversation_id, cursor=0, thread=thread))
        await set_state(customer, "human_handoff")
        questions = Questions(system.database)
        [approval] = await questions.expired(10)
        needs_delivery = await questions.expire(
            approval.action_id, words="Too late", note="Told.", untold_note="Not told."
        )
        events = await system.database.rows("SELECT text FROM messages WHERE kind = 'note'")
        async with activities(system) as does:
            await ActivityEnvironment().run(does.delivery.deliver, Deliver(conversation_id=conversation_id))

    assert (needs_delivery, [event["text"] for event in events], customer.received) == (False, ["Not told."], [])
