"""Deadlines are the workflow's: what expires is ended and told then, nobody who waits is left, and no run forgets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from tests.support.clock import now
from tests.support.shop import output
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer
from tests.workflow.handles import activities_of, attributes_of, ended, handle_of, runs_of, state_of, until_shown

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")
SOON_SECONDS = 0.5


async def configure(system: System, by: Confirmation, **actions: Any) -> None:
    config = AssistantConfig(actions=AssistantActions(confirmations={"create_ticket": by}, **actions))
    await system.services.configurations.apply("default", config, "test")


async def replies(system: System) -> list[str]:
    rows = await system.database.rows("SELECT text FROM messages WHERE direction = 'out' ORDER BY stored_at")
    return [row["text"] for row in rows]


async def notes(system: System) -> list[str]:
    rows = await system.database.rows("SELECT text FROM messages WHERE kind = 'note'")
    return [row["text"] for row in rows]


async def until_told(system: System) -> None:
    await until("words that it has expired", lambda: replies(system), lambda said: "has expired" in said[-1])


async def test_an_approval_that_nobody_gives_is_told_at_its_time(system: System) -> None:
    """No sweep runs here."""
    await configure(system, Confirmation.STAFF, approval_seconds=SOON_SECONDS)
    system.perplexity.scripts.append(TICKET)
    await system.send("My lamp is broken")

    await until_told(system)

    assert await notes(system) == ["Nobody approved create_ticket in time. A message for the customer says so."]
    assert (await system.session())["questions"] == []


async def test_a_question_that_the_customer_leaves_open_is_ended_at_its_time(system: System) -> None:
    await configure(system, Confirmation.CUSTOMER, confirmation_seconds=SOON_SECONDS)
    system.perplexity.scripts.append(TICKET)
    await system.send("My lamp is broken")

    await until_told(system)

    [note] = await notes(system)
    assert note == "The customer did not answer in time whether to do create_ticket. A message for them says so."
    assert (await system.session())["state"] == "bot"
    await until_shown(system, "ConversationState", "bot")
    assert (await state_of(system)).deadlines.expiry is None


async def test_what_expires_is_told_over_the_channel(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        await configure(system, Confirmation.STAFF, approval_seconds=SOON_SECONDS)
        system.perplexity.scripts.append(TICKET)
        customer = Customer(system)
        await customer.write("My lamp is broken")

        assert "has expired" in (await customer.until_received(2))[1]


async def test_a_deadline_is_the_databases_whatever_temporals_clock_says(
    postgres_url: str, temporal_address: str
) -> None:
    def a_day_ahead() -> datetime:
        return now() + timedelta(days=1)

    async with running_system(postgres_url, temporal_address, now=a_day_ahead) as system:
        await configure(system, Confirmation.CUSTOMER, confirmation_seconds=SOON_SECONDS)
        system.perplexity.scripts.append(TICKET)
        await system.send("My lamp is broken")

        await until_told(system)


async def test_a_deadline_outlives_the_run_that_set_it(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, continue_as_new_turns=1) as system:
        await configure(system, Confirmation.STAFF, approval_seconds=SOON_SECONDS)
        system.perplexity.scripts.append(TICKET)
        await system.send("My lamp is broken")

        await until_told(system)

        await until("a second run", lambda: runs_of(system), lambda runs: runs >= 2)


async def test_a_deadline_that_fires_twice_tells_once(system: System) -> None:
    await configure(system, Confirmation.STAFF, approval_seconds=SOON_SECONDS)
    system.perplexity.scripts.append(TICKET)
    await system.send("My lamp is broken")
    await until_told(system)

    await (await handle_of(system)).signal("standing_changed")
    await until("one more look", lambda: activities_of(system), lambda names: names[-1] == "load_state")

    assert len([text for text in await replies(system) if "has expired" in text]) == 1


@pytest.fixture
async def hasty(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system whose runs end as idle as soon as they may."""
    async with running_system(postgres_url, temporal_address, idle_end_seconds=0.3) as system:
        yield system


