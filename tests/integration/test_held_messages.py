"""What customers write while a person has the conversation: known, countable, and answered after a release."""

from __future__ import annotations

import asyncio
from typing import Any

from schemas.assistants import AssistantConfig, HandoffConfig
from storage.waiting import Waiting
from tests.support.waiting import until
from tests.system_in_process import System


async def set_state(system: System, state: str) -> dict[str, Any]:
    response = await system.http.post("/api/session/c-1/state", json={"state": state, "reason": "a test"})
    response.raise_for_status()
    return dict(response.json())


async def replies(system: System) -> list[str]:
    rows = await system.database.rows("SELECT text FROM messages WHERE author = 'assistant' AND direction = 'out'")
    return [row["text"] for row in rows]


async def held_two(system: System) -> None:
    await system.send("Hello")
    await set_state(system, "human_handoff")
    for text in ("Anybody there?", "It is urgent"):
        assert (await system.send(text)).status_code == 202


async def test_they_are_counted(system: System) -> None:
    await held_two(system)

    session = await system.session()

    assert (session["held"], session["handoff"]["waiting_messages"], session["waiting_messages"]) == (2, 2, 0)


async def test_a_release_is_no_message_of_the_customer_and_not_overdue_at_once(system: System) -> None:
    await held_two(system)
    await system.database.rows(
        "UPDATE conversations SET last_message_at = last_message_at - interval '1 hour' RETURNING id"
    )
    wrote_at = (await system.session())["last_message_at"]
    system.perplexity.gate.clear()

    await set_state(system, "bot")
    session = await system.session()
    overdue = await Waiting(system.database).overdue(600, 10)
    system.perplexity.gate.set()

    assert (session["last_message_at"], session["waiting_messages"]) == (wrote_at, 1)
    assert overdue == []


async def test_a_release_answers_them_in_one_turn(system: System) -> None:
    await held_two(system)

    await set_state(system, "bot")

    said = await until("an answer", lambda: replies(system), lambda texts: len(texts) == 2)
    assert said[1] == "You said: Anybody there?\n\nIt is urgent"
    assert len(system.perplexity.prompts) == 2
    assert (await system.session())["held"] == 0


async def test_what_a_person_has_answered_is_not_answered_again(system: System) -> None:
    await held_two(system)
    reply = {"text": "I am here.", "agent_name": "Ann"}
    await system.http.post("/api/session/c-1/messages", json=reply)

    assert (await system.session())["held"] == 0
    await system.send("Good")
    released = await set_state(system, "bot")
    said = await until("an answer", lambda: replies(system), lambda texts: len(texts) == 2)

    assert released["held"] == 1
    assert said[1] == "You said: Good"


async def test_an_assistant_may_leave_them_to_people(system: System) -> None:
    config = AssistantConfig(handoff=HandoffConfig(answer_waiting_after_release=False))
    await system.services.configurations.apply("default", config, "test")
    await held_two(system)

    released = await set_state(system, "bot")
    after = (await system.send("Thanks")).json()

    assert (released["held"], after["reply"]["text"]) == (2, "You said: Thanks")
    assert (await system.session())["held"] == 2


async def test_taken_again_before_they_are_answered_they_stay_held(system: System) -> None:
    await held_two(system)
    system.perplexity.gate.clear()
    await set_state(system, "bot")
    await system.until_asked(2)
    await set_state(system, "human_handoff")
    system.perplexity.gate.set()
    await until("the turn", lambda: _statuses(system), lambda statuses: statuses[-1] == "withheld")

    assert (await system.session())["held"] == 2
    await set_state(system, "bot")
    said = await until("an answer", lambda: _sent(system), lambda texts: len(texts) == 2)
    assert said[1] == "You said: Anybody there?\n\nIt is urgent"


async def test_two_releases_at_once_ask_once(system: System) -> None:
    await held_two(system)

    await asyncio.gather(*(set_state(system, "bot") for _ in range(2)))

    await until("an answer", lambda: replies(system), lambda texts: len(texts) == 2)
    rows = await system.database.rows("SELECT 1 FROM messages WHERE kind = 'held'")
    assert len(rows) == 1


async def _statuses(system: System) -> list[str]:
    return [row["status"] for row in await system.database.rows("SELECT status FROM turns ORDER BY first_seq")]


async def _sent(system: System) -> list[str]:
    rows = await system.database.rows(
        "SELECT text FROM messages WHERE direction = 'out' AND delivery IS NULL ORDER BY stored_at"
    )
    return [row["text"] for row in rows]
