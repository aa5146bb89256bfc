"""What nobody has answered, whatever kept it from being: counted, and answered once the bot has the conversation again.

Over HTTP. What was said over a channel and did not leave: test_unsaid.py; what was done: test_done_and_untold.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig
from storage.desk import Desk
from tests.support.shop import output
from tests.support.waiting import until
from tests.system_in_process import System

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")


async def set_state(system: System, state: str) -> dict[str, Any]:
    response = await system.http.post("/api/session/c-1/state", json={"state": state, "reason": "a test"})
    response.raise_for_status()
    return dict(response.json())


async def said(system: System) -> list[str]:
    """What the customer was told, in order."""
    rows = await system.database.rows(
        "SELECT text FROM messages WHERE direction = 'out' AND delivery IS NULL ORDER BY stored_at"
    )
    return [row["text"] for row in rows]


async def until_said(system: System, number: int) -> list[str]:
    return await until(f"{number} replies", lambda: said(system), lambda texts: len(texts) >= number)


async def held(system: System) -> int:
    return int((await system.session())["held"])


async def withheld_under_closed(system: System) -> None:
    """An answer that came after the conversation was closed by hand."""
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("What does it cost?"))
    await system.until_asked(1)
    await set_state(system, "closed")
    system.perplexity.gate.set()
    assert (await waiting).status_code == 202


async def test_what_a_close_kept_back_is_counted_and_answered_once_it_is_opened_again(system: System) -> None:
    await withheld_under_closed(system)
    counted = await held(system)

    await set_state(system, "bot")

    assert counted == 1
    assert await until_said(system, 1) == ["You said: What does it cost?"]
    assert await held(system) == 0


async def test_a_message_that_opens_a_closed_conversation_brings_the_older_ones_their_answer(system: System) -> None:
    await withheld_under_closed(system)

    await system.send("Hello?")

    assert await until_said(system, 2) == ["You said: Hello?", "You said: What does it cost?"]
    assert await held(system) == 0


@pytest.mark.parametrize("opened_by", ["staff", "customer", "reset"])
async def test_what_was_held_under_a_human_outlives_a_close(system: System, opened_by: str) -> None:
    await set_up_held(system)
    await set_state(system, "closed")
    counted = await held(system)

    if opened_by == "staff":
        await set_state(system, "bot")
    elif opened_by == "reset":
        (await system.http.post("/api/session/c-1/reset", json={})).raise_for_status()
    else:
        await system.send("Hello again")
    texts = await until_said(system, 2 + (opened_by == "customer"))

    assert counted == 1
    assert texts[-1] == "You said: It is urgent"
    assert await held(system) == 0


async def set_up_held(system: System) -> None:
    await system.send("Hello")
    await set_state(system, "human_handoff")
    assert (await system.send("It is urgent")).status_code == 202


async def test_a_reset_from_a_human_answers_what_was_held(system: System) -> None:
    await set_up_held(system)

    (await system.http.post("/api/session/c-1/reset", json={})).raise_for_status()

    assert (await until_said(system, 2))[-1] == "You said: It is urgent"


async def resolve(system: System, ticket: str) -> None:
    """As `agent ticket resolve` does."""
    ref = await Desk(system.database).resolve_ticket(ticket, who="Ann")
    assert ref is not None
    await system.services.conversations.signal_standing_changed(ref)
    if ref.seq:
        await system.services.conversations.signal_message_stored(ref)


async def test_messages_under_an_open_ticket_are_held_counted_and_answered_after_it(system: System) -> None:
    config = AssistantConfig(actions=AssistantActions(ticket_open="hold"))
    await system.services.configurations.apply("default", config, "test")
    system.perplexity.scripts.append(TICKET)
    await system.send("My lamp broke")
    for text in ("Any news?", "Hello?"):
        assert (await system.send(text)).status_code == 202
    counted = await held(system)

    await resolve(system, "T-1001")

    assert counted == 2
    assert (await until_said(system, 2))[-1] == "You said: Any news?\n\nHello?"
    assert await held(system) == 0


async def test_a_release_under_an_open_ticket_leaves_them_held(system: System) -> None:
    """The assistant answers nothing while a ticket is open, whoever had the conversation in between."""
    config = AssistantConfig(actions=AssistantActions(ticket_open="hold"))
    await system.services.configurations.apply("default", config, "test")
    system.perplexity.scripts.append(TICKET)
    await system.send("My lamp broke")
    await set_state(system, "human_handoff")
    await system.send("Any news?")

    await set_state(system, "bot")
    await until("the turn of what was held", system.session, lambda session: session["waiting_messages"] == 0)
    still = await held(system)
    await resolve(system, "T-1001")

    assert still == 1
    assert (await until_said(system, 2))[-1] == "You said: Any news?"


async def test_it_is_asked_about_once_however_often_the_owner_changes(system: System) -> None:
    await set_up_held(system)
    for state in ("closed", "bot", "human_handoff", "closed", "bot", "bot"):
        await set_state(system, state)

    await until_said(system, 2)
    await until("nothing that waits", system.session, lambda session: session["waiting_messages"] == 0)

    assert await said(system) == ["You said: Hello", "You said: It is urgent"]
    assert await held(system) == 0
