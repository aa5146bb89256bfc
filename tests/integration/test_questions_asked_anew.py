"""A question over HTTP beside answers that are read again: they say nothing new, and what was done is not denied."""

from __future__ import annotations

import asyncio

from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig, Texts
from tests.support.shop import CANCEL, output
from tests.support.waiting import until
from tests.system_in_process import System

CANCELS = output("api_call", endpoint="cancel_order", params={})


async def keep_questions(system: System) -> None:
    actions = AssistantActions(endpoints=(CANCEL,), unclear_answer="keep")
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")


async def ask(system: System, message_id: str) -> None:
    system.perplexity.scripts.append(CANCELS)
    asked = await system.send("Cancel my order", message_id=message_id)
    assert asked.json()["action"]["status"] == "awaiting_confirmation"


async def test_an_answer_that_is_read_again_and_again_puts_one_yes_in_doubt_at_most(system: System) -> None:
    await keep_questions(system)
    await system.send("Hello", message_id="m-1")
    for number in (1, 2):
        await ask(system, f"question-{number}")
        await system.send("Hello", message_id="m-1")
        await system.send("yes", message_id=f"yes-{number}")

    assert len(system.endpoints.calls) == 1


async def test_what_was_done_when_it_was_asked_anew_is_not_denied(system: System) -> None:
    """The caller had left before the first question; the second, about the same, was answered with yes."""
    await keep_questions(system)
    system.perplexity.gate.clear()
    system.perplexity.scripts.append(CANCELS)
    left = asyncio.create_task(system.send("Cancel my order", message_id="m-1"))
    await system.until_asked(1)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    system.perplexity.gate.set()
    await until("a question", lambda: system.database.rows("SELECT 1 FROM actions"))
    await ask(system, "m-2")
    await system.send("yes", message_id="m-3")
    assert len(system.endpoints.calls) == 1

    again = await system.send("Cancel my order", message_id="m-1")

    assert again.json()["reply"]["text"] == Texts().action_done
