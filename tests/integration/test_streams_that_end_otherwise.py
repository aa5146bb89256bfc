"""A stream showed words that turn out not to be the answer: they are taken back, and the answer is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from fastapi.sse import ServerSentEvent

from api.answers import Answers
from api.streaming import Following, follow
from integrations.perplexity.port import AskFailed
from schemas.assistants import Texts
from schemas.failures import ModelFailureKind
from storage.turn_views import TurnViews
from tests.incoming import incoming
from tests.integration.test_held_messages import replies, set_state
from tests.integration.test_streaming import shown
from tests.support.stopping_database import DatabaseStop, StoppingDatabase
from tests.support.waiting import until, within
from tests.system_in_process import StreamedEvent, System, running_system


@pytest.fixture
async def hasty(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A take-over is noticed soon, and an answer is tried for once."""
    settings = {"newer_message_poll_seconds": 0.2, "turn_attempts": 1}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        system.perplexity.gate.clear()
        yield system


def as_streamed(event: ServerSentEvent) -> StreamedEvent:
    return StreamedEvent(event.event or "", event.data, event.id or "")


async def stays() -> bool:
    return False


async def test_released_between_two_looks_the_new_words_are_shown(hasty: System) -> None:
    """Still held at the first look for the answer, answered anew by the second."""
    hasty.perplexity.scripts.extend(["It costs 500 ringgit, I believe, in all.", "It is free."])
    between, services = DatabaseStop("max(k.seq) AS seq"), hasty.services
    database = StoppingDatabase(hasty.settings.database_url or "", between)
    answers = Answers(services.conversations, TurnViews(database), services.readiness, hasty.settings)
    stored = await services.inbox.store(incoming("What does it cost?", 1).model_copy(update={"wants_stream": True}))
    events = follow(replace(services, answers=answers), Following(stored, None, stays))
    seen = [await anext(events), await anext(events)]

    await set_state(hasty, "human_handoff")
    reading = asyncio.create_task(rest_of(events))
    await within("the second look", between.reached.wait(), lambda: reading)
    await set_state(hasty, "bot")
    hasty.perplexity.gate.set()
    await until("an answer", lambda: replies(hasty), lambda texts: "It is free." in texts)
    between.released.set()
    told = [as_streamed(event) for event in (*seen, *await reading)]
    await database.close()

    assert told[1].data == {"text": "It costs 500 ringgit"}
    assert shown(told[1:-1]) == told[-1].data["reply"]["text"] == "It is free."


async def rest_of(events: AsyncIterator[ServerSentEvent]) -> list[ServerSentEvent]:
    return [event async for event in events]


async def test_of_an_answer_that_a_person_interrupted_nothing_stays(hasty: System) -> None:
    events = hasty.stream("What does it cost?", message_id="m-1")
    seen = [await anext(events), await anext(events)]
    await set_state(hasty, "human_handoff")
    seen += [event async for event in events]
    again = [event async for event in hasty.stream("What does it cost?", message_id="m-1", last_event_id=seen[-1].id)]

    assert (seen[-1].kind, seen[-1].data["reply"]) == ("done", None)
    assert (seen[1].kind, shown(seen[1:-1])) == ("chunk", "")
    assert shown([*seen[1:-1], *again[:-1]]) == ""


async def test_of_an_answer_that_came_to_an_apology_nothing_stays(hasty: System) -> None:
    hasty.perplexity.fail_after_text = [AskFailed(ModelFailureKind.CUT, "cut")]
    events = hasty.stream("What does it cost?", message_id="m-1")
    seen = [await anext(events), await anext(events)]
    hasty.perplexity.gate.set()
    seen += [event async for event in events]

    assert seen[-1].data["reply"]["text"] == Texts().trouble
    assert (seen[1].kind, shown(seen[1:-1])) == ("chunk", "")
    assert [event async for event in hasty.stream("What does it cost?", message_id="m-1")] == seen
