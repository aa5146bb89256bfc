"""A turn that waits for its account: in a queue, without an activity slot, a try or a doubt; its slot is a lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from integrations.perplexity.double import words
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer

PLACES = "SELECT conversation_id FROM account_places ORDER BY queued_at"


@asynccontextmanager
async def crowded(
    postgres_url: str, temporal_address: str, customers: int, **settings: Any
) -> AsyncIterator[tuple[System, list[asyncio.Task[Any]]]]:
    """One call at a time: the first customer's question is out and held, the others' wait, one after the other."""
    settings = {"perplexity_account_calls_in_flight": 1, **settings}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        system.perplexity.gate.clear()
        sending: list[asyncio.Task[Any]] = []
        for number in range(customers):
            sending.append(asyncio.create_task(system.send(f"message {number}", customer=f"c-{number}")))
            if number == 0:
                await system.until_asked(1)
            else:
                await until_places(system, number)
        yield system, sending
        system.perplexity.gate.set()
        await asyncio.gather(*sending)


async def until_places(system: System, count: int) -> None:
    await until(f"{count} places", lambda: system.database.rows(PLACES), lambda places: len(places) >= count)


async def test_waiting_is_no_question_and_no_try(postgres_url: str, temporal_address: str) -> None:
    async with crowded(postgres_url, temporal_address, 3) as (system, sending):
        turns = await system.database.rows(
            "SELECT status, times_asked, unknown_attempts FROM turns ORDER BY started_at"
        )
        system.perplexity.gate.set()
        answers = await asyncio.gather(*sending)

    assert [tuple(turn.values()) for turn in turns] == [("asking", 1, 0), ("claimed", 0, 0), ("claimed", 0, 0)]
    assert [answer.json()["reply"]["text"] for answer in answers] == [f"You said: message {n}" for n in range(3)]
    assert len(system.perplexity.prompts) == 3


async def test_first_come_first_served(postgres_url: str, temporal_address: str) -> None:
    async with crowded(postgres_url, temporal_address, 5) as (system, sending):
        system.perplexity.gate.set()
        await asyncio.gather(*sending)

    asked = [words(question) for question in system.perplexity.prompts]
    assert asked == [f"message {number}" for number in range(5)]


async def test_a_conversation_has_one_place_however_many_messages_wait(
    postgres_url: str, temporal_address: str
) -> None:
    async with crowded(postgres_url, temporal_address, 2) as (system, sending):
        sending += [asyncio.create_task(system.send(f"more {number}", customer="c-1")) for number in range(9)]
        await system.until_waiting(10, "c-1")

        assert len(await system.database.rows(PLACES)) == 1


async def test_waiting_turns_hold_no_activity_slot(postgres_url: str, temporal_address: str) -> None:
    async with crowded(postgres_url, temporal_address, 5, worker_activities=2) as (system, _):
        body = {"state": "human_handoff", "reason": "I take over"}
        changed = await system.http.post("/api/session/c-4/state", json=body)

    assert changed.status_code == 200


async def test_over_the_minutes_limit_the_turn_waits_and_is_answered(postgres_url: str, temporal_address: str) -> None:
    settings = {
        "perplexity_account_calls_in_flight": 100,
        "perplexity_account_calls_per_minute": 1,
        "perplexity_account_place_seconds": 3,
    }
    async with running_system(postgres_url, temporal_address, **settings) as system:
        await system.send("first")
        second = asyncio.create_task(system.send("second", customer="c-2"))
        await until_places(system, 1)
        asked = len(system.perplexity.prompts)
        await system.database.rows("UPDATE account_calls SET started_at = started_at - interval '1 minute'")
        answer = await second

    assert asked == 1
    assert answer.json()["reply"]["text"] == "You said: second"


async def test_a_dead_workers_slot_is_free_when_its_lease_is_over(postgres_url: str, temporal_address: str) -> None:
    async with crowded(postgres_url, temporal_address, 2) as (system, sending):
        await system.database.rows("UPDATE account_calls SET expires_at = agent_now() - interval '1 second'")
        await system.until_asked(2)
        system.perplexity.gate.set()
        await asyncio.gather(*sending)

        assert await system.database.rows("SELECT 1 FROM account_calls WHERE ended_at IS NULL") == []


async def test_a_long_answer_keeps_its_slot(postgres_url: str, temporal_address: str) -> None:
    async with crowded(postgres_url, temporal_address, 2, perplexity_account_slot_seconds=0.6) as (system, _):
        [before] = await system.database.rows("SELECT expires_at FROM account_calls")

        expiry = "SELECT expires_at FROM account_calls"
        await until(
            "a renewed lease",
            lambda: system.database.rows(expiry),
            lambda calls: calls[0]["expires_at"] > before["expires_at"],
        )

        assert len(system.perplexity.prompts) == 1


async def test_a_place_is_given_up_when_nobody_comes_for_it(postgres_url: str, temporal_address: str) -> None:
    async with crowded(postgres_url, temporal_address, 2, perplexity_account_place_seconds=1) as (system, sending):
        await system.database.rows(
            "INSERT INTO account_places (conversation_id, perplexity_account, queued_at)"
            " SELECT gen_random_uuid(), perplexity_account, queued_at - interval '1 minute' FROM account_places"
        )
        system.perplexity.gate.set()
        await asyncio.gather(*sending)

        assert await system.database.rows(PLACES) == []


async def test_replies_go_out_while_a_question_waits(postgres_url: str, temporal_address: str) -> None:
    settings = {**SETTINGS, "perplexity_account_calls_in_flight": 1}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        first, second = Customer(system), Customer(system, "16505550002")
        await second.write("Hello")
        await second.until_received(1)
        system.perplexity.gate.clear()
        await first.write("A long one")
        await system.until_asked(2)
        await second.write("And I wait")
        await until_places(system, 1)

        reply = {"text": "Ann here", "agent_name": "Ann"}
        await system.http.post(f"/api/session/+{second.phone}/messages?channel=whatsapp", json=reply)
        await until("the human's reply", lambda: second.received, lambda texts: "Ann here" in texts)
        system.perplexity.gate.set()
        await second.until_received(3)


async def test_a_customer_who_waits_long_is_told_once(postgres_url: str, temporal_address: str) -> None:
    settings = {**SETTINGS, "perplexity_account_calls_in_flight": 1, "still_working_seconds": 1.0}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        first, second = Customer(system), Customer(system, "16505550002")
        system.perplexity.gate.clear()
        await first.write("A long one")
        await system.until_asked(1)
        await second.write("And I wait")
        await second.until_received(1)
        system.perplexity.gate.set()
        await second.until_received(2)

        assert "one moment" in second.received[0]
        assert second.received[1:] == ["You said: And I wait"]
