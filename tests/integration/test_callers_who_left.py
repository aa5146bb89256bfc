"""Over HTTP a question is given to a caller who is still there: to one who has left it is as unread as before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig
from tests.support.shop import CANCEL, output
from tests.support.waiting import until
from tests.system_in_process import System, running_system

WORDS = "What happens if I cancel?"
ASKS = "Shall I do this: Cancels?\nPlease answer yes or no."


@pytest.fixture
async def asking(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """The model is about to ask for what needs a yes."""
    async with running_system(postgres_url, temporal_address) as system:
        actions = AssistantActions(endpoints=(CANCEL,), unclear_answer="keep")
        await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
        system.perplexity.scripts.append(output("api_call", endpoint="cancel_order", params={}))
        system.perplexity.gate.clear()
        yield system


async def streams_and_leaves(system: System) -> None:
    events = system.stream(WORDS, message_id="m-1")
    assert (await anext(events)).kind == "accepted"
    await system.until_asked(1)
    await events.aclose()


async def posts_and_leaves(system: System) -> None:
    posting = asyncio.create_task(system.send(WORDS, message_id="m-1"))
    await system.until_asked(1)
    posting.cancel()
    with suppress(asyncio.CancelledError):
        await posting


async def until_read(system: System) -> None:
    """The API has read the answer for whoever waits for it."""

    def looks() -> list[str]:
        return [statement for statement in system.statements if "AS turn_id, t.conversation_id" in statement]

    await until("the question", lambda: system.database.rows("SELECT 1 FROM actions"))
    await until("a look at the answer", looks)


async def given(system: System) -> list[Any]:
    return [row["id"] for row in await system.database.rows("SELECT id FROM messages WHERE meta ? 'given_at'")]


@pytest.mark.parametrize("leaves", [streams_and_leaves, posts_and_leaves])
async def test_an_ok_to_something_else_is_no_yes(asking: System, leaves: Any) -> None:
    await leaves(asking)
    asking.perplexity.gate.set()
    await until_read(asking)
    second = await asking.send("ok", message_id="m-2")

    assert second.json()["reply"]["text"] == "You said: ok"
    assert asking.endpoints.calls == []


@pytest.mark.parametrize("leaves", [streams_and_leaves, posts_and_leaves])
async def test_who_comes_back_is_given_it(asking: System, leaves: Any) -> None:
    await leaves(asking)
    asking.perplexity.gate.set()
    await until_read(asking)
    before = await given(asking)
    again = await asking.send(WORDS, message_id="m-1")
    await asking.send("ok", message_id="m-2")

    assert (before, again.json()["reply"]["text"]) == ([], ASKS)
    assert len(asking.endpoints.calls) == 1


@pytest.mark.parametrize("leaves", [streams_and_leaves, posts_and_leaves])
async def test_who_shares_the_wait_and_stays_is_given_it(asking: System, leaves: Any) -> None:
    staying = asyncio.create_task(asking.send(WORDS, message_id="m-1"))
    await leaves(asking)
    asking.perplexity.gate.set()
    answer: httpx2.Response = await staying
    await asking.send("ok", message_id="m-2")

    assert answer.json()["reply"]["text"] == ASKS
    assert len(asking.endpoints.calls) == 1


async def test_a_stream_gives_it_with_its_last_event(asking: System) -> None:
    asking.perplexity.gate.set()
    events = [event async for event in asking.stream(WORDS, message_id="m-1")]
    await asking.send("yes", message_id="m-2")

    assert events[-1].data["reply"]["text"] == ASKS
    assert len(asking.endpoints.calls) == 1
