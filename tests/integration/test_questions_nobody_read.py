"""Over HTTP a question is put once its caller reads it: before that no yes means it, and over by then it is not put."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig, Texts
from tests.integration.test_held_messages import set_state
from tests.support.shop import CANCEL, output
from tests.support.waiting import until
from tests.system_in_process import System, running_system

ASKS = "Shall I do this: Cancels?\nPlease answer yes or no."


@pytest.fixture
async def hasty(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A caller was told that their message is still being answered, and has not come back; the question is there."""
    async with running_system(postgres_url, temporal_address, reply_wait_seconds=1.0) as system:
        actions = AssistantActions(endpoints=(CANCEL,), unclear_answer="keep")
        await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
        system.perplexity.scripts.append(output("api_call", endpoint="cancel_order", params={}))
        system.perplexity.gate.clear()
        assert (await system.send("What happens if I cancel?", message_id="m-1")).status_code == 503
        system.perplexity.gate.set()
        await until("the question", lambda: system.database.rows("SELECT status FROM actions"), bool)
        yield system


async def read(system: System) -> tuple[int, Any]:
    response = await system.send("What happens if I cancel?", message_id="m-1")
    return response.status_code, (response.json()["reply"] or {}).get("text")


async def test_an_ok_to_something_else_is_no_yes(hasty: System) -> None:
    second = await hasty.send("ok", message_id="m-2")

    assert second.json()["reply"]["text"] == "You said: ok"
    assert hasty.endpoints.calls == []


async def test_once_it_is_read_a_yes_counts(hasty: System) -> None:
    assert await read(hasty) == (200, ASKS)
    await hasty.send("yes", message_id="m-2")

    await until("the call", lambda: hasty.endpoints.calls)
    assert len(hasty.endpoints.calls) == 1


@pytest.mark.parametrize(("state", "told"), [("human_handoff", (202, None)), ("closed", (200, Texts().dropped))])
async def test_over_by_then_it_is_not_put(hasty: System, state: str, told: tuple[int, Any]) -> None:
    await set_state(hasty, state)

    assert await read(hasty) == told


@pytest.mark.parametrize("came_back", [False, True])
async def test_what_a_take_over_ended_is_the_persons_and_asked_anew_after_the_release(
    hasty: System, *, came_back: bool
) -> None:
    """As a question over a channel that was withheld."""
    await set_state(hasty, "human_handoff")
    held = (await hasty.session())["held"]
    if came_back:
        assert await read(hasty) == (202, None)
    await set_state(hasty, "bot")

    assert held == 1
    told = await until("an answer", lambda: read(hasty), lambda told: told[0] != 503)
    assert told == (200, "You said: What happens if I cancel?")
    assert (await hasty.session())["held"] == 0


async def test_what_was_read_before_the_take_over_is_not_asked_anew(hasty: System) -> None:
    before = await read(hasty)
    await set_state(hasty, "human_handoff")
    held = (await hasty.session())["held"]
    await set_state(hasty, "bot")

    assert (held, await read(hasty)) == (0, before)
    assert len(hasty.perplexity.prompts) == 1


async def test_what_was_read_is_read_again(hasty: System) -> None:
    """The same message, the same answer."""
    before = await read(hasty)
    await set_state(hasty, "closed")

    assert await read(hasty) == before
