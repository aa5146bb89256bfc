"""One message, end to end, on real PostgreSQL and a real Temporal server; only Perplexity is scripted."""

from __future__ import annotations

import asyncio

from tests.system_in_process import System


async def test_a_message_is_answered_and_the_thread_goes_on(system: System) -> None:
    first = (await system.send("Hello")).json()
    second = (await system.send("And again")).json()

    assert first["reply"]["text"] == "You said: Hello"
    assert first["verdict"] == "text"
    assert first["thread"]["frontend_context_uuid"] == second["thread"]["frontend_context_uuid"]
    asked = system.perplexity.prompts
    assert [question.backend_uuid for question in asked] == [None, first["thread"]["backend_uuid"]]


async def test_the_same_message_twice_at_once_is_asked_once(system: System) -> None:
    responses = await asyncio.gather(*(system.send("Hello", message_id="m-1") for _ in range(5)))

    assert len({response.json()["turn_id"] for response in responses}) == 1
    assert len(system.perplexity.prompts) == 1
