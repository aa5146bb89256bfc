"""A person takes the conversation while the model is asked: the question is given up, and nobody waits for its end.

In most tests the model never answers the first question. What an answer that comes all the same leads to:
test_take_over.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actions.gates import rules_of
from schemas.encoding import dump_json
from schemas.failures import ModelFailureKind
from schemas.transitions import Event
from tests.integration.test_held_messages import replies, set_state
from tests.integration.test_take_over import CALL, INVALID, configure, rows
from tests.support.shop import BOOK
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer

POLL = {"newer_message_poll_seconds": 0.05}
OPEN_SLOTS = "SELECT 1 FROM account_calls WHERE ended_at IS NULL"


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **POLL) as system:
        yield system


async def asked(system: System, text: str = "What does it cost?") -> asyncio.Task[Any]:
    """A question that the model does not answer; the caller waits."""
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send(text))
    await system.until_asked(len(system.perplexity.prompts) + 1)
    return waiting


async def taken_and_released(system: System) -> None:
    """Both before anybody looks."""
    values = {"id": (await system.session())["conversation_id"]}
    async with system.database.transaction() as transaction:
        for event in (Event.TAKEN, Event.RELEASED):
            change = "SELECT change_owner(:id, :event, CAST(:rules AS jsonb), 'Ann', '', NULL, true)"
            await transaction.rows(change, {**values, "event": event, "rules": dump_json(rules_of(event))})


async def never(_question: object) -> str:
    await within("an end of the question from outside", asyncio.Event().wait(), lambda: "")
    return "nothing"


async def answered(waiting: asyncio.Task[Any]) -> tuple[int, Any, str]:
    response = await waiting  # bounded by `send`
    return response.status_code, response.json()["reply"], response.json()["state"]


@pytest.mark.parametrize("state", ["human_handoff", "closed"])
async def test_the_caller_and_the_slot_are_free_while_the_model_goes_on(system: System, state: str) -> None:
    waiting = await asked(system)

    await set_state(system, state)

    assert await answered(waiting) == (202, None, state)
    assert await rows(system, OPEN_SLOTS) == []
    assert await rows(system, "SELECT status FROM turns") == [("held",)]
    assert await rows(system, "SELECT failure, used FROM raw_outputs") == [(ModelFailureKind.INTERRUPTED, False)]
    assert (await system.session())["held"] == 1
    assert await replies(system) == []


async def test_what_was_asked_is_answered_once_after_a_release(system: System) -> None:
    waiting = await asked(system)
    await set_state(system, "human_handoff")
    await answered(waiting)

    await set_state(system, "bot")
    await system.until_asked(2)
    system.perplexity.gate.set()

    said = await until("an answer", lambda: replies(system), lambda texts: len(texts) >= 1)
    after = (await system.send("Thanks")).json()
    assert (said, after["reply"]["text"]) == (["You said: What does it cost?"], "You said: Thanks")
    assert len(system.perplexity.prompts) == 3
    assert (await system.session())["held"] == 0


async def test_taken_and_released_at_once_it_is_asked_anew_and_answered_once(system: System) -> None:
    waiting = await asked(system)

    await taken_and_released(system)
    await system.until_asked(2)
    system.perplexity.gate.set()

    status, reply, state = await answered(waiting)
    assert (status, reply["text"], state) == (200, "You said: What does it cost?", "bot")
    assert await replies(system) == ["You said: What does it cost?"]
    assert await rows(system, OPEN_SLOTS) == []


async def test_being_taken_often_costs_no_try_and_no_apology(system: System) -> None:
    """More often than TURN_ATTEMPTS."""
    waiting = await asked(system)
    for time in range(2, system.settings.turn_attempts + 4):
        await taken_and_released(system)
        await system.until_asked(time)
    system.perplexity.gate.set()

    status, reply, _ = await answered(waiting)
    assert (status, reply["text"]) == (200, "You said: What does it cost?")
    assert await rows(system, "SELECT status, unknown_attempts FROM turns") == [("answered", 0)]


async def test_a_reset_asks_anew_at_once(system: System) -> None:
    waiting = await asked(system)

    (await system.http.post("/api/session/c-1/reset", json={"new_thread": True})).raise_for_status()
    await system.until_asked(2)
    system.perplexity.gate.set()

    assert (await answered(waiting))[1]["text"] == "You said: What does it cost?"
    first, second = system.perplexity.prompts
    assert first.frontend_context_uuid != second.frontend_context_uuid


async def test_a_repair_is_given_up_too(system: System) -> None:
    await configure(system, repair_pause_seconds=0.0)
    system.perplexity.scripts.append(INVALID)
    system.perplexity.scripts.append(never)
    waiting = asyncio.create_task(system.send("My lamp broke"))
    await system.until_asked(2)

    await set_state(system, "human_handoff")

    assert await answered(waiting) == (202, None, "human_handoff")
    assert (await system.session())["held"] == 1


async def test_the_words_after_a_result_are_given_up_and_the_action_stays_done_once(system: System) -> None:
    await configure(system, endpoints=[BOOK])
    system.perplexity.scripts.extend([CALL, never, "Booked."])
    waiting = asyncio.create_task(system.send("Book it"))
    await system.until_asked(2)

    await taken_and_released(system)

    assert (await answered(waiting))[1]["text"] == "Booked."
    assert len(system.endpoints.calls) == 1


async def test_a_reader_of_the_stream_is_done_at_once(system: System) -> None:
    system.perplexity.gate.clear()
    system.perplexity.scripts.append("The first half. The second half.")
    events = []
    async for event in system.stream("Tell me"):
        events.append(event)
        if event.kind == "chunk":
            await set_state(system, "human_handoff")

    assert (events[-1].kind, events[-1].data["reply"]) == ("done", None)


async def test_who_waits_for_room_is_free_at_once(postgres_url: str, temporal_address: str) -> None:
    """Taken while it waits for its account: it does not wait for its turn in the queue."""
    settings = {**POLL, "perplexity_account_calls_in_flight": 1, "perplexity_account_calls_per_minute": 1}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        await system.send("Hello", customer="c-0")
        waiting = asyncio.create_task(system.send("What does it cost?"))
        await until("a place", lambda: rows(system, "SELECT 1 FROM account_places"))

        await set_state(system, "human_handoff")

        assert await answered(waiting) == (202, None, "human_handoff")
        assert len(system.perplexity.prompts) == 1


async def test_over_a_channel_nothing_leaves_and_the_words_are_held(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **{**SETTINGS, **POLL}) as system:
        customer = Customer(system)
        system.perplexity.gate.clear()
        await customer.write("What does it cost?")
        await system.until_asked(1)

        url = f"/api/session/{customer.phone}/state?channel=whatsapp"
        (await system.http.post(url, json={"state": "human_handoff", "reason": "a test"})).raise_for_status()

        session = await customer.until_idle()
        assert (session["held"], await rows(system, OPEN_SLOTS), customer.received) == (1, [], [])
