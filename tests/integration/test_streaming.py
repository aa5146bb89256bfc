"""`POST /api/query_async`: accepted, text as it is written, resumed after a lost connection, one terminal event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from integrations.perplexity.port import AskFailed
from schemas.failures import ModelFailureKind
from tests.system_in_process import StreamedEvent, System


def shown(events: list[StreamedEvent]) -> str:
    text = ""
    for event in events:
        text = "" if event.kind == "reset" else text + event.data.get("text", "")
    return text


async def test_text_comes_before_the_answer_is_whole(system: System) -> None:
    system.perplexity.gate.clear()
    events = system.stream("Hello")

    accepted, first = await anext(events), await anext(events)
    system.perplexity.gate.set()
    rest = [event async for event in events]

    assert accepted.kind == "accepted"

    assert (first.kind, first.data) == ("chunk", {"text": "You sai"})
    assert rest[-1].kind == "done"
    assert shown([first, *rest[:-1]]) == rest[-1].data["reply"]["text"] == "You said: Hello"


async def test_a_reader_that_comes_back_goes_on_where_it_was(system: System) -> None:
    system.perplexity.gate.clear()
    events = system.stream("Hello", message_id="m-1")
    accepted, first = await anext(events), await anext(events)
    await events.aclose()
    system.perplexity.gate.set()

    from_the_start = [event async for event in system.stream("Hello", message_id="m-1", last_event_id=accepted.id)]
    rest = [event async for event in system.stream("Hello", message_id="m-1", last_event_id=first.id)]

    assert shown([first, *rest[:-1]]) == rest[-1].data["reply"]["text"]
    assert [event.kind for event in rest if event.kind == "accepted"] == []
    assert from_the_start == [first, *rest]
    assert len(system.perplexity.prompts) == 1


@pytest.mark.parametrize("message_id", ["m-1", None])
async def test_the_first_event_names_the_message(system: System, message_id: str | None) -> None:
    before = [event async for event in system.stream("Hello", message_id=message_id)]

    named = before[0].data["message_id"]
    again = [event async for event in system.stream("Hello", message_id=named)]

    assert (before[0].kind, named == message_id) == ("accepted", message_id is not None)
    assert before[-1].data["message_id"] == named
    assert again == before


async def test_an_event_of_another_answer_is_none_of_ours(system: System) -> None:
    """Libraries keep the last id that they saw, and send it with whatever comes next."""
    other = [event async for event in system.stream("Do you deliver?", customer="c-2", message_id="m-1")]

    fresh = [event async for event in system.stream("Hello", message_id="m-1", last_event_id=other[-1].id)]
    again = [event async for event in system.stream("Hello", message_id="m-1")]

    assert fresh == again
    assert fresh[0].kind == "accepted"
    assert shown(fresh[1:-1]) == "You said: Hello"


async def test_an_attempt_that_fails_is_taken_back(system: System) -> None:
    system.perplexity.gate.clear()
    system.perplexity.fail_after_text = [AskFailed(ModelFailureKind.CUT, "cut", retry_after=0.01)]
    stream = system.stream("Hello")

    await anext(stream)
    first = await anext(stream)
    system.perplexity.gate.set()
    events = [first, *[event async for event in stream]]

    assert [event.kind for event in events[:2]] == ["chunk", "reset"]
    assert shown(events[:-1]) == events[-1].data["reply"]["text"] == "You said: Hello"


async def test_an_answered_message_streams_its_answer_again(system: System) -> None:
    before = [event async for event in system.stream("Hello", message_id="m-1")]

    again = [event async for event in system.stream("Hello", message_id="m-1")]

    assert again == before


async def test_a_hundred_readers_of_one_answer_all_get_it(system: System) -> None:
    system.perplexity.gate.clear()
    readers = [asyncio.create_task(_all(system)) for _ in range(100)]
    await system.until_asked(1)
    system.perplexity.gate.set()

    streams = await asyncio.gather(*readers)

    assert {events[-1].data["turn_id"] for events in streams} == {streams[0][-1].data["turn_id"]}
    assert len(system.perplexity.prompts) == 1


async def test_a_reader_that_does_not_read_holds_nobody_up(system: System) -> None:
    system.perplexity.scripts.append("word " * 20_000)
    events = system.stream("Hello", message_id="m-1")
    await anext(events)

    answer = await system.send("Hello", message_id="m-1")
    another = await system.send("Hello", customer="c-2")

    assert (answer.status_code, another.status_code) == (200, 200)
    assert (await _last(events)).kind == "done"


async def _last(events: AsyncIterator[StreamedEvent]) -> StreamedEvent:
    return [event async for event in events][-1]


async def _all(system: System) -> list[StreamedEvent]:
    return [event async for event in system.stream("Hello", message_id="m-1")]


async def test_a_reader_that_comes_back_after_a_merge_misses_nothing(system: System) -> None:
    """The message has the same number in the conversation that goes on, and its answer is written anew."""
    for customer in ("c-1", "c-2"):
        await system.send("Hello", customer=customer)
    system.perplexity.scripts.extend(["Nobody, I am afraid, before nine.", "Yes, as ever, from eight."])
    system.perplexity.gate.clear()
    events = system.stream("Anybody?", customer="c-2", message_id="m-1")
    _, first = await anext(events), await anext(events)
    await events.aclose()
    await system.database.rows(
        "SELECT merge_customers((SELECT customer_id FROM channel_identities WHERE value = 'c-2'),"
        " (SELECT customer_id FROM channel_identities WHERE value = 'c-1'))"
    )
    system.perplexity.gate.set()

    rest = [
        event async for event in system.stream("Anybody?", customer="c-2", message_id="m-1", last_event_id=first.id)
    ]

    assert "Nobody, I am afraid".startswith(first.data["text"])
    assert shown([first, *rest[:-1]]) == rest[-1].data["reply"]["text"] == "Yes, as ever, from eight."
