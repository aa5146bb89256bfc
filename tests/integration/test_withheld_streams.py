"""What was written of an answer before a person took the conversation: nobody is shown it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.integration.test_held_messages import set_state
from tests.support.waiting import until
from tests.system_in_process import StreamedEvent, System, running_system


@pytest.fixture
async def watchful(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system whose model calls are given up soon after a person takes the conversation."""
    async with running_system(postgres_url, temporal_address, newer_message_poll_seconds=0.05) as system:
        yield system


async def interrupted(system: System, state: str) -> asyncio.Task[list[StreamedEvent]]:
    """A reader of m-1 who has the first half of the answer; then the state is changed, while the model goes on."""
    system.perplexity.gate.clear()
    first = asyncio.Event()

    async def read() -> list[StreamedEvent]:
        events = list[StreamedEvent]()
        async for event in system.stream("What does it cost?", message_id="m-1"):
            events.append(event)
            if event.kind == "chunk":
                first.set()
        return events

    reader = asyncio.create_task(read())
    await until("the first half", first.is_set)
    await set_state(system, state)
    return reader


@pytest.mark.parametrize("state", ["human_handoff", "closed"])
@pytest.mark.parametrize("ended", [False, True])
async def test_a_further_reader_is_shown_nothing_of_it(watchful: System, state: str, *, ended: bool) -> None:
    reader = await interrupted(watchful, state)
    if ended:
        await reader

    events = [event async for event in watchful.stream("What does it cost?", message_id="m-1")]

    assert [event.kind for event in events] == ["accepted", "done"]
    assert events[-1].data["reply"] is None
    watchful.perplexity.gate.set()
    await reader