async def looked_twice(system: System) -> None:
    """Returns once the run has read twice whether it may end, and goes on."""

    async def looks() -> int:
        return (await activities_of(system)).count("load_state")

    await until("two more looks", looks, lambda seen: seen >= 3)
    assert (await (await handle_of(system)).describe()).status is WorkflowExecutionStatus.RUNNING


async def release(system: System) -> None:
    await system.http.post("/api/session/c-1/state", json={"state": "bot", "reason": "done"})


async def test_no_run_ends_while_a_human_has_the_conversation(hasty: System) -> None:
    hasty.perplexity.scripts.append(output("handoff_support"))
    await hasty.send("A human, please")

    await looked_twice(hasty)
    assert (await attributes_of(hasty))["HandoffOpen"] is True
    await release(hasty)

    await ended(await handle_of(hasty))


async def test_no_run_ends_while_a_ticket_is_open(hasty: System) -> None:
    hasty.perplexity.scripts.append(TICKET)
    await hasty.send("My lamp is broken")

    await looked_twice(hasty)
    await hasty.database.rows("UPDATE tickets SET status = 'resolved'")

    await ended(await handle_of(hasty))


async def test_no_run_ends_while_a_question_is_open(hasty: System) -> None:
    await configure(hasty, Confirmation.CUSTOMER)
    hasty.perplexity.scripts.append(TICKET)
    await hasty.send("My lamp is broken")

    await looked_twice(hasty)
    await hasty.send("no")

    await ended(await handle_of(hasty))


async def test_no_run_ends_while_a_reply_is_due(postgres_url: str, temporal_address: str) -> None:
    settings = {**SETTINGS, "idle_end_seconds": 0.3}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        customer = Customer(system)
        await customer.write("Hello")
        await customer.until_received(1)
        handle = await handle_of(system)
        await ended(handle)
        system.whatsapp.gate.clear()
        await customer.write("Hello again")
        await until("a reply that is being sent", lambda: system.whatsapp.held.is_set())

        status = (await handle.describe()).status
        system.whatsapp.gate.set()

        assert status is WorkflowExecutionStatus.RUNNING
        await customer.until_received(2)
        await ended(handle)


async def test_all_open_tickets_are_shown_and_the_newest_by_itself(system: System) -> None:
    system.perplexity.scripts.extend([TICKET, output("create_ticket", subject="Chair", description="Broken too")])
    await system.send("My lamp is broken")
    await system.send("And my chair")
    await until_shown(system, "TicketIds", ["T-1001", "T-1002"])
    await until_shown(system, "TicketId", "T-1002")

    await system.database.rows("UPDATE tickets SET status = 'resolved' WHERE number = 1001")
    await (await handle_of(system)).signal("standing_changed")
    await until_shown(system, "TicketIds", ["T-1002"])

    await system.database.rows("UPDATE tickets SET status = 'resolved'")
    await (await handle_of(system)).signal("standing_changed")
    await until_shown(system, "TicketIds", None)
    await until_shown(system, "TicketId", None)


async def test_one_timer_serves_the_earliest_deadline(postgres_url: str, temporal_address: str) -> None:
    """A burst costs one more timer than a run without, and none is cancelled."""
    async with running_system(postgres_url, temporal_address, **{**SETTINGS, "quiet_seconds": 0.3}) as system:
        customer = Customer(system)
        await customer.write("Hello")
        await customer.until_received(1)
        before = await timers(system)
        await customer.write("And")
        await customer.until_received(2)

        after = await timers(system)

    assert after - before == 1


async def timers(system: System) -> int:
    events = (await (await handle_of(system)).fetch_history()).events
    assert not any(event.HasField("timer_canceled_event_attributes") for event in events)
    return sum(event.HasField("timer_started_event_attributes") for event in events)
