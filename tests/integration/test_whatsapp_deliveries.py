"""Replies on their way out: parts in order, each once, whatever the channel says of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.double import Posted
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig, TemplateName
from schemas.conversations import Deliver
from storage.database import Database
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.overview import Overview
from tests.support.clock import MovableClock, now, stamp
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer, written
from worker.app import create_activities


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    settings = {**SETTINGS, "delivery_settle_seconds": 0.5}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        yield system


@pytest.fixture
def customer(system: System) -> Customer:
    return Customer(system)


async def _deliveries(system: System) -> list[dict[str, Any]]:
    rows = await system.database.rows(
        "SELECT part, status, failure, kind, text FROM deliveries ORDER BY created_at, part"
    )
    return [dict(row) for row in rows]


async def _notes(system: System) -> list[str]:
    rows = await system.database.rows("SELECT text FROM messages WHERE kind = 'note'")
    return [row["text"] for row in rows]


LONG = "\n\n".join(f"Paragraph {number}. " + "Many words of it. " * 50 for number in range(12))


async def test_a_long_reply_goes_out_in_numbered_parts(system: System, customer: Customer) -> None:
    system.perplexity.scripts.append(LONG)

    await customer.write("Tell me everything")
    await customer.until_idle()

    heads = [text.split("\n")[0] for text in customer.received]
    assert heads == [f"({n}/{len(heads)})" for n in range(1, len(heads) + 1)]
    assert len(heads) == 3


async def test_a_refused_part_is_sent_again_and_the_others_once(system: System, customer: Customer) -> None:
    system.perplexity.scripts.append(LONG)
    system.whatsapp.failures.extend([SendFailed(SendFailureKind.PAIR_LIMITED, "131056", code=131056)] * 2)

    await customer.write("Tell me everything")
    await customer.until_idle()

    assert [text.split("\n")[0] for text in customer.received] == ["(1/3)", "(2/3)", "(3/3)"]


async def test_an_unknown_outcome_is_settled_by_the_status(postgres_url: str, temporal_address: str) -> None:
    """The status takes as long as it takes; nothing is sent again meanwhile."""
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        customer = Customer(system)
        system.whatsapp.failures.append(SendFailed(SendFailureKind.UNKNOWN, "time-out after the request left"))
        await customer.write("Hello")
        await customer.until_received(1)

        await customer.status(system.whatsapp.sent[0], "delivered")
        await customer.until_idle()

        assert len(customer.received) == 1
        assert [row["status"] for row in await _deliveries(system)] == ["delivered"]


async def test_what_stays_unknown_is_sent_again(system: System, customer: Customer) -> None:
    system.whatsapp.failures.append(SendFailed(SendFailureKind.UNKNOWN, "time-out after the request left"))

    await customer.write("Hello")
    await customer.until_idle()

    assert len(customer.received) == 2
    assert [row["status"] for row in await _deliveries(system)] == ["sent"]


async def test_what_stays_unknown_is_sent_again_once_and_then_left_to_staff(system: System, customer: Customer) -> None:
    system.whatsapp.failures.extend([SendFailed(SendFailureKind.UNKNOWN, "502 after the request left")] * 3)

    await customer.write("Hello")
    await customer.until_idle()
    conversation_id = (await customer.until_idle())["conversation_id"]
    overdue = await Ledger(system.database).abandoned(0, 60, 10)

    assert len(customer.received) == 2
    assert [row["status"] for row in await _deliveries(system)] == ["unknown"]
    assert "Nobody knows" in (await _notes(system))[0]
    assert conversation_id not in [str(each.conversation_id) for each in overdue]


async def test_a_failure_reported_before_our_call_was_answered_counts(system: System, customer: Customer) -> None:
    async def report(posted: Posted) -> None:
        await customer.status(posted, "failed", 131000)

    system.whatsapp.before_answering.append(report)

    await customer.write("Hello")
    await customer.until_received(2)
    await customer.until_idle()

    assert [(row["status"], row["failure"]) for row in await _deliveries(system)] == [("sent", None)]
    assert len(customer.received) == 2


async def test_a_failure_of_an_earlier_part_counts_while_the_later_ones_are_sent(
    system: System, customer: Customer
) -> None:
    async def nothing(_posted: Posted) -> None:
        return None

    async def report(_posted: Posted) -> None:
        await customer.status(system.whatsapp.sent[0], "failed", 131000)

    system.perplexity.scripts.append(LONG)
    system.whatsapp.before_answering.extend([nothing, nothing, report])

    await customer.write("Tell me everything")
    await customer.until_received(4)
    await customer.until_idle()

    assert [text.split("\n")[0] for text in customer.received] == ["(1/3)", "(2/3)", "(3/3)", "(1/3)"]
    assert [row["status"] for row in await _deliveries(system)] == ["sent"] * 3


async def test_a_final_failure_reported_before_our_call_was_answered_is_told(
    system: System, customer: Customer
) -> None:
    async def report(posted: Posted) -> None:
        await customer.status(posted, "failed", 131026)

    system.whatsapp.before_answering.append(report)

    await customer.write("Hello")
    await customer.until_idle()

    assert [row["status"] for row in await _deliveries(system)] == ["failed"]
    assert "does not reach this customer" in (await _notes(system))[0]


async def test_what_stays_unknown_is_left_and_staff_are_told_where_that_is_the_setting(
    postgres_url: str, temporal_address: str
) -> None:
    settings = {**SETTINGS, "delivery_settle_seconds": 0.2, "delivery_unknown": "leave"}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        customer = Customer(system)
        system.whatsapp.failures.append(SendFailed(SendFailureKind.UNKNOWN, "time-out after the request left"))

        await customer.write("Hello")
        await customer.until_idle()

        assert len(customer.received) == 1
        assert [row["status"] for row in await _deliveries(system)] == ["unknown"]
        assert "Nobody knows" in (await _notes(system))[0]


async def test_statuses_only_move_forward(system: System, customer: Customer) -> None:
    await customer.write("Hello")
    await customer.until_idle()
    (posted,) = system.whatsapp.sent

    seen = []
    for status in ("read", "sent", "delivered", "failed"):
        await customer.status(posted, status)
        seen += [row["status"] for row in await _deliveries(system)]

    assert seen == ["read"] * 4


async def test_a_delivery_that_failed_for_a_passing_reason_is_sent_again(system: System, customer: Customer) -> None:
    await customer.write("Hello")
    await customer.until_idle()

    await customer.status(system.whatsapp.sent[0], "failed", 131000)
    await customer.until_received(2)
    await customer.status(system.whatsapp.sent[0], "failed", 131000)  # of the first attempt, reported again
    await customer.until_idle()

    assert len(customer.received) == 2
    assert [row["status"] for row in await _deliveries(system)] == ["sent"]


async def test_a_delivery_that_failed_for_good_is_noted_for_staff(system: System, customer: Customer) -> None:
    await customer.write("Hello")
    await customer.until_idle()

    await customer.status(system.whatsapp.sent[0], "failed", 131026)
    await customer.until_idle()

    assert len(customer.received) == 1
    assert "does not reach this customer" in (await _notes(system))[0]
    (trouble,) = await Overview(system.database).trouble(10)
    assert trouble.what == "reply failed: recipient_final"


async def _wrote_long_ago(customer: Customer) -> None:
    """A message that Meta delivers two days late: the 24 hours are over."""
    await customer.send(written("Hello", timestamp=stamp(now() - timedelta(days=2))))
    await customer.until_idle()


async def test_outside_24_hours_staff_are_told(system: System, customer: Customer) -> None:
    await _wrote_long_ago(customer)

    assert system.whatsapp.sent == []
    assert "more than 24 hours" in (await _notes(system))[0]


async def test_outside_24_hours_the_template_goes_out(system: System, customer: Customer) -> None:
    config = AssistantConfig(template=TemplateName(name="we_answered", language="en"))
    await system.services.configurations.apply("default", config, "test")

    await _wrote_long_ago(customer)

    (posted,) = system.whatsapp.sent
    assert posted.template is not None
    assert posted.template.name == "we_answered"


async def test_outside_24_hours_by_the_channels_own_word(system: System, customer: Customer) -> None:
    config = AssistantConfig(template=TemplateName(name="we_answered", language="en"))
    await system.services.configurations.apply("default", config, "test")
    await customer.write("Hello")
    await customer.until_idle()

    await customer.status(system.whatsapp.sent[0], "failed", 131047)
    await until("the template after the reply", lambda: system.whatsapp.sent, lambda sent: len(sent) == 2)

    assert system.whatsapp.sent[1].template is not None


async def test_an_action_is_asked_back_with_buttons(system: System, customer: Customer) -> None:
    actions = AssistantActions(confirmations={"create_ticket": Confirmation.CUSTOMER})
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    ticket = {"subject": "Lamp", "description": "It is broken"}
    output = {"action": "create_ticket", "reason": "A broken lamp", "metadata": ticket}
    system.perplexity.scripts.append(json.dumps(output))
    await customer.write("My lamp is broken")
    await customer.until_received(1)
    (asked,) = system.whatsapp.sent

    button = {"type": "button_reply", "button_reply": {"id": asked.choices[0].id, "title": "Yes"}}
    await customer.send(written("", type="interactive", text=None, interactive=button))

    assert [choice.title for choice in asked.choices] == ["Yes", "No"]
    assert "T-1001" in (await customer.until_received(2))[1]


async def test_a_failure_that_is_known_late_does_not_plan_again_what_was_given_up(
    postgres_url: str, temporal_address: str
) -> None:
    """An attempt that was taken for dead: what it was sending was left as unknown, and then surely failed."""
    clock, busy = MovableClock(), SendFailed(SendFailureKind.PAIR_LIMITED, "131056", code=131056)
    settings = {**SETTINGS, "delivery_unknown": "leave"}
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        database = Database(system.settings.database_url or "", now=clock)
        does = create_activities(system.temporal, database, system.outside, system.settings, clock)
        await Customer(system).write("Hello")
        due = Deliver(conversation_id=UUID((await Customer(system).session())["conversation_id"]))
        await Outbox(database).add(due.conversation_id, "Hello", message_id=uuid4(), author="assistant")
        system.whatsapp.failures.append(busy)
        system.whatsapp.gate.clear()

        zombie = asyncio.create_task(ActivityEnvironment().run(does.delivery.deliver, due))
        await within("the first attempt's request", system.whatsapp.held.wait(), lambda: zombie)
        with pytest.raises(ApplicationError, match="waits for the channel's status"):
            await ActivityEnvironment().run(does.delivery.deliver, due)
        clock.ahead = timedelta(minutes=5)
        await ActivityEnvironment().run(does.delivery.deliver, due)
        given_up = await _deliveries(system)
        system.whatsapp.gate.set()
        with pytest.raises(ApplicationError):
            await zombie

        assert [row["status"] for row in given_up] == ["unknown"]
        assert [(row["status"], row["failure"]) for row in await _deliveries(system)] == [("failed", "pair_limited")]
        await database.close()


async def test_the_channels_pause_is_kept_whoever_asks_again(postgres_url: str, temporal_address: str) -> None:
    clock, busy = MovableClock(), SendFailed(SendFailureKind.PAIR_LIMITED, "131056", code=131056)
    settings = {**SETTINGS, "delivery_pause_max_seconds": 60.0}
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        database = Database(system.settings.database_url or "", now=clock)
        does = create_activities(system.temporal, database, system.outside, system.settings, clock)
        await Customer(system).write("Hello")
        conversation_id = UUID((await Customer(system).session())["conversation_id"])
        await Outbox(database).add(conversation_id, "Hello", message_id=uuid4(), author="assistant")
        system.whatsapp.failures.append(busy)

        kinds = []
        for _ in range(2):
            with pytest.raises(ApplicationError) as failed:
                await ActivityEnvironment().run(does.delivery.deliver, Deliver(conversation_id=conversation_id))
            kinds.append(failed.value.type)
        clock.ahead = timedelta(seconds=7)
        await ActivityEnvironment().run(does.delivery.deliver, Deliver(conversation_id=conversation_id))
        await database.close()

        assert kinds == [SendFailureKind.PAIR_LIMITED, "Paused"]
        assert len(system.whatsapp.sent) == 1
