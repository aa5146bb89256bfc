"""A caller who comes back with the id of a held message gets the answer that was given later."""

from __future__ import annotations

import asyncio
from typing import Any

from api.answers import Answers
from storage.turn_views import TurnViews
from tests.incoming import incoming
from tests.integration.test_held_messages import replies, set_state
from tests.support.stopping_database import DatabaseStop, StoppingDatabase
from tests.support.waiting import until, within
from tests.system_in_process import System


async def again(system: System, text: str, message_id: str) -> tuple[int, Any]:
    response = await system.send(text, message_id=message_id)
    body = response.json()
    assert body["message_id"] == message_id
    return response.status_code, body["reply"] and body["reply"]["text"]


async def released(system: System, count: int) -> None:
    await set_state(system, "bot")
    await until("an answer", lambda: replies(system), lambda texts: len(texts) >= count)


async def test_before_the_release_there_is_none_and_after_it_there_is(system: System) -> None:
    await set_after_hello(system)
    await system.send("Anybody?", message_id="m-1")
    assert await again(system, "Anybody?", "m-1") == (202, None)

    await released(system, 2)

    assert await again(system, "Anybody?", "m-1") == (200, "You said: Anybody?")
    assert len(system.perplexity.prompts) == 2


async def test_each_of_several_gets_the_one_answer_to_all(system: System) -> None:
    await set_after_hello(system)
    for number in (1, 2):
        await system.send(f"Question {number}", message_id=f"m-{number}")

    await released(system, 2)

    both = "You said: Question 1\n\nQuestion 2"
    assert [await again(system, f"Question {n}", f"m-{n}") for n in (1, 2)] == [(200, both), (200, both)]


async def test_held_again_and_released_again_it_gets_the_last_one(system: System) -> None:
    await set_after_hello(system)
    await system.send("Anybody?", message_id="m-1")
    system.perplexity.gate.clear()
    await set_state(system, "bot")
    await system.until_asked(2)
    await set_state(system, "human_handoff")
    system.perplexity.gate.set()
    await until("the turn's end", lambda: system.session(), lambda session: session["waiting_messages"] == 0)
    assert await again(system, "Anybody?", "m-1") == (202, None)

    await set_state(system, "bot")
    await system.until_asked(3)
    await until("an answer", lambda: again(system, "Anybody?", "m-1"), lambda got: got[0] == 200)

    assert await again(system, "Anybody?", "m-1") == (200, "You said: Anybody?")


async def test_so_does_who_was_interrupted_by_the_take_over(system: System) -> None:
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("What does it cost?", message_id="m-1"))
    await system.until_asked(1)
    await set_state(system, "human_handoff")
    system.perplexity.gate.set()
    assert (await waiting).status_code == 202

    await set_state(system, "bot")
    await system.until_asked(2)

    answer = (200, "You said: What does it cost?")
    assert await until("an answer", lambda: again(system, "What does it cost?", "m-1"), lambda got: got[0] == 200)
    assert await again(system, "What does it cost?", "m-1") == answer


async def test_a_stream_that_is_read_again_ends_with_it(system: System) -> None:
    await set_after_hello(system)
    assert await _events(system, "Anybody?", "m-1")
    await released(system, 2)

    events = [event async for event in system.stream("Anybody?", message_id="m-1")]

    assert (events[-1].kind, events[-1].data["reply"]["text"]) == ("done", "You said: Anybody?")
    assert "".join(event.data["text"] for event in events if event.kind == "chunk") == "You said: Anybody?"


async def test_right_after_the_release_it_waits_for_the_answer_under_way(system: System) -> None:
    await set_after_hello(system)
    await system.send("Anybody?", message_id="m-1")
    system.perplexity.gate.clear()
    await set_state(system, "bot")

    waiting = [asyncio.create_task(again(system, "Anybody?", "m-1")) for _ in range(2)]
    await system.until_asked(2)
    system.perplexity.gate.set()

    assert await asyncio.gather(*waiting) == [(200, "You said: Anybody?")] * 2
    assert len(system.perplexity.prompts) == 2


async def test_an_answer_that_comes_between_two_looks_is_not_missed(system: System) -> None:
    """Still held at the first, answered before the second finds that nothing waits."""
    await set_after_hello(system)
    await system.send("Anybody?", message_id="m-1")
    system.perplexity.gate.clear()
    await set_state(system, "bot")
    between = DatabaseStop("max(k.seq) AS seq")
    database = StoppingDatabase(system.settings.database_url or "", between)
    services = system.services
    answers = Answers(services.conversations, TurnViews(database), services.readiness, system.settings)
    stored = await services.inbox.store(incoming("Anybody?", 1))

    waiting = asyncio.create_task(answers.to(stored))
    await within("the second look", between.reached.wait(), lambda: waiting)
    system.perplexity.gate.set()
    await until("an answer", lambda: replies(system), lambda texts: len(texts) >= 2)
    between.released.set()
    turn = (await waiting).turn
    await database.close()

    assert turn.reply is not None
    assert turn.reply.text == "You said: Anybody?"


async def test_a_stream_shows_it_as_it_is_written(system: System) -> None:
    await set_after_hello(system)
    held = [event async for event in system.stream("Anybody?", message_id="m-1")]
    system.perplexity.gate.clear()
    await set_state(system, "bot")

    reading = asyncio.create_task(_events(system, "Anybody?", "m-1"))
    await system.until_asked(2)
    system.perplexity.gate.set()
    events = await reading

    assert [event.kind for event in held] == ["accepted", "done"]
    assert "".join(event.data["text"] for event in events if event.kind == "chunk") == "You said: Anybody?"
    assert events[-1].data["reply"]["text"] == "You said: Anybody?"


async def test_what_was_shown_of_the_answer_that_a_person_interrupted_is_taken_back(system: System) -> None:
    """Its reader comes back after the release: the new answer's events are numbered from the beginning."""
    await system.send("Hello")
    system.perplexity.gate.clear()
    stream = system.stream("Anybody?", message_id="m-1")
    accepted, first = await anext(stream), await anext(stream)
    await stream.aclose()
    await set_state(system, "human_handoff")
    system.perplexity.gate.set()
    await until("the turn's end", lambda: system.session(), lambda session: session["waiting_messages"] == 0)
    await released(system, 2)

    of_accepted, of_first = [
        [event async for event in system.stream("Anybody?", message_id="m-1", last_event_id=each.id)]
        for each in (accepted, first)
    ]

    assert [event.kind for event in of_first[:2]] == ["reset", "chunk"]
    assert of_first[1:] == of_accepted
    assert "".join(event.data["text"] for event in of_accepted[:-1]) == "You said: Anybody?"


async def _events(system: System, text: str, message_id: str) -> list[Any]:
    return [event async for event in system.stream(text, message_id=message_id)]


async def set_after_hello(system: System) -> None:
    await system.send("Hello")
    await set_state(system, "human_handoff")
